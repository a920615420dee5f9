# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab host machine: a QEMU machine with an emulated IOMMU, run by its state
directory.  `Lab` is what tests and the command line use."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections import namedtuple

import accel as accels
import channel
import guests
import initrd
import installed
import kernel as kernels
import zoo
from paths import LabError, labs_root, source_dir
from qmp import Qmp, QmpError

Result = namedtuple("Result", "status out err")
UPPER_MIB = 8192
DEADLINE = 240
# An installed system starts ten times as many programs; alone it takes a minute.
INSTALLED_DEADLINE = 600
FIRST_BOOT_DEADLINE = 1800
# Until then a kernel has said something of its second second.
CLOCK_DEADLINE = 90
# MiB. With memory above 4 GiB (from 2816 MiB on) the firmware puts the bridges' windows there too,
# and QEMU 10.0 forgets the upper half of the addresses of igb's virtual functions.
MEMORY = 2560


class LabTimeout(LabError):
    """A command in the lab did not end in time; it was killed."""


def _sparse(path, mib):
    with open(path, "xb") as f:
        f.truncate(mib << 20)


def _start_time(pid):
    """When a process started (clock ticks): with the pid, its identity."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            fields = f.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


class Lab:
    def __init__(self, name="default"):
        if not name or "/" in name or name.startswith(".") or "," in name:
            raise LabError("%r is no name for a lab" % name)
        self.name = name
        self.dir = os.path.join(labs_root(), name)
        if "," in self.dir:
            raise LabError("%s: a comma in the path confuses QEMU's options; set "
                           "PASSTHRU_LAB_DIR" % self.dir)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    # -- state ------------------------------------------------------------------

    @contextlib.contextmanager
    def _locked(self):
        os.makedirs(labs_root(), exist_ok=True)
        fd = os.open(os.path.join(labs_root(), "." + self.name + ".lock"),
                     os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    @property
    def config(self):
        try:
            with open(self.path("config.json")) as f:
                return json.load(f)
        except OSError:
            return None

    def _save(self, config):
        with open(self.path("config.json.tmp"), "w") as f:
            json.dump(config, f, indent=1)
        os.rename(self.path("config.json.tmp"), self.path("config.json"))

    @property
    def pid(self):
        """The pid of the lab's QEMU, or None; a recycled pid is not ours."""
        config = self.config or {}
        pid = config.get("pid")
        if pid and _start_time(pid) == config.get("pid_start"):
            return pid
        return None

    def console_tail(self, lines=30):
        try:
            with open(self.path("console"), "rb") as f:
                text = f.read()[-20000:].decode(errors="replace")
        except OSError:
            return "(no console output)"
        return "\n".join(text.replace("\r", "").splitlines()[-lines:]) or "(no console output)"

    # -- up and down ------------------------------------------------------------

    @classmethod
    def up(cls, profile="vtd", name="default", kernel=None, accel="auto", memory=None,
           deadline=None, say=lambda text: None, extra=()):
        """Bring the lab up (or find it up) and return it."""
        lab = cls(name)
        if profile not in zoo.PROFILES:
            raise LabError("no profile %r; there are %s" % (profile, ", ".join(zoo.PROFILES)))
        deadline = deadline or (INSTALLED_DEADLINE if zoo.PROFILES[profile].suite else DEADLINE)
        with lab._locked():
            if lab.pid:
                have = lab.config["profile"]
                if have != profile:
                    raise LabError("lab %s is up with profile %s; take it down first, or give "
                                   "another --name" % (name, have))
                lab.wait_ready(deadline)
                say("already up")
                return lab
            if os.path.isdir(lab.dir):
                shutil.rmtree(lab.dir)
            start = time.monotonic()
            p = zoo.PROFILES[profile]
            if p.suite and kernel:
                raise LabError("profile %s boots the kernel on its own disk" % profile)
            k = cls.installed(profile, say) if p.suite else kernels.find(kernel, say)
            chosen = accels.choose(accel, k, say)
            lab._create(p, k, chosen, memory, extra)
            prepared = time.monotonic()
            try:
                lab._boot(deadline, say)
            except LabError as e:
                tail = lab.console_tail()
                lab._kill()
                raise LabError("%s\nlast words on its console (all: %s):\n%s" % (
                    e, lab.path("console"), tail)) from e
            config = lab.config
            config["boot_seconds"] = round(time.monotonic() - prepared, 1)
            lab._save(config)
            say("up in %.1f s (%s, kernel %s, %s; boot %.1f s)" % (
                time.monotonic() - start, profile, k.release, chosen, config["boot_seconds"]))
        return lab

    @classmethod
    def installed(cls, profile, say=lambda text: None):
        """The disk that labs of this profile are copied from, and what it boots."""
        p = zoo.PROFILES[profile]

        def first_boot(made):
            lab = cls("first-boot-" + profile)
            lab.down()
            with lab._locked():
                try:
                    lab._create(p._replace(security="apparmor"), made, accels.choose("auto", made, say), None, ())
                    lab._start()
                    lab.wait_ready(FIRST_BOOT_DEADLINE)
                    lab.run(installed.FINISH, timeout=FIRST_BOOT_DEADLINE)
                    lab._power_off(INSTALLED_DEADLINE)
                    installed.copy(lab, made.dir, ("disk",))
                except LabError as e:
                    raise LabError("the first boot of %s: %s\n%s" % (profile, e, lab.console_tail())) from e
            lab.down()

        return installed.find(p, first_boot, say)

    def _create(self, profile, kernel, accel, memory, extra):
        os.makedirs(self.path("ports"), mode=0o700)
        os.chmod(self.dir, 0o700)
        for sub in ("disks", "x/bin", "x/guest", "x/.inside"):
            os.makedirs(self.path(sub))
        for name in {c.opts["disk"] for c in profile.cards if "disk" in c.opts} | {"usb0"}:
            _sparse(self.path("disks", name), zoo.DISKS[name])
        self._fill_exchange()
        guests.install(self.path("x/guest"))
        if profile.suite:
            installed.copy(kernel, self.dir, ("disk", "vmlinuz", "kernel", "initrd", "release"))
        else:
            guests.linux(kernel, self.path("x/guest"))
            _sparse(self.path("disk"), UPPER_MIB)
            subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=1,root_owner=0:0",
                            "-m", "0",
                            self.path("disk")], check=True)
            initrd.build(kernel, self.path("initrd"), profile.modules)
        argv = self._qemu_argv(profile, kernel, accel, memory or MEMORY) + list(extra)
        self._save({"profile": profile.name, "kernel": kernel.dir, "release": kernel.release,
                    "accel": accel, "argv": argv})

    def _fill_exchange(self):
        inside = os.path.join(source_dir(), "inside")
        for name in ("stage2", "agent.py", "unstick.py", "shutdown"):
            shutil.copy(os.path.join(inside, name), self.path("x/.inside", name))
        for name in os.listdir(os.path.join(inside, "bin")):
            shutil.copy(os.path.join(inside, "bin", name), self.path("x/bin", name))
        shutil.copy(os.path.join(source_dir(), "record.py"), self.path("x/bin/lab-record"))
        os.chmod(self.path("x/bin/lab-record"), 0o755)
        with open(self.path("x/.inside/name"), "w") as f:
            f.write("lab-%s\n" % self.name)

    def _qemu_argv(self, profile, kernel, accel, memory):
        mem0 = memory * 2 // 3
        # Periodic ticks, so that inside/unstick.py sees when a processor gets none any more.
        # What guards against other tenants and costs an emulated processor a fifth of its time is off.
        cmdline = ("console=ttyS0 quiet loglevel=5 %s mitigations=off init_on_alloc=0 hardened_usercopy=off "
                   "randomize_kstack_offset=off tsc=reliable no_timer_check nohz=off highres=off panic=-1 "
                   "initcall_blacklist=shpcd_init module_blacklist=uas,joydev,iTCO_wdt %s" % (profile.cmdline, (
                       "root=LABEL=%s ro %s=1 security=%s systemd.hostname=lab-%s" % (
                           installed.LABEL, profile.security, profile.security, self.name)
                       if profile.suite else "lab.modules=" + kernel.modules)))
        argv = [accels.QEMU] + accels.machine_args(accel) + [
            "-name", "lab-" + self.name, "-smp", "2", "-m", "%dM" % memory,
            "-object", "memory-backend-ram,id=m0,size=%dM" % mem0,
            "-object", "memory-backend-ram,id=m1,size=%dM" % (memory - mem0),
            "-numa", "node,nodeid=0,cpus=0,memdev=m0", "-numa", "node,nodeid=1,cpus=1,memdev=m1",
            # Native PCIe hotplug, as servers have it; also much less ACPI to interpret.
            "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
            "-display", "none", "-vga", "none", "-nodefaults", "-daemonize",
            "-pidfile", self.path("pid"),
            "-kernel", self.path("kernel") if profile.suite else kernel.image,
            "-initrd", self.path("initrd"), "-append", cmdline,
            "-chardev", "file,id=console,path=%s,append=on" % self.path("console"),
            "-serial", "chardev:console",
            "-chardev", "socket,id=qmp,path=qmp,server=on,wait=off",
            "-mon", "chardev=qmp,mode=control",
            "-fsdev", "local,id=lab,path=%s,security_model=none" % self.path("x"),
            "-drive", "if=none,id=d_root,format=raw,discard=unmap,file=" + self.path("disk")]
        if not profile.suite:
            argv += ["-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap"]
        argv += zoo.qemu_args(profile, lambda name: self.path("disks", name))
        for n in range(channel.PORTS):
            argv += ["-chardev", "socket,id=lab%d,path=ports/lab%d,server=on,wait=off" % (n, n),
                     "-device", "virtserialport,bus=labcon.0,chardev=lab%d,name=lab%d" % (n, n)]
        return argv

    def _start(self):
        config = self.config
        # Relative socket paths: a socket address holds only 108 bytes.
        r = subprocess.run(config["argv"], cwd=self.dir, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if r.returncode:
            raise LabError("QEMU did not start:\n" + r.stdout.strip())
        with open(self.path("pid")) as f:
            config["pid"] = int(f.read())
        config["pid_start"] = _start_time(config["pid"])
        config["started"] = time.time()
        config["qemu_says"] = r.stdout
        self._save(config)

    def _is_clockless(self):
        """A kernel that couldn't tell how fast its clock is may wait forever for timers: seen when the machine under the
        emulator was loaded. It says nothing after that."""
        with open(self.path("console"), "rb") as f:
            text = f.read()
        return self.pid and b"tsc: Unable to calibrate" in text and not re.search(rb"\[ +[1-9][0-9]*\.[0-9]+\]", text)

    def _boot(self, deadline, say):
        """Started once more where its kernel stands still."""
        self._start()
        try:
            self.wait_ready(CLOCK_DEADLINE)
            return
        except LabError:
            if self._is_clockless():
                say("its kernel could not calibrate its clock; starting it again")
                self._kill()
                self._start()
        self.wait_ready(deadline)

    def wait_ready(self, deadline=DEADLINE, not_boot=None):
        """Wait until the agent answers and udev has settled."""
        until = time.monotonic() + deadline
        while True:
            if not self.pid:
                raise LabError("the lab's QEMU has ended")
            try:
                c = channel.Channel(self.dir, min(until, time.monotonic() + 5))
            except LabError:
                if time.monotonic() >= until:
                    raise LabError("lab %s did not come up in %d s" % (self.name, deadline))
                continue
            try:
                if c.boot == not_boot is not None:
                    time.sleep(0.2)
                    continue
                wait = "until [ -e /run/lab-ready ]; do sleep 0.1; done"
                channel.Command(c, ["sh", "-c", wait], lambda *_: None).wait(until)
                return
            except (OSError, channel.LabLost):
                if time.monotonic() >= until:
                    raise LabError("lab %s did not come up in %d s" % (self.name, deadline))
            finally:
                c.close()

    def _kill(self):
        pid = self.pid
        if pid:
            os.kill(pid, signal.SIGKILL)
            while self.pid:
                time.sleep(0.02)

    def down(self):
        """Stop the machine and remove all of it.  False: there was none."""
        with self._locked():
            if not os.path.isdir(self.dir):
                return False
            self._kill()
            shutil.rmtree(self.dir)
        return True

    def reboot(self, hard=False, deadline=None):
        """Shut down (or pull the power) and boot again, same disks, same cards.  An installed system
        is a machine that is switched off and on again: with what its disk says to boot, and with the
        cards of its profile."""
        if zoo.PROFILES[self.config["profile"]].suite:
            self._cycle(hard, deadline or INSTALLED_DEADLINE)
            return
        boot = self.run(["cat", "/proc/sys/kernel/random/boot_id"]).out.strip()
        if hard:
            self.qmp("system_reset")
        else:
            with contextlib.suppress(channel.LabLost):
                self.run(["/lab/.inside/shutdown"], timeout=60)
        self.wait_ready(deadline or DEADLINE, not_boot=boot)

    def _power_off(self, deadline):
        """Shut an installed system down, and wait until its machine is off."""
        until = time.monotonic() + deadline
        with contextlib.suppress(channel.LabLost):
            self.run(["systemctl", "--no-block", "poweroff"], timeout=60)
        while self.pid:
            if time.monotonic() >= until:
                raise LabError("lab %s did not shut down in %d s" % (self.name, deadline))
            time.sleep(0.1)

    def _cycle(self, hard, deadline):
        with self._locked():
            if hard:
                self._kill()
            else:
                self._power_off(deadline)
            release = installed.extract(self.path("disk"), self.dir)
            self._save({**self.config, "release": release})
            self._start()
            self.wait_ready(deadline)

    # -- use --------------------------------------------------------------------

    def _require(self):
        if not self.pid:
            raise LabError("lab %s is not up" % self.name)

    @contextlib.contextmanager
    def command(self, argv, output, **kw):
        """A running channel.Command; ended with the block."""
        self._require()
        c = channel.Channel(self.dir, time.monotonic() + 60)
        try:
            yield channel.Command(c, argv, output, **kw)
        finally:
            c.close()

    def run(self, argv, input=None, timeout=None, cwd=None, env=None, text=True):
        """Run ARGV (a list: exactly that; a string: through sh -c) and collect what it says."""
        if isinstance(argv, str):
            argv = ["sh", "-c", argv]
        got = {"out": [], "err": []}
        data = input.encode() if isinstance(input, str) else input
        with self.command([str(a) for a in argv], lambda n, d: got[n].append(d),
                          stdin=data is not None, cwd=cwd, env=env) as command:
            if data is not None:
                r, w = os.pipe()
                command.feed_file(r)
                with contextlib.suppress(BrokenPipeError), os.fdopen(w, "wb") as f:
                    f.write(data)
            try:
                status = command.wait(timeout and time.monotonic() + timeout)
            except TimeoutError as e:
                command.send(b"kill 9")
                raise LabTimeout("%s: no end within %s s\n%s%s" % (
                    argv, timeout, b"".join(got["out"]).decode(errors="replace"),
                    b"".join(got["err"]).decode(errors="replace"))) from e
        out, err = b"".join(got["out"]), b"".join(got["err"])
        if text:
            out, err = out.decode(errors="replace"), err.decode(errors="replace")
        return Result(status, out, err)

    def install(self, directory):
        """Copy what is below DIRECTORY (as meson install --destdir leaves it) over the lab's /, as a
        package would: systemd, udev and the linker are told."""
        archive = self.path("x/.inside/install.tar")
        subprocess.run(["tar", "-C", directory, "--owner=0", "--group=0", "-cf", archive, "."], check=True)
        # What is there keeps its mode, / above all.
        r = self.run("set -e; tar --keep-directory-symlink --no-overwrite-dir -C / -xpf "
                     "/lab/.inside/install.tar; ldconfig; "
                     "[ ! -d /run/systemd/system ] || { systemd-sysusers; systemctl daemon-reload; }; "
                     "udevadm control --reload", timeout=240)
        os.unlink(archive)
        if r.status:
            raise LabError("installing %s failed:\n%s%s" % (directory, r.out, r.err))

    def qmp_session(self):
        self._require()
        return Qmp(self.path("qmp"))

    def qmp(self, command, arguments=None, **kw):
        """One QMP command to the lab's own QEMU, e.g. lab.qmp("device_del", id="nvme0")."""
        with self.qmp_session() as q:
            return q.command(command, arguments or {k.replace("_", "-"): v for k, v in kw.items()})

    def processors(self):
        """Where its processors are, for one that answers to nothing any more: QEMU's own view."""
        try:
            text = self.qmp("human-monitor-command", {"command-line": "info registers -a"})
        except (LabError, OSError) as e:
            return "(QEMU doesn't say where its processors are: %s)" % e
        return "\n".join(line for line in text.replace("\r", "").splitlines()
                         if line.startswith(("CPU#", "RIP=", "RSP=")) or "RIP=" in line)

    def push(self, path, dest=None):
        """Copy a file into the lab, by default to /lab/bin; returns its path there."""
        dest = dest or "/lab/bin/" + os.path.basename(path)
        inside = os.path.normpath(os.path.join("/lab", dest))
        if not inside.startswith("/lab/"):
            raise LabError("%s: files are pushed below /lab" % dest)
        target = self.path("x", inside[5:])
        os.makedirs(os.path.dirname(target), exist_ok=True)
        # A new file each time: a running program keeps the old one.
        shutil.copy2(path, target + ".new")
        if inside.startswith("/lab/bin/"):
            os.chmod(target + ".new", 0o755)
        os.rename(target + ".new", target)
        return inside


def all_labs():
    root = labs_root()
    names = sorted(os.listdir(root)) if os.path.isdir(root) else []
    return [Lab(n) for n in names if not n.startswith(".") and
            os.path.exists(os.path.join(root, n, "config.json"))]


__all__ = ["Lab", "LabError", "LabTimeout", "QmpError", "Result", "all_labs"]
