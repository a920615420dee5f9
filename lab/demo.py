#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The main job, told to a reader: a drive goes to a guest and comes back.

Everything shown is really done, by the kernel of a lab machine, and checked; the first thing
that isn't as it should be ends the demo with status 1.
"""

import argparse
import os
import re
import sys
import time
import zlib

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "lab"))

from lab import Lab, LabError                                       # noqa: E402

DRIVE = "01:00.0"
DISK = "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_lab0"
HOST_BLOCK, GUEST_BLOCK, BLOCKS = 400000, 410000, 64     # beyond the filesystem
SEED = 2026
GUEST = ("qemu-system-x86_64 -M q35,kernel-irqchip=off -accel tcg -cpu qemu64 -m 64M -nodefaults "
         "-no-reboot -display none -serial stdio -device pvpanic -action panic=exit-failure "
         "-kernel /lab/guest/payload.elf -append")


class Story:
    def __init__(self, color):
        self.bold, self.dim, self.green, self.red, self.plain = (
            ("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m") if color else [""] * 5)
        self.start = time.monotonic()
        self.step = 0
        self.facts = []
        self.lab = None

    def tell(self, title, text=""):
        self.step += 1
        print("\n%s%d. %s%s" % (self.bold, self.step, title, self.plain))
        if text:
            print(text)
        sys.stdout.flush()

    def type(self, command, shown=None, status=0, keep=None):
        """Run a command in the lab and show it as if typed there; KEEP picks the lines shown."""
        print("\n%s# %s%s" % (self.bold, shown or command, self.plain), flush=True)
        r = self.lab.run(command, timeout=300)
        text = (r.out + r.err).rstrip("\n")
        lines = [line for line in text.split("\n") if line and (not keep or re.search(keep, line))]
        for line in lines:
            print("  %s%s%s" % (self.dim, line, self.plain))
        if keep and len(lines) < text.count("\n") + 1:
            print("  %s… (%d lines)%s" % (self.dim, text.count("\n") + 1, self.plain))
        sys.stdout.flush()
        self.check("exit status %d" % status, r.status == status, "it was %d" % r.status, quiet=True)
        return r

    def check(self, what, good, otherwise="", quiet=False):
        if not good:
            print("  %s✗ %s%s %s" % (self.red, what, self.plain, otherwise))
            raise SystemExit(1)
        if not quiet:
            print("  %s✓ %s%s" % (self.green, what, self.plain), flush=True)
            self.facts.append(what)


def pattern(seed, size):
    """What the guest writes: see lab/README.md."""
    out = bytearray()
    while len(out) < size:
        seed = (seed * 1664525 + 1013904223) & 0xffffffff
        out += seed.to_bytes(4, "little")
    return bytes(out[:size])


def read_crc(story, block):
    r = story.lab.run("dd if=%s bs=512 skip=%d count=%d iflag=direct status=none | "
                      "/usr/bin/python3 -c 'import sys,zlib; "
                      "print(\"%%08x\" %% zlib.crc32(sys.stdin.buffer.read()))'"
                      % (DISK, block, BLOCKS), timeout=60)
    return r.out.strip()


def look_around(story):
    story.tell("What is in this machine?")
    story.type("passthru list --class storage")
    story.type("passthru tree", keep=r"root bus 0000:00|00:01.0|" + DRIVE)
    story.type("passthru show " + DRIVE)


def in_use(story):
    story.tell("The host uses the drive",
               "A filesystem on it, a file in it, and raw data behind it for the guest to find.")
    story.type("mkfs.ext4 -q %s 128M && mkdir -p /srv && mount %s /srv && "
               "echo 'the data of the host' >/srv/file && sync" % (DISK, DISK))
    data = pattern(7, BLOCKS * 512)
    story.lab.run("dd of=%s bs=512 seek=%d oflag=direct conv=notrunc status=none"
                  % (DISK, HOST_BLOCK), input=data, timeout=60)
    crc = "%08x" % zlib.crc32(data)
    story.check("the host wrote %d blocks, CRC-32 %s" % (BLOCKS, crc),
                read_crc(story, HOST_BLOCK) == crc)
    story.tell("passthru doesn't take what the host is using",
               "The kernel would: it unbinds the drive under the filesystem without a word.")
    r = story.type("passthru detach " + DRIVE, status=15)
    story.check("refused, and says what holds it: /srv", "/srv" in r.err)
    story.type("umount /srv")
    return crc


def run_guest(story, crc):
    story.tell("The guest",
               "passthru run resets the drive, gives it to this QEMU command, and afterwards resets it and\n"
               "takes it back. The guest drives it with its own NVMe driver: by DMA through the IOMMU, with\n"
               "MSI-X interrupts. It reads the blocks the host wrote, and writes others.")
    words = "nvme-read=%d,%d nvme-write=%d,%d,%d" % (HOST_BLOCK, BLOCKS, GUEST_BLOCK, BLOCKS, SEED)
    r = story.type("passthru -v run --device %s -- %s '%s' 2>&1" % (DRIVE, GUEST, words),
                   shown="passthru -v run --device %s -- qemu-system-x86_64 … -append '%s'"
                         % (DRIVE, words))
    found = re.search(r"guest: nvme .*irq=msix count=(\d+) dma=ok crc32=([0-9a-f]+)", r.out)
    story.check("the guest drove the drive by DMA", found is not None, r.out)
    story.check("with MSI-X interrupts (%s)" % found.group(1), int(found.group(1)) > 0)
    story.check("and read what the host had written, CRC-32 %s" % crc, found.group(2) == crc,
                "it read " + found.group(2))
    story.check("the drive was reset before and after", r.out.count("reset by ") >= 2, r.out)


def main():
    p = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    p.add_argument("--keep", action="store_true", help="leave the lab up: ./dev lab shell --name demo")
    args = p.parse_args()
    story = Story(sys.stdout.isatty() and "NO_COLOR" not in os.environ)

    story.tell("A machine with an IOMMU",
               "Booting a real kernel on an emulated machine with VT-d (about 20 s on two idle cores) …")
    lab = story.lab = Lab.up(name="demo", profile="vtd")
    try:
        lab.push(os.path.join(TOP, "build-demo/src/cli/passthru"))
        story.type("uname -sr; dmesg | grep -m1 -o 'DMAR: IOMMU enabled'; "
                   "dmesg | grep -m1 -o 'Enabled IRQ remapping.*'")
        look_around(story)
        crc = in_use(story)

        story.tell("Would it work? Every step, before anything changes")
        story.type("passthru plan run " + DRIVE)
        story.tell("Detach it by hand, and reset it", "The spellings of virsh are understood too.")
        story.type("passthru nodedev-dettach pci_0000_01_00_0")
        story.type("passthru reset " + DRIVE)
        story.type("passthru status")
        run_guest(story, crc)

        story.tell("Back to the host")
        story.type("passthru reattach " + DRIVE)
        driver = lab.run("basename $(readlink /sys/bus/pci/devices/0000:%s/driver)" % DRIVE)
        story.check("its driver is nvme again", driver.out.strip() == "nvme", driver.out)
        lab.run("udevadm settle -t 20")
        r = story.type("mount %s /srv && cat /srv/file; umount /srv" % DISK)
        story.check("the host's file is still there", "the data of the host" in r.out)
        story.check("so are the blocks it wrote", read_crc(story, HOST_BLOCK) == crc)
        story.check("and what the guest wrote",
                    read_crc(story, GUEST_BLOCK) == "%08x" % zlib.crc32(
                        pattern(SEED, BLOCKS * 512)))
        r = story.type("passthru status")
        story.check("nothing is left claimed", "No device is claimed" in r.out)
    finally:
        if not args.keep:
            lab.down()

    print("\n%sSummary%s" % (story.bold, story.plain))
    for fact in story.facts:
        print("  %s✓%s %s" % (story.green, story.plain, fact))
    print("\nIt took %.0f s. Try more yourself: ./dev lab up && ./dev lab shell"
          % (time.monotonic() - story.start))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as e:
        sys.exit("demo: %s" % e)
