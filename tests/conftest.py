# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whole-program tests: the same scenarios on a fake kernel and in the lab.

    pytest --world fake tests/flow          a recorded machine, milliseconds a test
    pytest --world lab tests/flow tests/lab a real kernel (lab/), seconds a test

PASSTHRU_BUILD names the build directory whose programs are tested (build-test).
PASSTHRU_LAB names a lab that is up already and shall stay up.
"""

import hashlib
import os
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "flow"), os.path.join(os.path.dirname(HERE), "lab")]

import worlds                                                       # noqa: E402
from lab import LabError                                            # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--world", choices=("fake", "lab"), default="fake",
                     help="where scenarios run")
    parser.addoption("--lab", default="lab", help="a word for the name of the lab: one for each "
                                                  "run of pytest at a time")
    parser.addoption("--sample", type=int, default=1, metavar="N",
                     help="of the scenarios of tests/flow one in N, chosen by SEED: those that ran on the "
                          "other world, too")
    parser.addoption("--ended", metavar="FILE", help="tests that have ended are left out; those "
                                                     "that end are added")


def pytest_configure(config):
    pytest_runtest_logreport.path = config.getoption("ended")
    config.addinivalue_line("markers", "only(world, reason): this scenario makes sense in one "
                                       "world only; it is left out of the other")


def ended(config):
    try:
        with open(config.getoption("ended") or os.devnull) as f:
            return set(f.read().splitlines())
    except FileNotFoundError:
        return set()


def is_sampled(item, one_in):
    """The same ones for the same SEED, in however many runs of pytest."""
    if one_in == 1 or not item.nodeid.startswith("tests/flow/") or item.get_closest_marker("only"):
        return True
    word = "%s %s" % (os.environ.get("SEED"), item.nodeid)
    return int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") % one_in == 0


def pytest_collection_modifyitems(config, items):
    """Leave out what belongs to the other world: not run is not skipped."""
    here, one_in, before = config.getoption("world"), config.getoption("sample"), ended(config)
    keep, rest = [], []
    for item in items:
        mark = item.get_closest_marker("only")
        is_elsewhere = mark and mark.args[0] != here
        is_left_out = is_elsewhere or item.nodeid in before or not is_sampled(item, one_in)
        (rest if is_left_out else keep).append(item)
    if rest:
        config.hook.pytest_deselected(items=rest)
        items[:] = keep


@pytest.fixture(scope="session")
def lab_machine(request):
    """A lab of the default profile with the tested programs in it, for all tests of the session."""
    lab, is_ours = worlds.lab_up(request.config.getoption("--lab"))
    pytest_runtest_makereport.lab = lab
    yield lab
    if lab.pid:
        pytest_runtest_makereport.lab = None    # taking it down isn't losing it
    if is_ours:
        lab.down()


def is_gone(lab, error):
    """Its process has ended, a moment after its connections; or it answers to nothing any more: True, or
    where its processors are."""
    if not lab.pid or not isinstance(error, LabError):
        return not lab.pid
    time.sleep(2)
    try:
        return lab.run(["true"], timeout=60).status != 0
    except LabError:
        where = lab.processors()
        lab.down()
        return where


def pytest_runtest_makereport(item, call):
    """Where the lab's whole machine is gone under a test, nothing was found out about what it tests.
    One whose kernel gave up has started again, and counts as failed."""
    lab = pytest_runtest_makereport.lab
    path = item.config.getoption("ended")
    words = lab.console_tail(120) if lab and call.excinfo else ""
    gone = path and call.excinfo and lab and is_gone(lab, call.excinfo.value)
    if gone:
        # what ./dev knows it by: the rest of the tests is run in another lab, once
        with open(path + ".lost", "w"):
            pass
        pytest.exit("the lab's machine went away under %s%s; its console said last:\n%s" % (
            item.nodeid, "" if gone is True else ", its processors being at\n" + gone, words))


pytest_runtest_makereport.lab = None


def pytest_runtest_logreport(report):
    path = pytest_runtest_logreport.path
    if path and (report.when == "call" or report.when == "setup" and not report.passed):
        with open(path, "a") as f:
            f.write(report.nodeid + "\n")


@pytest.fixture(scope="session")
def _lab_world(lab_machine):
    return worlds.LabWorld(lab_machine)


@pytest.fixture
def rounds():
    return worlds.Rounds()


@pytest.fixture
def world(request, tmp_path):
    """A host with the lab's cards in it, as after boot. Tests may leave it in any state."""
    if request.config.getoption("world") == "fake":
        yield worlds.FakeWorld(str(tmp_path / "host"))
        return
    w = request.getfixturevalue("_lab_world")
    yield w
    w.restore()
