# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whole-program tests: the same scenarios on a fake kernel and in the lab.

    pytest --world fake tests/flow          a recorded machine, milliseconds a test
    pytest --world lab tests/flow tests/lab a real kernel (lab/), seconds a test

PASSTHRU_BUILD names the build directory whose programs are tested (build-test).
PASSTHRU_LAB names a lab that is up already and shall stay up.
"""

import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "flow"), os.path.join(os.path.dirname(HERE), "lab")]

import worlds                                                       # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--world", choices=("fake", "lab"), default="fake",
                     help="where scenarios run")
    parser.addoption("--lab", default="lab", help="a word for the name of the lab: one for each "
                                                  "run of pytest at a time")


def pytest_configure(config):
    config.addinivalue_line("markers", "only(world, reason): this scenario makes sense in one "
                                       "world only; it is left out of the other")


def pytest_collection_modifyitems(config, items):
    """Leave out what belongs to the other world: not run is not skipped."""
    here = config.getoption("world")
    keep, rest = [], []
    for item in items:
        mark = item.get_closest_marker("only")
        (rest if mark and mark.args[0] != here else keep).append(item)
    if rest:
        config.hook.pytest_deselected(items=rest)
        items[:] = keep


@pytest.fixture(scope="session")
def lab_machine(request):
    """A lab of the default profile with the tested programs in it, for all tests of the session."""
    lab, is_ours = worlds.lab_up(request.config.getoption("--lab"))
    yield lab
    if is_ours:
        lab.down()


@pytest.fixture(scope="session")
def _lab_world(lab_machine):
    return worlds.LabWorld(lab_machine)


@pytest.fixture
def world(request, tmp_path):
    """A host with the lab's cards in it, as after boot. Tests may leave it in any state."""
    if request.config.getoption("world") == "fake":
        yield worlds.FakeWorld(str(tmp_path / "host"))
        return
    w = request.getfixturevalue("_lab_world")
    yield w
    w.restore()
