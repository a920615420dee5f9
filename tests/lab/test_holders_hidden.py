# SPDX-License-Identifier: LGPL-2.1-or-later
"""Users of a device that no mount, node or descriptor of this process shows, on a real kernel."""

import os

import pytest

import worlds
from holders_host import DUMP, E1000E, Host, NVME, need, only

pytestmark = pytest.mark.only("lab", "filesystems, interfaces and processes are real here")


@pytest.fixture(scope="module")
def host(lab_machine):
    lab_machine.push(DUMP)
    h = Host(lab_machine)
    with h.clean(NVME, E1000E):
        pass
    return h


def test_unmounted_lazily(host):
    """Of minix, as of vfat and others, the kernel doesn't tell that it is mounted."""
    need("mkfs.minix")
    disk = host.disk(NVME)
    with host.clean(NVME):
        host.sh("mkfs.minix /dev/%s >/dev/null && udevadm settle && mkdir -p /mnt/lazy && "
                "mount /dev/%s /mnt/lazy && echo >/mnt/lazy/file" % (disk, disk))
        with host.process("sleep 1000 </mnt/lazy/file", "ls -l /proc/$PID/fd | grep -q lazy") as pid:
            host.sh("umount -l /mnt/lazy")
            only(host.holders(NVME), "filesystem",
                 "a filesystem without a mount point, used by sleep (pid %s)" % pid, disk,
                 "kill " + pid)


def test_mounted_in_a_namespace_without_processes(host):
    need("mkfs.minix")
    disk = host.disk(NVME)
    do = """mkfs.minix /dev/%s >/dev/null && udevadm settle
        mkdir -p /run/kept /mnt/kept && mount --bind /run/kept /run/kept && mount --make-private /run/kept
        touch /run/kept/ns && unshare --mount=/run/kept/ns mount /dev/%s /mnt/kept""" % (disk, disk)
    with host.clean(NVME):
        with host.done(do, "umount /run/kept/ns; umount /run/kept; wipefs -aq /dev/%s" % disk):
            assert "/mnt/kept" not in host.sh("cat /proc/[0-9]*/mountinfo")
            assert host.holders(NVME, complete=False) == []


@pytest.mark.parametrize("covered", ["/sys/class", "/sys/class/block", "/sys/fs"])
def test_covered_sysfs(host, lab_machine, covered):
    """What something else is mounted over can't be seen, and a mounted disk isn't taken for free."""
    disk = host.disk(NVME)
    with host.clean(NVME):
        with host.done("mkfs.ext4 -qF /dev/%s && mkdir -p /mnt/covered && mount /dev/%s /mnt/covered"
                       % (disk, disk), "umount /mnt/covered"):
            r = lab_machine.run("unshare -m sh -c 'mount -t tmpfs none %s && exec /lab/bin/passthru plan "
                                "detach %s'" % (covered, NVME), env=worlds.IN_LAB)
            assert r.status == 15 and covered in r.out + r.err, r.out + r.err


def test_exported_as_a_controller(host):
    """nvmet's passthru has the controller by its char node, and no namespace of its own."""
    node = host.sh("ls /sys/bus/pci/devices/%s/nvme" % NVME)
    part = "/sys/kernel/config/nvmet/subsystems/labnqn/passthru"
    do = """modprobe nvmet && { mountpoint -q /sys/kernel/config || mount -t configfs configfs \
        /sys/kernel/config; } && mkdir -p %s && printf /dev/%s >%s/device_path && echo 1 >%s/enable
        """ % (os.path.dirname(part), node, part, part)
    undo = "echo 0 >%s/enable; rmdir %s" % (part, os.path.dirname(part))
    with host.clean(NVME):
        with host.done(do, undo):
            holder = only(host.holders(NVME), "storage", "NVMe target labnqn, the whole controller",
                          "/dev/" + node)
            host.sh(holder.advice)
            assert host.holders(NVME) == []


THREAD = """
import ctypes, os, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def own_table():
    assert libc.unshare(0x400) == 0
    os.open(sys.argv[1], os.O_RDONLY)
    time.sleep(1000)
threading.Thread(target=own_table).start()
time.sleep(1000)
"""

RING = """
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
ring = libc.syscall(425, 8, ctypes.create_string_buffer(120))
fd = os.open(sys.argv[1], os.O_RDONLY)
assert ring >= 0 and libc.syscall(427, ring, 2, ctypes.byref(ctypes.c_int(fd)), 1) == 0
os.close(fd)
time.sleep(1000)
"""


@pytest.mark.parametrize("program,ready", [
    (THREAD, "ls -l /proc/$PID/task/*/fd | grep -q ' %s$'"),
    (RING, "grep -q UserFiles:.1 /proc/$PID/fdinfo/*")], ids=["thread", "io_uring"])
def test_open_in_another_table(host, program, ready):
    """A node that is open in no table of /proc/PID/fd."""
    node = "/dev/" + host.disk(NVME)
    host.sh("cat >/tmp/table.py <<'END'%sEND" % program)
    with host.clean(NVME):
        with host.process("python3 /tmp/table.py " + node,
                          ready % node if "%" in ready else ready) as pid:
            # until the descriptor that was registered is closed, it is there as well
            host.sh("for try in $(seq 100); do ls -l /proc/%s/fd | grep -q ' %s$' || exit 0; "
                    "sleep 0.1; done; exit 1" % (pid, node))
            only(host.holders(NVME), "process", "python3 (pid %s)" % pid, host.disk(NVME),
                 "kill " + pid)


MAP = """
import mmap, os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
if sys.argv[2] == "mapped":
    bar = mmap.mmap(fd, 4096)
    os.close(fd)
time.sleep(1000)
"""


@pytest.mark.parametrize("how", ["open", "mapped"])
def test_bar(host, how):
    """A BAR that a process has through sysfs, without a driver and without a node."""
    name = "/sys/bus/pci/devices/%s" % E1000E
    host.sh("cat >/tmp/map.py <<'END'%sEND" % MAP)
    with host.clean(E1000E):
        with host.done("echo %s >%s/driver/unbind" % (E1000E, name),
                       "echo %s >/sys/bus/pci/drivers_probe; udevadm settle" % E1000E):
            assert host.holders(E1000E) == []
            with host.process("python3 /tmp/map.py %s/resource0 %s" % (name, how),
                              "ls -l /proc/$PID/fd | grep -q resource0" if how == "open" else
                              "grep -q resource0 /proc/$PID/maps") as pid:
                only(host.holders(E1000E), "process", "python3 (pid %s)" % pid,
                     "BAR 0 (resource0 in sysfs)", "kill " + pid)


PPPOE = """
import ctypes, socket, struct, sys, time
fd = ctypes.CDLL(None).socket(24, 1, 0)
address = struct.pack("=HIH6s16s", 24, 0, socket.htons(7), bytes.fromhex("525400000001"),
                      sys.argv[1].encode())
assert fd >= 0 and ctypes.CDLL(None).connect(fd, address, len(address)) == 0
time.sleep(1000)
"""


def test_pppoe(host):
    """The host's uplink by DSL: the interface has no address of its own."""
    name = host.interface(E1000E)
    if "no" in host.sh("modprobe -q pppoe || echo no"):
        pytest.skip("this kernel has no PPPoE")
    host.sh("cat >/tmp/pppoe.py <<'END'%sEND" % PPPOE)
    with host.clean(E1000E):
        with host.done("ip link set %s up" % name, "ip link set %s down" % name):
            with host.process("python3 /tmp/pppoe.py " + name, "grep -q %s /proc/net/pppoe" % name):
                only(host.holders(E1000E), "socket", "PPPoE session 7 with 52:54:00:00:00:01", name)


def test_other_network_namespace(host, lab_machine):
    """The caller's network namespace isn't the host's, as in a container: the host's facts count."""
    name = host.interface(E1000E)
    own = "unshare -n /lab/bin/passthru plan detach " + E1000E
    with host.clean(E1000E):
        with host.done("ip link set %s up && ip addr add 192.0.2.2/24 dev %s" % (name, name),
                       "ip addr flush %s; ip link set %s down" % (name, name)):
            r = lab_machine.run(own, env=worlds.IN_LAB)
            assert r.status == 15 and name + " (192.0.2.2" in r.out + r.err, r.out + r.err
            host.sh("ip addr flush " + name + "; ip addr add 198.51.100.7/32 dev " + name)
            # which interface has an address without a network is netlink's to tell
            r = lab_machine.run(own, env=worlds.IN_LAB)
            assert r.status == 15 and "nsenter --net=/proc/1/ns/net" in r.out + r.err, r.out + r.err
            r = lab_machine.run("unshare -n nsenter --net=/proc/1/ns/net /lab/bin/passthru plan detach "
                                + E1000E, env=worlds.IN_LAB)
            assert r.status == 15 and name + " (198.51.100.7" in r.out + r.err, r.out + r.err
