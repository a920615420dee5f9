# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a guest's QEMU may reach, enforced by the kernel."""

import pytest

from virsh_guests import Guest, daemon, guests, hostdev     # noqa: F401
from zoo_names import EDU, NVME

pytestmark = pytest.mark.only("lab", "guests need a real kernel, and QEMU")

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
    [ -S /run/inside/systemd/private ] && ln -sfn /run/inside/systemd/private /run/systemd/private && exit
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
rm -rf /run/inside /run/systemd/private /run/systemd/system
""" % GROUP


@pytest.fixture
def systemd(world, lab_machine):
    r = lab_machine.run(SYSTEMD, timeout=90)
    assert r.status == 0, r.err
    yield
    assert lab_machine.run(STOP, timeout=60).status == 0


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
    path = guests.write_xml("s1", hostdev(NVME), words="stay")
    daemon.sh("sed -i 's,<vcpu>,%s&,; s,<features>,%s&,' %s" % (LIMITS, SHARES, path))
    daemon.virsh("define", path)
    g = Guest(guests, "s1")
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
