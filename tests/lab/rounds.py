# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rounds of killing something at random instants, inside the lab: what kills.py and guest_kills.py
share.

    SCRIPT FIRST COUNT SEED

A round's random numbers come from the seed and its own number, so that one that failed can be done
again by itself (how long an operation takes is measured anew, though, and the instant of the kill is a
share of that). Prints a line of JSON a round: its number, what was done, whether the kill hit, and the
problems it left. A round that can't be put right is the last one. Ends with 1 when one left a problem.
"""

import json
import random
import sys


def main(one_round):
    first, count, seed = (int(word) for word in sys.argv[1:4])
    failed = False
    for number in range(first, first + count):
        result = one_round(random.Random("%d %d" % (seed, number)))
        failed = failed or bool(result["problems"])
        print(json.dumps({"round": number, "seed": seed, **result}), flush=True)
        if result.get("stranded"):
            break
    return 1 if failed else 0
