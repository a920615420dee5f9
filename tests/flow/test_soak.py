# SPDX-License-Identifier: LGPL-2.1-or-later
"""The log of ./dev soak: rounds are counted once, whatever ended a run in the middle (tests/soak.py)."""

import argparse
import json
import os
import sys

import pytest

import worlds

sys.path[:0] = [os.path.join(worlds.TOP, folder) for folder in ("tests", "tests/fuzz")]

import soak                                                         # noqa: E402
import soak_fuzz                                                    # noqa: E402

pytestmark = pytest.mark.only("fake", "no world is looked at")


class Rounds(soak.Kind):
    """Of a kind that goes wrong in round BAD and is stopped before round END."""
    rounds, batch = 100, 3

    def __init__(self, bad=None, end=None):
        self.bad, self.end, self.done = bad, end, []

    def run(self, first, count, seed):
        if self.end is not None and first >= self.end:
            raise soak.Stopped
        self.done += range(first, first + count)
        return [{"round": n, "seed": seed, "problems": ["it broke"] if n == self.bad else []}
                for n in range(first, first + count)]


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setattr(soak, "STATE", str(tmp_path))

    def run(kind, rounds=None, seed=None, resume=False, round=None):
        monkeypatch.setitem(soak.KINDS, "made-up", kind)
        return soak.soak("made-up", argparse.Namespace(rounds=rounds, seed=seed, resume=resume, round=round))
    return run


def logged(tmp_path, name="made-up.jsonl"):
    return [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]


def test_it_goes_on_where_it_was_stopped(run, tmp_path, capsys):
    with pytest.raises(soak.Stopped):
        run(Rounds(end=6), rounds=10, seed=7)
    assert "./dev soak made-up --rounds 10 --resume" in capsys.readouterr().out
    # the power went while a line was written
    with open(tmp_path / "made-up.jsonl", "a") as f:
        f.write('{"round": 6, "se')
    rest = Rounds()
    assert run(rest, rounds=10, resume=True)
    assert rest.done == [6, 7, 8, 9]
    assert [line["round"] for line in logged(tmp_path)] == list(range(10))
    assert {line["seed"] for line in logged(tmp_path)} == {7}


def test_a_round_that_went_wrong(run, tmp_path, capsys):
    assert not run(Rounds(bad=4), rounds=6, seed=9)
    output = capsys.readouterr().out
    assert "it broke" in output and "./dev soak made-up --round 4 --seed 9" in output
    assert "6 rounds, 1 failures (rounds 4)" in output
    # by itself, with the seed of the log, which it leaves alone
    again = Rounds(bad=4)
    assert not run(again, round=4)
    assert again.done == [4] and len(logged(tmp_path)) == 6
    # a failure that was logged stays one
    assert not run(Rounds(), rounds=6, resume=True)


def test_an_earlier_log_is_kept(run, tmp_path):
    for seed in (1, 2, 3):
        assert run(Rounds(), rounds=3, seed=seed)
    assert [logged(tmp_path, name)[0]["seed"] for name in (
        "made-up.jsonl.1", "made-up.jsonl.2", "made-up.jsonl")] == [1, 2, 3]


def fuzzed(target, edges, quiet, counters=9, problems=()):
    return {"target": target, "executions": 100, "quiet": quiet, "edges": edges, "counters": counters,
            "corpus": 5, "seconds": 2, "processor": 1, "problems": list(problems)}


OUTPUT = """INFO: Loaded 1 modules   (783 inline 8-bit counters): 783 [0x1, 0x2),
#7\tINITED cov: 20 ft: 9 corp: 3/4b exec/s: 0 rss: 30Mb
#50\tNEW    cov: 21 ft: 9 corp: 4/4b lim: 4 exec/s: 0 rss: 30Mb L: 1/1 MS: 1 ChangeBit-
#64\tREDUCE cov: 21 ft: 9 corp: 5/3b lim: 4 exec/s: 0 rss: 30Mb L: 1/1 MS: 1 EraseBytes-
"""
END = "stat::number_of_executed_units: 107\nstat::average_exec_per_sec: 7\n"


def test_executions_since_the_last_new_edge(monkeypatch):
    def fuzz(*outputs):
        left = list(outputs)
        return soak_fuzz.fuzz("qmp", 1, lambda argv: left.pop(0))

    line = fuzz((0, OUTPUT + END))
    assert (line["executions"], line["quiet"], line["edges"], line["counters"], line["corpus"]) == (
        100, 57, 21, 783, 5)
    assert not line["problems"]
    crash = OUTPUT + "==1==ERROR: AddressSanitizer\n"
    assert "AddressSanitizer" in fuzz((99, crash), (99, ""))["problems"][0]
    # slow by the clock, and quick when it is tried again: the machine stood still
    slow = OUTPUT + "Test unit written to build-fuzz/qmp-timeout-0b\n" + END
    assert fuzz((70, slow), (70, ""))["problems"]
    assert not fuzz((70, slow), (0, ""))["problems"]


@pytest.mark.parametrize("lines, quiet", [
    ([], 0),
    ([fuzzed("a", 5, 30)], 30),
    ([fuzzed("a", 5, 30), fuzzed("b", 9, 1), fuzzed("a", 5, 100)], 130),
    # a round that reaches fewer edges than an earlier one found nothing new
    ([fuzzed("a", 5, 30), fuzzed("a", 4, 10)], 130),
    ([fuzzed("a", 5, 30), fuzzed("a", 6, 10)], 10),
    # other code, and a fault
    ([fuzzed("a", 5, 30), fuzzed("a", 4, 10, counters=8)], 10),
    ([fuzzed("a", 5, 30), fuzzed("a", 5, 100, problems=["it broke"])], 0),
])
def test_quiet(lines, quiet):
    assert soak_fuzz.sum_up(lines, "a")["quiet"] == quiet


def test_whose_turn_it_is():
    lines = [fuzzed("a", 5, 30), fuzzed("b", 9, 100), fuzzed("c", 1, 1)]

    def choose(**more):
        return soak_fuzz.choose(lines, ["a", "b", "c", "d"], 100, **more)
    assert choose() == "d"
    assert choose(failed={"d"}) == "a"
    assert choose(failed={"a", "d"}) == "c"
    assert choose(failed={"a", "c", "d"}) is None
    table = soak_fuzz.table(lines, ["a", "b", "c"]).splitlines()
    assert len(table) == 4 and table[2].split() == ["b", "100", "100", "9", "5", "100", "0"]
