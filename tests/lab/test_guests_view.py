# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a guest's QEMU and swtpm see of the host's files: what their guest has, and what programs need."""

import pytest

from test_guests_apart import TPM, disk
from virsh_guests import daemon, guests, hostdev     # noqa: F401

EDU = "0000:05:00.0"
PORTS = "".join("<controller type='pci' index='%d' model='pcie-root-port'/>" % n for n in range(1, 6))
# of everybody's: the whole of the first view, but for what the distribution doesn't have
PROGRAMS = {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "proc", "sys", "dev", "run", "var", "nix",
            "gnu"}
NODES = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts"}
SOCKET = "<channel type='unix'><source mode='bind' path='%s'/><target type='virtio' name='c'/></channel>"


@pytest.fixture
def folder(daemon):     # noqa: F811
    """A filesystem of its own, as data often has; and files beside those of the guest."""
    # as systemd has it: what is mounted in one namespace is in others, unless they keep it from that
    daemon.sh("mount --make-rshared /; umount /srv/view/data /srv/view/sockets/sub 2>/dev/null; rm -rf /srv/view && "
              "mkdir -p /srv/view/data /srv/view/sockets/sub /srv/view/passed && mount -t tmpfs none /srv/view/data && "
              "mount -t tmpfs none /srv/view/sockets/sub && "
              "cd /srv/view && truncate -s 1M data/one data/two sockets/three && ln -s passed/../data/one link && "
              "ln -s /srv/view/link far && echo secret >readable && chmod 644 readable && chmod 777 sockets")
    yield "/srv/view"
    daemon.sh("umount /srv/view/data /srv/view/sockets/sub 2>/dev/null; rm -rf /srv/view", check=False)


def inside(daemon, pid, *words):     # noqa: F811
    """Run in the mount namespace of a process, with the programs that it has there."""
    return daemon.lab.run(["nsenter", "-m", "-t", str(pid), *words], timeout=60)


def names(daemon, pid, path):     # noqa: F811
    r = inside(daemon, pid, "ls", "-A", path)
    assert r.status == 0, r.err
    return set(r.out.split())


def is_seen(daemon, pid, path):     # noqa: F811
    """Whether it's the very file of the host's."""
    theirs = inside(daemon, pid, "stat", "-Lc", "%d %i", path)
    return theirs.status == 0 and theirs.out == daemon.sh("stat -Lc '%%d %%i' %s" % path).out


def tpm_pid(daemon):     # noqa: F811
    return int(daemon.sh("pgrep -x swtpm").out)


def test_what_it_sees(daemon, guests, folder):     # noqa: F811
    daemon.sh("passthru reattach %s 2>/dev/null; true" % EDU)
    before = daemon.sh("cat /proc/self/mountinfo").out
    g = guests.define("v1", disk(folder + "/far") + disk(folder + "/sockets/three", "<readonly/>", "vdb") + TPM +
                      SOCKET % (folder + "/sockets/agent") + hostdev(EDU), words="stay expect-none")
    g.start()
    pid = g.pid()
    assert names(daemon, pid, "/") <= PROGRAMS | {"srv", "lab"}
    assert names(daemon, pid, "/srv/view") == {"data", "passed", "link", "far", "sockets"}
    assert names(daemon, pid, "/srv/view/passed") == set()
    assert names(daemon, pid, "/srv/view/sockets") == {"agent", "three", "sub"}
    assert names(daemon, pid, "/srv/view/data") == {"one"}
    assert is_seen(daemon, pid, folder + "/far") and is_seen(daemon, pid, folder + "/sockets/agent")
    assert names(daemon, pid, "/dev") == NODES | {"vfio"}
    group = daemon.sh("basename $(readlink /sys/bus/pci/devices/%s/iommu_group)" % EDU).out.strip()
    assert is_seen(daemon, pid, "/dev/vfio/vfio") and is_seen(daemon, pid, "/dev/vfio/" + group)
    assert names(daemon, pid, "/run/passthru/guests") == {"v1.d"}
    # nor could it fill /run there
    assert daemon.sh("stat -c '%u %a' /run/passthru/guests/v1.d").out == "0 700\n"
    assert not is_seen(daemon, pid, "/var/lib/passthru") and not is_seen(daemon, pid, folder + "/readable")
    assert names(daemon, pid, "/run/passthru") == {"guests"}
    # its swtpm has its state, and nothing else of a guest's
    tpm = tpm_pid(daemon)
    state = "/var/lib/passthru/swtpm/" + daemon.virsh("domuuid", "v1").strip()
    assert is_seen(daemon, tpm, state) and not is_seen(daemon, pid, state)
    assert names(daemon, tpm, "/") <= PROGRAMS and names(daemon, tpm, "/dev") == NODES
    assert names(daemon, tpm, "/var/lib/passthru") == {"swtpm"}
    # a terminal is one of the host's, by its own ptmx
    r = inside(daemon, pid, "sh", "-c", "stat -c '%t:%T %a' /dev/ptmx && stat -c '%t:%T %a' /proc/1/root/dev/ptmx")
    assert r.out.splitlines()[0] == r.out.splitlines()[1], r.out + r.err
    # and the host has no mount of it
    assert daemon.sh("cat /proc/self/mountinfo").out == before
    daemon.virsh("destroy", "v1")
    assert daemon.sh("cat /proc/self/mountinfo").out == before


def test_a_directory_that_is_no_longer_shown(daemon, guests, folder):     # noqa: F811
    """QEMU makes a file in it, which is what is shown from then on. What is mounted in the directory
    goes from the view with it, and stays on the host; a disk in it stays in both."""
    more = "<qemu:commandline><qemu:arg value='-pidfile'/><qemu:arg value='%s/sockets/pid'/></qemu:commandline>"
    g = guests.define("v6", PORTS + disk(folder + "/sockets/three", "<readonly/>"), words="stay expect-none",
                      more=more % folder)
    before = daemon.sh("cat /proc/self/mountinfo").out
    g.start()
    pid = g.pid()
    assert names(daemon, pid, "/srv/view/sockets") == {"pid", "three", "sub"}
    drive = guests.write_device(disk(folder + "/data/one", target="vdb"))
    daemon.virsh("attach-device", "v6", drive, "--live")
    assert names(daemon, pid, "/srv/view/sockets") == {"pid", "three"}
    assert is_seen(daemon, pid, folder + "/sockets/three") and is_seen(daemon, pid, folder + "/sockets/pid")
    assert daemon.sh("cat /proc/self/mountinfo").out == before
    # the administrator moves it all, and leaves a link
    daemon.sh("umount /srv/view/sockets/sub; mv /srv/view/sockets /srv/view/moved && ln -s moved /srv/view/sockets")
    card = guests.write_device(hostdev(EDU))
    daemon.virsh("attach-device", "v6", card, "--live")
    assert is_seen(daemon, pid, folder + "/sockets/three")
    daemon.virsh("destroy", "v6")
    daemon.sh("rm /srv/view/sockets && mv /srv/view/moved /srv/view/sockets")


def test_plugged_and_unplugged(daemon, guests, folder):     # noqa: F811
    """A disk on a filesystem of its own, and a device; the daemon is another one meanwhile."""
    g = guests.define("v2", PORTS, words="stay expect-none")
    g.start()
    pid = g.pid()
    g.wait("guest: waiting")
    assert "srv" not in names(daemon, pid, "/") and "vfio" not in names(daemon, pid, "/dev")
    group = daemon.sh("basename $(readlink /sys/bus/pci/devices/%s/iommu_group)" % EDU).out.strip()
    drive, card = guests.write_device(disk(folder + "/data/one"), hostdev(EDU))
    daemon.virsh("attach-device", "v2", drive, "--live")
    assert names(daemon, pid, "/srv/view") == {"data"} and is_seen(daemon, pid, folder + "/data/one")
    # in its view alone it would not keep the host from unmounting it
    assert "busy" in daemon.sh("umount /srv/view/data 2>&1", check=False).out
    daemon.virsh("attach-device", "v2", card, "--live")
    assert is_seen(daemon, pid, "/dev/vfio/" + group)
    daemon.stop()
    daemon.start()
    guests.wait_for(lambda: "is still running" in daemon.log())
    guests.wait_for(lambda: "busy" in daemon.sh("umount /srv/view/data 2>&1", check=False).out)
    daemon.virsh("detach-device", "v2", card, "--live")
    assert not is_seen(daemon, pid, "/dev/vfio/" + group)
    daemon.virsh("attach-device", "v2", card, "--live")     # its node is another one now
    assert is_seen(daemon, pid, "/dev/vfio/" + group)
    daemon.virsh("detach-device", "v2", card, "--live")
    daemon.virsh("detach-device", "v2", drive, "--live")
    assert "/srv" not in daemon.sh("cat /proc/%d/mountinfo" % pid).out
    daemon.sh("umount /srv/view/data")
    daemon.virsh("destroy", "v2")


def test_an_emulator_of_ones_own(daemon, guests):     # noqa: F811
    """Built elsewhere, and named by a link: it comes with what is beside it."""
    daemon.sh("rm -rf /opt/q /opt/named && mkdir -p /opt/q/bin /opt/q/own && "
              "cp /usr/bin/qemu-system-x86_64 /opt/q/bin/ && ln -s /usr/share /opt/q/share && "
              "ln -s /usr/lib /opt/q/lib && mkdir -p /opt/other && "
              "ln -s /opt/q/bin/qemu-system-x86_64 /opt/named")
    g = guests.define("v3", words="stay expect-none")
    xml = daemon.virsh("dumpxml", "v3").replace("/usr/bin/qemu-system-x86_64", "/opt/named")
    daemon.virsh("define", guests.write_device(xml))
    g.start()
    g.wait("guest: waiting")
    assert names(daemon, g.pid(), "/opt") == {"named", "q"}
    assert "own" in names(daemon, g.pid(), "/opt/q")
    daemon.virsh("destroy", "v3")
    daemon.sh("rm -rf /opt/q /opt/named /opt/other")


def test_all_files_of_the_host(daemon, guests, folder):     # noqa: F811
    """By configuration, as before; a guest that has a view keeps it."""
    g = guests.define("v4", disk(folder + "/data/one"), words="stay expect-none")
    g.start()
    theirs = daemon.sh("readlink /proc/%d/ns/mnt /proc/self/ns/mnt" % g.pid()).out.split()
    assert theirs[0] != theirs[1]
    daemon.stop()
    daemon.start("--host-files")
    daemon.virsh("destroy", "v4")
    g.start()
    theirs = daemon.sh("readlink /proc/%d/ns/mnt /proc/self/ns/mnt" % g.pid()).out.split()
    assert theirs[0] == theirs[1]
    daemon.stop()
    daemon.start()
    daemon.virsh("destroy", "v4")


def test_no_namespace_to_be_had(world, daemon, guests):     # noqa: F811
    """Then it doesn't start, rather than see everything, and nothing of it is left."""
    before = world.snapshot()
    guests.define("v5", hostdev(EDU) + TPM, words="stay expect-none")
    most = daemon.sh("cat /proc/sys/user/max_mnt_namespaces; echo 0 >/proc/sys/user/max_mnt_namespaces").out
    try:
        words = daemon.virsh_fails("start", "v5")
    finally:
        daemon.sh("echo %s >/proc/sys/user/max_mnt_namespaces" % most.strip())
    assert "can't give it a mount namespace of its own" in words and "\n  passthrud --host-files" in words
    assert world.snapshot() == before
    assert daemon.sh("pgrep -x swtpm; ls /run/passthru/guests", check=False).out == ""
