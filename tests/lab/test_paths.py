# SPDX-License-Identifier: LGPL-2.1-or-later
"""A user who owns a directory on the way to a guest's files can't make root act on another's."""

import pytest

from virsh_guests import daemon, guests     # noqa: F401

pytestmark = pytest.mark.only("lab", "guests need a real kernel, and QEMU")

DISK = ("<disk type='file'><driver name='qemu' type='raw'/><source file='%s'/>"
        "<target dev='vda' bus='virtio'/></disk>")
NVRAM = ("<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>"
         "<nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'>%s</nvram>")


@pytest.fixture
def alice(daemon):
    """Her home; root's /etc/victim and /etc/cron.d/job beside it."""
    daemon.sh("""
        id alice >/dev/null 2>&1 || useradd --system alice
        mkdir -p /srv/alice && chmod 755 /srv/alice && chown alice /srv/alice
        echo 'root only' >/etc/victim && chmod 600 /etc/victim
        mkdir -p /etc/cron.d && echo '# a job' >/etc/cron.d/job && chmod 600 /etc/cron.d/job""")
    yield "/srv/alice"
    untouched = daemon.sh("stat -c '%U %a' /etc/victim /etc/cron.d/job; cat /etc/victim "
                          "/etc/cron.d/job; rm -rf /srv/alice /etc/victim /etc/cron.d/job")
    assert untouched.out == "root 600\nroot 600\nroot only\n# a job\n"


def hers(daemon, script):
    daemon.sh("su alice -s /bin/sh -c 'cd /srv/alice; %s'" % script)


def refused(daemon, *words):
    said = daemon.virsh_fails(*words)
    assert "which belongs to user alice" in said and "/srv/alice" in said, said
    return said


def test_disk_through_a_link(daemon, guests, alice):
    """The way from a local user to root: her disk, and then /etc/shadow in its place."""
    hers(daemon, "truncate -s 1M data.img; chmod 600 data.img")
    g = guests.define("paths", DISK % (alice + "/data.img"), words="stay expect-none")
    g.start()
    assert g.access("/srv/alice/data.img") == "rw-"
    daemon.virsh("destroy", "paths")
    assert daemon.sh("stat -c '%U %a' /srv/alice/data.img").out == "alice 600\n"
    hers(daemon, "rm data.img; ln -s /etc/victim data.img")
    assert "it now leads to /etc/victim, which belongs to user root" in refused(
        daemon, "start", "paths")
    # nor by plugging it in
    daemon.virsh("undefine", "paths")
    guests.define("paths", words="stay expect-none").start()
    refused(daemon, "attach-device", "paths", guests.write_device(DISK % (alice + "/data.img")),
            "--live")
    daemon.virsh("destroy", "paths")


@pytest.mark.parametrize("append", ["", " append='off'"])
def test_output_through_a_link(daemon, guests, alice, append):
    """A serial port's file isn't emptied, appended to, or made where she leads."""
    serial = "<serial type='file'><source path='%s/out'%s/></serial>" % (alice, append)
    guests.define("paths", serial, words="stay expect-none")
    for target in ("/etc/victim", "/etc/cron.d/new"):
        hers(daemon, "ln -sfn %s out" % target)
        refused(daemon, "start", "paths")
        assert daemon.sh("test -e /etc/cron.d/new", check=False).status != 0


def test_nvram_through_a_link(daemon, guests, alice):
    """Variables aren't made in a directory of root's, nor removed from it."""
    kernel = "<kernel>/lab/guest/payload.elf</kernel>\n    <cmdline>expect-none</cmdline>"
    path = guests.write_xml("paths")
    text = daemon.sh("cat " + path).out.replace(kernel, NVRAM % (alice + "/vm/new"))
    assert "/vm/new" in text
    daemon.sh("cat >%s <<'END'\n%s\nEND" % (path, text))
    daemon.virsh("define", path)
    hers(daemon, "ln -s /etc/cron.d vm")
    assert "/etc/cron.d/new, whose directory" in refused(daemon, "start", "paths")
    assert daemon.sh("ls /etc/cron.d/new", check=False).status != 0
    daemon.virsh("undefine", "paths", "--keep-nvram")
    daemon.sh("sed -i s,vm/new,vm/job, " + path)
    daemon.virsh("define", path)
    assert "--keep-nvram" in refused(daemon, "undefine", "paths", "--nvram")
    daemon.virsh("undefine", "paths", "--keep-nvram")


def test_link_that_a_stick_brought(daemon, guests, alice):
    """Users mount theirs, and links on them may well be root's: what udisks mounts is nosuid."""
    disk = "/srv/stick/data.img"
    daemon.sh("set -e; modprobe loop; truncate -s 4M /tmp/stick; mkfs.ext4 -qF /tmp/stick; "
              "mkdir -p /srv/stick; mount -o loop,nosuid,nodev /tmp/stick /srv/stick; "
              "ln -s /etc/victim " + disk)
    try:
        guests.define("paths", DISK % disk, words="stay expect-none")
        said = daemon.virsh_fails("start", "paths")
        assert "the link %s is on a filesystem that a user may have mounted" % disk in said, said
        daemon.sh("mount -o remount,suid /srv/stick")
        daemon.sh("ln -sfn data.raw %s; truncate -s 1M /srv/stick/data.raw" % disk)
        daemon.virsh("start", "paths")
        daemon.virsh("destroy", "paths")
    finally:
        daemon.sh("umount /srv/stick; rmdir /srv/stick; rm /tmp/stick")
