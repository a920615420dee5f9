# SPDX-License-Identifier: LGPL-2.1-or-later
"""Disks with an installed Debian, for the profiles that boot one: made once, kept in the cache.

A disk is one ext4 file system, labelled labroot, made of the distribution's packages and of the files in
inside/installed. Each lab has a copy of it. Nothing is mounted, here or there: what to boot is read out of
the lab's copy, so a kernel or an initramfs that the lab has made is booted the next time.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess

import kernel as kernels
import roots
from paths import LabError, cache_root, source_dir

LABEL = "labroot"
DISK_MIB = 8192
RECIPE = 1      # the next number when _make() or _hooks() do something else

# The distribution's own versions of all of it, its kernel and its QEMU too.
PACKAGES = (
    # an installed system; apt is there, for packages that a test installs
    "systemd systemd-sysv udev dbus kmod procps iproute2 e2fsprogs apparmor "
    "linux-image-amd64 initramfs-tools lz4 "
    # a host of guests
    "qemu-system-x86 ovmf swtpm libvirt-clients pciutils "
    # the lab's agent, and clients in Python
    "python3 python3-libvirt "
    # what passthru and passthrud are linked with; the last two, where they are sanitized
    "libjson-c5 libtirpc3 libnl-route-3-200 libxml2 libsystemd0 libudev1 libvirt0 libasan8 libubsan1").split()
# SELinux's policy is installed beside AppArmor; what a lab is under is on the kernel's command line.
# Debian 12 has the virtiofsd of its QEMU.
MORE = {"trixie": "selinux-policy-default selinux-utils policycoreutils virtiofsd".split()}
LABELS = "setfiles -m -F /etc/selinux/default/contexts/files/file_contexts"
SELINUX = """
printf 'SELINUX=permissive\nSELINUXTYPE=default\n' >"$1/etc/selinux/config"
chroot "$1" %s /
# The package would have it done by the first boot with SELinux, and after each one without: five minutes of emulation.
rm -f "$1/.autorelabel"
chroot "$1" systemctl mask selinux-autorelabel-mark.service
""" % LABELS
# The last that the first boot does: what it has made has labels too.
FINISH = "! command -v setfiles || %s /etc /var /root" % LABELS
SERVICES = ("lab-agent.service", "lab-ready.service", "lab-unstick.service")
# No terminals that anyone sits at, and nothing that wakes up in the middle of a test.
MASKED = ("getty@tty1.service", "serial-getty@ttyS0.service", "apt-daily.timer", "apt-daily-upgrade.timer",
          "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer")
NOT_UNPACKED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


class Installed:
    """What a lab boots, with the names that kernel.Kernel gives it."""

    def __init__(self, directory):
        self.dir = directory
        self.image = os.path.join(directory, "kernel")
        with open(os.path.join(directory, "release")) as f:
            self.release = f.read().strip()


# ---- making --------------------------------------------------------------------------------------


def _tree():
    return os.path.join(source_dir(), "inside/installed")


def _digest(suite):
    """What the disk is made of; with anything else of it, it is another disk."""
    h = hashlib.sha256(repr((RECIPE, suite, PACKAGES, MORE.get(suite), SELINUX, FINISH, SERVICES, MASKED, NOT_UNPACKED, DISK_MIB)).encode())
    names = [os.path.join(where, name) for where, _, files in os.walk(_tree()) for name in files]
    for path in sorted(names) + [os.path.join(source_dir(), "inside/unstick.py")]:
        with open(path, "rb") as f:
            h.update(os.path.basename(path).encode() + b"\0" + f.read())
    return h.hexdigest()[:12]


def _hooks(suite):
    """mmdebstrap's: our files before the packages, for the initramfs is made with some of them."""
    place = "cp -r --no-preserve=ownership %s/. \"$1\"" % shlex.quote(_tree())
    finish = "; ".join([
        "install -D -m 644 %s \"$1/usr/local/lib/lab/unstick.py\"" % shlex.quote(
            os.path.join(source_dir(), "inside/unstick.py")),
        "chroot \"$1\" systemctl enable " + " ".join(SERVICES),
        "chroot \"$1\" systemctl mask " + " ".join(MASKED),
        # Its name is on the command line; its identity comes at the first boot.
        "rm -f \"$1/etc/hostname\"", ": >\"$1/etc/machine-id\""])
    if suite in MORE:
        finish += SELINUX
    return ["--essential-hook=set -e; " + place, "--customize-hook=set -e; " + finish]


def _run(argv):
    r = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True)
    if r.returncode:
        raise LabError("%s failed:\n%s" % (shlex.join(argv), r.stdout.strip()))
    return r.stdout


def _make(suite, directory):
    """Everything of an Installed, in DIRECTORY, which is there already and empty."""
    root, disk = os.path.join(directory, "root"), os.path.join(directory, "disk")
    options = ["--dpkgopt=force-unsafe-io"] + ["--dpkgopt=path-exclude=" + p for p in NOT_UNPACKED]
    roots.make(suite, PACKAGES + MORE.get(suite, []), root, options + _hooks(suite))
    # Written whole now, for a lab would spend its first minutes on it.
    _run(["/sbin/mke2fs", "-q", "-t", "ext4", "-L", LABEL, "-m", "0", "-N", "131072", "-d", root,
          "-E", "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0", disk, "%dM" % DISK_MIB])
    shutil.rmtree(root)
    extract(disk, directory)


@contextlib.contextmanager
def _one_at_a_time(base, suite):
    os.makedirs(base, exist_ok=True)
    with open(os.path.join(base, ".%s.lock" % suite), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _give_to_owner(*paths):
    """Made by root for an ordinary user's cache: it is that user's."""
    owner = os.stat(os.path.expanduser("~"))
    for path in paths:
        os.chown(path, owner.st_uid, owner.st_gid)


def find(profile, first_boot, say=lambda text: None):
    """The disk of a profile and what it boots, made if it isn't there.  first_boot(Installed) boots a new
    one once: what an installation does then (compiling AppArmor's profiles, above all) takes minutes under
    emulation, which no lab shall wait for."""
    suite = profile.suite
    base = os.path.join(cache_root(), "installed")
    final = os.path.join(base, "%s-%s" % (suite, _digest(suite)))
    if os.path.isdir(final):
        return Installed(final)
    if os.geteuid() != 0:
        where = {"HOME": os.path.expanduser("~"), "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME")}
        raise LabError("the disk of profile %s isn't made yet, and making it needs root, once:\n"
                       "  sudo env %s /usr/bin/python3 %s image %s" % (
                           profile.name, " ".join(k + "=" + shlex.quote(v) for k, v in where.items() if v),
                           shlex.quote(os.path.join(source_dir(), "lab.py")), profile.name))
    with _one_at_a_time(base, suite):
        if not os.path.isdir(final):
            say("installing Debian %s on a disk, and booting it (once; minutes)" % suite)
            new = os.path.join(base, ".new-" + suite)
            shutil.rmtree(new, ignore_errors=True)      # that of one that was killed
            os.mkdir(new)
            _make(suite, new)
            first_boot(Installed(new))
            _give_to_owner(new, *(e.path for e in os.scandir(new)))
            os.rename(new, final)
        _give_to_owner(base, os.path.join(base, ".%s.lock" % suite))
    return Installed(final)


# ---- booting -------------------------------------------------------------------------------------


def _debugfs(disk, request):
    """debugfs says failures on its standard error, and its status is 0."""
    r = subprocess.run(["/sbin/debugfs", "-R", request, disk], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    messages = [line for line in r.stderr.splitlines() if not line.startswith("debugfs ")]
    if r.returncode or messages:
        raise LabError("%s: debugfs: %s: %s" % (disk, request, " ".join(messages)))
    return r.stdout


def _target(disk, link):
    """Where one of the links points that Debian keeps for boot loaders."""
    m = re.search(r'link dest: "(.*)"', _debugfs(disk, "stat " + link))
    if not m:
        raise LabError("%s: %s is no short symbolic link" % (disk, link))
    return "/" + m.group(1).lstrip("/")


def extract(disk, directory):
    """Read out of DISK what it would boot: kernel (unpacked), initrd and release in DIRECTORY.  Returns
    the release."""
    at = {name: os.path.join(directory, name) for name in ("vmlinuz", "kernel", "initrd", "release")}
    links = {"vmlinuz": _target(disk, "/vmlinuz"), "initrd": _target(disk, "/initrd.img")}
    before = b""
    with contextlib.suppress(FileNotFoundError), open(at["vmlinuz"], "rb") as f:
        before = f.read()
    for name, path in links.items():
        _debugfs(disk, "dump %s %s" % (path, at[name]))
    release = links["vmlinuz"].rpartition("vmlinuz-")[2]
    with open(at["release"], "w") as f:
        f.write(release + "\n")
    with open(at["vmlinuz"], "rb") as f:
        is_new = f.read() != before
    if (is_new or not os.path.exists(at["kernel"])) and not kernels.unpack_vmlinux(at["vmlinuz"], at["kernel"]):
        shutil.copy(at["vmlinuz"], at["kernel"])
    return release


def copy(source, directory, names):
    """Files of a disk's directory, or a lab's, to another."""
    for name in names:
        _run(["cp", "--sparse=always", "--reflink=auto", os.path.join(source.dir, name), directory])
