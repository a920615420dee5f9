# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a guest's QEMU may reach, enforced by the kernel: device nodes by its control group, where
systemd runs the host, and files by its AppArmor profile."""

import pytest

from virsh_guests import Guest, daemon, guests, hostdev     # noqa: F401
from zoo_names import EDU, NVME, TWIN

pytestmark = pytest.mark.only("lab", "guests need a real kernel, and QEMU")

def define_edited(guests, name, devices, words, edits):
    """A guest whose XML has other text in the places of some."""
    path = guests.write_xml(name, devices, words=words)
    text = guests.daemon.sh("cat " + path).out
    for old, new in edits.items():
        text = text.replace(old, new)
    guests.daemon.sh("cat >%s <<'END'\n%s\nEND" % (path, text))
    guests.daemon.virsh("define", path)
    return Guest(guests, name)


# ---- systemd -------------------------------------------------------------------------------------

# A host that systemd runs, as far as passthrud sees. The lab's process 1 is another, and from within a
# process namespace passthrud lends nothing; so it is a manager of root's own, in a control group of
# its own and with no units but its own, that listens where process 1 would.
GROUP = "/sys/fs/cgroup/inside"
SYSTEMD = r"""
set -e
mkdir -p %(group)s /run/inside /run/systemd/system /tmp/inside-units
echo "+cpu +memory +pids" >/sys/fs/cgroup/cgroup.subtree_control
printf '[Unit]\nDefaultDependencies=no\n' >/tmp/inside-units/inside.target
(
    echo 0 >%(group)s/cgroup.procs
    exec env -i XDG_RUNTIME_DIR=/run/inside HOME=/run/inside SYSTEMD_UNIT_PATH=/tmp/inside-units \
        /lib/systemd/systemd --user --unit=inside.target --log-target=console
) >/tmp/inside.log 2>&1 </dev/null &
echo $! >/tmp/inside.pid
for i in $(seq 600); do
    if [ -S /run/inside/systemd/private ]; then
        exec ln -sfn /run/inside/systemd/private /run/systemd/private
    fi
    kill -0 $! || break
    sleep 0.1
done
cat /tmp/inside.log >&2
exit 1
""" % {"group": GROUP}

STOP = r"""
kill -9 $(cat /tmp/inside.pid)
for i in $(seq 100); do [ -e /proc/$(cat /tmp/inside.pid) ] || break; sleep 0.1; done
find %s -depth -type d -exec rmdir {} +
gone=$?
rm -rf /run/inside /run/systemd/private /run/systemd/system
exit $gone
""" % GROUP


@pytest.fixture
def systemd(world, lab_machine):
    try:
        r = lab_machine.run(SYSTEMD, timeout=90)
        assert r.status == 0, r.err
        yield
    finally:
        r = lab_machine.run(STOP, timeout=60)
    assert r.status == 0, r.err


# In the guest's own control group, and root: only the group's policy can refuse it.
OPEN = r"""
echo $$ >%s/cgroup.procs || exit 9
/usr/bin/python3 -S -E - %s <<'END'
import os, sys
for path in sys.argv[1:]:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
        print("open")
    except OSError as e:
        print(e.strerror)
END
"""


LIMITS = ("<memtune><hard_limit unit=\"MiB\">700</hard_limit><swap_hard_limit unit=\"MiB\">800"
          "</swap_hard_limit></memtune>")
SHARES = "<cputune><shares>300</shares></cputune>"


def group_node(world, address):
    return "/dev/vfio/" + world.sh(
        "basename $(readlink /sys/bus/pci/devices/%s/iommu_group)" % address).strip()


def test_nodes_in_a_scope(world, daemon, guests, systemd):
    """Only its own nodes can be opened in its scope, by whomever; what is plugged in counts from
    before QEMU opens it until it is out."""
    before = world.snapshot()
    g = define_edited(guests, "s1", hostdev(NVME), "stay",
                      {"<vcpu>": LIMITS + "<vcpu>", "<features>": SHARES + "<features>"})
    g.start()
    g.wait("guest: waiting")
    pid = g.pid()
    at = "/sys/fs/cgroup" + daemon.sh("cut -d: -f3 /proc/%d/cgroup" % pid).out.strip()
    assert at == GROUP + "/machine.slice/passthru-guest-%d.scope" % pid
    assert daemon.sh("cat %s/memory.max %s/memory.swap.max %s/cpu.weight" % (at, at, at)).out.split() \
        == [str(700 << 20), str(100 << 20), "300"]

    def nodes():
        """What comes of opening the group's nodes, and some others, in its control group."""
        paths = [group_node(world, NVME), group_node(world, EDU), "/dev/kmsg", "/dev/null"]
        return daemon.sh(OPEN % (at, " ".join(paths))).out.splitlines()

    denied, busy = "Operation not permitted", "Device or resource busy"
    world.passthru("detach", EDU).ok()
    assert nodes() == [busy, denied, denied, "open"]
    world.passthru("reattach", EDU).ok()
    path = guests.write_device(hostdev(EDU))
    daemon.virsh("attach-device", "s1", path, "--live")
    g.wait("guest: hotplug result ok")
    assert nodes() == [busy, busy, denied, "open"]
    daemon.virsh("detach-device", "s1", path, "--live")
    world.passthru("detach", EDU).ok()
    assert nodes() == [busy, denied, denied, "open"]
    world.passthru("reattach", EDU).ok()
    daemon.virsh("destroy", "s1")
    guests.wait_for(lambda: daemon.sh("test -e %s" % at, check=False).status != 0)
    assert world.snapshot() == before


# ---- AppArmor ------------------------------------------------------------------------------------

PROFILES = "/sys/kernel/security/apparmor/profiles"

# What QEMU itself is told to open, as a guest that has taken it over would: "" when it did.
QMP = r"""
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect("/run/passthru/guests/%s.d/qmp" % sys.argv[1])
f = s.makefile("rw")
def call(command, **arguments):
    f.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
    f.flush()
    while True:
        answer = json.loads(f.readline())
        if "return" in answer or "error" in answer:
            return answer.get("error", {"desc": ""})["desc"]
f.readline()
call("qmp_capabilities")
for path in sys.argv[2:]:
    print(call("chardev-add", id="x", backend={"type": "file", "data": {"out": path, "append": True}}))
    call("chardev-remove", id="x")
"""

MONITOR = ("<qemu:commandline><qemu:arg value=\"-qmp\"/>"
           "<qemu:arg value=\"unix:/run/passthru/guests/%s.d/qmp,server=on,wait=off\"/>"
           "</qemu:commandline>")


def define_with_monitor(guests, name, devices, more=""):
    return define_edited(guests, name, devices, "stay expect-none",
                         {"</domain>": more + MONITOR % name + "</domain>"})


def opened(daemon, name, *paths):
    """What QEMU says of opening these; they are made so that its user may."""
    daemon.sh("chmod 666 " + " ".join(paths))
    return daemon.sh("/usr/bin/python3 -S -E - %s %s <<'END'\n%s\nEND" %
                     (name, " ".join(paths), QMP)).out.splitlines()


def denied(path):
    return "Failed to add chardev 'x': Could not open '%s': Permission denied" % path


# A name in which all that means something in a profile is to be taken as it stands.
ODD = r"/tmp/an [odd] {na,me}^*?\.img"
ODD_DISK = ("<disk type='file'><driver name='qemu' type='raw'/><source file='%s'/><target dev='vda' "
            "bus='virtio'/></disk>" % ODD)


def test_profile_of_its_own(world, daemon, guests):
    """QEMU opens what its definition names and what is plugged in, and not what anybody else may."""
    before = world.snapshot()
    outside, inside = "/tmp/outside", "/run/passthru/guests/a1.d/own"
    daemon.sh("echo secret >%s; truncate -s 4096 '%s'" % (outside, ODD))
    g = define_with_monitor(guests, "a1", hostdev(NVME) + ODD_DISK)
    g.start()
    g.wait("guest: waiting")
    daemon.sh("touch " + inside)
    label = "passthru-" + daemon.virsh("domuuid", "a1").strip()
    assert daemon.sh("cat /proc/%d/attr/current" % g.pid()).out.strip() == label + " (enforce)"
    xml = daemon.virsh("dumpxml", "a1")
    assert "<seclabel type='dynamic' model='apparmor' relabel='yes'>" in xml
    assert "<label>%s</label>" % label in xml
    assert "seclabel" not in daemon.virsh("dumpxml", "a1", "--inactive")
    info = daemon.virsh("dominfo", "a1").split("\n")
    assert "Security model: apparmor" in info and "Security DOI:   0" in info
    assert "Security label: %s (enforcing)" % label in info
    assert "<model>apparmor</model>" in daemon.virsh("capabilities")
    # others' devices, by the modes of their nodes for everybody
    world.passthru("detach", TWIN).ok()
    other, plugged = group_node(world, TWIN), group_node(world, EDU)
    assert opened(daemon, "a1", inside, outside, other) == ["", denied(outside), denied(other)]
    assert 'name="%s"' % outside in daemon.sh("dmesg | grep 'apparmor=\"DENIED\"' | tail -5").out
    path = guests.write_device(hostdev(EDU))
    daemon.virsh("attach-device", "a1", path, "--live")
    g.wait("guest: hotplug result ok")
    daemon.virsh("detach-device", "a1", path, "--live")
    world.passthru("detach", EDU).ok()
    assert opened(daemon, "a1", plugged, outside) == [denied(plugged), denied(outside)]
    world.passthru("reattach", EDU).ok()
    daemon.virsh("destroy", "a1")
    assert label not in daemon.sh("cat " + PROFILES).out
    # without a label, and with the host's files, its user's rights alone count: so the profile denied
    daemon.stop()
    daemon.start("--host-files")
    g = define_with_monitor(guests, "a2", hostdev(NVME), "<seclabel type=\"none\"/>")
    g.start()
    assert opened(daemon, "a2", outside, other) == ["", ""]
    daemon.virsh("destroy", "a2")
    daemon.stop()
    daemon.start()
    world.passthru("reattach", TWIN).ok()
    assert world.snapshot() == before


def test_profile_of_a_guest_that_ended_unseen(daemon, guests):
    """Its profile goes with what it had, whichever daemon sees that it has ended."""
    g = guests.define("a3", words="stay expect-none")
    g.start()
    g.wait("guest: waiting")
    label = "passthru-" + daemon.virsh("domuuid", "a3").strip()
    assert label in daemon.sh("cat " + PROFILES).out
    pid = g.pid()
    daemon.stop()
    daemon.sh("kill -9 %d" % pid)
    daemon.start()
    guests.wait_for(lambda: label not in daemon.sh("cat " + PROFILES).out)
    assert daemon.sh("ls /run/passthru/guests/a3*", check=False).out == ""
