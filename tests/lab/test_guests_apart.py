# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests are users of their own: what one's QEMU can't do to another one without AppArmor, and what
goes on working for files that are shared, or permitted to all of them."""

import pytest

from virsh_guests import daemon, guests     # noqa: F401

DISK = "<disk type='%s'><driver name='qemu' type='raw'/><source %s='%s'/>" \
       "<target dev='%s' bus='virtio'/>%s</disk>"
TPM = "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>"
CONSOLE = "<channel type='pty'><target type='virtio' name='c'/></channel>"


def disk(path, more="", target="vda"):
    return DISK % ("file", "file", path, target, more)


@pytest.fixture
def folder(daemon):     # noqa: F811
    daemon.sh("umount /srv/apart/closed 2>/dev/null; rm -rf /srv/apart && mkdir /srv/apart && cd /srv/apart && truncate -s 1M one two both "
              "iso && chmod 600 one two both iso")
    yield "/srv/apart"
    assert daemon.sh("cd /srv/apart && stat -c '%n %U %a' one two both iso").out == \
        "one root 600\ntwo root 600\nboth root 600\niso root 600\n"
    assert daemon.sh("getfacl -ps /srv/apart/*").out == ""
    daemon.sh("umount /srv/apart/closed 2>/dev/null; rm -rf /srv/apart", check=False)


def attack(daemon, uid, *words):     # noqa: F811
    """As a QEMU that its guest has taken over: with its user and groups, and no profile."""
    groups = daemon.sh("id -G passthru-qemu").out.strip().replace(" ", ",")
    return daemon.lab.run(["setpriv", "--reuid", str(uid), "--regid", str(uid), "--groups", groups,
                           "--inh-caps=-all", "--no-new-privs", *words], timeout=60)


def denied(daemon, uid, script):     # noqa: F811
    r = attack(daemon, uid, "sh", "-c", script)
    said = r.out + r.err
    assert r.status != 0 and ("denied" in said or "not permitted" in said or "refused" in said), \
        "%s: %s" % (script, said)


def test_one_guest_against_another(world, daemon, guests, folder):     # noqa: F811
    one = guests.define("one", disk(folder + "/one") + TPM + CONSOLE, words="stay expect-none")
    two = guests.define("two", disk(folder + "/two") + TPM + CONSOLE, words="stay expect-none")
    one.start()
    two.start()
    assert one.uid() != two.uid()
    assert one.access(folder + "/one") == "rw-" and two.access(folder + "/one") == ""
    uid, other = one.uid(), two.pid()
    assert attack(daemon, uid, "head", "-c1", folder + "/one").status == 0
    tpm = "/var/lib/passthru/swtpm/%s" % daemon.virsh("domuuid", "two").strip()
    console = daemon.sh("ls -l /proc/%d/fd | grep -o '/dev/ptmx' | head -1" % other).out.strip()
    assert console == "/dev/ptmx"
    node = daemon.virsh("dumpxml", "two").split("<channel type='pty'>")[1].split("path='")[1].split("'")[0]
    assert node.startswith("/dev/pts/")
    for script in ["cat %s/two" % folder, "echo >>%s/two" % folder, "ls %s" % tpm,
                   "cat /proc/%d/mem" % other, "ls -l /proc/%d/fd" % other, "kill -STOP %d" % other,
                   "kill %d" % other, "echo x >%s" % node, "head -c1 %s" % node,
                   "mkdir /run/passthru/guests/two.d/x", "ls /run/passthru/guests/two.d"]:
        denied(daemon, uid, script)
    daemon.virsh("destroy", "one")
    daemon.virsh("destroy", "two")


def test_log_is_no_file_of_qemus(daemon, guests, folder):     # noqa: F811
    """What QEMU says is in its log, and QEMU has nothing open that it could fill or erase."""
    one = guests.define("one", disk(folder + "/one"), words="stay expect-none")
    one.start()
    files = daemon.sh("ls -l /proc/%d/fd" % one.pid()).out
    assert "/var/log" not in files and " 2 -> pipe:" in files
    log = "/var/log/passthru/guests/one.log"

    def say(text):
        daemon.sh("echo %s >/proc/%d/fd/2" % (text, one.pid()))
        guests.wait_for(lambda: text in daemon.sh("cat " + log).out)

    say("said-to-the-first")
    daemon.stop()
    daemon.start()
    guests.wait_for(lambda: "is still running" in daemon.log())
    say("said-to-the-second")
    daemon.virsh("destroy", "one")


def test_guests_are_no_clients(daemon, guests, folder):     # noqa: F811
    one = guests.define("one", disk(folder + "/one"), words="stay expect-none")
    one.start()

    def list_as(uid):
        return daemon.lab.run(["setpriv", "--reuid", uid, "--clear-groups", "env", "HOME=/tmp",
                               "XDG_CACHE_HOME=/tmp/" + uid, "virsh", "-c", "qemu:///system", "-r",
                               "list"], timeout=60)

    r = list_as("nobody")
    assert r.status == 0, r.err
    for uid in (str(one.uid()), daemon.sh("id -u passthru-qemu").out.strip()):
        r = list_as(uid)
        assert r.status != 0 and not r.out.strip(), r.out
    assert "guests are not served" in daemon.log()
    daemon.virsh("destroy", "one")


def test_files_of_several_guests(daemon, guests, folder):     # noqa: F811
    """A shared disk; an ISO in a directory, both permitted to passthru-qemu."""
    daemon.sh("mkdir -m 700 /srv/apart/closed && mv /srv/apart/iso /srv/apart/closed/ && "
              "setfacl -m u:passthru-qemu:x /srv/apart/closed && "
              "setfacl -m u:passthru-qemu:r /srv/apart/closed/iso")
    before = daemon.sh("getfacl -pn /srv/apart/closed /srv/apart/closed/iso").out
    devices = disk(folder + "/both", "<shareable/>") + disk(folder + "/closed/iso", "<readonly/>", "vdb")
    one = guests.define("one", devices, words="stay expect-none")
    two = guests.define("two", devices, words="stay expect-none")
    one.start()
    two.start()
    for g in (one, two):
        assert g.access(folder + "/both") == "rw-" and g.access(folder + "/closed/iso") == "r--"
        assert attack(daemon, g.uid(), "head", "-c1", folder + "/closed/iso").status == 0
    uid = one.uid()
    daemon.virsh("destroy", "one")
    denied(daemon, uid, "cat %s/both" % folder)
    denied(daemon, uid, "cat %s/closed/iso" % folder)
    assert two.access(folder + "/both") == "rw-"
    daemon.virsh("destroy", "two")
    assert daemon.sh("getfacl -pn /srv/apart/closed /srv/apart/closed/iso").out == before
    daemon.sh("mv /srv/apart/closed/iso /srv/apart/ && setfacl -b /srv/apart/iso")
    daemon.sh("rmdir /srv/apart/closed")


def test_without_access_control_lists(daemon, guests, folder):     # noqa: F811
    """There a file changes its owner, and can't be lent twice."""
    daemon.sh("mkdir /srv/apart/closed && mount -t ramfs none /srv/apart/closed && "
              "truncate -s 1M /srv/apart/closed/c && chmod 600 /srv/apart/closed/c")
    devices = disk(folder + "/closed/c", "<shareable/>")
    one = guests.define("one", devices, words="stay expect-none")
    guests.define("two", devices, words="stay expect-none")
    one.start()
    assert daemon.sh("stat -c '%u %a' /srv/apart/closed/c").out == "%d 600\n" % one.uid()
    words = daemon.virsh_fails("start", "two")
    assert "its filesystem has no access control lists" in words and "one guest at a time" in words
    daemon.virsh("destroy", "one")
    assert daemon.sh("stat -c '%U %a' /srv/apart/closed/c").out == "root 600\n"
    daemon.sh("umount /srv/apart/closed; rmdir /srv/apart/closed")


def test_one_user_for_all(daemon, guests, folder):     # noqa: F811
    """By configuration, as before; and what a guest has there moves over, to and fro."""
    devices = disk(folder + "/one") + TPM
    g = guests.define("one", devices, words="tpm stay")
    state = "/var/lib/passthru/swtpm/" + daemon.virsh("domuuid", "one").strip()

    def owners():
        return set(daemon.sh("stat -c %%u %s %s/*" % (state, state)).out.split())

    daemon.stop()
    daemon.start("--guest-user", "passthru-qemu")
    try:
        g.start()
        g.wait("guest: waiting")
        common = daemon.sh("id -u passthru-qemu").out.strip()
        assert daemon.sh("stat -c %%u /proc/%d" % g.pid()).out.strip() == common
        assert daemon.sh("stat -c %u /srv/apart/one").out.strip() == common and owners() == {common}
        # another daemon doesn't change what runs
        daemon.stop()
        daemon.start()
        guests.wait_for(lambda: "is still running" in daemon.log())
        assert daemon.sh("stat -c %u /srv/apart/one").out.strip() == common
        daemon.virsh("destroy", "one")
        assert daemon.sh("stat -c '%U %a' /srv/apart/one").out == "root 600\n"
        g.start()
        g.wait("guest: waiting")
        uid = g.uid()
        assert owners() == {str(uid)}
        daemon.virsh("destroy", "one")
        g.start()
        assert g.uid() == uid                   # it keeps it
        daemon.virsh("destroy", "one")
        assert daemon.sh("readlink /var/lib/passthru/users/%d" % uid).out.strip() == \
            daemon.virsh("domuuid", "one").strip()
        daemon.virsh("undefine", "one")
        assert daemon.sh("readlink /var/lib/passthru/users/%d" % uid).out == "-\n"     # nobody's
    finally:
        daemon.stop()
        daemon.start()
