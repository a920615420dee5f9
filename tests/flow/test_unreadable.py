# SPDX-License-Identifier: LGPL-2.1-or-later
"""A state file that can't be read concerns its own device alone, and is shown."""

import pytest

from zoo_names import NIC_A, NIC_B, NOWHERE, NVME, TEN, TWIN

CLAIMS = "/run/passthru/claims/"
JOURNALS = "/run/passthru/journal/"


def place(world, path):
    """Where a file of the host's is for world.sh()."""
    return world.path(path) if world.name == "fake" else path


def spoil(world, path, text=""):
    """A file of ours with TEXT in it; the text None makes a FIFO of it."""
    at = place(world, path)
    make = "mkfifo '%s'" % at if text is None else "printf %%s '%s' >'%s'" % (text, at)
    world.sh("mkdir -p \"$(dirname '%s')\" && rm -f '%s' && %s" % (at, at, make))


@pytest.mark.parametrize("text", ["", None, *(
    pytest.param(text, marks=pytest.mark.only("fake", reason="the kernel has no part in what is in it"))
    for text in ("{", '{"device":"%s","state":"asleep"}' % NOWHERE))])
def test_an_unreadable_claim(world, text):
    before = world.snapshot()
    spoil(world, CLAIMS + NOWHERE, text)
    world.passthru("detach", NVME).ok()
    world.passthru("reset", TWIN).ok()
    world.passthru("run", "--device", TWIN, "--", "true").ok()
    assert world.driver(TWIN) == "nvme"
    status = {item["device"]: item for item in world.passthru("--json", "status").ok().json}
    assert status[NVME]["state"] == "held"
    assert status[NOWHERE]["state"] == "unreadable"
    assert status[NOWHERE]["path"] == CLAIMS + NOWHERE and status[NOWHERE]["why"]
    words = world.passthru("status").ok().out
    assert NVME in words and CLAIMS + NOWHERE in words
    world.passthru("recover").fails(27, CLAIMS + NOWHERE)
    world.passthru("reattach", NVME).ok()
    for verb in ("detach", "reattach", "reset"):
        world.passthru(verb, NOWHERE).fails(27, CLAIMS + NOWHERE, "remove the file")
    world.sh("rm '%s'" % place(world, CLAIMS + NOWHERE))
    world.passthru("recover").ok()
    assert world.snapshot() == before


def test_beside_ten_good_ones(world):
    """One empty, one cut off in the middle, one of another program's: the ten are held, shown and given
    back as if those weren't there."""
    before = world.snapshot()
    world.passthru("detach", *TEN).ok()
    bad = {CLAIMS + "0000:7f:1f.%d" % i: text
           for i, text in enumerate(["", '{"device":"0000:7f:1f.1","sta', '{"pid":1}'])}
    for path, text in bad.items():
        spoil(world, path, text)
    status = world.passthru("--json", "status").ok().json
    assert {item["device"] for item in status if item["state"] == "held"} == set(TEN)
    assert {item["path"] for item in status if item["state"] == "unreadable"} == set(bad)
    world.passthru("recover").fails(27, *bad)
    assert {world.driver(device) for device in TEN} == {"vfio-pci"}
    world.passthru("reattach", *TEN).ok()
    status = world.passthru("--json", "status").ok().json
    assert [item["path"] for item in status] == sorted(bad)
    world.sh("rm " + " ".join("'%s'" % place(world, path) for path in bad))
    assert world.snapshot() == before


def test_the_device_itself_is_left_alone(world):
    world.passthru("detach", NVME).ok()
    spoil(world, CLAIMS + NVME, "{}")
    before = world.snapshot()
    world.passthru("reattach", NVME).fails(27, CLAIMS + NVME, '"device" is missing')
    world.passthru("run", "--device", NVME, "--", "true").fails(27, CLAIMS + NVME)
    assert world.snapshot() == before
    # as the message says
    world.sh("rm '%s'" % place(world, CLAIMS + NVME))
    world.passthru("reattach", NVME).ok()
    assert world.driver(NVME) == "nvme"


def test_one_of_two_that_were_lent(world):
    """The command's end gives back what it can."""
    at = place(world, CLAIMS + NVME)
    r = world.passthru("run", "--device", NVME, "--device", TWIN, "--", "sh", "-c", "echo { >'%s'" % at)
    r.fails(27, CLAIMS + NVME, "remove the file")
    assert world.driver(TWIN) == "nvme" and not world.exists(CLAIMS + TWIN)
    assert world.driver(NVME) == "vfio-pci"
    world.sh("rm '%s'" % at)
    world.passthru("reattach", NVME).ok()


def test_its_group_goes_to_no_guest(world):
    world.passthru("detach", NIC_A, NIC_B).ok()
    spoil(world, CLAIMS + NIC_B, "{}")
    world.passthru("run", "--no-reset", "--device", NIC_A, "--", "true").fails(
        27, CLAIMS + NIC_B, "shares its IOMMU group")
    world.passthru("reattach", NIC_A).ok()


def test_an_unreadable_journal(world):
    spoil(world, JOURNALS + "1.0", '{"verb":"melt","steps":[]}')
    world.passthru("detach", NVME).ok()
    status = world.passthru("--json", "status").ok().json
    assert [item["state"] for item in status] == ["held", "unreadable"]
    assert status[1]["path"] == JOURNALS + "1.0" and status[1]["device"] is None
    world.passthru("recover").fails(27, JOURNALS + "1.0")
    world.passthru("reattach", NVME).ok()


def test_words_of_any_length_and_script(world):
    reason = "GPU要交给虚拟机win11使用" * 12
    world.passthru("detach", NVME, "--force", "--reason", reason).ok()
    [claim] = world.passthru("--json", "status").ok().json
    assert claim["why"] and reason.startswith(claim["why"])
    assert "�" not in claim["why"]
    world.passthru("reattach", NVME).ok()


@pytest.mark.only("fake", reason="no kernel is asked")
def test_an_unreadable_persisted_device(world):
    good = "/etc/passthru/devices.d/%s.json" % NVME
    bad = "/etc/passthru/devices.d/%s.json" % TWIN
    world.passthru("persist", NVME).ok()
    spoil(world, bad, "{}")
    listed = {item["device"]: item for item in world.passthru("--json", "persisted").ok().json}
    assert listed[NVME]["state"] == "pending"
    assert listed[TWIN]["state"] == "unreadable" and listed[TWIN]["path"] == bad
    assert bad in world.passthru("persisted").ok().out
    world.passthru("persist", "--apply").fails(27, bad, "passthru unpersist")
    assert world.override(NVME) == "vfio-pci" and world.override(TWIN) is None
    world.passthru("persist", TWIN).ok()
    listed = {item["device"]: item for item in world.passthru("--json", "persisted").ok().json}
    assert listed[TWIN]["state"] == "pending"
    spoil(world, bad, "{")
    world.passthru("unpersist", TWIN).ok()
    assert world.exists(good) and not world.exists(bad)
    at = place(world, bad)
    world.sh("mkdir '%s'" % at)
    assert "it is a directory" in world.passthru("persisted").ok().out
    world.passthru("unpersist", TWIN).fails(26, bad)
    world.sh("rmdir '%s'" % at)
    world.passthru("persist", "--apply").ok()
