# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests under SELinux, on an installed Debian 13 with its policy, which is enforced: labels of their own, what
the policy must permit, and files that are labelled as long as a guest has them."""

import re

import pytest

import worlds
from test_debian import SANITIZED, SOCKETS, TAP, WITHOUT_SPICE, Unit
from test_guests_apart import disk
from test_guests_confine import define_edited
from test_guests_hardware import ABOVE, PAGES, TPM
from virsh_guests import HOST_BLOCK, GUEST_BLOCKS, Guests, hostdev
from zoo_names import EDU, NVME

pytestmark = pytest.mark.only("lab", "installed systems are labs")

MODULE = "/usr/share/passthru/selinux/passthru.cil"
BOOLEANS = ("virt_use_vfio", "virt_use_execmem")
FOLDER = "/srv/labelled"
# The payload is on a filesystem without labels; the guests' is not.
EDITS = {"/lab/guest/payload.elf": FOLDER + "/payload.elf"}

AGENT = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"

# Programs that begin as a guest's QEMU does, for what a guest that has taken it over could try.
ATTACKERS = "/srv/attackers"


@pytest.fixture(scope="module")
def installed():
    """Its daemon, before the policy has passthru's module. What was installed has labels as a package's files
    have; virsh and journalctl, for which this policy has domains that read no files of /tmp and no journal, run as
    this test does."""
    lab, is_ours = worlds.lab_up("installed-selinux", "selinux")
    try:
        daemon = Unit(lab)
        daemon.sh(SANITIZED)
        daemon.sh("restorecon -R /usr/sbin /usr/lib/systemd /usr/lib/*-linux-gnu /usr/share/passthru /etc/systemd; "
                  "chcon -t bin_t /usr/bin/virsh /usr/bin/journalctl; mkdir -p %s; cp /usr/bin/head /usr/bin/readlink /usr/bin/dd %s; "
                  "chcon -t qemu_exec_t %s/*" % (ATTACKERS, ATTACKERS, ATTACKERS))
        daemon.sh("systemctl enable --now " + SOCKETS)
        daemon.sh("setenforce 1")
        yield daemon
        daemon.sh("setenforce 0")
    finally:
        if is_ours:
            lab.down()


@pytest.fixture
def world(installed):
    return worlds.LabWorld(installed.lab, "/usr/sbin/passthru")


@pytest.fixture
def guests(world, installed):
    """No guest before and afterwards; all files have the labels of before."""
    installed.sh("rm -rf %s; mkdir %s; cd %s; cp /lab/guest/payload.elf .; truncate -s 1M one two both iso"
                 % (FOLDER, FOLDER, FOLDER))
    before = labels(installed)
    g = Guests(world, installed)
    yield g
    g.clean_up()
    assert labels(installed) == before


def labels(installed):
    """{name: label} of the files in FOLDER."""
    out = installed.sh("cd %s; stat -c '%%n %%C' *" % FOLDER).out
    return {name: label for name, label in (line.split() for line in out.splitlines())
            if not name.startswith("serial")}


def label_of(installed, guest):
    return installed.sh("cat /proc/%d/attr/current" % guest.pid()).out.strip("\0\n")


def categories(label):
    found = re.fullmatch(r"system_u:(?:system_r:svirt_t|object_r:svirt_image_t):s0:(c\d+,c\d+)", label)
    assert found, label
    return found[1]


def as_guest(installed, label, words):
    """What the program WORDS says when it runs as QEMU does, but for its user."""
    r = installed.lab.run(["runcon", label] + [ATTACKERS + "/" + words[0]] + words[1:], timeout=60)
    return r.status, r.out + r.err


def denials(installed):
    """But for what QEMU asks in passing: the limit of mappings, and io_uring, which it does without."""
    return installed.sh("dmesg | grep 'avc: .*denied.*:svirt_t:' | grep -v 'sysctl_vm_t\\|\\[io_uring\\]' || true").out


# ---- what is missing -----------------------------------------------------------------------------


def test_it_is_enforced(installed):
    assert installed.sh("cat /sys/fs/selinux/enforce").out == "1"
    xml = installed.virsh("capabilities")
    assert re.search(r"<model>selinux</model>\s*<doi>0</doi>\s*<baselabel type='qemu'>"
                     r"system_u:system_r:svirt_t:s0</baselabel>", xml), xml


def test_what_the_policy_lacks_is_named(world, installed, guests):
    """First passthru's module, then each boolean, before anything is changed; and what they are for."""
    before = world.snapshot()
    installed.sh("setsebool virt_use_sysfs=off " + " ".join(b + "=off" for b in BOOLEANS))
    # without either, nobody with this label finds a device
    link = ["readlink", worlds.DEVICES + "/%s/iommu_group" % NVME]
    svirt = "system_u:system_r:svirt_t:s0:c1,c400"
    define_edited(guests, "s1", hostdev(NVME), "stay", EDITS)
    words = installed.virsh_fails("start", "s1")
    assert "doesn't let passthrud" in words and "semodule -i " + MODULE in words, words
    assert "<seclabel type='none' model='selinux'/>" in words

    installed.sh("semodule -i " + MODULE)
    words = installed.virsh_fails("start", "s1")
    for boolean in BOOLEANS:
        assert "the boolean %s is off" % boolean in words, words
    assert "setsebool -P " + " ".join(b + "=on" for b in BOOLEANS) in words
    assert world.snapshot() == before

    installed.sh("setsebool virt_use_vfio=on")
    words = installed.virsh_fails("start", "s1")
    assert "virt_use_execmem=on" in words and "virt_use_vfio" not in words, words
    installed.sh("setsebool virt_use_execmem=on")

    # the module permits what virt_use_sysfs is for: to find devices in /sys, and not to write there
    status, said = as_guest(installed, svirt, link)
    assert status == 0 and "iommu_groups" in said, said
    status, said = as_guest(installed, svirt, ["dd", "if=/dev/zero", "bs=1", "count=0", "conv=notrunc",
                                               "of=%s/%s/config" % (worlds.DEVICES, NVME)])
    assert status != 0 and "Permission denied" in said, said


# ---- guests --------------------------------------------------------------------------------------


def test_a_guest_with_a_device_and_a_disk(world, installed, guests):
    """It has its device, and its disk a label of its own; a restart of the daemon is nothing to it."""
    before = world.snapshot()
    crc = guests.write_host_data(NVME)
    installed.sh("dmesg -C")
    own = labels(installed)
    g = define_edited(guests, "s2", hostdev(NVME) + disk(FOLDER + "/one"),
                      "stay nvme-read=%d,%d" % (HOST_BLOCK, GUEST_BLOCKS), EDITS)
    g.start()
    g.wait("guest: waiting", 120)
    assert "irq=msix" in g.serial() and "dma=ok crc32=" + crc in g.serial()
    label = label_of(installed, g)
    pair = categories(label)
    now = labels(installed)
    assert categories(now["one"]) == pair
    assert now["payload.elf"] == "system_u:object_r:virt_content_t:s0"
    assert {now[name] for name in ("two", "both", "iso")} == {own["two"]}
    xml = installed.virsh("dumpxml", "s2")
    assert "<seclabel type='dynamic' model='selinux' relabel='yes'>" in xml
    assert "<label>%s</label>" % label in xml and "<imagelabel>%s</imagelabel>" % now["one"] in xml
    assert "seclabel" not in installed.virsh("dumpxml", "s2", "--inactive")
    info = installed.virsh("dominfo", "s2")
    assert "Security model: selinux" in info and "Security label: %s (enforcing)" % label in info
    assert denials(installed) == ""

    installed.sh("systemctl kill -s KILL passthrud.service; sleep 1; systemctl restart passthrud.service")
    assert re.search(r"s2 +running", installed.virsh("list"))
    assert labels(installed) == now
    installed.virsh("destroy", "s2")
    assert labels(installed) == own
    # the same guest has the same categories
    g.start()
    assert categories(label_of(installed, g)) == pair
    installed.virsh("destroy", "s2")
    assert world.snapshot() == before and guests.read_host_data(NVME) == crc


def test_two_guests_are_apart(installed, guests):
    """Even for one user, as which the programs here run: root."""
    one = define_edited(guests, "s3", disk(FOLDER + "/one"), "stay", EDITS)
    two = define_edited(guests, "s4", disk(FOLDER + "/two"), "stay", EDITS)
    one.start()
    two.start()
    label, other = label_of(installed, one), label_of(installed, two)
    assert categories(label) != categories(other)
    assert as_guest(installed, label, ["head", "-c0", FOLDER + "/one"])[0] == 0
    for attacker, path in ((label, "two"), (other, "one")):
        status, said = as_guest(installed, attacker, ["head", "-c0", FOLDER + "/" + path])
        assert status != 0 and "Permission denied" in said, said
    status, said = as_guest(installed, label, ["head", "-c0", "/etc/shadow"])
    assert status != 0 and "Permission denied" in said, said

    # what one guest has, another one would take from it
    define_edited(guests, "s5", disk(FOLDER + "/one"), "stay", EDITS)
    words = installed.virsh_fails("start", "s5")
    assert "guest s3 has it under the label" in words and "<shareable/>" in words, words
    for g in (one, two):
        installed.virsh("destroy", g.name)


def test_what_guests_share(installed, guests):
    """Disks that say so, and media: each goes back with the last guest that has it."""
    own = labels(installed)
    iso = disk(FOLDER + "/iso", "<readonly/>", "vdc")
    shared = disk(FOLDER + "/both", "<shareable/>", "vdb")
    # a type that guests may not even read
    installed.sh("chcon -t user_home_t %s/iso" % FOLDER)
    for name in ("s6", "s7"):
        define_edited(guests, name, shared + iso, "stay", EDITS)
    # both at once, and again at the end
    installed.sh("for g in s6 s7; do virsh start $g & done; wait")
    # whichever started first is listed first
    assert sorted(re.findall(r"(s[67]) +running", installed.virsh("list"))) == ["s6", "s7"]
    now = labels(installed)
    assert now["both"] == "system_u:object_r:svirt_image_t:s0"
    assert now["iso"] == "system_u:object_r:virt_content_t:s0"
    installed.virsh("destroy", "s6")
    assert labels(installed) == now
    installed.virsh("start", "s6")
    installed.sh("for g in s6 s7; do virsh destroy $g & done; wait")
    assert labels(installed) == {**own, "iso": own["iso"].replace("var_t", "user_home_t")}
    installed.sh("restorecon -F %s/iso" % FOLDER)


def test_what_is_plugged_in(world, installed, guests):
    """A disk and a device, while the guest runs."""
    before = world.snapshot()
    own = labels(installed)
    g = define_edited(guests, "s8", "", "stay", EDITS)
    g.start()
    g.wait("guest: waiting", 120)
    pair = categories(label_of(installed, g))
    one, edu = guests.write_device(disk(FOLDER + "/one"), hostdev(EDU))
    installed.virsh("attach-device", "s8", one, "--live")
    assert categories(labels(installed)["one"]) == pair
    installed.virsh("attach-device", "s8", edu, "--live")
    g.wait("guest: hotplug result ok", 120)
    installed.virsh("detach-device", "s8", edu, "--live")
    installed.virsh("detach-device", "s8", one, "--live")
    guests.wait_for(lambda: labels(installed)["one"] == own["one"])
    installed.virsh("destroy", "s8")
    assert world.snapshot() == before


def test_what_else_a_guest_has(world, installed, guests):
    """A TPM, a tap, huge pages, shared memory, graphics, a channel and a file of variables: QEMU and swtpm have
    all of it with one label, and nothing that they try is denied."""
    before = world.snapshot()
    installed.sh("modprobe -a tun vhost_net bridge; ip link add br9 type bridge; ip link set br9 up; "
                 "mkdir -p /tmp/hw; truncate -s 1M /tmp/hw/a /tmp/hw/b; echo 40 >%s; dmesg -C" % PAGES)
    g = define_edited(guests, "s10", WITHOUT_SPICE + TAP + TPM + AGENT + hostdev(EDU), "tpm stay",
                      {**EDITS, "<cpu mode": ABOVE + "<cpu mode"})
    try:
        g.start()
        g.wait("guest: tpm ok", 120)
        g.wait("guest: all ok", 120)
        label = label_of(installed, g)
        swtpm = installed.sh("cat /proc/$(pgrep -x swtpm)/attr/current").out.strip("\0\n")
        assert swtpm == label
        state = "/var/lib/passthru/swtpm/" + installed.virsh("domuuid", "s10").strip()
        assert {categories(line) for line in installed.sh(
            "stat -c %%C %s %s/tpm2-00.permall" % (state, state)).out.split()} == {categories(label)}
        assert "vnet" in installed.sh("ip -o link show master br9").out
        assert denials(installed) == ""
        # another guest's: not the directory either
        status, said = as_guest(installed, "system_u:system_r:svirt_t:s0:c600,c601", ["head", "-c0", "/tmp/hw/a"])
        assert status != 0 and "Permission denied" in said, said
        installed.virsh("destroy", "s10")
        installed.virsh("undefine", "s10", "--tpm")
    finally:
        installed.sh("ip link del br9; rm -rf /tmp/hw /dev/shm/hw-glass; echo 0 >%s" % PAGES)
    assert world.snapshot() == before


def test_without_a_label(installed, guests):
    """Its definition says so. Then it is emulated as passthrud's services run, to which this policy has another
    boolean for that."""
    g = define_edited(guests, "s9", disk(FOLDER + "/one"), "stay",
                      {**EDITS, "<devices>": "<seclabel type='none' model='selinux'/><devices>"})
    own = labels(installed)
    installed.sh("setsebool allow_execmem=on")
    g.start()
    assert ":svirt_t:" not in label_of(installed, g) and labels(installed) == own
    installed.virsh("destroy", "s9")
    installed.sh("setsebool allow_execmem=off")


def test_nothing_went_wrong(installed):
    installed.stop()
    assert installed.sh("systemctl --failed --no-legend").out == ""
