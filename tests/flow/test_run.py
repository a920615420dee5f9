# SPDX-License-Identifier: LGPL-2.1-or-later
"""passthru run: the device is the command's while it lasts, whatever ends it."""

import pytest

from zoo_names import EDU, NVME

# what the command is given beside its own words: "-device", "vfio-pci,host=…"
SEE = ["sh", "-c", 'readlink /sys/bus/pci/devices/%s/driver; echo "$@"' % NVME, "see"]


def test_the_commands_status_is_ours(world):
    before = world.snapshot()
    r = world.passthru("run", "--device", NVME, "--", "sh", "-c", "exit 7")
    assert r.status == 7, str(r)
    assert world.snapshot() == before


def test_a_command_that_is_killed(world):
    before = world.snapshot()
    r = world.passthru("run", "--device", NVME, "--", "sh", "-c", "kill -9 $$")
    assert r.status == 128 + 9, str(r)
    assert world.snapshot() == before


def test_arguments_for_qemu(world):
    r = world.passthru("run", "--device", NVME, "--device", EDU, "--", "sh", "-c", 'echo "$@"', "x")
    assert r.ok().out == "-device vfio-pci,host=%s -device vfio-pci,host=%s\n" % (NVME, EDU)


def test_input_and_output_are_the_commands(world):
    r = world.passthru("run", "--device", NVME, "--", "sh", "-c", "cat; echo to err >&2",
                       input="hello\n")
    assert r.ok().out == "hello\n"
    assert "to err" in r.err


def test_a_device_detached_by_hand_stays_detached(world):
    world.passthru("detach", NVME).ok()
    between = world.snapshot()
    world.passthru("run", "--device", NVME, "--", "true").ok()
    assert world.snapshot() == between


@pytest.mark.only("lab", reason="the command looks at /sys, which is the real one")
def test_the_device_is_on_vfio_meanwhile(world):
    r = world.passthru("run", "--device", NVME, "--", *SEE)
    assert "drivers/vfio-pci\n" in r.ok().out


def test_another_owner_is_refused(world):
    """While one command has the device, nobody else gets it."""
    before = world.snapshot()
    program = world.program()
    script = "; ".join("%s %s; echo status $?" % (program, words) for words in (
        "detach " + NVME, "reattach " + NVME, "reset " + NVME, "run --device %s -- true" % NVME))
    r = world.passthru("run", "--device", NVME, "--", "sh", "-c", script)
    assert r.ok().out.count("status 16") == 4, str(r)
    assert world.snapshot() == before
