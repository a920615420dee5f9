# SPDX-License-Identifier: LGPL-2.1-or-later
"""passthrud on a real kernel, through libvirt's own clients: what people typed before works as
it stands, finds the daemon by itself, and gets the truth."""

import os
import re
import subprocess
import xml.etree.ElementTree as ET

import pytest

import worlds
from zoo_names import EDU, NIC_A, NIC_B, NORESET, NVME, PORT, TWIN

pytestmark = pytest.mark.only("lab", "libvirt's clients talk to a real daemon")

HERE = os.path.dirname(os.path.abspath(__file__))
NOACS = "0000:0d:00.0"      # shares its group with a NIC on another port
UPPER = "0000:00:1e.0"      # the disk the lab's own root is on
SCHEMA = "/usr/share/libvirt/schemas/nodedev.rng"


def name(address):
    return "pci_" + re.sub("[:.]", "_", address)


class Daemon:
    def __init__(self, lab):
        self.lab = lab

    def sh(self, script, check=True):
        r = self.lab.run(script, timeout=240)
        assert not check or r.status == 0, "%s\nstatus %d\n%s%s" % (script, r.status, r.out, r.err)
        return r

    def start(self, *options):
        """With the user that guests run as, as systemd-sysusers makes it where passthrud is installed."""
        self.sh("""
            getent passwd passthru-qemu >/dev/null ||
                useradd --system --no-create-home --shell /usr/sbin/nologin passthru-qemu
            PATH=/lab/bin:$PATH passthrud --libvirt-socket -v %s >/dev/null 2>/tmp/passthrud.log &
            echo $! >/tmp/passthrud.pid
            for i in $(seq 100); do
                [ -S /run/libvirt/libvirt-sock-ro ] && exit; sleep 0.1
            done
            cat /tmp/passthrud.log; exit 1""" % " ".join(options))

    def stop(self):
        """It ends by itself, with status 0 and without a sanitizer's report."""
        self.sh("""
            kill $(cat /tmp/passthrud.pid)
            for i in $(seq 100); do kill -0 $(cat /tmp/passthrud.pid) 2>/dev/null || break; sleep 0.1; done
            ! kill -0 $(cat /tmp/passthrud.pid) 2>/dev/null""")
        log = self.log()
        assert "Sanitizer" not in log and "runtime error" not in log, log

    def log(self):
        return self.sh("cat /tmp/passthrud.log").out

    def virsh(self, *words):
        r = self.lab.run(["virsh"] + list(words), timeout=120)
        assert r.status == 0, "virsh %s\n%s%s" % (words, r.out, r.err)
        return r.out

    def virsh_fails(self, *words):
        r = self.lab.run(["virsh"] + list(words), timeout=120)
        assert r.status == 1, "virsh %s\nstatus %d\n%s%s" % (words, r.status, r.out, r.err)
        return r.err

    def python(self, code):
        return self.lab.run(["/usr/bin/python3", "-c", code], timeout=120)


@pytest.fixture(scope="module")
def daemon(lab_machine, tmp_path_factory):
    lab_machine.push(os.path.join(worlds.BUILD, "src/daemon/passthrud"))
    suitable = str(tmp_path_factory.mktemp("seed") / "seed-suitable")
    subprocess.run(["gcc", "-o", suitable, os.path.join(HERE, "seed_suitable.c"), "-lvirt"],
                   check=True)
    lab_machine.push(suitable)
    d = Daemon(lab_machine)
    d.start()
    yield d
    d.stop()


def drivers(daemon, address):
    return re.findall("<driver>\\s*<name>(.*)</name>",
                      daemon.virsh("nodedev-dumpxml", name(address)))


# ---- the seed ------------------------------------------------------------------------------------


def test_list(world, daemon):
    tree = daemon.virsh("nodedev-list", "--tree")
    assert re.search(r"^  \+- %s\n  \|   \|\n  \|   \+- %s\n" % (name(PORT), name(NVME)), tree, re.M)
    out = daemon.sh("virsh nodedev-list | grep pci").out.split()
    assert out == sorted(name(a) for a in world.snapshot()["functions"])
    assert daemon.virsh("nodedev-list", "--cap", "pci").split() == out


@pytest.mark.parametrize("uri", [
    [], ["-c", "qemu:///system"], ["-r"], ["-r", "-c", "qemu:///system"],
    ["-c", "qemu+unix:///system?socket=/run/libvirt/libvirt-sock"]])
def test_it_is_found(daemon, uri):
    assert name(NVME) in daemon.virsh(*uri, "nodedev-list").split()


def test_dumpxml(world, daemon):
    out = daemon.virsh("nodedev-dumpxml", name(NVME))
    assert out.rstrip("\n") == world.passthru("show", "--xml", NVME).ok().out.rstrip("\n")


def test_every_document_is_valid(daemon):
    """One virsh fetches all: what takes time in the lab is starting one for each."""
    daemon.sh("""
        set -e
        mkdir -p /tmp/xml && cd /tmp/xml && rm -f *
        virsh nodedev-list | sed '/^$/d' >names
        virsh "$(sed 's/.*/nodedev-dumpxml &;/' names)" |
            awk '/^<device>/ { n++ } n { print >(n ".xml") }'
        test $(ls *.xml | wc -l) = $(wc -l <names)
        sed -n 's,^  <name>\\(.*\\)</name>,\\1,p' *.xml | sort >found
        sort names | diff - found
        xmllint --noout --relaxng %s *.xml""" % SCHEMA)


def test_version_of_qemu(daemon):
    """That of the emulator guests have, which is asked as their user; everybody may want to know, so a failure is
    remembered for a while."""
    words = daemon.sh("qemu-system-x86_64 --version").out
    own = [int(n) for n in re.search(r"version (\d+)\.(\d+)\.(\d+)", words).groups()]
    asks = "import libvirt; c = libvirt.openReadOnly('qemu:///system'); print({c.getVersion() for n in range(50)})"
    assert daemon.python(asks).out == "{%d}\n" % (own[0] * 1000000 + own[1] * 1000 + own[2])
    program = "/usr/bin/qemu-system-x86_64"
    try:
        daemon.sh("mv %s /tmp/qemu; printf '#!/bin/sh\\nexit 1\\n' >%s; chmod 755 %s" % (program, program, program))
        assert "Cannot find suitable emulator" in daemon.python(asks).err
        assert "machine>q35<" in daemon.virsh("capabilities")
    finally:
        daemon.sh("mv /tmp/qemu " + program)
    assert "QEMU %d.%d.%d" % tuple(own) in daemon.virsh("version")


@pytest.mark.parametrize("detach", ["nodedev-dettach", "nodedev-detach"])
def test_detach_and_back(world, daemon, detach):
    before = world.snapshot()
    assert "detached" in daemon.virsh(detach, name(NVME))
    assert world.driver(NVME) == "vfio-pci" and drivers(daemon, NVME) == ["vfio-pci"]
    assert world.claims() == [NVME]
    assert "detached" in daemon.virsh(detach, name(NVME))
    assert "reset" in daemon.virsh("nodedev-reset", name(NVME))
    assert "re-attached" in daemon.virsh("nodedev-reattach", name(NVME))
    assert world.snapshot() == before


def test_what_virsh_detached_passthru_gives_back(world, daemon):
    before = world.snapshot()
    daemon.virsh("nodedev-detach", name(TWIN), "--driver", "vfio")
    world.passthru("reattach", TWIN).ok()
    assert world.snapshot() == before


@pytest.mark.parametrize("address,verdict", [
    (NVME, "Device is suitable for passthrough to a guest"),
    (EDU, "Device is suitable for passthrough to a guest"),
    (NORESET, "Device cannot be safely reset without affecting other devices"),
    (NIC_A, "Device cannot be safely reset without affecting other devices"),
    (NOACS, "Device cannot be safely reset without affecting other devices"),
    (UPPER, "Device cannot be dettached from the host OS drivers")])
def test_suitable(world, daemon, address, verdict):
    r = daemon.sh("seed-suitable qemu:///system " + name(address))
    assert verdict in r.err.splitlines(), r.err
    assert world.driver(address) == ("virtio-pci" if address == UPPER else "vfio-pci")


def test_a_group_detached_whole_can_be_told_apart(world, daemon):
    """Once its neighbour is free the group is; what remains is the reset they share."""
    daemon.virsh("nodedev-detach", name(NIC_A))
    daemon.virsh("nodedev-detach", name(NIC_B))
    assert "a bus reset also resets" in daemon.virsh_fails("nodedev-reset", name(NIC_A))


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("words,phrase", [
    (["nodedev-detach", "pci_0000_7f_1f_7"],
     "Node device not found: no node device with matching name 'pci_0000_7f_1f_7'"),
    (["nodedev-reset", "net_lo_00_00_00_00_00_00"], "is not a PCI device"),
    (["nodedev-detach", name(UPPER)], "is in use by driver virtio-pci"),
    (["nodedev-detach", name(PORT)], "is a bridge"),
    (["nodedev-reset", name(NORESET)], "internal error: Unable to reset PCI device " + NORESET),
    (["nodedev-detach", name(TWIN), "--driver", "nosuch"], "nosuch"),
    (["node-memory-tune"], "this function is not supported by the connection driver")])
def test_refusals(world, daemon, words, phrase):
    before = world.snapshot()
    assert phrase in daemon.virsh_fails(*words)
    assert world.snapshot() == before


def test_a_mounted_disk_stays(world, daemon):
    """libvirt takes it without a word."""
    daemon.sh("d=/dev/$(ls /sys/bus/pci/devices/%s/nvme/*/ | grep -o 'nvme[0-9]*c*[0-9]*n1' | "
              "sed 's/c[0-9]*//') && mke2fs -q -F $d && mkdir -p /mnt/t && mount $d /mnt/t" % TWIN)
    try:
        assert "/mnt/t" in daemon.virsh_fails("nodedev-detach", name(TWIN))
        assert world.driver(TWIN) == "nvme"
    finally:
        daemon.sh("umount /mnt/t")


# ---- the rest of what clients ask ------------------------------------------------------------------


@pytest.mark.parametrize("words,phrase", [
    (["list", "--all"], "Name"), (["net-list", "--all"], "Name"), (["pool-list", "--all"], "Name"),
    (["iface-list", "--all"], "Name"), (["nwfilter-list"], "Name"), (["secret-list"], "Usage"),
    (["nodedev-info", name(NVME)], "Parent:         " + name(PORT)),
    (["version", "--daemon"], "Running hypervisor: QEMU"), (["hostname"], "\n"),
    (["nodeinfo"], "CPU model"), (["capabilities"], "<iommu support='yes'/>"),
    (["freecell"], "Total"), (["nodecpumap"], "CPUs present"), (["nodememstats"], "total"),
    (["nodecpustats"], "idle"), (["-r", "nodedev-list", "--cap", "storage"], "block_nvme0n")])
def test_answers(daemon, words, phrase):
    assert phrase in daemon.virsh(*words)


@pytest.mark.parametrize("capability", [
    "fc_host", "vports", "mdev_types", "mdev", "ccw", "css", "vdpa", "ap_card", "ap_queue",
    "ap_matrix", "vpd"])
def test_capabilities_that_nothing_has(daemon, capability):
    assert daemon.virsh("nodedev-list", "--cap", capability).split() == []


def test_virt_install(daemon):
    """virt-manager's own reader takes every document, shows the labels of its dialog, and
    makes a definition with the device."""
    r = daemon.python("""
import gettext, sys
gettext.install('virt-manager')
sys.path.insert(0, '/usr/share/virt-manager')
import gi
gi.require_version('Gdk', '3.0')
gi.require_version('Gtk', '3.0')
from virtManager import config          # first: these import each other
from virtinst import VirtinstConnection
from virtManager.object.nodedev import _pretty_name
c = VirtinstConnection('qemu:///system')
c.open(None, None)
for d in c.fetch_all_nodedevs():
    print(d.name, d.device_type, _pretty_name(d), sep='\\t')
""")
    assert r.status == 0, r.out + r.err
    rows = [line.split("\t") for line in r.out.splitlines()]
    assert sorted(row[0] for row in rows) == sorted(daemon.virsh("nodedev-list").split())
    labels = {row[0]: row[2] for row in rows}
    assert labels[name(NVME)] == "0000:01:00:0 Red Hat, Inc. QEMU NVM Express Controller"
    assert "None" not in [labels[name(a)] for a in (NVME, EDU, NIC_A)]
    out = daemon.sh("virt-install --print-xml --name x --memory 512 --disk none --network none "
                    "--import --osinfo name=generic,require=off --hostdev %s" % name(NVME)).out
    hostdev = ET.fromstring(out).find("devices/hostdev")
    assert hostdev.get("managed") == "yes"
    assert hostdev.find("source/address").attrib == {
        "domain": "0", "bus": "1", "slot": "0", "function": "0"}


def test_events(world, daemon):
    daemon.sh("virsh nodedev-event --loop --timeout 60 --event update >/tmp/events 2>&1 & "
              "echo $! >/tmp/events.pid; sleep 4")
    daemon.virsh("nodedev-detach", name(EDU))
    daemon.virsh("nodedev-reattach", name(EDU))
    daemon.sh("sleep 1; kill -INT $(cat /tmp/events.pid); sleep 1")
    assert "event 'update' for node device " + name(EDU) in daemon.sh("cat /tmp/events").out


def test_python(world, daemon):
    r = daemon.python("""
import libvirt
c = libvirt.open('qemu:///system')
assert c.getType() == 'QEMU' and c.isSecure() and c.isAlive() and c.listAllDomains() == []
d = c.nodeDeviceLookupByName('%s')
assert d.parent() == '%s' and d.listCaps() == ['pci'] and d.numOfCaps() == 1, d.parent()
assert d.isActive() and not d.isPersistent() and not d.autostart()
assert d.name() in c.listDevices('pci', 0) and c.numOfDevices('pci', 0) == len(c.listDevices('pci', 0))
assert d.name() in [x.name() for x in c.listAllDevices(2)]
d.dettach(); d.reset(); d.reAttach()
for flags, code in ((0, 53),):
    try:
        c.nodeDeviceLookupByName('nosuch')
        raise SystemExit('found')
    except libvirt.libvirtError as e:
        assert (e.get_error_code(), e.get_error_domain()) == (53, 22)
print(d.XMLDesc(0))
""" % (name(NVME), name(PORT)))
    assert r.status == 0, r.out + r.err
    assert ET.fromstring(r.out).findtext("name") == name(NVME)


def test_restart_keeps_what_was_detached(world, daemon):
    daemon.virsh("nodedev-detach", name(NVME))
    daemon.stop()
    assert world.driver(NVME) == "vfio-pci" and world.claims() == [NVME]
    daemon.start()
    daemon.virsh("nodedev-reattach", name(NVME))
    assert world.driver(NVME) == "nvme" and world.claims() == []


def test_closed_standard_descriptors(daemon):
    """A passthrud started without descriptors 0 to 2 has none of its own sockets there."""
    out = daemon.sh("""
        /lab/bin/passthrud --socket /tmp/closed-sock <&- >&- 2>&- &
        pid=$!
        for i in $(seq 100); do [ -S /tmp/closed-sock-ro ] && break; sleep 0.1; done
        for fd in 0 1 2; do readlink /proc/$pid/fd/$fd; done
        kill $pid; wait $pid""").out
    assert out.split()[:3] == ["/dev/null"] * 3
