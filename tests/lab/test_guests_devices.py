# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many devices and many rounds: what goes in comes out again, and nothing is used up on the way."""

import json
import os
import re
import time

import pytest

from virsh_guests import daemon, guests, hostdev     # noqa: F401
from zoo_names import EDU, LONE_NIC, NVME, TWIN, address

pytestmark = pytest.mark.only("lab", "guests need a real kernel, and QEMU")

HERE = os.path.dirname(os.path.abspath(__file__))
GPU, AUDIO = address("gpu0"), address("gpu0_audio")
IGB = address("igb0")
OTHERS = [address(card) for card in ("sw_nic", "sw_edu", "node1_nic")]

# What an attach and a detach could leave behind, as seen from outside of the two processes. A
# worker of passthrud ends when it has had nothing to do for 10 s; one stays, which ends helpers of
# the others after 10 s, too. A helper that is never ended is counted.
ACCOUNT = r"""
for i in $(seq 300); do
    [ $(ls /proc/$(cat /tmp/passthrud.pid)/task | wc -l) -gt 2 ] ||
        pgrep -P $(cat /tmp/passthrud.pid) -x passthru-helper >/dev/null || break
    sleep 0.2
done
for pid in $(cat /tmp/passthrud.pid) %d; do
    ls /proc/$pid/fd | wc -l
    ls /proc/$pid/task | wc -l
    grep -c vfio /proc/$pid/maps
    awk '/Max locked/ {print $4}' /proc/$pid/limits
done
pgrep -P $(cat /tmp/passthrud.pid) | wc -l
find /run/passthru -not -path '*/locks/*' | wc -l
find /run/passthru/locks | wc -l
ls /dev/vfio | wc -l
"""


def account(daemon, guest):
    """Figures by name, when passthrud has come to rest."""
    words = ["descriptors", "threads", "mappings", "lock limit"]
    labels = ["passthrud's " + w for w in words] + ["QEMU's " + w for w in words]
    labels += ["passthrud's children", "state", "locks", "nodes"]
    return dict(zip(labels, map(int, daemon.sh(ACCOUNT % guest.pid()).out.split())))


def test_round_after_round(world, daemon, guests):
    """In and out again and again: no descriptor, thread, file, lock or root port is lost.

    PASSTHRU_ATTACH_ROUNDS asks for more rounds than the sample that runs by default."""
    rounds = int(os.environ.get("PASSTHRU_ATTACH_ROUNDS", "3"))
    before = world.snapshot()
    g = guests.define("d1", words="stay expect-none")
    g.start()
    g.wait("guest: waiting")
    path = guests.write_device(hostdev(EDU))
    ports = daemon.virsh("dumpxml", "d1").count("model='pcie-root-port'")
    first = None
    for n in range(1, rounds + 2):
        daemon.virsh("attach-device", "d1", path, "--live")
        guests.wait_for(lambda: g.serial().count("guest: hotplug result ok") == n, 60)
        assert world.driver(EDU) == "vfio-pci"
        daemon.virsh("detach-device", "d1", path, "--live")
        assert world.snapshot() == before, "round %d" % n
        if not first:       # what is made once and kept is no leak
            first = account(daemon, g)
    last = account(daemon, g)
    assert {k: v for k, v in last.items() if v > first[k]} == {}, (first, last)
    xml = daemon.virsh("dumpxml", "d1")
    assert xml.count("model='pcie-root-port'") == ports and "<hostdev" not in xml
    assert g.serial().count("dma=ok") == rounds + 1
    daemon.virsh("destroy", "d1")
    assert world.snapshot() == before
    print({"rounds": rounds, "first": first, "last": last})


# a monitor of the test's own, to see where the firmware put things
QUERY_PCI = """<qemu:commandline><qemu:arg value='-qmp'/>
<qemu:arg value='unix:/tmp/%s-qmp,server=on,wait=off'/></qemu:commandline>
"""
ASK = r"""
import json, socket
s = socket.socket(socket.AF_UNIX)
s.connect("/tmp/%s-qmp")
f = s.makefile("rw")
f.readline()
for command in ("qmp_capabilities", "query-pci"):
    f.write(json.dumps({"execute": command}) + "\n")
    f.flush()
    line = f.readline()
print(line)
"""


@pytest.fixture
def large_card(world):
    """A card with a BAR of 4 GiB, in the hotplug slot."""
    bus = int(world.read("/sys/bus/pci/devices/0000:00:0e.0/secondary_bus_number"))
    card = "0000:%02x:00.0" % bus
    world.lab.qmp("device_add", {"driver": "pci-testdev", "membar": 1 << 32, "id": "large",
                                 "bus": "hp1"})
    world.sh("for i in $(seq 300); do [ -e %s/%s/reset_method ] && exit; sleep 0.2; done; exit 1" % (
        "/sys/bus/pci/devices", card), timeout=90)
    yield card
    world.lab.qmp("device_del", id="large")
    world.sh("for i in $(seq 300); do [ -e %s/%s ] || exit 0; sleep 0.2; done; exit 1" % (
        "/sys/bus/pci/devices", card), timeout=90)
    while any(o["name"] == "large" for o in world.lab.qmp("qom-list", path="/machine/peripheral")):
        time.sleep(0.5)


def test_large_bars(world, daemon, guests, large_card):
    """A guest without it has ports where it fits; one with it has it where it belongs."""
    def bridges(name):
        r = daemon.python(ASK % name)
        assert r.status == 0, r.err
        found = [d for d in json.loads(r.out)["return"][0]["devices"] if "pci_bridge" in d]
        assert found
        return found

    def window(bridge):
        area = bridge["pci_bridge"]["bus"]["prefetchable_range"]
        return area["limit"] - area["base"] + 1

    before = world.snapshot()
    g = guests.define("d1", words="stay expect-none", more=QUERY_PCI % "d1")
    g.start()
    g.wait("guest: waiting")
    empty = [b for b in bridges("d1") if not b["pci_bridge"].get("devices")]
    assert len(empty) == 4 and all(window(b) >= 1 << 32 for b in empty), empty
    daemon.virsh("destroy", "d1")

    g = guests.define("d2", hostdev(large_card), words="stay expect-none", more=QUERY_PCI % "d2")
    g.start()
    g.wait("guest: waiting")
    own, = [b for b in bridges("d2") if b["pci_bridge"].get("devices")]
    bar, = [r for r in own["pci_bridge"]["devices"][0]["regions"] if r["size"] == 1 << 32]
    assert bar["address"] >= 1 << 32 and bar["mem_type_64"] and window(own) >= 1 << 32
    daemon.virsh("destroy", "d2")
    assert world.snapshot() == before

    # what 32 bits can say is used up by memory and what lies below 4 GiB
    few = "<cpu><maxphysaddr mode='emulate' bits='32'/></cpu>"
    path = guests.write_xml("d3", hostdev(large_card))
    daemon.sh("sed -i \"s,<cpu mode.*</cpu>,%s,\" %s" % (few.replace("'", "\\\"") , path))
    daemon.virsh("define", path)
    words = daemon.virsh_fails("start", "d3")
    assert "4 GiB of address space" in words and "32 address bits" in words, words
    assert world.snapshot() == before


def at(function, more=""):
    return "<address type='pci' domain='0' bus='1' slot='0' function='%d'%s/>" % (function, more)


@pytest.fixture
def display(world):
    """The display controller without the host's text console on it: what a refusal says to do."""
    world.sh("echo 0 >/sys/class/vtconsole/vtcon1/bind")
    yield GPU
    world.sh("udevadm settle -t 20; ! [ -e /sys/class/vtconsole/vtcon1 ] || "
             "echo 1 >/sys/class/vtconsole/vtcon1/bind")


def test_two_functions_of_one_card(world, daemon, guests, display):
    """A display controller and its audio function: together, as one card of the guest's too."""
    before = world.snapshot()
    for guest, one, other in (("d1", GPU, AUDIO), ("d2", AUDIO, GPU)):
        guests.define(guest, hostdev(one))
        words = daemon.virsh_fails("start", guest)
        assert one in words and other in words and "group" in words, words
        assert world.snapshot() == before
    g = guests.define("d3", hostdev(GPU, guest=at(0, " multifunction='on'")) +
                      hostdev(AUDIO, guest=at(1)), words="stay expect-none")
    g.start()
    g.wait("guest: waiting")
    # 1234:1111 is bochs-display, 8086:293e Intel's HD audio
    for function, ids in enumerate(("1234:1111", "8086:293e")):
        assert "guest: pci 0000:01:00.%d %s" % (function, ids) in g.serial(), g.serial()
    assert world.driver(GPU) == world.driver(AUDIO) == "vfio-pci"
    daemon.virsh("destroy", "d3")
    assert world.snapshot() == before


@pytest.fixture
def vfs(world):
    """The NIC's seven virtual functions, without drivers; its interface's name on the host."""
    at_pf = "/sys/bus/pci/devices/" + IGB
    world.sh("echo 0 >%s/sriov_drivers_autoprobe; echo 7 >%s/sriov_numvfs" % (at_pf, at_pf))
    try:
        found = world.sh("for i in 0 1 2 3 4 5 6; do basename $(readlink %s/virtfn$i); done"
                         % at_pf).split()
        yield found, world.sh("ls %s/net" % at_pf).strip()
    finally:
        world.sh("echo 0 >%s/sriov_numvfs; echo 1 >%s/sriov_drivers_autoprobe" % (at_pf, at_pf))


VF_ADDRESS = "52:54:00:1a:b0:f0"


def test_traffic_of_a_virtual_function(world, daemon, guests, vfs, lab_machine):
    """A guest drives a VF, asks the host's driver of the PF by mailbox, and answers the host's
    frames. The address is what the host gave the VF."""
    (vf, *_), interface = vfs
    world.sh("ip link set %s vf 0 mac %s && ip link set %s up" % (interface, VF_ADDRESS, interface))
    try:
        before = world.snapshot()
        g = guests.define("d1", hostdev(vf), words="vf-echo=20")
        g.start()
        g.wait("mailbox=ok mac=" + VF_ADDRESS)
        script = lab_machine.push(os.path.join(HERE, "vf_traffic.py"))
        r = daemon.sh("%s %s %s 20" % (script, interface, VF_ADDRESS), check=False)
        assert r.status == 0 and json.loads(r.out)["answered"] == 20, (r.out, r.err, g.serial())
        g.wait("guest: igbvf echoed=20")
        guests.wait_for(lambda: world.snapshot() == before)
    finally:
        world.sh("ip link set %s down; ip link set %s vf 0 mac 00:00:00:00:00:00"
                 % (interface, interface))


def test_sixteen_devices(world, daemon, guests, vfs, display):
    many = vfs[0] + [NVME, TWIN, EDU, LONE_NIC, display, AUDIO] + OTHERS
    assert len(many) == 16
    before = world.snapshot()
    g = guests.define("d1", "".join(map(hostdev, many)), words="stay")
    g.start()
    g.wait("guest: waiting", 120)
    output = g.serial()
    assert "guest: all ok" in output
    for kind, count in (("nvme", 2), ("edu", 2), ("igbvf", 7), ("e1000e", 3)):
        assert len(re.findall("^guest: %s 0000:" % kind, output, re.M)) == count, (kind, output)
    assert {world.driver(d) for d in many} == {"vfio-pci"}
    assert len(re.findall("<hostdev ", daemon.virsh("dumpxml", "d1"))) == 16
    daemon.virsh("destroy", "d1")
    assert world.snapshot() == before
