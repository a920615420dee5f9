# SPDX-License-Identifier: LGPL-2.1-or-later
"""SIGKILL at random instants on the real kernel: nothing stranded, no override, no claim left.
A sample; ./dev soak kills does more rounds."""

import pytest


@pytest.mark.only("lab", "needs drivers that take their time")
def test_killed_at_random_instants(lab_machine, rounds):
    done = rounds.run_in(lab_machine, "kills.py", sample=10, seconds=10)
    kills = sum(line["hit"] for line in done)
    assert kills > len(done) // 2 or len(done) < 10, "too few kills hit: %s" % done
