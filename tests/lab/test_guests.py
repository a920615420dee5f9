# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests of passthrud on a real kernel, through unmodified virsh: what they are given they use,
what is taken from them is the host's again, and whatever dies in between leaves nothing behind."""

import re

import pytest

from virsh_guests import GUEST_BLOCKS, HOST_BLOCK, daemon, guests, hostdev     # noqa: F401
from test_daemon import name
from zoo_names import EDU, NIC_A, NORESET, NVME, TWIN

pytestmark = pytest.mark.only("lab", "guests need a real kernel, and QEMU")


def test_the_seed(world, daemon, guests):
    """The second half of what people are told to do, with a guest that uses what it gets."""
    before = world.snapshot()
    crc = guests.write_host_data(NVME)
    g = guests.define("d1", words="stay expect-none nvme-read=%d,%d" % (HOST_BLOCK, GUEST_BLOCKS))
    g.start()
    g.wait("guest: waiting")
    daemon.sh("cat >/tmp/pci.xml <<'END'\n%s\nEND" % hostdev(NVME))

    daemon.virsh("attach-device", "--domain", "d1", "--file", "/tmp/pci.xml", "--live",
                 "--persistent")
    g.wait("guest: hotplug result ok")
    assert "dma=ok crc32=" + crc in g.serial() and "irq=msix" in g.serial()
    assert world.driver(NVME) == "vfio-pci"
    assert "PCI device %s is in use by driver QEMU, domain d1" % NVME in \
        daemon.virsh_fails("nodedev-detach", name(NVME))
    for flags in ([], ["--inactive"]):
        assert "<hostdev mode='subsystem' type='pci' managed='yes'>" in \
            daemon.virsh("dumpxml", "d1", *flags)

    daemon.stop()
    daemon.start()
    assert re.search(r"d1 +running", daemon.virsh("list"))
    assert world.driver(NVME) == "vfio-pci"

    daemon.virsh("destroy", "d1")
    assert world.snapshot() == before
    g.start()
    g.wait("guest: waiting")
    assert "dma=ok crc32=" + crc in g.serial()

    daemon.virsh("detach-device", "d1", "/tmp/pci.xml", "--live", "--persistent")
    assert "guest: hotplug released" in g.serial()
    assert world.snapshot() == before
    assert "<hostdev" not in daemon.virsh("dumpxml", "d1")
    assert "<hostdev" not in daemon.virsh("dumpxml", "d1", "--inactive")
    assert guests.read_host_data(NVME) == crc


def test_our_own_verbs(world, daemon, guests):
    """passthru's verbs for guests, with libvirt's client library, to passthrud."""
    before = world.snapshot()
    assert "no guests" in world.passthru("guests").ok().out
    g = guests.define("d1", words="stay expect-none")
    assert re.search(r"d1 +shut off +-", world.passthru("guests").ok().out)
    daemon.sh(": >{0}; chmod 666 {0}".format(g.path))
    world.passthru("start", "d1").ok()
    g.wait("guest: waiting")
    assert "attached to d1" in world.passthru("attach", EDU, "--to", "d1").ok().out
    g.wait("guest: hotplug result ok")
    [shown] = world.passthru("--json", "guests").ok().json
    assert shown == {"name": "d1", "state": "running", "persistent": True, "devices": [EDU]}
    world.passthru("reattach", EDU).fails(16, "%s is in use by guest d1" % EDU)
    assert world.driver(EDU) == "vfio-pci"
    assert "detached from d1" in world.passthru("detach-from", EDU, "--from", "d1").ok().out
    assert world.snapshot() == before and "guest: hotplug released" in g.serial()
    world.passthru("detach-from", EDU, "--from", "d1").fails(1, EDU + " not found in guest d1")
    world.passthru("stop", "d1", "--force").ok()
    assert re.search(r"d1 +shut off +-", world.passthru("guests").ok().out)


def test_unmanaged(world, daemon, guests):
    g = guests.define("d1", hostdev(EDU, managed="no") + hostdev(TWIN, managed="no"),
                      words="stay")
    before = world.snapshot()
    words = daemon.virsh_fails("start", "d1")
    for address in (EDU, TWIN):
        assert "Unmanaged PCI device %s must be manually detached from the host" % address in words
    assert world.snapshot() == before
    daemon.virsh("nodedev-detach", name(EDU))
    daemon.virsh("nodedev-detach", name(TWIN))
    g.start()
    g.wait("guest: all ok")
    daemon.virsh("destroy", "d1")
    # as before the start: detached by hand, and that is how they stay
    assert world.driver(TWIN) == "vfio-pci" and world.driver(EDU) == "vfio-pci"
    daemon.virsh("nodedev-reattach", name(TWIN))
    daemon.virsh("nodedev-reattach", name(EDU))
    assert world.snapshot() == before


def test_all_or_none(world, daemon, guests):
    """One of three can't be had: the others stay where they are."""
    before = world.snapshot()
    guests.define("d1", hostdev(NVME) + hostdev(EDU) + hostdev(NORESET))
    assert "can't be reset" in daemon.virsh_fails("start", "d1")
    assert world.snapshot() == before
    guests.define("d2", hostdev(NIC_A))
    assert "group" in daemon.virsh_fails("start", "d2")
    assert world.snapshot() == before
    assert re.search(r"d1 +shut off", daemon.virsh("list", "--all"))


def test_two_guests_one_device(world, daemon, guests):
    before = world.snapshot()
    one = guests.define("d1", hostdev(EDU), words="stay")
    two = guests.define("d2", hostdev(EDU), words="stay")
    r = daemon.sh("virsh start d1 >/tmp/one 2>&1 & virsh start d2 >/tmp/two 2>&1; a=$?; "
                  "wait $!; echo $? $a; cat /tmp/one /tmp/two")
    statuses, _, output = r.out.partition("\n")
    assert sorted(statuses.split()) == ["0", "1"], r.out
    assert re.search("PCI device %s is in use by driver QEMU, domain d[12]" % EDU, output) or \
        "is changing a device" in output, output
    winner = one if statuses.split()[0] == "0" else two
    winner.wait("guest: all ok")
    daemon.virsh("destroy", winner.name)
    assert world.snapshot() == before


def test_it_ends_by_itself(world, daemon, guests):
    """Powered off by the guest, or killed: its devices come back, and the state says how."""
    before = world.snapshot()
    g = guests.define("d1", hostdev(EDU))
    g.start()
    guests.wait_for(lambda: world.snapshot() == before)
    assert daemon.virsh("domstate", "d1", "--reason").strip() == "shut off (shutdown)"
    assert "guest: all ok" in g.serial()
    g = guests.define("d2", hostdev(EDU), words="stay")
    g.start()
    daemon.sh("kill -9 %d" % g.pid())
    guests.wait_for(lambda: world.snapshot() == before)
    assert daemon.virsh("domstate", "d2", "--reason").strip() == "shut off (crashed)"


def test_a_guest_that_lets_go_late(world, daemon, guests):
    """Paused, it can't answer in time: the request stays pending, and is finished when it does."""
    before = world.snapshot()
    g = guests.define("d1", hostdev(EDU), words="stay")
    g.start()
    g.wait("guest: waiting")
    daemon.sh("cat >/tmp/edu.xml <<'END'\n%s\nEND" % hostdev(EDU))
    daemon.virsh("suspend", "d1")
    output = daemon.virsh_fails("detach-device", "d1", "/tmp/edu.xml", "--live", "--persistent")
    assert "the unplug request is still pending" in output
    assert world.driver(EDU) == "vfio-pci"
    assert "<hostdev" in daemon.virsh("dumpxml", "d1")
    daemon.virsh("resume", "d1")
    guests.wait_for(lambda: world.snapshot() == before)
    assert "<hostdev" not in daemon.virsh("dumpxml", "d1")
    # what failed changed no definition
    assert "<hostdev" in daemon.virsh("dumpxml", "d1", "--inactive")


def test_confined(world, daemon, guests):
    """QEMU has no rights but those it needs, and the device none but to the guest's memory."""
    daemon.sh("dmesg -C")
    g = guests.define("d1", hostdev(EDU), words="edu-bad-dma stay")
    g.start()
    status = daemon.sh("cat /proc/%d/status" % g.pid()).out
    uid = g.uid()
    assert re.search(r"^Uid:\t%d\t%d\t%d\t%d$" % ((uid,) * 4), status, re.M), status
    assert re.search(r"^CapEff:\t0+$", status, re.M) and re.search(r"^CapBnd:\t0+$", status, re.M)
    assert "NoNewPrivs:\t1" in status and re.search(r"^Seccomp:\t2$", status, re.M)
    group = daemon.sh("basename $(readlink /sys/bus/pci/devices/%s/iommu_group)" % EDU).out.strip()
    assert daemon.sh("stat -c '%%u %%a' /dev/vfio/%s" % group).out.split() == [str(uid), "600"]
    limit = daemon.sh("grep 'Max locked' /proc/%d/limits" % g.pid()).out.split()
    assert int(limit[3]) == (64 + 1024) * 2 ** 20
    g.wait("guest: edu bad-dma")
    guests.wait_for(lambda: "DMAR" in daemon.sh("dmesg").out)
    assert "fault" in daemon.sh("dmesg").out
    words = "cannot migrate a domain with <hostdev"
    assert words in daemon.virsh_fails("save", "d1", "/tmp/saved")
    assert words in daemon.virsh_fails("managedsave", "d1")
    daemon.virsh("destroy", "d1")
    assert not world.exists("/dev/vfio/" + group)


def test_life_cycle_and_questions(world, daemon, guests):
    g = guests.define("d1", words="stay expect-none")
    daemon.sh("virsh event --all --loop --timeout 120 >/tmp/events 2>&1 & "
              "echo $! >/tmp/events.pid; sleep 3")
    g.start()
    for words, phrase in [
            (["dominfo", "d1"], "State:          running"), (["domstate", "d1"], "running"),
            (["list"], "d1"), (["domid", "d1"], "\n"), (["vcpuinfo", "d1"], "CPU time"),
            (["domstats", "d1"], "cpu.time="), (["dommemstat", "d1"], "rss"),
            (["dumpxml", "d1"], "<domain type='qemu' id='"),
            (["domcontrol", "d1"], "ok")]:
        assert phrase in daemon.virsh(*words), words
    assert "already active" in daemon.virsh_fails("start", "d1")
    daemon.virsh("suspend", "d1")
    assert daemon.virsh("domstate", "d1").strip() == "paused"
    daemon.virsh("resume", "d1")
    daemon.virsh("reset", "d1")
    daemon.virsh("autostart", "d1")
    assert "Autostart:      enable" in daemon.virsh("dominfo", "d1")
    daemon.virsh("undefine", "d1")          # runs on, as a transient guest
    assert "Persistent:     no" in daemon.virsh("dominfo", "d1")
    daemon.virsh("destroy", "d1")
    assert "d1" not in daemon.virsh("list", "--all")
    daemon.sh("sleep 1; kill -INT $(cat /tmp/events.pid); sleep 1")
    output = daemon.sh("cat /tmp/events").out
    for event in ("Started Booted", "Suspended Paused", "Resumed Unpaused", "Undefined Removed",
                  "Stopped Destroyed", "'reboot'"):
        assert event in output, output
    assert "-device" in daemon.sh("virsh domxml-to-native qemu-argv --xml %s" %
                                  guests.write_xml("d3", hostdev(EDU))).out


def test_killed_in_the_middle(world, daemon, guests, rounds):
    """SIGKILL of passthrud, or of QEMU, at random instants of each operation. A sample; ./dev soak
    guest_kills does more rounds."""
    rounds.run_in(daemon.lab, "guest_kills.py", sample=3, seconds=60)
