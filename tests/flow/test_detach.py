# SPDX-License-Identifier: LGPL-2.1-or-later
"""From the host's driver to VFIO and back: the machine is as before afterwards."""

import os

import pytest

from zoo_names import EDU, LONE_NIC, NIC_A, NIC_B, NOWHERE, NVME, PORT, TWIN

CLAIM = "/run/passthru/claims/"


def test_detach_and_reattach(world):
    before = world.snapshot()
    world.passthru("detach", NVME).ok()
    assert world.driver(NVME) == "vfio-pci"
    assert world.claims() == [NVME]
    world.passthru("reattach", NVME).ok()
    assert world.driver(NVME) == "nvme"
    assert world.snapshot() == before


def test_only_the_named_one_of_two_equal_devices(world):
    world.passthru("detach", NVME).ok()
    assert world.driver(TWIN) == "nvme"
    assert world.override(TWIN) is None


def test_an_override_set_before_comes_back(world):
    world.set_override(NVME, "nvme")
    before = world.snapshot()
    assert before["functions"][NVME] == ("nvme", "nvme")
    world.passthru("detach", NVME).ok()
    assert world.driver(NVME) == "vfio-pci"
    world.passthru("reattach", NVME).ok()
    assert world.snapshot() == before


def test_a_device_without_driver(world):
    before = world.snapshot()
    assert before["functions"][EDU] == (None, None)
    world.passthru("detach", EDU).ok()
    assert world.driver(EDU) == "vfio-pci"
    world.passthru("reattach", EDU).ok()
    assert world.snapshot() == before


def test_detach_twice(world):
    before = world.snapshot()
    world.passthru("detach", NVME).ok()
    between = world.snapshot()
    assert "Nothing to do" in world.passthru("detach", NVME).ok().out
    assert world.snapshot() == between
    # the second one must not take vfio-pci for what was there before
    world.passthru("reattach", NVME).ok()
    assert world.snapshot() == before


def test_reattach_twice(world):
    before = world.snapshot()
    world.passthru("detach", NVME).ok()
    world.passthru("reattach", NVME).ok()
    assert "Nothing to do" in world.passthru("reattach", NVME).ok().out
    assert world.snapshot() == before


def test_reattach_of_what_was_never_detached(world):
    before = world.snapshot()
    world.passthru("reattach", NVME).ok()
    assert world.snapshot() == before


def test_several_at_once(world):
    before = world.snapshot()
    devices = [NVME, EDU, LONE_NIC]
    world.passthru("detach", *devices).ok()
    assert [world.driver(d) for d in devices] == ["vfio-pci"] * 3
    assert world.claims() == sorted(devices)
    world.passthru("reattach", *devices).ok()
    assert world.snapshot() == before


@pytest.mark.parametrize("bad, status", [(PORT, 28), (NOWHERE, 10)])
def test_all_or_none_when_one_is_refused(world, bad, status):
    before = world.snapshot()
    world.passthru("detach", NVME, bad).fails(status, bad)
    assert world.snapshot() == before


def test_all_or_none_when_a_driver_refuses(world):
    before = world.snapshot()
    words = world.refusing(EDU)
    world.passthru("detach", *words, NVME, EDU).fails(21)
    assert world.snapshot() == before


@pytest.mark.only("fake", reason="real drivers can't be told to refuse the second device only")
def test_what_cannot_be_put_back_at_once_is_left_to_recovery(world):
    """A NIC that no driver takes any more, vfio-pci or its own: the drive still goes back."""
    before = world.snapshot()
    world.fault(LONE_NIC, "probe", "refuse")
    world.passthru("detach", NVME, LONE_NIC).fails(21, LONE_NIC, "passthru recover")
    assert world.snapshot()["functions"][NVME] == before["functions"][NVME]
    world.fault(LONE_NIC, "probe", None)
    assert LONE_NIC in world.passthru("recover").ok().out
    assert world.snapshot() == before


def test_a_driver_that_does_not_exist(world):
    before = world.snapshot()
    world.passthru("detach", "--driver", "no-such-driver", NVME).fails(21, "no-such-driver")
    assert world.snapshot() == before


def test_detach_names_what_still_blocks_the_group(world):
    before = world.snapshot()
    r = world.passthru("detach", NIC_A).ok()
    assert NIC_B in r.out + r.err
    assert "passthru detach" in r.out + r.err
    assert world.driver(NIC_A) == "vfio-pci"
    assert world.driver(NIC_B) == "e1000"
    r = world.passthru("detach", NIC_B).ok()
    assert "shares" not in r.out + r.err
    world.passthru("reattach", NIC_A, NIC_B).ok()
    assert world.snapshot() == before


def test_run_refuses_half_a_group(world):
    before = world.snapshot()
    world.passthru("run", "--device", NIC_A, "--", "true").fails(14, NIC_B, "passthru detach")
    assert world.snapshot() == before


def test_a_plan_changes_nothing(world):
    before = world.snapshot()
    r = world.passthru("detach", "--dry-run", NVME).ok()
    assert "vfio-pci" in r.out
    assert world.passthru("plan", "detach", NVME).ok().out == r.out
    plan = world.passthru("plan", "detach", "--json", NVME).ok().json
    assert plan["possible"] and {"override", "unbind", "probe"} <= {s["step"] for s in plan["steps"]}
    assert world.snapshot() == before


def test_a_plan_gives_all_reasons(world):
    plan = world.passthru("plan", "run", "--json", PORT, NOWHERE, NIC_A)
    assert plan.status == 28
    found = {(r["device"], r["reason"]) for r in plan.json["refusals"]}
    assert {(PORT, "unsuitable"), (NOWHERE, "no-device"), (NIC_A, "group-not-viable")} <= found


def test_status_tells_of_a_detached_device(world):
    world.passthru("detach", NVME).ok()
    assert NVME in world.passthru("status").ok().out
    text = world.passthru("status", "--json").ok().out
    assert NVME in text and "nvme" in text


def bind_by_hand(world, address, driver):
    """As dpdk-devbind.py does it: driver_override only while the driver is bound."""
    world.passthru("detach", "--driver", driver, EDU).ok()      # loads its module
    world.passthru("reattach", EDU).ok()
    world.set_override(address, driver)
    assert world.write("/sys/bus/pci/devices/%s/driver/unbind" % address, address) == ""
    assert world.write("/sys/bus/pci/drivers_probe", address) == ""
    world.set_override(address, None)
    assert world.snapshot()["functions"][address] == (driver, None)


@pytest.mark.parametrize("words", [("run", "--device", NVME, "--", "true"), ("detach", NVME)])
def test_a_driver_that_does_not_match_by_id(world, words):
    bind_by_hand(world, NVME, "pci-stub")
    before = world.snapshot()
    world.passthru(*words).ok()
    if words[0] == "detach":
        assert "bound to pci-stub" in world.passthru("reattach", NVME).ok().out
    assert world.snapshot() == before


def test_undoing_goes_back_to_a_driver_that_does_not_match_by_id(world):
    bind_by_hand(world, NVME, "pci-stub")
    before = world.snapshot()
    world.passthru("detach", NVME, "--driver", "no-such-driver").fails(21)
    assert world.snapshot() == before
    words = world.refusing(EDU)
    world.passthru("detach", *words, NVME, EDU).fails(21)
    assert world.snapshot() == before


@pytest.fixture
def nvme_taken_by_id(world):
    """vfio-pci.ids= names the drives, and vfio-pci was loaded before nvme."""
    modalias = world.read("/sys/bus/pci/devices/%s/modalias" % NVME).strip()
    os.makedirs(world.path("/fake/ids"))
    with open(world.path("/fake/ids/vfio-pci"), "w") as f:
        f.write(modalias + "\n")
    world.passthru("detach", NVME).ok()
    os.unlink(world.path("/run/passthru/claims/" + NVME))
    world.set_override(NVME, None)
    return modalias


def know_host_driver(world, modalias, module):
    directory = world.path("/lib/modules/" + os.listdir(world.path("/lib/modules"))[0])
    with open(directory + "/modules.alias", "a") as f:
        f.write("alias %s %s\n" % (modalias, module))


@pytest.mark.only("fake", reason="the lab's is test_persist's: it needs a module to be reloaded")
def test_reattach_of_what_vfio_takes_by_id(world, nvme_taken_by_id):
    """The kernel's choice is vfio-pci again, so the host's driver is bound by override."""
    know_host_driver(world, nvme_taken_by_id, "nvme")
    assert "bound to nvme" in world.passthru("reattach", NVME).ok().out
    assert world.snapshot()["functions"][NVME] == ("nvme", None)


@pytest.mark.only("fake", reason="as above")
def test_reattach_of_what_only_vfio_takes(world, nvme_taken_by_id):
    world.passthru("reattach", NVME).fails(21, NVME, "vfio-pci.ids=", "no module of this kernel")
    assert world.snapshot()["functions"][NVME] == ("vfio-pci", None)
    know_host_driver(world, nvme_taken_by_id, "e1000e")
    world.passthru("reattach", NVME).fails(21, NVME, "vfio-pci.ids=", "e1000e refused the device")


@pytest.mark.only("fake", reason="as above")
def test_a_claim_goes_back_though_vfio_takes_the_device_by_id(world):
    before = world.snapshot()
    os.makedirs(world.path("/fake/ids"))
    with open(world.path("/fake/ids/vfio-pci"), "w") as f:
        f.write("pci:*\n")
    world.passthru("detach", NVME).ok()
    world.passthru("reattach", NVME).ok()
    assert world.snapshot() == before


def leave_and_return(world, address):
    """The device is removed and found again: a new device for the kernel, without override."""
    assert world.write("/sys/bus/pci/devices/%s/remove" % address, "1") == ""
    assert world.write("/sys/bus/pci/rescan", "1") == ""
    assert world.snapshot()["functions"][address] == ("nvme", None)


def test_status_shows_the_driver_that_has_the_device_now(world):
    before = world.snapshot()
    world.passthru("detach", NVME).ok()
    assert [(c["driver"], c["over"]) for c in world.passthru("--json", "status").ok().json] == [
        ("vfio-pci", False)]
    leave_and_return(world, NVME)
    assert [(c["driver"], c["over"]) for c in world.passthru("--json", "status").ok().json] == [
        ("nvme", True)]
    out = world.passthru("status").ok().out
    assert "vfio-pci" not in out and "over" in out and "passthru recover" in out
    assert "its claim is deleted" in world.passthru("recover").ok().out
    assert world.snapshot() == before


@pytest.mark.parametrize("words", [["detach"], ["reattach"], ["run", "--device"]])
def test_the_next_verb_forgets_a_claim_that_is_over(world, words):
    before = world.snapshot()
    world.passthru("detach", NVME).ok()
    leave_and_return(world, NVME)
    world.passthru("plan", words[0], NVME).ok()
    world.passthru(*words, NVME, *(["--", "true"] if words[0] == "run" else [])).ok()
    if words[0] == "detach":
        assert world.passthru("--json", "status").ok().json[0]["driver_before"] == "nvme"
        world.passthru("reattach", NVME).ok()
    assert world.snapshot() == before
