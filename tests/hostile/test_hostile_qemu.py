# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMUs in the hands of their guests, beside one that behaves and clients who measure their own calls."""

import time

import pytest

import arena as a
import wire

# Each with its guests, all at once.
PLAYS = {
    "floods": ["Deleted", "Refusing", "States", "Ends", "Unknown"],
    "many floods": ["Deleted-%d" % i for i in range(4)] + ["Unknown-%d" % i for i in range(4)],
    "bombs": ["Deep", "Wide", "Long", "BigEvents"],
    "affordable": ["Affordable-%d" % i for i in range(4)],
    "lines": ["Endless", "Trickle", "Half", "WrongIds", "Types"],
    "starts": ["HalfGreeting", "Deaf", "Hang-qmp_capabilities", "Hang-query-chardev", "Hang-cont"],
    "hangs": ["Hang-stop", "Hang-device_add", "Hang-device_del", "Hang-blockdev-add", "Hang-query-status"],
    "ends": ["Exit-" + c for c in ("greeting", "qmp_capabilities", "query-chardev", "cont", "stop", "device_add",
                                   "device_del", "blockdev-add")],
    "terminals": ["Terminal-" + w for w in ("file", "control", "long", "up", "others", "invalid", "markup", "empty")],
    "leftovers": ["Junk", "Log"],
}
SECONDS = 1.5


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
    with arena.neighbours():
        creators = [arena.send_create(name, a.HOSTDEV if not i else "") for i, name in enumerate(PLAYS[play])]
        time.sleep(0.5)
        victims = [provoke(arena, name) for name in PLAYS[play]]
        time.sleep(SECONDS)
        late = {name: took for name in PLAYS[play] if (took := arena.destroy(name)) > a.DESTROY_S}
        for connection in creators + victims:
            connection.close()
    assert not late or not arena.is_bounded
    arena.settle(arena.baseline)


def test_ends_well(arena):
    arena.stop()
    assert not arena.left()
