# SPDX-License-Identifier: LGPL-2.1-or-later
"""What hangs on a device, on a real kernel: each way a host can use one, found while it
lasts, and nothing found once it is over."""

import os
import re

import pytest

import worlds
from holders_host import (
    AUDIO, BRIDGED, DUMP, E1000E, GPU, Holder, Host, IGB, NVME, NVME_TWIN, USB, need, only)

pytestmark = pytest.mark.only("lab", "filesystems, interfaces and processes are real here")


@pytest.fixture(scope="module")
def host(lab_machine):
    lab_machine.push(DUMP)
    h = Host(lab_machine)
    with h.clean(NVME, NVME_TWIN, IGB, E1000E, AUDIO, USB, BRIDGED):
        pass
    return h


# ---- disks ----

def test_mounted_disk(host, lab_machine):
    disk = host.disk(NVME)
    with host.clean(NVME):
        with host.done("mkfs.ext4 -qF /dev/%s && mkdir -p '/mnt/my disk' && "
                       "mount /dev/%s '/mnt/my disk' && echo kept >'/mnt/my disk/file'"
                       % (disk, disk), "umount '/mnt/my disk'"):
            holder = only(host.holders(NVME), "filesystem", "/mnt/my disk", disk,
                          "umount '/mnt/my disk'")
            r = lab_machine.run(["/lab/bin/passthru", "detach", NVME], env=worlds.IN_LAB)
            assert r.status == 15, r.out + r.err
            assert "/mnt/my disk" in r.err and holder.advice in r.err
            assert host.sh("sync; cat '/mnt/my disk/file'") == "kept"
            # the advice works as it stands
            host.sh(holder.advice)
            assert host.holders(NVME) == []


def test_mounted_in_another_namespace(host):
    disk = host.disk(NVME)
    mount = "mkdir -p /mnt/far && mount /dev/%s /mnt/far && exec sleep 1000" % disk
    with host.clean(NVME):
        host.sh("mkfs.ext4 -qF /dev/%s" % disk)
        with host.process("unshare -m sh -c %s" % worlds.shlex.quote(mount),
                          "grep -q /mnt/far /proc/$PID/mountinfo") as pid:
            assert "/mnt/far" not in host.sh("cat /proc/1/mountinfo")
            only(host.holders(NVME), "filesystem",
                 "/mnt/far (in the mount namespace of sleep, pid %s)" % pid, disk,
                 "nsenter -t %s -m umount /mnt/far" % pid)


def partition(disk, size):
    """A script that makes two partitions of SIZE MiB each."""
    return ("parted -s /dev/%s mklabel gpt mkpart a 1MiB %dMiB mkpart b %dMiB %dMiB\n"
            "udevadm settle\n" % (disk, 1 + size, 1 + size, 1 + 2 * size))


def test_lvm_and_swap_on_partitions(host):
    need("lvm")
    need("parted")
    disk = host.disk(NVME)
    undo = ("swapoff -a; umount /mnt/lv; vgchange -qq -an labvg; vgremove -qq -f labvg; "
            "pvremove -qq -f /dev/%sp1; wipefs -qa /dev/%sp1 /dev/%sp2 /dev/%s; partx -d /dev/%s"
            % ((disk,) * 5))
    with host.clean(NVME):
        with host.done(partition(disk, 64) + """
                pvcreate -qq -f /dev/{0}p1 && vgcreate -qq labvg /dev/{0}p1
                lvcreate -qq -an -Zn -L 32M -n my-root labvg && vgchange -qq -ay labvg
                mkswap -q /dev/{0}p2 && swapon /dev/{0}p2""".format(disk), undo):
            dm = host.sh("basename $(readlink -f /dev/mapper/labvg-my--root)")
            label = "%s (labvg-my--root)" % dm
            swap = Holder("swap", "/dev/%sp2" % disk, disk + "p2", "0", "swapoff /dev/%sp2" % disk)
            assert host.holders(NVME) == [
                swap, Holder("storage", label, disk + "p1", "0", "vgchange -an labvg")]
            host.sh("mkfs.ext4 -qF /dev/labvg/my-root && mkdir -p /mnt/lv && "
                    "mount /dev/labvg/my-root /mnt/lv")
            through = "%sp1 > %s" % (disk, label)
            assert host.holders(NVME) == [
                Holder("filesystem", "/mnt/lv", through, "0", "umount /mnt/lv"), swap]
            # what each advice says, from the top down, frees the device
            host.sh("umount /mnt/lv && swapoff /dev/%sp2 && vgchange -qq -an labvg" % disk)
            assert host.holders(NVME) == []


def test_raid_and_crypt(host):
    need("mdadm")
    need("cryptsetup")
    disk, twin = host.disk(NVME), host.disk(NVME_TWIN)
    undo = ("umount /mnt/safe; cryptsetup close labsafe; mdadm -q --stop /dev/md77; "
            "mdadm -q --zero-superblock /dev/%s /dev/%s; wipefs -qa /dev/%s /dev/%s"
            % (disk, twin, disk, twin))
    with host.clean(NVME, NVME_TWIN):
        with host.done("mdadm -q --create /dev/md77 --run --level=1 --metadata=1.2 -n 2 "
                       "--assume-clean /dev/%s /dev/%s" % (disk, twin), undo):
            for address, member in ((NVME, disk), (NVME_TWIN, twin)):
                only(host.holders(address), "storage", "md77 (raid1)", member,
                     "mdadm --stop /dev/md77")
            host.sh("head -c 32 /dev/zero >/tmp/key; cryptsetup open -q --type plain "
                    "--cipher aes-xts-plain64 --key-size 256 --key-file /tmp/key "
                    "/dev/md77 labsafe")
            dm = host.sh("basename $(readlink -f /dev/mapper/labsafe)")
            only(host.holders(NVME), "storage", dm + " (labsafe)", disk + " > md77 (raid1)",
                 "cryptsetup close labsafe")
            host.sh("mkfs.ext4 -qF /dev/mapper/labsafe && mkdir -p /mnt/safe && "
                    "mount /dev/mapper/labsafe /mnt/safe")
            for address, member in ((NVME, disk), (NVME_TWIN, twin)):
                only(host.holders(address), "filesystem", "/mnt/safe",
                     "%s > md77 (raid1) > %s (labsafe)" % (member, dm), "umount /mnt/safe")


def test_btrfs_on_two_disks(host):
    need("mkfs.btrfs")
    need("parted")
    disk = host.disk(NVME)
    # two partitions of one drive: mountinfo names one of them, the drive is held through both
    do = partition(disk, 120) + """
        mkfs.btrfs -q -f -m single -d single /dev/{0}p1 /dev/{0}p2 && mkdir -p /mnt/pool
        modprobe btrfs && btrfs device scan >/dev/null && mount /dev/{0}p1 /mnt/pool""".format(disk)
    undo = ("umount /mnt/pool; btrfs device scan -u; wipefs -qa /dev/%sp1 /dev/%sp2 /dev/%s; "
            "partx -d /dev/%s" % ((disk,) * 4))
    with host.clean(NVME):
        with host.done(do, undo):
            only(host.holders(NVME), "filesystem", "/mnt/pool", disk + "p1", "umount /mnt/pool")


def test_loop_on_a_file(host):
    disk = host.disk(NVME)
    undo = "umount /mnt/image; losetup -D; umount /mnt/files"
    with host.clean(NVME):
        with host.done("""modprobe loop; mkfs.ext4 -qF /dev/{0} && mkdir -p /mnt/files /mnt/image
                mount /dev/{0} /mnt/files && truncate -s 16M /mnt/files/image
                mkfs.ext4 -qF /mnt/files/image""".format(disk), undo):
            loop = host.sh("losetup -f --show /mnt/files/image").split("/")[-1]
            files = Holder("filesystem", "/mnt/files", disk, "0", "umount /mnt/files")
            label = loop + " (/mnt/files/image)"
            assert host.holders(NVME) == [files, Holder("storage", label, disk, "0",
                                                        "losetup -d /dev/" + loop)]
            host.sh("mount /dev/%s /mnt/image" % loop)
            assert host.holders(NVME) == [
                files, Holder("filesystem", "/mnt/image", "%s > %s" % (disk, label), "0",
                              "umount /mnt/image")]


def test_exported_by_nvme_target(host):
    disk = host.disk(NVME)
    space = "/sys/kernel/config/nvmet/subsystems/labnqn/namespaces/1"
    do = """modprobe nvmet && { mountpoint -q /sys/kernel/config || mount -t configfs configfs \
        /sys/kernel/config; } && mkdir -p %s && printf /dev/%s >%s/device_path && echo 1 >%s/enable
        """ % (space, disk, space, space)
    undo = "echo 0 >%s/enable; rmdir %s; rmdir %s" % (
        space, space, os.path.dirname(os.path.dirname(space)))
    with host.clean(NVME):
        with host.done(do, undo):
            holder = only(host.holders(NVME), "storage", "NVMe target labnqn, namespace 1", disk)
            host.sh(holder.advice)
            assert host.holders(NVME) == []


def test_usb_disk(host):
    disk = host.disk(USB)
    with host.clean(USB):
        with host.done("mkfs.ext4 -qF /dev/%s && mkdir -p /mnt/stick && mount /dev/%s /mnt/stick"
                       % (disk, disk), "umount /mnt/stick"):
            only(host.holders(USB), "filesystem", "/mnt/stick", disk, "umount /mnt/stick")


# ---- processes ----

@pytest.mark.parametrize("address,node", [
    (NVME, "/dev/{disk}"), (NVME, "/dev/{controller}"), (USB, "/dev/bus/usb/{bus}/001"),
    (GPU, "/dev/dri/{card}"), (AUDIO, "/dev/snd/{sound}")],
    ids=["disk", "controller", "usb", "drm", "sound"])
def test_open_node(host, address, node):
    below = "cd /sys/bus/pci/devices/%s/ && " % address
    names = {
        "disk": lambda: host.disk(address),
        "controller": lambda: host.sh(below + "ls nvme"),
        "bus": lambda: "%03d" % int(host.sh(below + "cat usb*/busnum | head -1")),
        "card": lambda: host.sh(below + "ls drm | grep card"),
        "sound": lambda: "control" + host.sh(below + "ls sound").replace("card", "C"),
    }
    path = re.sub(r"{(\w+)}", lambda m: names[m[1]](), node)
    console = host.holders(address)
    # a console that was there before is no process
    assert all(h.kind == "console" for h in console), console
    with host.process("sleep 1000 <%s" % path, "ls -l /proc/$PID/fd | grep -q ' %s$'" % path) as pid:
        found = [h for h in host.holders(address) if h.kind != "console"]
        only(found, "process", "sleep (pid %s)" % pid,
             path.split("/")[-1] if "nvme" in path and path.endswith("n1") else path,
             "kill " + pid)
        assert found[0].pid == pid
    assert host.holders(address) == console


@pytest.mark.parametrize("script,ready", [
    # a private /dev, as libvirt gives to QEMU, where the node can have any name
    ("unshare -m sh -c 'mount -t tmpfs none /dev; mknod /dev/own b {number}; "
     "exec sleep 1000 </dev/own'", "/dev/own"),
    # a chroot
    ("sh -c 'mkdir -p /tmp/root/dev; rm -f /tmp/root/dev/*; mknod /tmp/root/dev/{disk} b {number}; "
     "exec sleep 1000 </tmp/root/dev/{disk}'", "/tmp/root/dev/{disk}")],
    ids=["namespace", "chroot"])
def test_open_node_elsewhere(host, script, ready):
    disk = host.disk(NVME)
    number = host.sh("cat /sys/class/block/%s/dev" % disk).replace(":", " ")
    with host.clean(NVME):
        with host.process(script.format(disk=disk, number=number),
                          "ls -l /proc/$PID/fd | grep -q ' %s$'" % ready.format(disk=disk)) as pid:
            only(host.holders(NVME), "process", "sleep (pid %s)" % pid, disk, "kill " + pid)


OPEN = """
import os, sys, time
fd = os.open(sys.argv[1], {flags})
with open("/proc/self/comm", "w") as comm:
    comm.write("(udev-worker)")
os.setuid({uid})
time.sleep(1000)
"""


@pytest.mark.parametrize("flags,uid,is_user", [
    # as udev has each node whose owner and mode it sets
    ("os.O_PATH", 65534, False),
    ("os.O_RDONLY", 0, False),
    # anybody may go by that name
    ("os.O_RDONLY", 65534, True)], ids=["name-only", "udev", "impostor"])
def test_udev(host, flags, uid, is_user):
    disk = host.disk(NVME)
    host.sh("cat >/tmp/open.py <<'END'%sEND" % OPEN.format(flags=flags, uid=uid))
    with host.clean(NVME):
        with host.process("python3 /tmp/open.py /dev/" + disk,
                          "grep -q udev-worker /proc/$PID/comm && "
                          "grep -q '^Uid:.%d' /proc/$PID/status" % uid) as pid:
            assert host.sh("ls -l /proc/%s/fd | grep -c ' /dev/%s$'" % (pid, disk)) == "1"
            if is_user:
                only(host.holders(NVME), "process", "(udev-worker) (pid %s)" % pid, disk, "kill " + pid)
            else:
                assert host.holders(NVME) == []


def test_guest(host):
    group = host.sh("basename $(readlink /sys/bus/pci/devices/%s/iommu_group)" % NVME)
    at = "/sys/bus/pci/devices/%s" % NVME
    take = "modprobe vfio-pci; echo vfio-pci >{0}/driver_override; echo {1} >{0}/driver/unbind; " \
           "echo {1} >/sys/bus/pci/drivers_probe".format(at, NVME)
    give = "echo >{0}/driver_override; echo {1} >{0}/driver/unbind; " \
           "echo {1} >/sys/bus/pci/drivers_probe".format(at, NVME)
    with host.clean(NVME):
        with host.done(take, give):
            assert host.holders(NVME) == []
            # udev, which sets the owner of the group's node, was taken for a guest
            host.sh("cat >/tmp/open.py <<'END'%sEND" % OPEN.format(flags="os.O_PATH", uid=0))
            with host.process("python3 /tmp/open.py /dev/vfio/" + group,
                              "ls -l /proc/$PID/fd | grep -q ' /dev/vfio/%s$'" % group):
                assert host.holders(NVME) == []
            with host.process("qemu-system-x86_64 -accel tcg -M q35 -m 64 -S -display none -nodefaults "
                              "-name guest=lab-guest,debug-threads=on -device vfio-pci,host=%s"
                              % NVME, "ls -l /proc/$PID/fd | grep -q /dev/vfio/%s" % group) as pid:
                found = only(host.holders(NVME), "guest",
                             "guest lab-guest (qemu-system-x86, pid %s)" % pid,
                             "IOMMU group " + group, "shut down guest lab-guest")
                assert found.pid == pid


# ---- interfaces ----

def test_default_route(host, lab_machine):
    name = host.interface(E1000E)
    with host.clean(E1000E):
        with host.done("ip link set %s up" % name, "ip addr flush %s; ip link set %s down"
                       % (name, name)):
            # up alone, with its link-local address, is no use of it
            host.sh("for try in $(seq 100); do ip -6 addr show %s | grep -q fe80 && exit; "
                    "sleep 0.1; done; exit 1" % name)
            assert host.holders(E1000E) == []
            host.sh("ip addr add 192.0.2.2/24 dev %s && ip addr add 198.51.100.7/32 dev %s && "
                    "ip route add default via 192.0.2.1" % (name, name))
            only(host.holders(E1000E), "network",
                 name + " (192.0.2.2, 198.51.100.7, default route)", "",
                 "ip link set %s down" % name)
            r = lab_machine.run(["/lab/bin/passthru", "detach", E1000E], env=worlds.IN_LAB)
            assert r.status == 15 and "default route" in r.err, r.out + r.err


def test_bridge_and_vlan(host):
    name = host.interface(E1000E)
    undo = "ip link delete labbr; ip link delete labvlan; ip link set %s down" % name
    with host.clean(E1000E):
        with host.done("ip link add labbr type bridge && ip link set %s master labbr" % name, undo):
            only(host.holders(E1000E), "bridge", "labbr (bridge)", name,
                 "ip link set %s nomaster" % name)
            host.sh("ip link set labbr up && ip link set %s up && "
                    "ip addr add 192.0.2.2/24 dev labbr" % name)
            network, bridge = host.holders(E1000E)
            assert (network.kind, network.what, network.through) == (
                "network", "labbr (192.0.2.2)", name)
            assert bridge.kind == "bridge"
            host.sh("ip link set %s nomaster" % name)
            assert host.holders(E1000E) == []
            host.sh("ip link add labvlan link %s type vlan id 5" % name)
            only(host.holders(E1000E), "bridge", "labvlan (vlan)", name, "ip link delete labvlan")


def test_bond(host):
    name = host.interface(BRIDGED)
    with host.clean(BRIDGED):
        with host.done("modprobe bonding max_bonds=0 && ip link add labbond type bond && "
                       "ip link set %s down && ip link set %s master labbond" % (name, name),
                       "ip link delete labbond; ip link set %s down" % name):
            only(host.holders(BRIDGED), "bridge", "labbond (bond)", name,
                 "ip link set %s nomaster" % name)


PACKET = """
import socket, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
s.bind((sys.argv[1], 3))
open("/tmp/bound", "w").close()
time.sleep(1000)
"""

# The least that binds an AF_XDP socket: a UMEM, its rings, a ring to send.
XDP = """
import ctypes, mmap, socket, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
s = socket.socket(44, socket.SOCK_RAW, 0)
frames = mmap.mmap(-1, 16 * 4096)
address = ctypes.addressof(ctypes.c_char.from_buffer(frames))
s.setsockopt(283, 4, struct.pack("QQIII4x", address, 16 * 4096, 4096, 0, 0))
for ring in (5, 6, 3):
    s.setsockopt(283, ring, 8)
to = struct.pack("HHIII", 44, 2, socket.if_nametoindex(sys.argv[1]), 0, 0)
if libc.bind(s.fileno(), to, len(to)):
    sys.exit("bind: errno %d" % ctypes.get_errno())
open("/tmp/bound", "w").close()
time.sleep(1000)
"""


@pytest.mark.parametrize("kind,script", [("packet", PACKET), ("AF_XDP", XDP)],
                         ids=["packet", "xdp"])
def test_bound_socket(host, kind, script):
    name = host.interface(E1000E)
    host.lab.run("cat >/tmp/bind.py; rm -f /tmp/bound", input=script)
    with host.clean(E1000E):
        with host.done("ip link set %s up" % name, "ip link set %s down" % name):
            with host.process("/usr/bin/python3 /tmp/bind.py %s" % name,
                              "[ -e /tmp/bound ]") as pid:
                only(host.holders(E1000E), "socket", "%s socket of python3 (pid %s)" % (kind, pid),
                     name, "kill " + pid)


def test_interface_in_another_namespace(host):
    name = host.interface(E1000E)
    with host.clean(E1000E):
        with host.done("ip netns add lab && ip link set %s netns lab" % name,
                       "ip netns pids lab | xargs -r kill; ip netns exec lab ip link set %s "
                       "netns 1; ip netns del lab" % name):
            # nobody lives there: it can't be seen, and that is said
            assert host.holders(E1000E, complete=False) == []
            with host.process("ip netns exec lab sleep 1000",
                              "[ $(readlink /proc/$PID/ns/net) != $(readlink /proc/1/ns/net) ]"
                              " && grep -q sleep /proc/$PID/comm") as pid:
                only(host.holders(E1000E), "network",
                     "%s (in the network namespace of sleep, pid %s)" % (name, pid))
        host.sh("for try in $(seq 100); do [ -e /sys/bus/pci/devices/%s/net/%s ] && exit; "
                "sleep 0.1; done; exit 1" % (E1000E, name))


# ---- consoles ----

def test_text_console(host, lab_machine):
    console = only(host.holders(GPU), "console", "text console", "/dev/fb0")
    try:
        r = lab_machine.run(["/lab/bin/passthru", "detach", GPU], env=worlds.IN_LAB)
        assert r.status == 15 and "text console" in r.err, r.out + r.err
        host.sh(console.advice)
        assert host.holders(GPU) == []
    finally:
        host.sh("echo 1 >/sys/class/vtconsole/%s/bind" % console.advice.split("/")[-2])
    assert host.holders(GPU) == [console]


# ---- virtual functions ----

def test_virtual_functions(host):
    pf = "/sys/bus/pci/devices/" + IGB
    with host.clean(IGB):
        with host.done("modprobe vfio-pci; echo 0 >{0}/sriov_drivers_autoprobe; "
                       "echo 2 >{0}/sriov_numvfs".format(pf),
                       "echo 0 >{0}/sriov_numvfs; echo 1 >{0}/sriov_drivers_autoprobe".format(pf)):
            holder = only(host.holders(IGB), "vf", "2 VFs, 2 without a driver")
            vf = host.sh("basename $(readlink %s/virtfn0)" % pf)
            group = host.sh("basename $(readlink %s/virtfn0/iommu_group)" % pf)
            host.sh("echo vfio-pci >/sys/bus/pci/devices/{0}/driver_override && "
                    "echo {0} >/sys/bus/pci/drivers_probe".format(vf))
            with host.process("sleep 1000 <>/dev/vfio/%s" % group,
                              "ls -l /proc/$PID/fd | grep -q /dev/vfio") as pid:
                vfs, guest = host.holders(IGB)
                assert vfs.what == "2 VFs, %s on vfio-pci, 1 without a driver" % vf
                assert guest[:3] == ("guest", "sleep (pid %s)" % pid,
                                     "VF %s > IOMMU group %s" % (vf, group))
                only(host.holders(vf), "guest", "sleep (pid %s)" % pid, "IOMMU group " + group)
            host.sh(holder.advice)
            assert host.holders(IGB) == []
