# SPDX-License-Identifier: LGPL-2.1-or-later
"""The log of ./dev soak: rounds are counted once, whatever ended a run in the middle (tests/soak.py)."""

import argparse
import json
import os
import sys

import pytest

import worlds

sys.path.append(os.path.join(worlds.TOP, "tests"))

import soak                                                         # noqa: E402

pytestmark = pytest.mark.only("fake", "no world is looked at")


class Rounds:
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
