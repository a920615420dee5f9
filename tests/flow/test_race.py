# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two processes want the same device: one has it, the other is told so; never both. A sample;
./dev soak races does more rounds."""

import random

from zoo_names import NVME

# a directory can be made once: the second of two that have the device would see it
SCRIPT = """
dir=$(mktemp -d)
contend() {{
	{program} run --device {device} -- sh -c "mkdir $dir/mine || echo BOTH; sleep 0.1; rmdir $dir/mine" \
		2>$dir/err.$1
	echo "$1 status $?"
}}
for delay in {delays}; do
	contend a & sleep $delay; contend b & wait
	cat $dir/err.a $dir/err.b
	echo round
done
rm -rf $dir
"""


def problems_of(part):
    statuses = sorted(int(line.split()[-1]) for line in part.splitlines() if " status " in line)
    # 16: the other has it, 17: the other is just taking it; or one came after the other
    if "BOTH" in part or statuses not in ([0, 0], [0, 16], [0, 17]):
        return [part]
    if statuses[1] and "in use by sh (pid " not in part and "another request" not in part:
        return ["the second wasn't told: " + part]
    return []


def test_two_at_once(world, rounds):
    first, count, seed = rounds.choose(4)
    numbers = range(first, first + count)
    delays = [random.Random("%d %d" % (seed, n)).uniform(0, 0.1) for n in numbers]
    before = world.snapshot()
    out = world.sh(SCRIPT.format(program=world.program(), device=NVME,
                                 delays=" ".join("%.3f" % d for d in delays)),
                   timeout=60 + 20 * count)
    parts = out.split("round\n")[:-1]
    assert len(parts) == count, out
    rounds.finish([{"round": n, "seed": seed, "delay": round(d, 3), "problems": problems_of(part)}
                   for n, d, part in zip(numbers, delays, parts)])
    assert count == 1 or "status 16" in out or "status 17" in out, out
    assert world.snapshot() == before
