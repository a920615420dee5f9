# SPDX-License-Identifier: LGPL-2.1-or-later
"""SIGKILL at random instants on the real kernel: nothing stranded, no override, no claim left.

PASSTHRU_KILL_ROUNDS asks for more rounds than the sample that runs by default.
"""

import json
import os

import pytest
import worlds

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.mark.only("lab", "needs drivers that take their time")
def test_killed_at_random_instants(lab_machine):
    rounds = int(os.environ.get("PASSTHRU_KILL_ROUNDS", "25"))
    script = lab_machine.push(os.path.join(HERE, "kills.py"))
    r = lab_machine.run([script, str(rounds)], timeout=60 + 10 * rounds, env=worlds.IN_LAB)
    assert r.out.startswith("{"), r.out + r.err
    summary = json.loads(r.out)
    print(summary)
    assert summary["failures"] == [], summary
    assert r.status == 0, r.err
    assert summary["kills"] > rounds // 2, "too few kills hit: %s" % summary
