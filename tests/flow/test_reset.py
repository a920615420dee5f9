# SPDX-License-Identifier: LGPL-2.1-or-later
"""A reset names its method, and is checked afterwards."""

import pytest

from zoo_names import LONE_NIC, NORESET, NVME


@pytest.mark.parametrize("device, methods", [(NVME, ("flr",)), (LONE_NIC, ("flr", "pm", "bus"))])
def test_reset_of_a_detached_device(world, device, methods):
    world.passthru("detach", device).ok()
    before = world.snapshot()
    r = world.passthru("reset", device).ok()
    assert any(m in r.out.lower() for m in methods), str(r)
    assert world.snapshot() == before


def test_reset_on_the_host_driver(world):
    before = world.snapshot()
    r = world.passthru("reset", NVME).ok()
    assert "flr" in r.out.lower(), str(r)
    assert world.snapshot() == before


def test_reset_in_json(world):
    steps = world.passthru("reset", "--json", NVME).ok().json["steps"]
    assert [s["step"] for s in steps] == ["reset"]
    assert steps[0]["device"] == NVME and "flr" in steps[0]["description"].lower()


def test_no_reset_method(world):
    before = world.snapshot()
    world.passthru("reset", NORESET).fails(23, NORESET)
    world.passthru("run", "--device", NORESET, "--", "true").fails(23, "--no-reset")
    assert world.snapshot() == before


@pytest.mark.only("fake", reason="emulated devices always come back from their resets")
@pytest.mark.parametrize("what", ["ffff", "change", "dead ENOTTY"])
def test_a_reset_that_fails(world, what):
    world.passthru("detach", NVME).ok()
    world.fault(NVME, "reset", "once " + what)
    r = world.passthru("reset", NVME)
    assert r.status == 24, str(r)
    assert NVME in r.err


def test_a_reset_that_is_switched_off_stays_off(world):
    """People do that for cards that a reset damages."""
    before = world.snapshot()
    path = "/sys/bus/pci/devices/%s/reset_method" % NVME
    methods = world.read(path).split()
    assert world.write(path, "") == ""
    assert world.read(path).split() == []
    try:
        assert "switched off" in world.passthru("show", NVME).ok().out
        world.passthru("reset", NVME).fails(23, NVME, "switched off", "echo default >")
        world.passthru("run", "--device", NVME, "--", "true").fails(23, "switched off", "--no-reset")
        assert "reset by" not in world.passthru("run", "--no-reset", "--device", NVME, "--", "true").ok().err
    finally:
        world.write(path, "default")
    assert world.read(path).split() == methods
    assert world.snapshot() == before
