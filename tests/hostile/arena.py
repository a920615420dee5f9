# SPDX-License-Identifier: LGPL-2.1-or-later
"""passthrud, a process of its own on a fake kernel, with hostile QEMUs and clients at work, and neighbours who measure
how long their own calls take meanwhile."""

import contextlib
import json
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import wire

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
SANITIZERS = {"ASAN_OPTIONS": "exitcode=99:detect_leaks=1:strict_string_checks=1",
              "UBSAN_OPTIONS": "exitcode=99:halt_on_error=1:print_stacktrace=1"}

# What hostile neighbours may cost everybody else. These are promises (docs/security.md), not figures of speed.
ANSWER_S = 1.0
MEMORY_KIB = 64 * 1024
# SIGKILL comes within a second; then devices are reset and go back.
DESTROY_S = 5.0
SETTLE_S = 30

THREADS = 40       # src/daemon/pool.h
NVME = "0000:01:00.0"
READER = 4001      # a user of whom nothing else is known
GUESTS = "run/passthru/guests"

XML = """<domain type='qemu'><name>%(name)s</name><uuid>%(uuid)s</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu><os>
<type arch='x86_64' machine='q35'>hvm</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='file'><driver name='qemu' type='raw'/><source file='/srv/%(disk)s.img'/><target dev='vda' bus='virtio'/>
</disk><serial type='pty'/>%(more)s</devices></domain>"""
DISK = """<disk type='file'><driver name='qemu' type='raw'/><source file='/srv/%s.img'/>
<target dev='vdb' bus='virtio'/></disk>"""
HOSTDEV = """<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='1' slot='0'
function='0'/></source></hostdev>"""


def wait_for(what, seconds=SETTLE_S):
    """Until it returns something true, which is returned; or the last it returned."""
    until = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < until:
        time.sleep(0.02)
    return found


class Arena:
    def __init__(self, build):
        self.build, self.is_bounded = os.path.join(TOP, build), build != "build-test"
        self.directory = tempfile.mkdtemp(prefix="passthru-hostile-")
        os.chmod(self.directory, 0o755)         # guests run as somebody else
        self.tree = os.path.join(self.directory, "host")
        self.socket = os.path.join(self.directory, "sock")
        self.log = os.path.join(self.directory, "log")
        self.is_root = os.geteuid() == 0
        self.user = "nobody" if self.is_root else pwd.getpwuid(os.geteuid()).pw_name
        self.daemon, self.figures, self.hwm, self.baseline = None, {}, 0, {}
        self.run("passthru-fake", "--make", os.path.join(TOP, "tests/machines/vtd.json"), self.tree)
        self.run("passthrud-fake", "--make", self.tree)
        os.makedirs(os.path.join(self.tree, "srv"))
        program = os.path.join(self.tree, "fake/qemu/program")
        shutil.copy(os.path.join(HERE, "hostile_qemu.py"), program)
        os.chmod(program, 0o755)
        self.start()

    def program(self, name):
        return os.path.join(self.build, "tests/fake", name)

    def run(self, name, *args):
        subprocess.run([self.program(name), *args], check=True, env={**os.environ, **SANITIZERS})

    # ---- the daemon ----

    def start(self):
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen(
                [self.program("passthrud-fake"), self.tree, "--socket", self.socket, "--guest-user", self.user],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **SANITIZERS})
        assert wait_for(lambda: os.path.exists(self.socket + "-ro") or self.daemon.poll() is not None)
        assert self.daemon.poll() is None, self.said()

    def said(self):
        with open(self.log, errors="replace") as f:
            return f.read()[-6000:]

    def memory_kib(self):
        with open("/proc/%d/status" % self.daemon.pid) as f:
            return int(next(line for line in f if line.startswith("VmHWM")).split()[1])

    def descriptors(self):
        """How many there are of each kind that a guest, a client or a stream has."""
        counts = {}
        folder = "/proc/%d/fd" % self.daemon.pid
        for fd in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):
                kind = os.readlink(os.path.join(folder, fd)).split("[")[0].split(self.tree)[0]
                if kind.startswith(("socket:", "anon_inode:", "/dev/pt", "pipe:", "/memfd")):
                    counts[kind] = counts.get(kind, 0) + 1
        return counts

    def stop(self):
        self.daemon.send_signal(signal.SIGTERM)
        status = self.daemon.wait(60)
        assert status == 0, "status %d\n%s" % (status, self.said())

    def kill(self):
        self.daemon.kill()
        self.daemon.wait()
        for suffix in ("", "-ro"):
            os.unlink(self.socket + suffix)

    def close(self):
        if self.daemon.poll() is None:
            self.daemon.kill()
            self.daemon.wait()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)

    def open_group(self, is_open):
        """What the kernel sees of a guest that has the device of HOSTDEV open."""
        group = os.path.basename(os.readlink(os.path.join(self.tree, "sys/bus/pci/devices", NVME, "iommu_group")))
        self.run("passthru-fake", "--open" if is_open else "--close", self.tree, group)

    # ---- guests ----

    def admin(self, timeout=30):
        return wire.Connection(self.socket, timeout=timeout)

    def disk(self, name):
        path = os.path.join(self.tree, "srv", name + ".img")
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
            os.truncate(path, 65536)
        return path

    def xml(self, name, more="", disk=None):
        self.disk(disk or name)
        return XML % {"name": name, "uuid": wire.uuid_of(name), "disk": disk or name, "more": more}

    def send_create(self, name, more="", disk=None):
        """Asks for it, and leaves the connection to whoever wants the answer."""
        connection = self.admin()
        connection.send(wire.CREATE_XML, wire.text(self.xml(name, more, disk)) + wire.number(0))
        return connection

    def await_starts(self, creators):
        """Until each of these guests (names and who asked for them) has a process, or the answer is there."""
        wait_for(lambda: all(os.path.exists(os.path.join(self.tree, GUESTS, name + ".json")) or
                             select.select([c.socket], [], [], 0)[0] for name, c in creators))

    def create(self, name, more="", disk=None):
        connection = self.send_create(name, more, disk)
        connection.answer()
        connection.close()

    def processes(self):
        """QEMUs, alive or not yet waited for."""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open("/proc/%s/cmdline" % name, "rb") as f:
                if self.tree.encode() + b"/fake/qemu/program" in f.read():
                    found.append(int(name))
        return found

    def destroy_all(self, names):
        """At once; how long the longest took. One that has ended by itself is as good."""
        admins, begin = [self.admin() for _ in names], time.monotonic()
        for admin, name in zip(admins, names):
            admin.send(wire.DESTROY, wire.domain(name))
        for admin in admins:
            with contextlib.suppress(wire.Refused):
                admin.answer()
            admin.close()
        return time.monotonic() - begin

    # ---- what is left ----

    def owners(self):
        return {n: os.stat(os.path.join(self.tree, "srv", n)).st_uid for n in os.listdir(self.tree + "/srv")}

    def left(self):
        """What guests leave that aren't "good": nothing, it should be."""
        found = []
        for folder in ("claims", "journal", "guests"):
            path = os.path.join(self.tree, "run/passthru", folder)
            if os.path.isdir(path):
                found += [folder + "/" + n for n in os.listdir(path) if not n.startswith(("good.", "."))]
        found += ["%s is user %d's" % (n, uid) for n, uid in self.owners().items()
                  if uid != os.geteuid() and n != "good.img"]
        found += ["process %d" % p for p in self.processes()][1:]
        driver = os.path.join(self.tree, "sys/bus/pci/devices", NVME, "driver")
        if not os.path.exists(driver) or os.path.basename(os.readlink(driver)) != "nvme":
            found.append("%s is not the host's" % NVME)
        return found

    def settle(self):
        """Nothing is left of guests and, but for a thread's socket each, of clients."""
        wait_for(lambda: not self.left())
        wait_for(lambda: self.descriptors().get("socket:", 0) <= self.baseline.get("socket:", 0) + THREADS)
        assert not self.left(), "%s\n%s" % (self.left(), self.said())
        assert self.daemon.poll() is None, self.said()
        assert "ERROR: " not in self.said() and "runtime error" not in self.said(), self.said()

    def settle_descriptors(self):
        """Once its threads have ended, which have some of their own, it has no more than it began with."""
        def grown():
            return {k: n for k, n in self.descriptors().items() if n > self.baseline.get(k, 0)}
        wait_for(lambda: not grown())
        assert not grown(), "%s, not %s" % (self.descriptors(), self.baseline)

    # ---- neighbours ----

    @contextlib.contextmanager
    def neighbours(self, kinds=("clock", "admin", "reader", "listener"), has_trusted=False):
        """They work while the block runs; then their calls were answered in time, each as it should be. The memory of
        trusted users isn't bounded."""
        with open("/proc/%d/clear_refs" % self.daemon.pid, "w") as f:
            f.write("5")        # the highest mark begins again
        begun = {k: self.neighbour(k) for k in kinds}
        try:
            for kind, n in begun.items():
                assert n.stdout.readline() == "ready\n", kind
            yield
        finally:
            said = {k: n.communicate()[0] for k, n in begun.items()}
        self.judge({k: json.loads(s or "{}") for k, s in said.items()}, has_trusted)

    def neighbour(self, kind):
        is_reader = kind == "reader"
        return subprocess.Popen(
            [sys.executable, "-B", os.path.join(HERE, "neighbour.py"), kind,
             self.socket + ("-ro" if is_reader else ""), str(READER if is_reader and self.is_root else 0),
             str(self.daemon.pid)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def judge(self, said, has_trusted):
        # of a machine that stands still, passthrud is a part
        bad, bound = [], ANSWER_S + said["clock"]["machine"][1]
        for kind, calls in said.items():
            if not calls:
                bad.append("%s ended" % kind)
            for name, (count, longest, problems) in calls.items():
                before = self.figures.get((kind, name), (0, 0))
                self.figures[kind, name] = (before[0] + count, max(before[1], longest))
                if problems:
                    bad.append("%s: %s: %s" % (kind, name, problems))
                if self.is_bounded and longest > bound:
                    bad.append("%s: %s took %.2f s" % (kind, name, longest))
        assert not bad, "\n".join(bad + [json.dumps(said), self.said()])
        memory = self.memory_kib()
        self.hwm = self.hwm if has_trusted else max(self.hwm, memory)
        assert has_trusted or not self.is_bounded or memory < MEMORY_KIB, "passthrud took %d KiB" % memory

    def tell(self):
        """For people who run it with -s."""
        worst = sorted(((s, n, k, c) for (k, n), (c, s) in self.figures.items()), reverse=True)[:6]
        print("\n%s: VmHWM %d KiB; %s" % (os.path.basename(self.build), self.hwm, ", ".join(
            "%s of %s %.0f ms (%d calls)" % (n, k, 1000 * s, c) for s, n, k, c in worst)))
