# SPDX-License-Identifier: LGPL-2.1-or-later
"""USB devices of the host in guests: taken from their drivers and given back, in use, unplugged and plugged in
again, by whom QEMU may reach them."""

import contextlib
import re

import pytest

from test_guests_confine import define_edited
from virsh_guests import daemon, guests     # noqa: F401

pytestmark = pytest.mark.only("lab", "guests need a real kernel, and QEMU")

DISK, TABLET = ("46f4", "0001"), ("0627", "0001")       # lab/zoo.py
CONTROLLER = "<controller type='usb' model='qemu-xhci'/>"

# A guest that has nothing but firmware, and boots from the stick: this sector says so on its serial port.
FIRMWARE = {"<kernel>/lab/guest/payload.elf</kernel>": "", "<cmdline>none</cmdline>": ""}
SAYS = b"guest: booted from USB "
# xor ax, ax; mov ds, ax; mov si, 0x7c15; mov dx, 0x3f8; 1: lodsb; test al, al; jz 2f; out dx, al; jmp 1b; 2: hlt; jmp 2b
SECTOR = bytes.fromhex("31c0 8ed8 be157c baf803 ac 84c0 7403 ee ebf8 f4 ebfd")


def usb(ids, source="", more=""):
    return ("<hostdev mode='subsystem' type='usb' managed='yes'><source%s><vendor id='0x%s'/><product id='0x%s'/>"
            "</source>%s</hostdev>" % (source, *ids, more))


def name_of(daemon, ids):       # noqa: F811
    """Its name in /sys/bus/usb/devices."""
    return daemon.sh("cd /sys/bus/usb/devices; for d in [0-9]*; do [ -e $d/idVendor ] && "
                     "[ $(cat $d/idVendor):$(cat $d/idProduct) = %s:%s ] && echo $d; done; true" % ids).out.strip()


def driver_of(daemon, ids):     # noqa: F811
    return daemon.sh("basename $(readlink /sys/bus/usb/devices/%s:1.0/driver || echo none)" % name_of(daemon, ids)
                     ).out.strip()


def node_of(daemon, ids):       # noqa: F811
    return daemon.sh("cd /sys/bus/usb/devices/%s; printf /dev/bus/usb/%%03d/%%03d $(cat busnum) $(cat devnum)"
                     % name_of(daemon, ids)).out


def block_of(daemon):       # noqa: F811
    return "/dev/" + daemon.sh("ls /sys/bus/usb/devices/%s:1.0/host*/target*/*/block" % name_of(daemon, DISK)).out.strip()


def live_source(daemon, name):      # noqa: F811
    return re.search(r"<hostdev [^>]*type='usb'.*?</hostdev>", daemon.virsh("dumpxml", name), re.S)[0]


def write_sector(daemon, words):        # noqa: F811
    r = daemon.lab.run("dd of=%s bs=512 oflag=direct conv=notrunc status=none" % block_of(daemon),
                       input=(SECTOR + SAYS + words + b"\r\n").ljust(510, b"\0") + b"\x55\xaa", timeout=60)
    assert r.status == 0, r.err


def test_a_disk(world, daemon, guests):     # noqa: F811
    """A guest boots from it; nobody else gets it; it comes back although QEMU was killed."""
    before = world.snapshot()
    guests.wait_for(lambda: "sd" in block_of(daemon))
    write_sector(daemon, b"once")
    g = define_edited(guests, "u1", usb(DISK, more="<boot order='1'/>"), "none", FIRMWARE)
    node = node_of(daemon, DISK)
    g.start()
    assert "<address bus='%d' device='%d'" % tuple(map(int, node.split("/")[-2:])) in live_source(daemon, "u1")
    assert "<address bus=" not in re.search(r"<hostdev.*?</source>", daemon.virsh("dumpxml", "u1", "--inactive"), re.S)[0]
    assert g.access(node) == "rw-"
    g.wait("guest: booted from USB once", 180)
    assert driver_of(daemon, DISK) == "usbfs"
    # it sees this node, and no other device's
    assert daemon.sh("nsenter -m -t %d sh -c 'stat -c %%n:%%F /dev/bus/usb/*/*'" % g.pid()).out.strip() \
        == node + ":character special file"
    other = guests.define("u2", devices=CONTROLLER + usb(DISK))
    words = daemon.virsh_fails("start", other.name)
    assert "in use" in words and ("guest u1" in words or "qemu-system" in words), words
    daemon.sh("kill -KILL %d" % g.pid())
    guests.wait_for(lambda: "shut off" in daemon.virsh("domstate", "u1"))
    guests.wait_for(lambda: driver_of(daemon, DISK) == "usb-storage")
    guests.wait_for(lambda: "sd" in block_of(daemon))
    assert daemon.sh("getfacl -nps %s | grep -c ^user:[0-9]; true" % node).out.strip() == "0"
    # what the host writes then is what the next guest boots
    write_sector(daemon, b"twice")
    g.start()
    g.wait("guest: booted from USB twice", 180)
    daemon.virsh("destroy", "u1")
    guests.wait_for(lambda: driver_of(daemon, DISK) == "usb-storage")
    assert world.snapshot() == before


def test_in_use(daemon, guests):        # noqa: F811
    """A mounted stick stays the host's, and the refusal says what to do."""
    guests.wait_for(lambda: "sd" in block_of(daemon))
    daemon.sh("mkfs.ext4 -q -F %s; mkdir -p /mnt/usb; mount %s /mnt/usb" % ((block_of(daemon),) * 2))
    try:
        g = guests.define("u3", devices=CONTROLLER + usb(DISK))
        words = daemon.virsh_fails("start", g.name)
        assert "filesystem /mnt/usb through sd" in words and "umount /mnt/usb" in words, words
        assert driver_of(daemon, DISK) == "usb-storage"
    finally:
        daemon.sh("umount /mnt/usb")


@contextlib.contextmanager
def tablet_of(lab):
    """Takes it out and puts it in."""
    class Tablet:
        is_there = True

        def unplug(self):
            lab.qmp("device_del", id="usb_tablet")
            self.is_there = False

        def plug(self):
            lab.qmp("device_add", {"driver": "usb-tablet", "id": "usb_tablet", "bus": "usb_ctl.0"})
            self.is_there = True

    tablet = Tablet()
    try:
        yield tablet
    finally:
        if not tablet.is_there:
            tablet.plug()


def test_unplugged_and_plugged_in_again(world, daemon, guests):     # noqa: F811
    """A guest that starts without it gets it when it comes, loses it, and gets it again; the daemon that does so is
    another one in between."""
    with tablet_of(world.lab) as tablet:
        tablet.unplug()
        guests.wait_for(lambda: not name_of(daemon, TABLET))
        needs = guests.define("u4", devices=CONTROLLER + usb(TABLET))
        assert "Did not find USB device 0627:0001" in daemon.virsh_fails("start", "u4")
        daemon.virsh("undefine", needs.name)
        g = guests.define("u5", devices=CONTROLLER + usb(TABLET, " startupPolicy='optional'"), words="stay expect-none")
        g.start()
        g.wait("guest: waiting", 120)
        assert "missing='yes'" in live_source(daemon, "u5")
        for restarts in (False, True):
            tablet.plug()
            guests.wait_for(lambda: "<address bus=" in live_source(daemon, "u5"))
            assert "missing" not in live_source(daemon, "u5")
            # nothing of the guest has a driver for it: QEMU has it from the host's
            guests.wait_for(lambda: driver_of(daemon, TABLET) in ("none", "usbfs"))
            assert g.access(node_of(daemon, TABLET)) == "rw-"
            if restarts:
                daemon.stop()
            tablet.unplug()
            guests.wait_for(lambda: not name_of(daemon, TABLET))
            if restarts:
                daemon.start()
            guests.wait_for(lambda: "missing='yes'" in live_source(daemon, "u5"))
        tablet.plug()
        guests.wait_for(lambda: "<address bus=" in live_source(daemon, "u5"))
        daemon.virsh("destroy", "u5")
        guests.wait_for(lambda: driver_of(daemon, TABLET) == "usbhid")


def test_while_it_runs(daemon, guests):     # noqa: F811
    """attach-device, once; detach-device gives it back."""
    g = guests.define("u6", devices=CONTROLLER, words="stay expect-none")
    g.start()
    g.wait("guest: waiting", 120)
    path = guests.write_device(usb(TABLET))
    daemon.virsh("attach-device", "u6", path, "--live", "--persistent")
    assert "<address bus=" in live_source(daemon, "u6")
    guests.wait_for(lambda: driver_of(daemon, TABLET) in ("none", "usbfs"))
    assert "already exists" in daemon.virsh_fails("attach-device", "u6", path, "--live")
    daemon.virsh("detach-device", "u6", path, "--live", "--persistent")
    assert "<hostdev" not in daemon.virsh("dumpxml", "u6") + daemon.virsh("dumpxml", "u6", "--inactive")
    guests.wait_for(lambda: driver_of(daemon, TABLET) == "usbhid")
    daemon.virsh("destroy", "u6")
