# SPDX-License-Identifier: LGPL-2.1-or-later
"""Find and fetch a distribution kernel without installing it.

The package is downloaded with apt's own tools and unpacked below the cache, so
the machine keeps its own kernel and the lab works offline afterwards.
"""

import json
import lzma
import os
import re
import shutil
import subprocess
import tempfile

from paths import LabError, cache_root

# Signed Debian kernels: not the cloud flavour (few drivers), not realtime.
DEBIAN = re.compile(r"^linux-image-(6\.12\.[0-9]+(?:\+[a-z0-9.]+)?)-amd64$")
# Loaded at each boot or in each test: kept uncompressed, for xz is slow when emulated.
PLAIN = ("virtio_pci virtio_console 9pnet_virtio 9p virtio_blk ext4 overlay virtio_iommu nvme igb igbvf "
         "e1000e e1000 xhci_pci snd_hda_intel snd_hda_codec_generic bochs usb_storage uas usbhid hid_generic "
         "ahci sd_mod i2c_i801 lpc_ich vfio_pci vfio_iommu_type1 pci_stub iTCO_wdt intel_agp dm_mod "
         "tun bridge kvm").split()
UBUNTU = re.compile(r"^linux-image-(6\.[0-9]+\.[0-9]+-[0-9]+)-generic$")


class Kernel:
    """A kernel unpacked in DIR: DIR/vmlinuz, DIR/vmlinux, DIR/lib/modules/RELEASE."""

    def __init__(self, directory):
        self.dir = os.path.abspath(directory)
        modules = os.path.join(self.dir, "lib/modules")
        try:
            releases = sorted(os.listdir(modules))
        except OSError as e:
            raise LabError("%s is no kernel directory: %s (expected lib/modules/RELEASE and a "
                           "vmlinuz in it)" % (directory, e.strerror)) from e
        if len(releases) != 1:
            raise LabError("%s: expected one kernel release, found %s" % (modules, releases))
        self.release = releases[0]
        self.modules = os.path.join(modules, self.release)
        self.vmlinuz = self._first("vmlinuz", "boot/vmlinuz-" + self.release, "boot/vmlinuz")
        if not self.vmlinuz:
            raise LabError("%s holds no vmlinuz" % self.dir)
        self.vmlinux = self._first("vmlinux")

    def _first(self, *names):
        for name in names:
            path = os.path.join(self.dir, name)
            if os.path.exists(path):
                return path
        return None

    @property
    def image(self):
        """What to boot: the unpacked image where we have it, since decompression
        is the slowest part of a boot under emulation."""
        return self.vmlinux or self.vmlinuz


def _run(argv, **kw):
    r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)
    if r.returncode:
        raise LabError("%s failed:\n%s" % (" ".join(argv), (r.stderr or r.stdout).strip()))
    return r.stdout


def _version_key(text):
    return [int(n) for n in re.findall(r"[0-9]+", text)]


def candidates():
    """(package, release) of the kernels apt can fetch, best last."""
    names = _run(["apt-cache", "pkgnames", "linux-image-6."]).split()
    for pattern, suffix in ((DEBIAN, "-amd64"), (UBUNTU, "-generic")):
        found = [(n, m.group(1) + suffix) for n in names for m in [pattern.match(n)] if m]
        if found:
            return sorted(found, key=lambda f: _version_key(f[1]))
    return []


def _packages(package, release):
    """All packages that make up this kernel (Ubuntu splits the modules off)."""
    if package.endswith("-generic"):
        return [package, "linux-modules-" + release, "linux-modules-extra-" + release]
    return [package]


def unpack_vmlinux(vmlinuz, out):
    """Take the kernel proper out of a bzImage; without it the lab boots the bzImage."""
    with open(vmlinuz, "rb") as f:
        data = f.read()
    for magic, tool in ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\0", "xz"),
                        (b"\x1f\x8b\x08", "gzip")):
        at = data.find(magic)
        while at >= 0 and shutil.which(tool):
            # Trailing bytes after the payload make the tools complain; the output counts.
            r = subprocess.run([tool, "-dcq"], input=data[at:], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
            if r.stdout[:4] == b"\x7fELF":
                with open(out + ".tmp", "wb") as f:
                    f.write(r.stdout)
                os.rename(out + ".tmp", out)
                return True
            at = data.find(magic, at + 1)
    return False


def fetch(say):
    """Download, unpack and index the newest matching kernel; returns a Kernel."""
    if not shutil.which("apt-get"):
        raise LabError("no apt here: unpack a distribution kernel yourself (vmlinuz and "
                       "lib/modules/RELEASE in one directory) and pass --kernel DIR")
    found = candidates()
    if not found:
        raise LabError("apt knows no suitable kernel (linux-image-6.12*-amd64, or "
                       "linux-image-6.*-generic). On Debian 12 add the backports or security "
                       "suite and run apt-get update; or pass --kernel DIR")
    package, release = found[-1]
    base = os.path.join(cache_root(), "kernel")
    os.makedirs(base, exist_ok=True)
    work = tempfile.mkdtemp(prefix=".fetch-", dir=base)
    try:
        uris = _run(["apt-get", "-q", "download", "--print-uris"] + _packages(package, release))
        size = sum(int(line.split()[2]) for line in uris.splitlines() if line.startswith("'"))
        say("fetching %s (%.0f MB)" % (package, size / 1e6))
        # apt drops privileges for downloads; let its user write here, or it warns.
        os.chmod(work, 0o777)
        _run(["apt-get", "-q", "download"] + _packages(package, release), cwd=work)
        os.chmod(work, 0o755)
        tree = os.path.join(work, "tree")
        for deb in sorted(os.listdir(work)):
            if deb.endswith(".deb"):
                _run(["dpkg-deb", "-x", os.path.join(work, deb), tree])
        for sub in ("usr/lib/modules", "lib/modules"):
            source = os.path.join(tree, sub)
            if os.path.isdir(source) and sub != "lib/modules":
                os.makedirs(os.path.join(tree, "lib"), exist_ok=True)
                os.rename(source, os.path.join(tree, "lib/modules"))
        kernel = Kernel(tree)
        say("indexing the modules of %s" % kernel.release)
        _run(["/sbin/depmod", "-b", tree, kernel.release])
        if _make_plain(kernel):
            _run(["/sbin/depmod", "-b", tree, kernel.release])
        if not unpack_vmlinux(kernel.vmlinuz, os.path.join(tree, "vmlinux")):
            say("vmlinux not extracted (is zstd installed?); booting the compressed image")
        with open(os.path.join(tree, "kernel.json"), "w") as f:
            json.dump({"package": package, "release": kernel.release}, f)
        final = os.path.join(base, kernel.release)
        if os.path.isdir(final):
            shutil.rmtree(final)
        os.rename(tree, final)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Kernel(final)


def read_module(path):
    """A module's content, decompressed."""
    with open(path, "rb") as f:
        data = f.read()
    if path.endswith(".xz"):
        return lzma.decompress(data)
    if path.endswith(".zst"):
        return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE,
                              check=True).stdout
    return data


def _make_plain(kernel):
    """Decompress the modules of PLAIN in place; returns how many."""
    done = 0
    for name in PLAIN:
        try:
            paths = modules(kernel, [name])
        except LabError:    # not in this kernel, or under another name
            continue
        for path in paths:
            stem, ext = os.path.splitext(path)
            if ext in (".xz", ".zst") and os.path.exists(path):
                with open(stem, "wb") as f:
                    f.write(read_module(path))
                os.unlink(path)
                done += 1
    return done


def find(directory=None, say=lambda text: None):
    """The kernel to use: DIRECTORY, else the newest in the cache, else fetched."""
    if directory:
        return Kernel(directory)
    base = os.path.join(cache_root(), "kernel")
    if os.path.isdir(base):
        names = [n for n in os.listdir(base) if os.path.exists(os.path.join(base, n, "kernel.json"))]
        if names:
            return Kernel(os.path.join(base, max(names, key=_version_key)))
    return fetch(say)


def modules(kernel, names):
    """Paths of the modules NAMES and all they need, in loading order; built-in ones
    are left out."""
    order = []
    for name in names:
        out = _run(["/sbin/modprobe", "-d", kernel.dir, "-S", kernel.release,
                    "--ignore-install", "--show-depends", name])
        for line in out.splitlines():
            words = line.split()
            if words[:1] == ["insmod"] and words[1] not in order:
                order.append(words[1])
    return order
