# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a guest's definition says of the host, done on a real kernel: its devices are those it was
defined with."""

import json
import re

import pytest

import worlds
from virsh_guests import Guest, daemon, guests, hostdev     # noqa: F401
from test_persist import Bay
from zoo_names import EDU, address as address_of

pytestmark = pytest.mark.only("lab", "guests need a real kernel, and QEMU")

IGB = address_of("igb0")
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
    assert "%s is not the device that guest d1 was defined with" % card in words
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


UEFI = """<domain type='qemu'>
  <name>uefi</name>
  <memory unit='MiB'>256</memory>
  <os firmware='efi'>
    <type arch='x86_64' machine='q35'>hvm</type>%s
  </os>
  <features><acpi/></features>
  <devices>
    <serial type='file'><source path='/tmp/serial-uefi'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>
"""
PLAIN = """
    <firmware><feature enabled='no' name='secure-boot'/></firmware>"""
NVRAM = "/var/lib/passthru/nvram/uefi_VARS.fd"


def test_uefi(world, daemon, guests):     # noqa: F811
    """As virt-install --boot uefi says it: found, run, with variables of its own until undefined."""
    daemon.sh("cat >/tmp/uefi.xml <<'END'\n%s\nEND" % (UEFI % ""))
    daemon.virsh("define", "/tmp/uefi.xml")
    text = daemon.virsh("dumpxml", "uefi")
    # signed for Secure Boot, as the first descriptor says and libvirt chooses
    assert "<os firmware='efi'>" in text and "secure='yes'" in text and "<smm state='on'/>" in text
    daemon.virsh("undefine", "uefi")        # it has no variables before its first start

    daemon.sh("cat >/tmp/uefi.xml <<'END'\n%s\nEND" % (UEFI % PLAIN))
    daemon.virsh("define", "/tmp/uefi.xml")
    uefi = Guest(guests, "uefi")
    uefi.start()
    uefi.wait("BdsDxe", seconds=500)
    assert uefi.access(NVRAM) == "rw-"
    daemon.virsh("destroy", "uefi")
    assert daemon.sh("stat -c '%%U %%a' %s" % NVRAM).out.split() == ["passthru-qemu", "600"]
    assert "cannot undefine domain with nvram" in daemon.virsh_fails("undefine", "uefi")
    daemon.virsh("undefine", "uefi", "--keep-nvram")
    assert world.exists(NVRAM)
    daemon.virsh("define", "/tmp/uefi.xml")
    daemon.virsh("undefine", "uefi", "--nvram")
    assert not world.exists(NVRAM)


DISK = "<disk type='file'><source file='%s'/><target dev='%s' bus='virtio'/></disk>"


def mode(daemon, path):     # noqa: F811
    return daemon.sh("stat -c '%%U %%a' %s" % path).out.strip()


def test_files_are_lent(world, daemon, guests):     # noqa: F811
    """QEMU's user gets what it must write to, and whoever dies meanwhile, it is put back."""
    daemon.sh("mkdir -p /tmp/lent/closed && cd /tmp/lent && truncate -s 1M a b closed/c && "
              "chmod 600 a b closed/c && chmod 700 closed")
    guests.define("d1", DISK % ("/tmp/lent/closed/c", "vda") + DISK % ("/tmp/lent/none", "vdb"),
                  words="stay expect-none")
    words = daemon.virsh_fails("start", "d1")
    assert "can't enter the directory /tmp/lent/closed" in words
    assert "Cannot access storage file '/tmp/lent/none'" in words
    daemon.virsh("undefine", "d1")

    g = guests.define("d1", DISK % ("/tmp/lent/a", "vda"), words="stay expect-none")
    daemon.sh("rm -f /tmp/serial-d1")               # nor has its output to be there
    daemon.virsh("start", "d1")
    g.wait("guest: waiting")
    assert g.access("/tmp/lent/a") == "rw-"
    daemon.sh("cat >/tmp/b.xml <<'END'\n%s\nEND" % (DISK % ("/tmp/lent/b", "vdb")))
    daemon.virsh("attach-device", "d1", "/tmp/b.xml", "--live")
    assert g.access("/tmp/lent/b") == "rw-"
    daemon.virsh("detach-device", "d1", "/tmp/b.xml", "--live")
    assert mode(daemon, "/tmp/lent/b") == "root 600" and g.access("/tmp/lent/b") == ""
    assert g.access("/tmp/lent/a") == "rw-"

    pid = g.pid()
    daemon.sh("kill -9 $(cat /tmp/passthrud.pid); while kill -0 $(cat /tmp/passthrud.pid) "
              "2>/dev/null; do sleep 0.1; done; kill -9 %d" % pid)
    daemon.start()
    guests.wait_for(lambda: mode(daemon, "/tmp/lent/a") == "root 600")
    assert mode(daemon, "/tmp/serial-d1") == "root 600"
    daemon.sh("rm -rf /tmp/lent")


VF_MAC = "52:54:00:aa:bb:cc"


def vf_interface(address):
    domain, bus, rest = address.split(":")
    slot, function = rest.split(".")
    return """<interface type='hostdev' managed='yes'><mac address='%s'/><source>
<address type='pci' domain='0x%s' bus='0x%s' slot='0x%s' function='0x%s'/></source>
<vlan><tag id='42'/></vlan></interface>""" % (VF_MAC, domain, bus, slot, function)


def test_mac_and_vlan_of_a_vf(world, daemon, guests):     # noqa: F811
    """Set through the physical function before the guest has it, and put back afterwards."""
    at_pf = worlds.DEVICES + "/" + IGB
    netdev = world.sh("ls %s/net" % at_pf).strip()
    world.sh("echo 0 >%s/sriov_drivers_autoprobe; echo 2 >%s/sriov_numvfs" % (at_pf, at_pf))

    def vf(number=1):
        return re.search(r"vf %d +(.*)" % number, world.sh("ip link show dev %s" % netdev))[1]

    try:
        address = world.sh("basename $(readlink %s/virtfn1)" % at_pf).strip()
        before, other = vf(), vf(0)
        assert VF_MAC not in before and "vlan" not in before
        guests.define("d1", vf_interface(address), words="stay")
        daemon.sh(": >/tmp/serial-d1")
        # what isn't in force isn't promised
        world.sh("ip link set %s down" % netdev)
        words = daemon.virsh_fails("start", "d1")
        assert "because the PF is not online" in words and "ip link set %s up" % netdev in words, words
        assert vf() == before and world.driver(address) is None
        world.sh("ip link set %s up" % netdev)
        daemon.virsh("start", "d1")
        assert VF_MAC in vf() and "vlan 42" in vf() and vf(0) == other
        daemon.virsh("destroy", "d1")
        assert vf() == before
        guests.define("d2", words="stay expect-none")
        daemon.virsh("start", "d2")
        daemon.sh("cat >/tmp/vf.xml <<'END'\n%s\nEND" % vf_interface(address))
        daemon.virsh("attach-device", "d2", "/tmp/vf.xml", "--live")
        assert VF_MAC in vf() and "vlan 42" in vf()
        # whose it is by now keeps it
        assert "in use by driver QEMU, domain d2" in daemon.virsh_fails("start", "d1")
        assert VF_MAC in vf()
        pid = json.loads(daemon.sh("cat /run/passthru/guests/d2.json").out)["pid"]
        daemon.sh("kill -9 $(cat /tmp/passthrud.pid); while kill -0 $(cat /tmp/passthrud.pid) "
                  "2>/dev/null; do sleep 0.1; done; kill -9 %d" % pid)
        daemon.start()
        guests.wait_for(lambda: vf() == before)
        guests.wait_for(lambda: world.driver(address) is None)
        guests.define("d3", vf_interface(EDU), words="stay")
        assert "is not an SR-IOV virtual function" in daemon.virsh_fails("start", "d3")
    finally:
        world.sh("ip link set %s down; echo 0 >%s/sriov_numvfs; echo 1 >%s/sriov_drivers_autoprobe" % (netdev, at_pf, at_pf))


def test_a_node_that_is_denied(world, daemon, guests):     # noqa: F811
    """What a rule of the host's closes is named before anything is changed."""
    before = world.snapshot()
    g = guests.define("d1", hostdev(EDU), words="stay")
    daemon.sh("modprobe vfio-pci; chmod 600 /dev/vfio/vfio")
    try:
        words = daemon.virsh_fails("start", "d1")
        assert "domain/devices/hostdev: /dev/vfio/vfio: QEMU runs as user passthru-qemu" in words
        assert world.snapshot() == before
    finally:
        daemon.sh("chmod 666 /dev/vfio/vfio")
    g.start()
    g.wait("guest: all ok")
    daemon.virsh("destroy", "d1")
    if not world.exists("/dev/kvm"):
        path = guests.write_xml("d2")
        daemon.sh("sed -i \"s/type='qemu'/type='kvm'/\" %s" % path)
        daemon.virsh("define", path)
        assert "domain@type='kvm': /dev/kvm does not exist" in daemon.virsh_fails("start", "d2")
