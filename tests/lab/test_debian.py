# SPDX-License-Identifier: LGPL-2.1-or-later
"""Installed Debian systems, with systemd as process 1: passthrud under its own unit, and guests of its in
scopes of systemd's and under profiles of the distribution's AppArmor."""

import re
import threading

import pytest

import worlds
from test_daemon import Daemon
from test_guests_confine import OPEN, PROFILES, define_edited, group_node
from test_definitions import IGB, VF_MAC, vf_interface
from test_guests_hardware import ABOVE, DEVICES, PAGES, TPM, define_with
from test_guests_outputs import recorder
from virsh_guests import GUEST_BLOCKS, HOST_BLOCK, Guests, hostdev
from zoo_names import EDU, NVME

pytestmark = pytest.mark.only("lab", "installed systems are labs")

VERSIONS = {"debian12": "12", "debian13": "13"}
SOCKETS = " ".join("passthrud%s.socket" % s for s in ("", "-ro", "-libvirt", "-libvirt-ro"))

# A sanitizer's report ends the daemon with a status that systemd calls a failure. Looking for leaks takes
# ptrace(), which the unit doesn't permit.
SANITIZED = "".join(r"""
mkdir -p /etc/systemd/system/%s.service.d
printf '[Service]\n%sEnvironment=%s\n' >/etc/systemd/system/%s.service.d/sanitizers.conf
""" % (unit, more, " ".join("%s=%s" % kv for kv in variables.items()), unit) for unit, more, variables in (
    ("passthrud", r"SystemCallFilter=ptrace\n", worlds.SANITIZERS),
    ("passthru-persist", "", worlds.IN_LAB), ("passthru-recover", "", worlds.IN_LAB))) + "systemctl daemon-reload\n"


class Unit(Daemon):
    """passthrud as systemd runs it."""

    def start(self):
        self.sh("systemctl start passthrud.service")

    def stop(self):
        self.sh("systemctl stop passthrud.service")
        assert self.property("Result") == "success", self.log()

    def property(self, name, unit="passthrud.service"):
        return self.sh("systemctl show --value -p %s %s" % (name, unit)).out.strip()

    def log(self):
        return self.sh("journalctl -b --no-pager -u passthrud.service").out


# ---- fixtures ------------------------------------------------------------------------------------


def wanted(session):
    return {item.callspec.params["installed"] for item in session.items
            if hasattr(item, "callspec") and "installed" in item.callspec.params}


@pytest.fixture(scope="session")
def booted(request):
    """{profile: (lab, whether it is ours)}, all brought up at once: a boot mostly waits."""
    labs, failures = {}, []

    def up(profile):
        try:
            labs[profile] = worlds.lab_up("installed-" + profile, profile)
        except Exception as e:
            failures.append(e)

    threads = [threading.Thread(target=up, args=(profile,)) for profile in wanted(request.session)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        if failures:
            raise failures[0]
        yield labs
    finally:
        for lab, is_ours in labs.values():
            if is_ours:
                lab.down()


@pytest.fixture(scope="module", params=VERSIONS)
def installed(request, booted):
    """The daemon of one of them, enabled as its manual says."""
    daemon = Unit(booted[request.param][0])
    daemon.profile = request.param
    daemon.sh(SANITIZED + "systemctl enable --now " + SOCKETS)
    return daemon


@pytest.fixture
def world(installed):
    return worlds.LabWorld(installed.lab, "/usr/sbin/passthru")


@pytest.fixture
def guests(world, installed):
    g = Guests(world, installed)
    yield g
    g.clean_up()


# ---- the host ------------------------------------------------------------------------------------


def test_it_has_booted(installed):
    failed = installed.sh("systemctl --failed --no-legend --plain").out
    assert installed.sh("systemctl is-system-running", check=False).out.strip() == "running", failed
    assert installed.sh(". /etc/os-release; echo $VERSION_ID").out.strip() == VERSIONS[installed.profile]
    assert installed.sh("cat /proc/1/comm").out.strip() == "systemd"
    assert installed.sh("cat /sys/module/apparmor/parameters/enabled").out.strip() == "Y"
    assert installed.sh("stat -fc %T /sys/fs/cgroup").out.strip() == "cgroup2fs"
    assert installed.sh("uname -r").out.strip() == installed.lab.config["release"]


def test_its_sockets_start_it(installed):
    installed.sh("systemctl stop passthrud.service")
    assert installed.property("ActiveState") == "inactive"
    assert "pci_0000_01_00_0" in installed.virsh("nodedev-list").split()
    assert installed.property("ActiveState") == "active"
    pid = installed.property("MainPID")
    assert installed.sh("readlink /proc/%s/exe" % pid).out.strip() == "/usr/sbin/passthrud"
    assert installed.sh("journalctl -b -q --no-pager -p err -u passthrud.service").out == ""
    assert installed.sh("systemctl --failed --no-legend").out == ""


# ---- guests --------------------------------------------------------------------------------------


def scope_of(installed, pid):
    return installed.sh("cut -d: -f3 /proc/%d/cgroup" % pid).out.strip()


def mounts_of_the_host(installed):
    """But for what systemd mounts for services and sessions, whenever these begin."""
    lines = installed.sh("cat /proc/1/mountinfo").out.splitlines()
    return {line for line in lines if not re.search(r" /run/(credentials|user)/", line)}


def test_a_guest_with_a_device(world, installed, guests):
    """It has its device, and nothing else; a restart of the daemon is nothing to it."""
    before, mounts = world.snapshot(), mounts_of_the_host(installed)
    crc = guests.write_host_data(NVME)
    g = guests.define("d1", hostdev(NVME), words="stay nvme-read=%d,%d" % (HOST_BLOCK, GUEST_BLOCKS))
    g.start()
    g.wait("guest: waiting", 120)
    assert "irq=msix" in g.serial() and "dma=ok crc32=" + crc in g.serial()
    pid = g.pid()
    unit = "passthru-guest-%d.scope" % pid
    assert scope_of(installed, pid) == "/machine.slice/" + unit
    assert installed.property("DevicePolicy", unit) == "closed"
    assert scope_of(installed, recorder(installed, "d1")) == scope_of(installed, pid)
    seen = installed.sh("nsenter -m -t %d ls / /run/passthru/guests" % pid).out.split()
    assert "d1.d" in seen and "usr" in seen and not {"home", "root", "boot", "d1.json"} & set(seen), seen
    assert mounts_of_the_host(installed) == mounts
    label = "passthru-" + installed.virsh("domuuid", "d1").strip()
    assert installed.sh("cat /proc/%d/attr/current" % pid).out.strip() == label + " (enforce)"
    uid = g.uid()
    groups = installed.sh("grep ^Groups: /proc/%d/status" % pid).out.split()[1:]
    assert installed.sh("id -g passthru-qemu").out.strip() in groups and str(uid) not in groups

    # without a scope nothing would keep the host's other devices from QEMU
    installed.sh("systemctl mask --runtime machine.slice")
    words = installed.virsh_fails("start", guests.define("d2").name)
    installed.sh("systemctl unmask --runtime machine.slice")
    assert "can't create a systemd scope for guest d2" in words and "--optional-scopes" in words
    installed.virsh("undefine", "d2")

    installed.sh("systemctl restart passthrud.service")
    assert re.search(r"d1 +running", installed.virsh("list"))
    assert g.pid() == pid and scope_of(installed, pid) == "/machine.slice/" + unit
    assert world.driver(NVME) == "vfio-pci" and world.claims() == [NVME]

    installed.virsh("destroy", "d1")
    assert world.snapshot() == before and mounts_of_the_host(installed) == mounts
    assert guests.read_host_data(NVME) == crc
    guests.wait_for(lambda: installed.property("LoadState", unit) == "not-found")
    assert label not in installed.sh("cat " + PROFILES).out
    assert label not in installed.sh("dmesg | grep 'apparmor=\"DENIED\"' || true").out


def test_what_is_plugged_in(world, installed, guests):
    """systemd's policy of devices follows what the guest has, by whichever daemon."""
    before = world.snapshot()
    g = guests.define("d2", words="stay expect-none")
    g.start()
    g.wait("guest: waiting", 120)
    at = "/sys/fs/cgroup" + scope_of(installed, g.pid())
    path = guests.write_device(hostdev(EDU))

    def nodes():
        return installed.sh(OPEN % (at, group_node(world, EDU) + " /dev/kmsg /dev/null")).out.splitlines()

    denied, busy = "Operation not permitted", "Device or resource busy"
    world.passthru("detach", EDU).ok()
    assert nodes() == [denied, denied, "open"]
    world.passthru("reattach", EDU).ok()
    installed.virsh("attach-device", "d2", path, "--live")
    g.wait("guest: hotplug result ok", 120)
    assert nodes() == [busy, denied, "open"]
    installed.sh("systemctl restart passthrud.service")
    installed.virsh("detach-device", "d2", path, "--live")
    world.passthru("detach", EDU).ok()
    assert nodes() == [denied, denied, "open"]
    world.passthru("reattach", EDU).ok()
    installed.virsh("destroy", "d2")
    assert world.snapshot() == before


def test_a_title_that_is_not_ascii(installed, guests):
    """What the daemon has written it reads again, with this distribution's libraries."""
    title = "<title>一台有显卡的虚拟机</title>"
    g = define_edited(guests, "d3", "", "stay expect-none", {"<memory": title + "<memory"})
    g.start()
    pid = g.pid()
    installed.sh("systemctl restart passthrud.service")
    assert re.search(r"d3 +running", installed.virsh("list"))
    for flags in ([], ["--inactive"]):
        assert title in installed.virsh("dumpxml", "d3", *flags)
    assert g.pid() == pid
    installed.virsh("destroy", "d3")


TAP = "<interface type='bridge'><source bridge='br9'/><model type='virtio'/></interface>"

# its module is a package of its own
WITHOUT_SPICE = DEVICES.replace("<graphics type='spice' autoport='yes'/>", "")


def test_what_the_unit_permits(world, installed, guests):
    """What else the daemon, and its children, do for a guest: a TPM, a tap, huge pages, locked memory,
    processors, disks and graphics; each of its options permits that."""
    before = world.snapshot()
    installed.sh("modprobe -a tun vhost_net bridge; ip link add br9 type bridge; ip link set br9 up; "
                 "mkdir -p /tmp/hw; truncate -s 1M /tmp/hw/a /tmp/hw/b; echo 40 >%s" % PAGES)
    g = define_with(guests, "d4", ABOVE, WITHOUT_SPICE + TAP + TPM + hostdev(EDU), words="tpm stay")
    try:
        g.start()
        g.wait("guest: tpm ok", 120)
        g.wait("guest: all ok", 120)
        status = installed.sh("cat /proc/%d/status" % g.pid()).out
        assert re.search(r"^HugetlbPages:\s+65536 kB$", status, re.M), status
        assert re.search(r"^VmLck:\s+[1-9]", status, re.M), status
        assert re.search(r"^CapBnd:\t0+$", status, re.M), status
        assert "vnet" in installed.sh("ip -o link show master br9").out
        # by an access control list
        assert "+" in installed.sh("ls -l /tmp/hw/a").out.split()[0]
        installed.virsh("destroy", "d4")
        installed.virsh("undefine", "d4", "--tpm")
        assert "+" not in installed.sh("ls -l /tmp/hw/a").out.split()[0]
    finally:
        installed.sh("ip link del br9; rm -rf /tmp/hw /dev/shm/hw-glass; echo 0 >%s" % PAGES)
    assert world.snapshot() == before


def test_a_virtual_function_of_the_unit(world, installed, guests):
    """The daemon sets its MAC address and VLAN, and sets them back."""
    at_pf = worlds.DEVICES + "/" + IGB
    netdev = world.sh("ls %s/net" % at_pf).strip()
    world.sh("echo 0 >%s/sriov_drivers_autoprobe; echo 2 >%s/sriov_numvfs; ip link set %s up" % (at_pf, at_pf, netdev))

    def vf():
        return re.search(r"vf 1 +(.*)", world.sh("ip link show dev %s" % netdev))[1]

    try:
        before = vf()
        g = guests.define("d6", vf_interface(world.sh("basename $(readlink %s/virtfn1)" % at_pf).strip()),
                          words="stay")
        g.start()
        assert VF_MAC in vf() and "vlan 42" in vf()
        installed.virsh("destroy", "d6")
        assert vf() == before
    finally:
        world.sh("ip link set %s down; echo 0 >%s/sriov_numvfs; echo 1 >%s/sriov_drivers_autoprobe" % (
            netdev, at_pf, at_pf))


SHARE = """<filesystem type='mount' accessmode='passthrough'><driver type='virtiofs' queue='512'/>
<binary><cache mode='none'/></binary><source dir='/srv/share'/><target dir='virtiofs'/></filesystem>
"""
SHARE_9P = """<filesystem type='mount' accessmode='mapped'><source dir='/srv/9p'/><target dir='9p'/></filesystem>
"""


SHARED_MEMORY = {"<os>": "<memoryBacking><access mode='shared'/></memoryBacking><os>"}


def test_shared_directories(world, installed, guests):
    """By virtiofs and by 9p: the guest's root is root in the one, and can leave nothing in it that would make
    somebody of the host more than he is."""
    installed.sh("mkdir -p /srv/share /srv/9p; echo of the host | tee /srv/share/from-host >/srv/9p/from-host")
    try:
        g = define_edited(guests, "d7", SHARE + SHARE_9P, "share stay", SHARED_MEMORY)
        assert "setfacl -R -m g:passthru-qemu:rwX /srv/9p" in installed.virsh_fails("start", "d7")
        installed.sh("chgrp -R passthru-qemu /srv/9p; chmod -R g+rwX /srv/9p")
        g.start()
        g.wait("guest: all ok", 120)
        said = g.serial()
        assert "guest: 9p reads of the host" in said, said
        assert "guest: virtiofs reads of the host" in said, said
        assert "guest: virtiofs gives away yes, set-user-ID no, makes nodes no" in said, said
        check_virtiofsd(installed, g)
        installed.virsh("destroy", "d7")
        assert installed.sh("pgrep virtiofsd", check=False).out == ""
    finally:
        installed.sh("rm -rf /srv/share /srv/9p")


def check_virtiofsd(installed, g):
    assert installed.sh("cat /srv/share/from-guest; stat -c '%u %g %a' /srv/share/from-guest").out == \
        "of the guest\n1234 1235 644\n"
    pids = [int(pid) for pid in installed.sh("pgrep virtiofsd").out.split()]
    for pid in pids:
        assert scope_of(installed, pid) == scope_of(installed, g.pid())
    # the process that serves sees nothing but the directory, and no network
    inside = pids[-1]
    assert installed.sh("ls /proc/%d/root/" % inside).out.split() == ["from-guest", "from-host"]
    assert installed.sh("nsenter -t %d -n ip -o link" % inside).out.count("\n") == 1
    caps = int(re.search(r"^CapEff:\t(\w+)$", installed.sh("cat /proc/%d/status" % inside).out, re.M)[1], 16)
    assert not caps & (1 << 27 | 1 << 31 | 1 << 21), hex(caps)      # MKNOD, SETFCAP, SYS_ADMIN


def test_no_guest_makes_namespaces(installed, guests):
    """Nor does anything else that the unit starts: the kernel has more to attack in one."""
    g = guests.define("d5", words="stay expect-none")
    g.start()
    unit = installed.sh("cat /proc/%s/status" % installed.property("MainPID")).out
    assert re.search(r"^Seccomp:\t2$", unit, re.M), unit
    # processes and networks: virtiofsd's
    assert set(installed.property("RestrictNamespaces").split()) == {"mnt", "net", "pid"}
    # QEMU's filter is beside the unit's
    qemu = installed.sh("cat /proc/%d/status" % g.pid()).out
    assert int(re.search(r"^Seccomp_filters:\t(\d+)$", qemu, re.M)[1]) > \
        int(re.search(r"^Seccomp_filters:\t(\d+)$", unit, re.M)[1]), qemu
    installed.virsh("destroy", "d5")


def test_the_other_units(world, installed):
    """What is persisted is taken, and what a killed process had is given back, under their units."""
    before = world.snapshot()
    world.passthru("persist", NVME).ok()
    try:
        installed.sh("systemctl restart passthru-persist.service")
        assert world.driver(NVME) == "vfio-pci"
        assert installed.property("Result", "passthru-persist.service") == "success"
    finally:
        world.passthru("unpersist", NVME).ok()
    installed.sh("systemctl stop passthru-persist.service")
    world.passthru("reattach", NVME).ok()
    assert world.snapshot() == before

    # it gets arguments for QEMU, too
    installed.sh("setsid /usr/sbin/passthru run --device %s -- sh -c 'sleep 1000' sh >/dev/null 2>&1 & "
                 "echo $! >/tmp/run.pid" % NVME)
    installed.sh("until pgrep -x sleep -g $(cat /tmp/run.pid); do sleep 0.2; done")
    installed.sh("pkill -KILL -g $(cat /tmp/run.pid)")
    assert world.claims() == [NVME]
    installed.sh("systemctl start passthru-recover.service")
    assert installed.property("Result", "passthru-recover.service") == "success"
    assert world.snapshot() == before


def test_nothing_went_wrong(installed):
    """After all of it: nothing that systemd calls failed, no errors in the daemon's log."""
    installed.stop()
    assert installed.sh("systemctl --failed --no-legend").out == ""
    assert installed.sh("journalctl -b -q --no-pager -p err -u passthrud.service").out == ""
