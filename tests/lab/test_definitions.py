# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a guest's definition says of the host, done on a real kernel: its devices are those it was
defined with."""

import pytest

from virsh_guests import daemon, guests, hostdev     # noqa: F401
from test_persist import Bay

pytestmark = pytest.mark.only("lab", "guests need a real kernel, and QEMU")

MAC_A, MAC_B = "52:54:00:77:00:0a", "52:54:00:77:00:0b"


@pytest.fixture
def bay(world):
    """A hotplug slot that cards come into and go from."""
    b = Bay(world)
    yield b
    b.unplug()


def start_and_destroy(daemon):     # noqa: F811
    daemon.sh(": >/tmp/serial-d1; chmod 666 /tmp/serial-d1")
    daemon.virsh("start", "d1")
    daemon.virsh("destroy", "d1")


def test_another_card_in_the_slot(bay, daemon, guests):     # noqa: F811
    """Exchanged or moved, it isn't handed over; where it is now is said; defining again takes it."""
    card = bay.plug("hp1", MAC_A)
    xml = guests.write_xml("d1", hostdev(card), words="stay")
    daemon.virsh("define", xml)
    record = daemon.sh("cat /etc/passthru/guests/devices/d1.json").out
    assert card in record and "77" in record
    assert "subsystem_vendor" not in daemon.virsh("dumpxml", "d1")

    bay.unplug()
    assert card == bay.plug("hp1", MAC_B)
    before = bay.world.snapshot()
    words = daemon.virsh_fails("start", "d1")
    assert "%s isn't the device that guest d1 was defined with" % card in words
    assert "is not in this machine" in words and "define the guest again" in words
    assert bay.world.snapshot() == before

    daemon.sh("virsh dumpxml d1 --inactive >/tmp/d1.again.xml; virsh define /tmp/d1.again.xml")
    start_and_destroy(daemon)
    daemon.virsh("undefine", "d1")
    assert not bay.world.exists("/etc/passthru/guests/devices/d1.json")


def test_a_device_that_comes_later(bay, daemon, guests):     # noqa: F811
    """Not there when the guest was defined: what is there at the first start is what it is."""
    card = bay.plug("hp1", MAC_A)
    bay.unplug()
    daemon.virsh("define", guests.write_xml("d1", hostdev(card), words="stay"))
    assert not bay.world.exists("/etc/passthru/guests/devices/d1.json")
    assert card in daemon.virsh_fails("start", "d1")
    bay.plug("hp1", MAC_B)
    start_and_destroy(daemon)
    bay.unplug()
    moved = bay.plug("hp2", MAC_B)
    assert card != moved
    words = daemon.virsh_fails("start", "d1")
    assert "now at %s" % moved in words and "put %s into the definition" % moved in words
    daemon.sh("cat >/tmp/card.xml <<'END'\n%s\nEND" % hostdev(card))
    daemon.sh("cat >/tmp/moved.xml <<'END'\n%s\nEND" % hostdev(moved))
    daemon.virsh("detach-device", "d1", "/tmp/card.xml", "--config")
    daemon.virsh("attach-device", "d1", "/tmp/moved.xml", "--config")
    start_and_destroy(daemon)
