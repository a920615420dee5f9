# SPDX-License-Identifier: LGPL-2.1-or-later
"""Devices kept from the host, over real boots and with cards that come, go and change places.

The lab has udev but no systemd: the udev rule is at work here, and what the early unit would
start is started by hand.
"""

import os
import time

import pytest

import worlds

pytestmark = pytest.mark.only("lab", reason="boots, udev and hotplug are a real kernel's")

RULE = "/etc/udev/rules.d/60-passthru.rules"
PROGRAM = "/usr/sbin/passthru"
NVME, NVME_TWIN = "0000:01:00.0", "0000:02:00.0"
NIC, NIC_TWIN = "0000:04:00.0", "0000:41:00.0"
IGB, AUDIO = "0000:03:00.0", "0000:06:00.1"
PORTS = {"hp1": "0000:00:0e.0", "hp2": "0000:00:0f.0"}
MAC_A, MAC_B = "52:54:00:aa:00:01", "52:54:00:aa:00:02"


def wait_for(what, probe, seconds=90):
    until = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < until, "no %s within %d s" % (what, seconds)
        time.sleep(0.3)


class Bay:
    """The two hotplug slots and the one card that is in either."""

    def __init__(self, world):
        self.world = world
        self.lab = world.lab

    def address(self, port):
        bus = self.world.read("/sys/bus/pci/devices/%s/secondary_bus_number" % PORTS[port])
        return "0000:%02x:00.0" % int(bus)

    def plug(self, port, mac):
        self.lab.qmp("device_add", driver="e1000e", id="bay_card", bus=port, mac=mac, romfile="")
        address = self.address(port)
        wait_for(address, lambda: self.world.exists(worlds.DEVICES + "/" + address))
        # the driver, and after it the rule
        wait_for("driver for " + address,
                 lambda: self.world.exists(worlds.DEVICES + "/%s/driver" % address))
        self.world.sh("udevadm settle --timeout=60")
        return address

    def unplug(self):
        if not self.is_plugged():
            return
        there = [a for a in map(self.address, PORTS)
                 if self.world.exists(worlds.DEVICES + "/" + a)]
        self.lab.qmp("device_del", id="bay_card")
        wait_for("empty slot", lambda: not self.is_plugged())
        for address in there:
            wait_for("removal of " + address,
                     lambda a=address: not self.world.exists(worlds.DEVICES + "/" + a))

    def is_plugged(self):
        return any(d["qdev_id"] == "bay_card" for bus in self.lab.qmp("query-pci")
                   for d in self.all_devices(bus["devices"]))

    def all_devices(self, devices):
        for device in devices:
            yield device
            below = device.get("pci_bridge", {}).get("devices", [])
            yield from self.all_devices(below)


@pytest.fixture
def installed(world):
    """passthru as a package would install it, gone again afterwards."""
    with open(os.path.join(worlds.TOP, "data/60-passthru.rules.in"), encoding="utf-8") as f:
        rule = f.read().replace("@PASSTHRU@", PROGRAM)
    world.sh("rm -rf /etc/passthru && cp /lab/bin/passthru %s && mkdir -p %s" % (
        PROGRAM, os.path.dirname(RULE)))
    assert world.lab.run(["tee", RULE], input=rule).status == 0
    # the power will be cut; what persist writes it must sync by itself
    world.sh("udevadm control --reload; sync")
    yield world
    world.sh("rm -rf /etc/passthru %s %s; udevadm control --reload" % (RULE, PROGRAM))


@pytest.fixture
def bay(installed):
    b = Bay(installed)
    yield b
    b.unplug()


def boot(world):
    """Power cut and boot: what was written and synced is all that is left."""
    world.lab.reboot(hard=True, deadline=600)


def persisted(world):
    return {p["device"]: p for p in world.passthru("persisted", "--json").ok().json}


def touched_by_host(world, address):
    """What the kernel's log holds of drivers on ADDRESS, since this boot."""
    lines = world.sh("dmesg").splitlines()
    drivers = ("igb ", "e1000e ", "nvme ", "snd_hda_intel ")
    return [line for line in lines if address in line and
            (any(d + address in line for d in drivers) or "pci function " + address in line)]


def test_over_a_boot_and_in_other_slots(bay):
    world = bay.world
    card = bay.plug("hp1", MAC_A)
    kept = [NVME, NIC, IGB, AUDIO, card]
    assert world.driver(card) == "e1000e"
    world.passthru("persist", *kept).ok()
    assert all(p["state"] == "pending" for p in persisted(world).values())
    assert world.driver(NVME) == "nvme", "persisting must not change the device"

    boot(world)
    drivers = world.snapshot()["functions"]
    assert {a: drivers[a] for a in kept} == {a: ("vfio-pci", "vfio-pci") for a in kept}
    for address in kept:
        assert touched_by_host(world, address) == []
    # their twins are with the host, by the very modules that were loaded meanwhile
    assert drivers[NVME_TWIN] == ("nvme", None) and touched_by_host(world, NVME_TWIN)
    assert drivers[NIC_TWIN] == ("e1000e", None) and touched_by_host(world, NIC_TWIN)
    assert {p["state"] for p in persisted(world).values()} == {"applied"}
    assert "E: PASSTHRU_PERSIST=applied" in world.sh("udevadm info " + worlds.DEVICES + "/" + NIC)

    # out, and in again: the kernel's driver is quicker than udev, but doesn't keep it
    bay.unplug()
    assert persisted(world)[card]["state"] == "missing"
    bay.plug("hp1", MAC_A)
    wait_for("vfio-pci", lambda: world.driver(card) == "vfio-pci")

    # another card of that model in the same slot
    bay.unplug()
    bay.plug("hp1", MAC_B)
    assert world.driver(card) == "e1000e" and world.override(card) is None
    state = persisted(world)[card]
    assert state["state"] == "exchanged" and "another device" in state["words"]
    assert "E: PASSTHRU_PERSIST=exchanged" in world.sh(
        "udevadm info " + worlds.DEVICES + "/" + card)
    world.passthru("persist", "--apply").fails(25, "another device")
    assert world.driver(card) == "e1000e"

    # the card itself in another slot, and booted there
    bay.unplug()
    moved = bay.plug("hp2", MAC_A)
    assert world.driver(moved) == "e1000e"
    boot(world)
    assert world.driver(moved) == "e1000e" and world.override(moved) is None
    state = persisted(world)[card]
    assert state["state"] == "moved" and state["now"] == moved
    world.passthru("persist", "--apply").fails(25, "now at " + moved)
    assert world.driver(NIC) == "vfio-pci"

    # persisted where it is now, it is kept again
    world.passthru("persist", moved).ok()
    assert card not in persisted(world)
    world.passthru("persist", "--apply").ok()
    assert world.driver(moved) == "vfio-pci"
    world.passthru("unpersist", *persisted(world)).ok()
    assert persisted(world) == {} and not world.exists("/etc/passthru/devices.d")


def test_the_disk_of_the_root_filesystem(installed):
    world = installed
    before = world.snapshot()
    world.passthru("persist", "0000:00:1e.0").fails(15, "filesystem", "--force --reason")
    world.passthru("persist", "--force", "0000:00:1e.0").fails(2, "--reason")
    world.passthru("persist", "0000:00:04.0").fails(28, "bridge")
    assert persisted(world) == {} and world.snapshot() == before


def test_what_the_early_unit_does(installed):
    world = installed
    # takes a device back from a driver that was quicker …
    world.passthru("persist", NIC_TWIN).ok()
    assert world.driver(NIC_TWIN) == "e1000e"
    world.passthru("persist", "--apply").ok()
    assert world.driver(NIC_TWIN) == "vfio-pci"
    world.passthru("persist", "--apply").ok()
    world.passthru("unpersist", NIC_TWIN).ok()
    world.passthru("unpersist", NIC_TWIN).ok()
    # … but not from under a filesystem
    disk = "/dev/%sn1" % world.sh("ls %s/%s/nvme" % (worlds.DEVICES, NVME_TWIN)).strip()
    world.sh("mke2fs -q -t ext4 %s && mkdir -p /mnt/kept && mount %s /mnt/kept" % (disk, disk))
    try:
        world.passthru("persist", NVME_TWIN).fails(15, "/mnt/kept")
        world.passthru("persist", "--force", "--reason", "next boot is without it",
                       NVME_TWIN).ok()
        world.passthru("persist", "--apply").fails(15, "/mnt/kept")
        assert world.driver(NVME_TWIN) == "nvme"
        world.sh("echo still >/mnt/kept/here && sync && grep still /mnt/kept/here")
    finally:
        world.sh("umount /mnt/kept")
    world.passthru("persist", "--apply").ok()
    assert world.driver(NVME_TWIN) == "vfio-pci"


def test_now(installed):
    world = installed
    world.passthru("persist", "--now", NIC).ok()
    assert world.driver(NIC) == "vfio-pci" and world.claims() == [NIC]
    # its claim's owner has it: neither udev nor the unit meddles
    world.sh("udevadm trigger --action=add --settle %s/%s" % (worlds.DEVICES, NIC))
    world.passthru("persist", "--apply").ok()
    assert world.claims() == [NIC]
    world.passthru("reattach", NIC).ok()
    assert world.driver(NIC) == "e1000e"
    # given back on purpose, it stays there until the next boot, whatever triggers udev
    world.sh("udevadm trigger --action=add --settle %s/%s" % (worlds.DEVICES, NIC))
    assert world.driver(NIC) == "e1000e"


def test_reattach_of_what_vfio_takes_by_id(world):
    """As with vfio-pci.ids= on the command line: vfio-pci was registered before the host's driver."""
    before = world.snapshot()
    vendor, device = (world.read("%s/%s/%s" % (worlds.DEVICES, NIC, name)).strip()[2:]
                      for name in ("vendor", "device"))
    world.sh("modprobe vfio-pci; modprobe -r e1000e; "
             "echo %s %s >/sys/bus/pci/drivers/vfio-pci/new_id; modprobe e1000e" % (vendor, device))
    try:
        assert world.driver(NIC) == "vfio-pci"
        assert "bound to e1000e" in world.passthru("reattach", NIC).ok().out
        assert world.snapshot()["functions"][NIC] == ("e1000e", None)
        # and with a claim
        world.passthru("detach", NIC).ok()
        world.passthru("reattach", NIC).ok()
        assert world.snapshot()["functions"][NIC] == ("e1000e", None)
    finally:
        world.sh("echo %s %s >/sys/bus/pci/drivers/vfio-pci/remove_id" % (vendor, device))
        for address, (driver, _) in before["functions"].items():
            if driver == "e1000e" and world.driver(address) != "e1000e":
                world.sh("echo %s >%s/%s/driver/unbind; echo %s >/sys/bus/pci/drivers/e1000e/bind" % (
                    address, worlds.DEVICES, address, address))
    assert world.snapshot() == before
