# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMUs in the hands of their guests, beside one that behaves and clients who measure their own calls."""

import contextlib
import os
import time

import pytest

import arena as a
import wire

# Each with its guests, all at once.
PLAYS = {
    "floods": ["Deleted", "Refusing", "States", "Ends", "Unknown"],
    "many floods": ["Deleted-%d" % i for i in range(4)] + ["Unknown-%d" % i for i in range(4)],
    "bombs": ["Deep", "Wide", "Long", "BigEvents"],
    "affordable": ["Affordable-%d" % i for i in range(8)],
    "lines": ["Endless", "Trickle", "Half", "WrongIds", "Types"],
    "starts": ["HalfGreeting", "Deaf", "Hang-qmp_capabilities", "Hang-query-chardev", "Hang-cont"],
    "hangs": ["Hang-stop", "Hang-device_add", "Hang-device_del", "Hang-blockdev-add", "Hang-query-status"],
    "many hangs": ["Hang-stop-%d" % i for i in range(16)],
    "many starts": ["Hang-cont-%d" % i for i in range(4)] + ["HalfGreeting-%d" % i for i in range(4)],
    "ends": ["Exit-" + c for c in ("greeting", "qmp_capabilities", "query-chardev", "cont", "stop", "device_add",
                                   "device_del", "blockdev-add")],
    "terminals": ["Terminal-" + w for w in ("file", "control", "long", "up", "others", "invalid", "markup", "empty")],
    "leftovers": ["Junk", "Log"],
}
SECONDS = 1.2


def provoke(arena, name):
    """What leads to questions to QEMU, and what its answers end up in. None of it is waited for."""
    connection = arena.admin()
    arena.disk(name + "-b")
    disk = wire.domain(name) + wire.text(a.DISK % (name + "-b")) + wire.number(1)
    for procedure, payload in ((wire.SUSPEND, wire.domain(name)), (wire.ATTACH, disk), (wire.DETACH, disk),
                               (wire.DOMAIN_XML, wire.domain(name) + wire.number(0)),
                               (wire.OPEN_CONSOLE, wire.domain(name) + wire.number(0, 0)),
                               (wire.RESUME, wire.domain(name)), (wire.STATS, wire.number(0, 0, 0))):
        connection.send(procedure, payload)
    return connection


@pytest.mark.parametrize("play", PLAYS)
def test_beside(arena, play):
    names = PLAYS[play]
    with arena.neighbours():
        creators = [arena.send_create(name, "" if i else a.HOSTDEV) for i, name in enumerate(names)]
        arena.await_starts(list(zip(names, creators)))
        time.sleep(0.3)
        victims = [provoke(arena, name) for name in names]
        time.sleep(SECONDS)
        took = arena.destroy_all(names)
        for connection in creators + victims:
            connection.close()
    assert took < a.DESTROY_S or not arena.is_bounded
    arena.settle()


def test_says_that_a_disk_has_left(arena):
    """Its descriptors show that it hasn't: it is lent until they do, and no other guest has it."""
    disk = a.DISK % "Keeps-b"
    path = arena.disk("Keeps-b")
    owner = os.stat(path).st_uid
    arena.create("Keeps", disk)
    lent = os.stat(path).st_uid
    with contextlib.closing(arena.admin()) as admin:
        admin.call(wire.DETACH, wire.domain("Keeps") + wire.text(disk) + wire.number(1))
        assert "Keeps-b" not in admin.text(wire.DOMAIN_XML, wire.domain("Keeps") + wire.number(0))
    assert os.stat(path).st_uid == lent
    with pytest.raises(wire.Refused, match="QEMU of guest Keeps still has it open, although it released it"):
        arena.create("Second", disk="Keeps-b")
    assert arena.destroy_all(["Keeps"]) < a.DESTROY_S
    assert os.stat(path).st_uid == owner
    arena.settle()


def test_lies_to_a_new_daemon(arena):
    """The daemon was killed, and the next one asks QEMU which devices there are: the kernel knows better."""
    arena.create("Devices", a.HOSTDEV)
    arena.open_group(True)
    arena.kill()
    arena.start()
    claim = os.path.join(arena.tree, "run/passthru/claims", a.NVME)
    time.sleep(1)
    assert os.path.exists(claim)
    with pytest.raises(wire.Refused):
        arena.create("other", a.HOSTDEV)
    arena.open_group(False)
    arena.destroy_all(["Devices"])
    arena.settle()


def test_ends_well(arena):
    """With its guest, as on a restart of the service; and as it began."""
    arena.settle_descriptors()
    arena.stop()
    assert not arena.left()
