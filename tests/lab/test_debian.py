# SPDX-License-Identifier: LGPL-2.1-or-later
"""Installed Debian systems, with systemd as process 1: passthrud under its own unit, and guests of its in
scopes of systemd's and under profiles of the distribution's AppArmor."""

import re
import threading

import pytest

import worlds
from test_daemon import Daemon
from test_guests_confine import OPEN, PROFILES, define_edited, group_node
from virsh_guests import GUEST_BLOCKS, HOST_BLOCK, Guests, hostdev
from zoo_names import EDU, NVME

pytestmark = pytest.mark.only("lab", "installed systems are labs")

VERSIONS = {"debian12": "12", "debian13": "13"}
SOCKETS = " ".join("passthrud%s.socket" % s for s in ("", "-ro", "-libvirt", "-libvirt-ro"))

# A sanitizer's report ends the daemon with a status that systemd calls a failure.
SANITIZED = r"""
mkdir -p /etc/systemd/system/passthrud.service.d
printf '[Service]\nEnvironment=%s\n' >/etc/systemd/system/passthrud.service.d/sanitizers.conf
systemctl daemon-reload
""" % " ".join("%s=%s" % kv for kv in worlds.SANITIZERS.items())


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
            if "installed" in getattr(item, "fixturenames", ())}


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


def test_a_guest_with_a_device(world, installed, guests):
    """It has its device, and nothing else; a restart of the daemon is nothing to it."""
    before = world.snapshot()
    crc = guests.write_host_data(NVME)
    g = guests.define("d1", hostdev(NVME), words="stay nvme-read=%d,%d" % (HOST_BLOCK, GUEST_BLOCKS))
    g.start()
    g.wait("guest: waiting", 120)
    assert "irq=msix" in g.serial() and "dma=ok crc32=" + crc in g.serial()
    pid = g.pid()
    unit = "passthru-guest-%d.scope" % pid
    assert scope_of(installed, pid) == "/machine.slice/" + unit
    assert installed.property("DevicePolicy", unit) == "closed"
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
    assert world.snapshot() == before
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


def test_nothing_went_wrong(installed):
    """After all of it: nothing that systemd calls failed, no errors in the daemon's log."""
    installed.stop()
    assert installed.sh("systemctl --failed --no-legend").out == ""
    assert installed.sh("journalctl -b -q --no-pager -p err -u passthrud.service").out == ""
