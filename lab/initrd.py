# SPDX-License-Identifier: LGPL-2.1-or-later
"""Build the lab's initial RAM disk: busybox, a few modules and inside/init."""

import os
import shutil

import kernel as kernels
from paths import LabError, source_dir

# What it takes to reach the machine's / over 9p and the lab's own disk.
MODULES = ["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "virtio_blk", "ext4", "overlay"]


class Cpio:
    """A "newc" archive, enough of it for an initrd."""

    def __init__(self):
        self.parts = []
        self.inode = 0

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        self.inode += 1
        raw = name.encode() + b"\0"
        fields = [self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(raw), 0]
        head = b"070701" + b"".join(b"%08X" % f for f in fields) + raw
        self.parts.append(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))

    def directory(self, name):
        self._entry(name, 0o040755)

    def file(self, name, data, mode=0o755):
        self._entry(name, 0o100000 | mode, data)

    def node(self, name, major, minor):
        self._entry(name, 0o020600, rdev=(major, minor))

    def symlink(self, name, target):
        self._entry(name, 0o120777, target.encode())

    def finish(self):
        self._entry("TRAILER!!!", 0)
        return b"".join(self.parts)


def busybox():
    path = shutil.which("busybox")
    if not path:
        raise LabError("busybox is missing (Debian, Ubuntu: apt install busybox-static)")
    with open(path, "rb") as f:
        data = f.read()
    if b"/ld-linux" in data[:4096]:
        raise LabError("%s is not statically linked (apt install busybox-static)" % path)
    return data


def build(kernel, out, first=()):
    """Write the initrd; FIRST are modules that the others wait for (an IOMMU's)."""
    cpio = Cpio()
    for name in ("dev", "proc", "sys", "bin", "mod", "lower", "upper", "root"):
        cpio.directory(name)
    cpio.node("dev/console", 5, 1)
    cpio.file("bin/busybox", busybox())
    cpio.symlink("bin/sh", "busybox")
    order = []
    for path in kernels.modules(kernel, list(first) + MODULES):
        name = os.path.basename(path).split(".ko")[0] + ".ko"
        cpio.file("mod/" + name, kernels.read_module(path), 0o644)
        order.append(name)
    cpio.file("mod/order", ("\n".join(order) + "\n").encode(), 0o644)
    with open(os.path.join(source_dir(), "inside/init"), "rb") as f:
        cpio.file("init", f.read())
    with open(out + ".tmp", "wb") as f:
        f.write(cpio.finish())
    os.rename(out + ".tmp", out)
