# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a guest says on its serial ports and consoles is written by its recorder, to files that QEMU hasn't."""

import json

import pytest

from virsh_guests import daemon, guests     # noqa: F401

FILES = ("<console type='pty'><log file='/srv/says/log'/><target type='virtio'/></console>"
         "<channel type='file'><source path='/srv/says/agent' append='on'/>"
         "<target type='virtio' name='agent'/></channel>")
WORDS = "stay expect-none"
LIMIT = 16 << 20


@pytest.fixture
def folder(daemon):     # noqa: F811
    """Of nobody's but root, with what was there before."""
    daemon.sh("rm -rf /srv/says && mkdir -m 700 -p /srv/says && cd /srv/says && echo before >log && "
              "echo before >agent && chmod 640 agent")
    yield "/srv/says"
    daemon.sh("rm -rf /srv/says")


def recorder(daemon, name):     # noqa: F811
    return json.loads(daemon.sh("cat /run/passthru/guests/%s.json" % name).out)["recorder"]["pid"]


def ends_of_pipes(daemon, pid):     # noqa: F811
    """Those that can be written to, by what they are: {"pipe:[7]": "/proc/1/fd/5"}."""
    found = daemon.sh("cd /proc/%d/fd && for fd in *; do printf '%%s %%s %%s\\n' $fd \"$(readlink $fd)\" "
                      "$(stat -c %%A $fd); done" % pid).out
    return {what: "/proc/%d/fd/%s" % (pid, fd) for fd, what, mode in map(str.split, found.splitlines())
            if what.startswith("pipe:") and mode.startswith("l-w")}


def flood(daemon, guest, size):     # noqa: F811
    """As a QEMU that its guest has taken over: straight to the pipes that it shares with the recorder."""
    theirs = daemon.sh("ls -l /proc/%d/fd | grep -o 'pipe:.*'" % recorder(daemon, guest.name)).out.split()
    shared = [path for what, path in ends_of_pipes(daemon, guest.pid()).items() if what in theirs]
    assert len(shared) == 3, (theirs, shared)
    for path in shared:
        daemon.sh("head -c %d /dev/zero | tr '\\0' x >%s" % (size, path))
        daemon.sh("echo the end >%s" % path)
    return shared


def test_who_has_the_files(daemon, guests, folder):     # noqa: F811
    g = guests.define("o1", FILES, words=WORDS)
    g.start()
    g.wait("guest: waiting")
    pid, user = recorder(daemon, "o1"), g.uid()
    # owners and modes stay; a new file is its directory's owner's
    assert daemon.sh("stat -c '%u %a' log agent".replace("log", folder + "/log").replace(
        " agent", " " + folder + "/agent")).out.split() == ["0", "644", "0", "640"]
    assert daemon.sh("cat %s/log %s/agent" % (folder, folder)).out == "before\n"    # one of them is emptied
    # QEMU has none of them, and can't get at those of its recorder, which is the same user's
    opened = daemon.sh("ls -l /proc/%d/fd" % g.pid()).out
    assert folder not in opened and g.path not in opened
    assert daemon.sh("ls -l /proc/%d/fd" % pid).out.count(folder) == 2
    status = daemon.sh("cat /proc/%d/status" % pid).out
    assert "Name:\tpassthru-record\n" in status and "Uid:\t%d\t%d\t" % (user, user) in status
    assert "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status
    for what in ("ls /proc/%d/fd/", "cat /proc/%d/mem", "cat /proc/%d/environ"):
        r = daemon.sh("setpriv --reuid %d --regid %d --clear-groups %s" % (user, user, what % pid), check=False)
        assert r.status and "ermission denied" in r.err, what
    assert daemon.sh("tr '\\0' ' ' </proc/%d/cmdline" % pid).out.startswith("passthru-record ")
    daemon.virsh("destroy", "o1")
    assert daemon.sh("test -e /proc/%d" % pid, check=False).status
    assert "guest: waiting" in g.serial()


def test_it_outlives_passthrud(daemon, guests, folder):     # noqa: F811
    """Nothing is lost while none runs, and the next one knows whose it is."""
    g = guests.define("o2", FILES, words=WORDS)
    g.start()
    g.wait("guest: waiting")
    pid = recorder(daemon, "o2")
    pipe = flood(daemon, g, 10)[0]
    daemon.stop()
    daemon.sh("echo while none runs >" + pipe)
    daemon.start()
    assert recorder(daemon, "o2") == pid
    daemon.virsh("destroy", "o2")
    assert daemon.sh("test -e /proc/%d" % pid, check=False).status
    said = daemon.sh("cat %s/log %s/agent %s" % (folder, folder, g.path)).out
    assert said.count("the end\n") == 3 and said.count("while none runs\n") == 1


def test_flood(daemon, guests, folder):     # noqa: F811
    """As much as a QEMU can say: the files stay below their limit, and take no more room than they show."""
    g = guests.define("o3", FILES, words=WORDS)
    g.start()
    g.wait("guest: waiting")
    flood(daemon, g, 3 * LIMIT)
    daemon.virsh("destroy", "o3")
    for path in (folder + "/log", folder + "/agent", g.path):
        size, blocks = map(int, daemon.sh("stat -c '%%s %%b' %s" % path).out.split())
        assert 1 << 20 < size <= LIMIT and blocks * 512 < LIMIT + (1 << 20), path
        assert int(daemon.sh("grep -c 'bytes left out' %s" % path).out) > 0
        assert daemon.sh("tail -c 8 %s" % path).out == "the end\n"


def test_a_socket_that_nobody_named(daemon, guests):     # noqa: F811
    """It is root's, in a folder of root's, and QEMU listens there: to one client after the other."""
    g = guests.define("o5", "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
                      words=WORDS)
    g.start()
    g.wait("guest: waiting")
    assert daemon.sh("stat -c '%u %a' /run/passthru/guests/o5.d /run/passthru/guests/o5.d/channel0").out.split() == \
        ["0", "700", "0", "600"]
    # accepted, and not hung up
    r = daemon.sh("""/usr/bin/python3 - <<'END'
import socket
for _ in range(2):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(1)
    s.connect("/run/passthru/guests/o5.d/channel0")
    try:
        print("end" if not s.recv(1) else "said")
    except TimeoutError:
        print("waits")
    s.close()
END""")
    assert r.out.split() == ["waits", "waits"]
    daemon.virsh("destroy", "o5")
    assert daemon.sh("test -e /run/passthru/guests/o5.d", check=False).status


def test_one_that_is_killed(daemon, guests, folder):     # noqa: F811
    """QEMU can do that. It loses what its own guest says, which is told, and the guest runs on."""
    g = guests.define("o4", FILES, words=WORDS)
    g.start()
    g.wait("guest: waiting")
    daemon.sh("kill -KILL %d" % recorder(daemon, "o4"))
    guests.wait_for(lambda: "guest o4: what it says on its serial ports and consoles is not written" in daemon.log())
    assert daemon.virsh("domstate", "o4").strip() == "running"
    daemon.virsh("destroy", "o4")
