# SPDX-License-Identifier: LGPL-2.1-or-later
"""What guests have beside the host's PCI devices, on a real kernel: an emulated TPM, a tap on a
bridge, huge pages, processors of their own, and what a definition may say of devices."""

import json
import os
import re

import pytest

from virsh_guests import Guest, daemon, guests, hostdev     # noqa: F401
from zoo_names import EDU

pytestmark = pytest.mark.only("lab", "guests need a real kernel, and QEMU")

HERE = os.path.dirname(os.path.abspath(__file__))
TPM = """<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"""
STATE = "/var/lib/passthru/swtpm"


def state_file(daemon, name):     # noqa: F811
    return "%s/%s/tpm2-00.permall" % (STATE, daemon.virsh("domuuid", name).strip())


def record(daemon, name):     # noqa: F811
    return json.loads(daemon.sh("cat /run/passthru/guests/%s.json" % name).out)


def restart(daemon):     # noqa: F811
    daemon.sh("kill -9 $(cat /tmp/passthrud.pid); while kill -0 $(cat /tmp/passthrud.pid) "
              "2>/dev/null; do sleep 0.1; done")
    daemon.start()


def resets(guest):
    guest.wait("guest: all ok", seconds=120)
    return int(re.search(r"guest: tpm ok code=00000000 random=\w+ resets=(\d+)",
                         guest.serial())[1])


def test_an_emulated_tpm(world, daemon, guests):     # noqa: F811
    """Windows 11 wants one: it works, keeps its state, ends with its guest, and is missed."""
    before = world.snapshot()
    daemon.sh("rm -rf %s" % STATE)
    g = guests.define("d1", TPM + hostdev(EDU), words="tpm stay")
    daemon.sh("virsh dumpxml d1 >/tmp/d1.again.xml; mount --bind /dev/null /usr/bin/swtpm")
    words = daemon.virsh_fails("start", "d1")
    daemon.sh("umount /usr/bin/swtpm")
    assert "install the package swtpm" in words and world.snapshot() == before

    path = state_file(daemon, "d1")
    g.start()
    first = resets(g)
    tpm = record(daemon, "d1")["tpm"]["pid"]
    assert daemon.sh("cat /proc/%d/comm" % tpm).out.strip() == "swtpm"
    status = daemon.sh("cat /proc/%d/status" % tpm).out
    assert re.search(r"^Uid:\t%d\t" % g.uid(), status, re.M)
    assert re.search(r"^CapEff:\t0+$", status, re.M) and "NoNewPrivs:\t1" in status
    assert daemon.sh("stat -c '%%u %%a' %s" % path).out.split() == [str(g.uid()), "600"]
    # neither the daemon's end nor a new one is anything to it
    restart(daemon)
    guests.wait_for(lambda: "is still running" in daemon.sh("cat /tmp/passthrud.log").out)
    daemon.virsh("destroy", "d1")
    assert daemon.sh("kill -0 %d" % tpm, check=False).status != 0
    assert "mutually exclusive" in daemon.virsh_fails("undefine", "d1", "--tpm", "--keep-tpm")
    daemon.virsh("undefine", "d1", "--keep-tpm")

    # the same TPM when the guest is defined again; then it is killed, which is told
    daemon.virsh("define", "/tmp/d1.again.xml")
    g.start()
    assert resets(g) == first + 1
    daemon.sh("kill -9 %d" % record(daemon, "d1")["tpm"]["pid"])
    guests.wait_for(lambda: "its TPM has failed" in daemon.sh("cat /tmp/passthrud.log").out)
    assert daemon.virsh("domstate", "d1").strip() == "running"
    # undefined while it runs: what is kept goes when it ends
    daemon.virsh("undefine", "d1")
    assert world.exists(path)
    daemon.virsh("destroy", "d1")
    assert not world.exists(path) and world.snapshot() == before


NETWORK = """<network>
  <name>%s</name>
  <uuid>6b1a2c3d-0000-4000-8000-00000000%s</uuid>
  <forward mode='nat'/>
  <bridge name='%s' stp='on' delay='0'/>
  <ip address='10.99.0.1' netmask='255.255.255.0'/>
</network>
"""
MACS = ["52:54:00:77:01:0a", "52:54:00:77:01:0b"]
INTERFACE = "<interface type='%s'>%s<source %s/><model type='virtio'/></interface>"
QUEUES = "<driver queues='3'/>"


@pytest.fixture
def bridge(daemon):     # noqa: F811
    """br9, on which libvirt's network "lab" is; "down" is one that isn't active."""
    daemon.sh("modprobe -a tun vhost_net bridge; mkdir -p /etc/libvirt/qemu/networks; "
              "ip link add br9 type bridge && "
              "ip link set br9 up")
    for name, number, device in ("lab", "0009", "br9"), ("down", "000a", "virbr77"):
        daemon.sh("cat >/etc/libvirt/qemu/networks/%s.xml <<'END'\n%s\nEND"
                  % (name, NETWORK % (name, number, device)))
    yield "br9"
    daemon.sh("ip link del br9; rm -f /etc/libvirt/qemu/networks/lab.xml "
              "/etc/libvirt/qemu/networks/down.xml")


def nodes(daemon, guest, name):       # noqa: F811
    """QEMU's descriptors of a node."""
    return daemon.sh("ls -l /proc/%d/fd | grep -e '-> %s$'" % (guest.pid(), name)).out.splitlines()


def test_taps_on_a_bridge(world, daemon, guests, bridge, lab_machine):     # noqa: F811
    """By the bridge's name and by that of libvirt's network: frames go both ways, and the taps
    go with the guest."""
    script = lab_machine.push(os.path.join(HERE, "vf_traffic.py"))
    g = guests.define(
        "d1", INTERFACE % ("bridge", "<mac address='%s'/>" % MACS[0] + QUEUES, "bridge='br9'") +
        INTERFACE % ("network", "<mac address='%s'/>" % MACS[1], "network='lab'"),
        words="net-echo=5 expect-none")
    g.start()
    ports = {p["ifname"]: p["address"]
             for p in json.loads(daemon.sh("ip -j link show master br9").out)}
    assert sorted(ports.values()) == ["fe" + m[2:] for m in MACS], ports
    # this guest's driver uses one, and the others wait for a driver that does
    assert len(nodes(daemon, g, "/dev/net/tun")) == 4 and len(nodes(daemon, g, "/dev/vhost-net")) == 4
    live = daemon.virsh("dumpxml", "d1")
    assert "<source network='lab' bridge='br9'/>" in live
    assert all("<target dev='%s'/>" % name in live for name in ports)
    assert "<source network='lab'/>" in daemon.virsh("dumpxml", "d1", "--inactive")
    for mac in MACS:
        g.wait("start=ok mac=" + mac)
        r = daemon.sh("%s br9 %s 5" % (script, mac), check=False)
        assert r.status == 0 and json.loads(r.out)["answered"] == 5, (r.out, r.err, g.serial())
    guests.wait_for(lambda: daemon.virsh("domstate", "d1").strip() == "shut off")
    assert "guest: all ok" in g.serial()
    assert not daemon.sh("ip -j link show master br9 | grep ifname", check=False).out

    for network, words in ("none", "no network with matching name 'none'"), \
            ("down", "virsh -c network:///system net-start down"):
        guests.define("d2", INTERFACE % ("network", "", "network='%s'" % network))
        # without one of its own, it has one all the same
        assert re.search("<mac address='52:54:00:", daemon.virsh("dumpxml", "d2"))
        assert words in daemon.virsh_fails("start", "d2")
        daemon.virsh("undefine", "d2")


def macvtaps(daemon):       # noqa: F811
    return sorted(link["ifname"] for link in json.loads(daemon.sh("ip -j link show type macvtap").out or "[]") if link)


def test_macvtap(world, daemon, guests, lab_machine):       # noqa: F811
    """On an interface of the host: frames of others on its link go both ways; the macvtap goes with the guest, also
    when the daemon was killed before it."""
    script = lab_machine.push(os.path.join(HERE, "vf_traffic.py"))
    direct = INTERFACE % ("direct", "<mac address='%s'/>" % MACS[0] + QUEUES, "dev='vt0' mode='%s'")
    daemon.sh("modprobe -a macvtap vhost_net; ip link add vt0 type veth peer name vt1; ip link set vt1 up")
    try:
        before = world.snapshot()
        g = guests.define("d1", direct % "bridge", words="net-echo=5 stay expect-none")
        assert "vt0 is down" in daemon.virsh_fails("start", "d1") and macvtaps(daemon) == []
        daemon.sh("ip link set vt0 up")
        g.start()
        g.wait("start=ok mac=" + MACS[0])
        link = json.loads(daemon.sh("ip -d -j link show type macvtap").out)[0]
        assert len(nodes(daemon, g, "/dev/tap%d" % link["ifindex"])) == 3
        assert link["address"] == MACS[0] and link["linkinfo"]["info_data"]["mode"] == "bridge", link
        assert "<target dev='%s'/>" % link["ifname"] in daemon.virsh("dumpxml", "d1")
        assert "<target dev" not in daemon.virsh("dumpxml", "d1", "--inactive")
        assert link["ifname"] in daemon.virsh("domiflist", "d1")
        r = daemon.sh("%s vt1 %s 5" % (script, MACS[0]), check=False)
        assert r.status == 0 and json.loads(r.out)["answered"] == 5, (r.out, r.err, g.serial())
        # another guest by the same address on the same link
        guests.define("d2", direct % "private")
        assert "has the guest's MAC address already" in daemon.virsh_fails("start", "d2")
        assert macvtaps(daemon) == [link["ifname"]]
        # a daemon that dies, and with it what it had begun
        daemon.sh("pkill -KILL passthrud; ip link add link vt0 name passthru77 type macvtap")
        daemon.start()
        guests.wait_for(lambda: macvtaps(daemon) == [link["ifname"]])
        daemon.virsh("destroy", "d1")
        assert macvtaps(daemon) == [] and world.snapshot() == before
        g.start()
        daemon.sh("pkill -KILL passthrud; kill -KILL %d" % g.pid())
        daemon.start()
        guests.wait_for(lambda: macvtaps(daemon) == [])
        daemon.sh("ip link set vt0 down; ip link del vt0")
        assert "No such device" in daemon.virsh_fails("start", "d1")
    finally:
        daemon.sh("ip link del vt0", check=False)


def test_udev_is_slow(world, daemon, guests, bridge):     # noqa: F811
    """A tap gets its address when udev is through with it: until then udev may give it another one,
    and with that the bridge."""
    guests.define("d1", INTERFACE % ("bridge", "<mac address='%s'/>" % MACS[0], "bridge='br9'"), words="stay")
    daemon.sh("udevadm settle; udevadm control --stop-exec-queue")
    try:
        daemon.sh("(virsh start d1; echo $? >/tmp/d1.started) >/dev/null 2>&1 & "
                  "until ls -d /sys/class/net/vnet*; do sleep 0.1; done; sleep 0.5")
        ports = daemon.sh("ip -j link show master br9").out
    finally:
        daemon.sh("udevadm control --start-exec-queue")
    assert json.loads(ports or "[]") == []
    guests.wait_for(lambda: daemon.sh("cat /tmp/d1.started", check=False).out == "0\n")
    [port] = json.loads(daemon.sh("udevadm settle; ip -j link show master br9").out)
    assert port["address"] == "fe" + MACS[0][2:]


def define_with(guests, name, above, devices="", words=""):     # noqa: F811
    """A guest with more in its definition than devices."""
    path = guests.write_xml(name, devices, words)
    guests.daemon.sh("sed -i \"s|^  <devices>|%s<devices>|\" %s" % (above.replace("\n", ""), path))
    guests.daemon.virsh("define", path)
    return Guest(guests, name)


def test_ends(world, daemon, guests):     # noqa: F811
    """What a definition says of a panic, a shutdown and a reset is what comes of them."""
    panics = define_with(guests, "d1", "<on_crash>restart</on_crash>", "<panic model='isa'/>",
                         words="tpm")           # there is none, so it panics
    goes_off = define_with(guests, "d2", "<on_poweroff>restart</on_poweroff>", words="expect-none")
    resets_itself = define_with(guests, "d3", "<on_reboot>destroy</on_reboot>",
                                words="reboot expect-none")
    for g in panics, goes_off, resets_itself:
        g.start()
    pids = [g.pid() for g in (panics, goes_off)]
    for g, pid in zip((panics, goes_off), pids):
        guests.wait_for(lambda g=g: g.serial().count("guest: start") > 1, seconds=90)
        assert g.pid() == pid and daemon.virsh("domstate", g.name).strip() != "shut off"
        daemon.virsh("destroy", g.name)
    guests.wait_for(lambda: daemon.virsh("domstate", "d3").strip() == "shut off")
    assert resets_itself.serial().count("guest: start") == 1
    for words in "<on_crash>coredump-restart</on_crash>", "<on_reboot>preserve</on_reboot>":
        path = guests.write_xml("d4")
        daemon.sh("sed -i \"s|^  <devices>|%s<devices>|\" %s" % (words, path))
        assert "isn't supported" in daemon.virsh_fails("define", path)


ABOVE = """<memoryBacking><hugepages><page size='2' unit='M'/></hugepages><locked/></memoryBacking>
<cputune><vcpupin vcpu='0' cpuset='1'/><emulatorpin cpuset='0'/></cputune>
<numatune><memory mode='strict' nodeset='0'/></numatune>"""
DEVICES = """<disk type='file'><driver type='raw'/><source file='/tmp/hw/a'/>
<target dev='sda' bus='sata'/></disk>
<disk type='file'><driver type='raw'/><source file='/tmp/hw/b'/>
<target dev='sdb' bus='scsi'/></disk>
<graphics type='vnc' autoport='yes'/><graphics type='spice' autoport='yes'/>
<video><model type='virtio'/></video><input type='tablet' bus='usb'/>
<shmem name='hw-glass'><model type='ivshmem-plain'/><size unit='M'>1</size></shmem>
<watchdog model='i6300esb' action='none'/>
<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"""
# what the guest finds on its bus of these: video, shmem, watchdog, random numbers, scsi, usb, sata
IDS = ["1af4:1050", "1af4:1110", "8086:25ab", "1af4:1044", "1af4:1048", "1b36:000d", "8086:2922"]
PAGES = "/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages"
GREETING = """import re, socket, sys
for port, said in (int(sys.argv[1]), b"RFB 003.008"), (int(sys.argv[2]), b""):
    s = socket.create_connection(("127.0.0.1", port), 20)
    assert s.recv(11) == said if said else True
"""


def allowed(status):
    """Which processors a thread may run on, by its name."""
    return re.search(r"^Cpus_allowed_list:\t(.*)$", status, re.M)[1]


def test_what_a_definition_may_have(world, daemon, guests):     # noqa: F811
    """All of it beside a device of the host's with a ROM file: it starts, is where it was put,
    and the guest finds it."""
    before = world.snapshot()
    daemon.sh("mkdir -p /tmp/hw; truncate -s 1M /tmp/hw/a /tmp/hw/b; head -c 65536 /dev/zero "
              ">/tmp/hw/rom; chmod 644 /tmp/hw/rom; echo 8 >%s" % PAGES)
    card = hostdev(EDU, guest="<rom file='/tmp/hw/rom'/>")
    g = define_with(guests, "d1", ABOVE, DEVICES + card, words="stay")
    words = daemon.virsh_fails("start", "d1")
    assert "needs 32 pages of 2048 KiB, but only 8 are free on nodes 0" in words, words
    assert world.snapshot() == before
    daemon.sh("echo 40 >%s" % PAGES)
    try:
        g.start()
        g.wait("guest: all ok", seconds=120)
        assert all(i in g.serial() for i in IDS), g.serial()
        pid = g.pid()
        status = daemon.sh("cat /proc/%d/status" % pid).out
        assert re.search(r"^HugetlbPages:\s+65536 kB$", status, re.M), status
        assert re.search(r"^VmLck:\s+[1-9]", status, re.M), status
        tasks = daemon.sh("cat /proc/%d/task/*/status" % pid).out.split("Name:\t")[1:]
        for task in tasks:
            wanted = "1" if task.startswith("CPU 0") else "0"
            assert allowed(task) == wanted, task
        live = daemon.virsh("dumpxml", "d1")
        ports = [re.search(r"<graphics type='%s'[^>]* port='(\d+)'" % kind, live)[1]
                 for kind in ("vnc", "spice")]
        daemon.sh("/usr/bin/python3 - %s <<'END'\n%s\nEND" % (" ".join(ports), GREETING))
        assert '"romfile":"/tmp/hw/rom"' in daemon.sh("tr '\\0' ' ' </proc/%d/cmdline" % pid).out
        daemon.virsh("destroy", "d1")
        assert world.snapshot() == before
    finally:
        daemon.sh("echo 0 >%s; rm -rf /tmp/hw /dev/shm/hw-glass" % PAGES)
