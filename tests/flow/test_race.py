# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two processes want the same device: one has it, the other is told so; never both.

PASSTHRU_RACE_ROUNDS asks for more rounds than the sample that runs by default.
"""

import os

from zoo_names import NVME

# a directory can be made once: the second of two that have the device would see it
SCRIPT = """
dir=$(mktemp -d)
contend() {{
	{program} run --device {device} -- sh -c "mkdir $dir/mine || echo BOTH; sleep 0.1; rmdir $dir/mine" \
		2>$dir/err.$1
	echo "$1 status $?"
}}
n=0
while [ $n -lt {rounds} ]; do
	n=$((n + 1))
	contend a & contend b & wait
	cat $dir/err.a $dir/err.b
	echo round
done
rm -rf $dir
"""


def test_two_at_once(world):
    rounds = int(os.environ.get("PASSTHRU_RACE_ROUNDS", "8"))
    before = world.snapshot()
    out = world.sh(SCRIPT.format(program=world.program(), device=NVME, rounds=rounds),
                   timeout=60 + 20 * rounds)
    assert "BOTH" not in out
    told = 0
    for part in out.split("round\n")[:-1]:
        statuses = sorted(int(line.split()[-1]) for line in part.splitlines()
                          if " status " in line)
        # 16: the other has it, 17: the other is just taking it; or one came after the other
        assert statuses in ([0, 0], [0, 16], [0, 17]), part
        if statuses[1]:
            told += 1
            assert "in use by sh (pid " in part or "right now" in part, part
    assert told > 0, out
    assert world.snapshot() == before
