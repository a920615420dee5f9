# SPDX-License-Identifier: LGPL-2.1-or-later
"""Devices that don't leave when they are asked, leave without being asked, or do what they must
not; and passthrud replaced while guests run."""

import json
import re

import pytest

from virsh_guests import daemon, guests, hostdev     # noqa: F401
from test_watch import watch                         # noqa: F401
from zoo_names import EDU, TWIN

pytestmark = pytest.mark.only("lab", "guests need a real kernel, and QEMU")


def log(daemon):
    return daemon.sh("cat /tmp/passthrud.log").out


def test_a_guest_that_ignores_it(world, daemon, guests):
    """virsh fails with the reason, nothing has changed, and the end of the guest gives all back."""
    before = world.snapshot()
    g = guests.define("d1", hostdev(EDU), words="stay ignore-unplug")
    g.start()
    g.wait("guest: waiting")
    path = guests.write_device(hostdev(EDU))
    for again in (False, True):
        words = daemon.virsh_fails("detach-device", "d1", path, "--live")
        assert "has not released hostdev0" in words and "request is still pending" in words
        assert world.driver(EDU) == "vfio-pci" and "<hostdev" in daemon.virsh("dumpxml", "d1")
    assert "unplug ignored" in g.serial()
    assert json.loads(daemon.sh("cat /run/passthru/guests/d1.json").out)["pending"]
    daemon.virsh("destroy", "d1")
    assert world.snapshot() == before


def test_stray_dma_is_told(world, daemon, guests, watch):
    """What the IOMMU stops is told with the device and the guest, by passthrud too."""
    g = guests.define("d1", hostdev(EDU), words="edu-bad-dma stay")
    g.start()
    event = watch.wait("dma-fault", EDU)
    assert event["owner"] == {"kind": "domain", "name": "d1", "pid": g.pid()}
    assert "0xe000000" in event["words"]
    guests.wait_for(lambda: re.search(
        "guest d1: %s: the IOMMU blocked a DMA: .*0xe000000" % EDU, log(daemon)))
    daemon.virsh("destroy", "d1")


def replace_daemon(daemon, meanwhile):
    """As a package manager does: the file first, another one in its place; then a restart."""
    daemon.sh("cd /lab/bin; cp passthrud next; echo >>next; mv next passthrud")
    daemon.stop()
    daemon.sh(meanwhile)
    daemon.start()


CHANGE_STATE = r"""/usr/bin/python3 -c '
import json, sys
path = "/run/passthru/guests/d1.json"
state = json.load(open(path))
%s
json.dump(state, open(path, "w"))'"""


def test_upgraded_under_a_guest(world, daemon, guests):
    """The guest doesn't notice. A request that it hadn't answered is finished by the new one, from
    a state file with fields that it doesn't know and without those that it can do without."""
    before = world.snapshot()
    g = guests.define("d1", hostdev(EDU), words="stay")
    g.start()
    g.wait("guest: waiting")
    pid = g.pid()
    daemon.virsh("suspend", "d1")
    path = guests.write_device(hostdev(EDU))
    assert "pending" in daemon.virsh_fails("detach-device", "d1", path, "--live")
    replace_daemon(daemon, CHANGE_STATE % 'state["new"] = {"a": [1]}; del state["pending"], '
                                          'state["since"]')
    guests.wait_for(lambda: daemon.virsh("domstate", "d1").strip() == "paused")
    assert g.pid() == pid and world.driver(EDU) == "vfio-pci"
    daemon.virsh("resume", "d1")
    guests.wait_for(lambda: world.snapshot() == before)
    assert "<hostdev" not in daemon.virsh("dumpxml", "d1")

    daemon.virsh("attach-device", "d1", path, "--live")
    g.wait("guest: hotplug result ok")
    replace_daemon(daemon, "")
    assert world.driver(EDU) == "vfio-pci"
    assert EDU in daemon.sh("passthru status").out
    daemon.virsh("detach-device", "d1", path, "--live")
    assert world.snapshot() == before
    assert g.pid() == pid and g.serial().count("guest: start") == 1


def test_a_state_that_cant_be_used(world, daemon, guests):
    """A live definition with what this version doesn't know, as after a downgrade: the guest, its
    devices and its files are left alone, and all of it is there again for a daemon that can."""
    before = world.snapshot()
    g = guests.define("d1", hostdev(EDU), words="stay")
    g.start()
    g.wait("guest: waiting")
    pid = g.pid()
    sockets = "ls /run/passthru/guests/d1.commands /run/passthru/guests/d1.events"
    replace_daemon(daemon, "cp /run/passthru/guests/d1.json /tmp/d1.kept; " + CHANGE_STATE %
                   'state["xml"] = state["xml"].replace("<devices>", "<devices><warp/>")')
    assert "guest d1 is unusable" in log(daemon) and "domain/devices/warp" in log(daemon)
    assert daemon.virsh("domstate", "d1").strip() == "no state"
    for verb in ("start", "destroy", "undefine"):
        assert "/run/passthru/guests/d1.json" in daemon.virsh_fails(verb, "d1")
    [shown] = world.passthru("--json", "guests").ok().json
    assert shown["state"] == "unreadable" and shown["why"].startswith("/run/passthru/guests/d1.json: ")
    daemon.sh(sockets)
    assert world.driver(EDU) == "vfio-pci"
    # its definition alone: it can be used, and what is wrong is told
    definition = "/etc/passthru/guests/d1.xml"
    replace_daemon(daemon, "mv /tmp/d1.kept /run/passthru/guests/d1.json; "
                           "cp -p {0} /tmp/d1.xml.kept; echo '<domain' >{0}".format(definition))
    assert g.pid() == pid
    guests.wait_for(lambda: daemon.virsh("domstate", "d1").strip() == "running")
    [shown] = world.passthru("--json", "guests").ok().json
    assert shown["state"] == "running" and shown["devices"] == [EDU]
    assert shown["why"].startswith(definition + ": ")
    replace_daemon(daemon, "mv /tmp/d1.xml.kept " + definition)
    guests.wait_for(lambda: daemon.virsh("domstate", "d1").strip() == "running")
    assert "why" not in world.passthru("--json", "guests").ok().json[0]
    daemon.virsh("detach-device", "d1", guests.write_device(hostdev(EDU)), "--live")
    assert world.snapshot() == before


@pytest.mark.parametrize("lets_go", [True, False], ids=["lets-go", "ignores"])
def test_the_card_is_pulled(world, daemon, guests, lab_machine, lets_go):
    """The host's card leaves while a guest has it: the kernel asks for it back, QEMU asks the
    guest. One that lets go runs on without it; one that doesn't is destroyed, and nothing is
    stuck."""
    before = world.snapshot()
    bus = int(world.read("/sys/bus/pci/devices/0000:00:0e.0/secondary_bus_number"))
    card = "0000:%02x:00.0" % bus
    lab_machine.qmp("device_add", driver="edu", id="guests_card", bus="hp1")
    try:
        guests.wait_for(lambda: world.exists("/sys/bus/pci/devices/" + card), 60)
        words = "stay expect-none" + ("" if lets_go else " ignore-unplug")
        g = guests.define("d1", words=words)
        g.start()
        g.wait("guest: waiting")
        daemon.virsh("attach-device", "d1", guests.write_device(hostdev(card)), "--live")
        g.wait("guest: hotplug result ok")
    finally:
        lab_machine.qmp("device_del", id="guests_card")
    if lets_go:
        guests.wait_for(lambda: world.snapshot() == before, 90)
        g.wait("guest: hotplug released")
        assert daemon.virsh("domstate", "d1").strip() == "running"
        assert "<hostdev" not in daemon.virsh("dumpxml", "d1")
        assert "guest d1 released hostdev0" in log(daemon)
        # the slot in the guest is free again
        path = guests.write_device(hostdev(TWIN))
        daemon.virsh("attach-device", "d1", path, "--live")
        daemon.virsh("detach-device", "d1", path, "--live")
    else:
        g.wait("unplug ignored", 90)
        assert daemon.virsh("domstate", "d1").strip() == "running"
        assert world.claims() == [card]
    daemon.virsh("destroy", "d1")
    guests.wait_for(lambda: world.snapshot() == before, 90)
    assert not world.exists("/sys/bus/pci/devices/" + card)
