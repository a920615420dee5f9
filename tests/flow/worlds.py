# SPDX-License-Identifier: LGPL-2.1-or-later
"""The two worlds a scenario can run in.

Both hold the cards of lab/zoo.py: FakeWorld as a recording with the rules of the
kernel's driver core acted out by tests/fake, LabWorld for real.
"""

import contextlib
import hashlib
import json
import os
import random
import shlex
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("PASSTHRU_BUILD", "build-test"))
MACHINES = os.path.join(TOP, "tests", "machines")
DEVICES = "/sys/bus/pci/devices"

# A sanitizer's report ends passthru with a status that nothing expects.
SANITIZERS = {
    "ASAN_OPTIONS": "exitcode=99:detect_leaks=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "exitcode=99:halt_on_error=1:print_stacktrace=1",
}
# In the lab the search for leaks takes half of each command's time. The same scenarios are searched
# on the fake kernel, and so is what only runs in the lab where it ends by itself: the daemon.
IN_LAB = {**SANITIZERS, "ASAN_OPTIONS": SANITIZERS["ASAN_OPTIONS"].replace("leaks=1", "leaks=0")}


class Rounds:
    """The rounds of a long count that a test does: a sample with a seed of its own, or those that
    ./dev soak asks for (tests/soak.py) by PASSTHRU_ROUNDS, "FIRST COUNT SEED LOG"."""

    def __init__(self):
        self.asked = os.environ.get("PASSTHRU_ROUNDS", "").split()

    def choose(self, sample):
        """(first, count, seed); SAMPLE is the count where nothing was asked for."""
        return tuple(map(int, self.asked[:3])) or (0, sample, random.randrange(1 << 30))

    def finish(self, lines):
        """LINES are JSON, one for each round that was done; each must have gone well."""
        if self.asked:
            with open(self.asked[3], "a") as f:
                f.writelines(json.dumps(line) + "\n" for line in lines)
        bad = [line for line in lines if line["problems"]]
        assert not bad, bad

    def run_in(self, lab, script, sample, seconds):
        """Run a script of tests/lab/rounds.py in the lab, SECONDS a round; what it printed."""
        first, count, seed = self.choose(sample)
        here = os.path.join(TOP, "tests", "lab")
        lab.push(os.path.join(here, "rounds.py"))
        argv = [lab.push(os.path.join(here, script)), str(first), str(count), str(seed)]
        status, output = "no end", ""
        try:
            # before the first round the script measures how long each operation takes
            r = lab.run(argv, timeout=600 + seconds * count, env=IN_LAB)
            status, output = r.status, r.out + r.err
        except Exception as e:
            output = str(e)       # of one that doesn't end it has what it printed
            raise
        finally:
            lines = [json.loads(line) for line in output.splitlines()
                     if line.startswith("{") and line.endswith("}")]
            self.finish(lines)
        assert status == 0 and len(lines) == count, output
        return lines


class Result:
    def __init__(self, words, status, out, err):
        self.words, self.status, self.out, self.err = words, status, out, err
        if status == 99 or "ERROR: AddressSanitizer" in err or "runtime error:" in err:
            raise AssertionError("sanitizer report from %s:\n%s" % (self.words, err))

    @property
    def json(self):
        try:
            return json.loads(self.out)
        except ValueError as e:
            raise AssertionError("%s\nnot JSON: %s" % (self, e)) from None

    def ok(self):
        assert self.status == 0, str(self)
        return self

    def fails(self, status, *phrases):
        """Ended with STATUS, and said each phrase on standard error and nothing on output."""
        assert self.status == status, str(self)
        for p in phrases:
            assert p in self.err, "%r is missing:\n%s" % (p, self)
        return self

    def __str__(self):
        return "passthru %s\nstatus %d\n%s%s" % (shlex.join(self.words), self.status,
                                                  self.out, self.err)


class World:
    """What scenarios use; the two worlds fill in the rest."""

    def driver(self, address):
        return self.snapshot()["functions"][address][0]

    def override(self, address):
        return self.snapshot()["functions"][address][1]

    def claims(self):
        """Addresses of the devices claimed."""
        return [f.split("/")[-1] for f in self.snapshot()["state"] if "/claims/" in f]


class FakeWorld(World):
    name = "fake"

    def __init__(self, tree, machine="vtd.json"):
        self.tree = tree
        self.fake = os.path.join(BUILD, "tests/fake/passthru-fake")
        subprocess.run([self.fake, "--make", os.path.join(MACHINES, machine), tree], check=True,
                       env={**os.environ, **SANITIZERS})

    def passthru(self, *words, env=None, input=None):
        words = [str(w) for w in words]
        r = subprocess.run([self.fake, self.tree] + words, input=input, text=True,
                           stdin=None if input is not None else subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                           env={**os.environ, **SANITIZERS, **(env or {})})
        return Result(words, r.returncode, r.stdout, r.stderr)

    def program(self):
        """How a shell started by passthru runs passthru on the same host."""
        return shlex.join([self.fake, self.tree])

    def sh(self, script, check=True, timeout=60):
        r = subprocess.run(["sh", "-c", script], stdin=subprocess.DEVNULL, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                           env={**os.environ, **SANITIZERS})
        assert not check or r.returncode == 0, "%s\n%s%s" % (script, r.stdout, r.stderr)
        return r.stdout

    def path(self, path):
        return self.tree + path

    def read(self, path):
        with open(self.path(path)) as f:
            return f.read()

    def write(self, path, text):
        """What echo TEXT >PATH does; the errno's name, or ""."""
        r = subprocess.run([self.fake, "--write", self.tree, path, text or "\n"], text=True, timeout=60,
                           stdout=subprocess.PIPE, env={**os.environ, **SANITIZERS})
        return r.stdout.strip()

    def exists(self, path):
        return os.path.lexists(self.path(path))

    def set_override(self, address, driver):
        with open(self.path("%s/%s/driver_override" % (DEVICES, address)), "w") as f:
            f.write((driver or "(null)") + "\n")

    def fault(self, address, operation, what):
        """See tests/fake/fake.h; WHAT None takes it away."""
        path = self.path("/fake/faults/%s/%s" % (address, operation))
        if what is None:
            os.unlink(path)
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(what + "\n")

    def refusing(self, address):
        """Words for detach that make the new driver of ADDRESS refuse it."""
        self.fault(address, "probe", "refuse")
        return []

    def snapshot(self):
        functions = {}
        for address in os.listdir(self.path(DEVICES)):
            at = self.path("%s/%s/" % (DEVICES, address))
            try:
                driver = os.path.basename(os.readlink(at + "driver"))
            except FileNotFoundError:
                driver = None
            with open(at + "driver_override") as f:
                override = f.read().strip()
            functions[address] = (driver, None if override in ("(null)", "") else override)
        state = []
        for sub in ("claims", "journal"):
            for where, _, names in os.walk(self.path("/run/passthru/" + sub)):
                state += [os.path.join(where, n)[len(self.tree):] for n in names]
        return {"functions": functions, "state": sorted(state)}


class LabWorld(World):
    name = "lab"

    SNAPSHOT = r"""
cd /sys/bus/pci/devices
find */ -maxdepth 1 -name driver -printf '%h %l\n'
echo =
grep -H '' */driver_override
echo =
find /run/passthru/claims /run/passthru/journal -type f 2>/dev/null
exit 0
"""

    def __init__(self, lab, program="/lab/bin/passthru"):
        self.lab, self.path = lab, program
        self.before = self.snapshot()

    def passthru(self, *words, env=None, input=None, uid=None):
        words = [str(w) for w in words]
        prefix = ["setpriv", "--reuid=%d" % uid, "--clear-groups"] if uid else []
        r = self.lab.run(prefix + [self.path] + words, input=input, timeout=120,
                         env={**IN_LAB, **(env or {})})
        return Result(words, r.status, r.out, r.err)

    def program(self):
        return self.path

    def sh(self, script, check=True, timeout=60):
        r = self.lab.run(script, timeout=timeout, env=IN_LAB)
        assert not check or r.status == 0, "%s\nstatus %d\n%s%s" % (script, r.status, r.out, r.err)
        return r.out

    def read(self, path):
        return self.sh("cat " + shlex.quote(path))

    def write(self, path, text):
        """What echo TEXT >PATH does; the errno's text, or ""."""
        return self.sh("echo %s 2>&1 >%s" % (shlex.quote(text), shlex.quote(path)),
                       check=False).strip()

    def exists(self, path):
        return self.lab.run(["test", "-e", path]).status == 0

    def set_override(self, address, driver):
        self.sh("echo %s >%s/%s/driver_override" % (driver or "", DEVICES, address))

    def refusing(self, address):
        """A real driver that looks at the device and declines: it wants virtio ids."""
        return ["--driver", "virtio-pci"]

    def snapshot(self):
        drivers, overrides, state = self.sh(self.SNAPSHOT).split("=\n")
        functions = {}
        for line in overrides.splitlines():
            path, _, override = line.partition("/driver_override:")
            functions[path] = (None, None if override in ("(null)", "") else override)
        for line in drivers.splitlines():
            address, target = line.split(" ")
            address = address.strip("/")
            # one that came or went between the two lists is in one of them
            functions[address] = (target.split("/")[-1], functions.get(address, (None, None))[1])
        return {"functions": functions, "state": sorted(state.split())}

    def restore(self):
        """Put the machine back as it was when the session began, without passthru."""
        now = self.snapshot()
        script = ["rm -rf /run/passthru"]
        for address, (driver, override) in self.before["functions"].items():
            have = now["functions"].get(address)
            if have is None:
                raise AssertionError("%s has left the lab; the test must bring it back" % address)
            at = "%s/%s" % (DEVICES, address)
            if have[1] != override:
                script.append("echo %s >%s/driver_override" % (override or "", at))
            if have[0] != driver:
                if have[0]:
                    script.append("echo %s >%s/driver/unbind" % (address, at))
                if driver:
                    script.append("echo %s >/sys/bus/pci/drivers/%s/bind" % (address, driver))
        self.sh("\n".join(script))
        if len(script) > 1:
            assert self.snapshot() == self.before


@contextlib.contextmanager
def staged(profile):
    """A directory with what is installed on the Debian of PROFILE. What is built on a newer one than that
    doesn't run there (its libc is older), so it is built in a root of it."""
    import paths
    import roots

    import zoo

    number = next(n for n, suite in roots.SUITES.items() if suite == zoo.PROFILES[profile].suite)
    here = [n for n, suite in roots.SUITES.items() if suite == roots.codename()]
    if here and here[0] <= number:
        with tempfile.TemporaryDirectory() as files:
            subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", files],
                           check=True)
            yield files
    else:
        # as ./dev test has built it there
        subprocess.run([os.path.join(TOP, "dev"), "root", number, "stage"], check=True, stdout=sys.stderr,
                       env={**os.environ, "SANITIZE": "no"})
        yield os.path.join(paths.cache_root(), "roots", "debian" + number + roots.TREE, "build-test/staged")


# In the profile selinux: its policy has what guests with devices need, and is enforced. For virsh it has a domain
# that reads no files of /tmp.
ENFORCED = """set -e
semodule -i /usr/share/passthru/selinux/passthru.cil
setsebool virt_use_vfio=on virt_use_execmem=on
chcon -t bin_t /usr/bin/virsh
setenforce 1"""


def lab_up(what, profile="vtd"):
    """(lab, whether it is ours to take down), with the programs of BUILD in it; WHAT runs in it."""
    import lab as labs

    def say(text):
        print("lab: " + text, file=sys.stderr, flush=True)

    is_installed = profile != "vtd"
    name = os.environ.get("PASSTHRU_LAB")
    if name:
        machine = labs.Lab(name + "-" + profile if is_installed else name)
    else:
        # a few for each checkout; what a killed run left behind goes first
        ours = "test-%s-%s" % (what, hashlib.sha256(TOP.encode()).hexdigest()[:6])
        labs.Lab(ours).down()
        try:
            machine = labs.Lab.up(profile, ours, deadline=None if is_installed else 120, say=say)
        except labs.LabError as e:
            # An emulated processor now and then loses a timer and sleeps for good. What is tested
            # here is not QEMU; but say so.
            say("it did not boot, trying once more: %s" % e)
            labs.Lab(ours).down()
            machine = labs.Lab.up(profile, ours, say=say)
    if is_installed:
        with staged(profile) as files:
            machine.install(files)
    else:
        machine.push(os.path.join(BUILD, "src/cli/passthru"))
    return machine, not name
