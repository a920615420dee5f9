# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which accelerator to trust.

/dev/kvm may be there and yet not run a stock kernel (nested or emulated KVM:
it hangs, or stops with an internal error).  So the very kernel of the lab is
booted once under KVM, with a deadline, and the verdict kept.
"""

import json
import os
import subprocess
import tempfile

import initrd
from paths import cache_root

PROBE_SECONDS = 15
QEMU = "qemu-system-x86_64"
MARK = b"lab: accelerator works"


def _probe(kernel):
    with tempfile.TemporaryDirectory(prefix="passthru-accel-") as work:
        cpio = initrd.Cpio()
        for name in ("dev", "bin"):
            cpio.directory(name)
        cpio.node("dev/console", 5, 1)
        cpio.file("bin/busybox", initrd.busybox())
        cpio.file("init", b"#!/bin/busybox sh\n/bin/busybox echo '%s'\n"
                          b"/bin/busybox poweroff -f\n" % MARK)
        path = os.path.join(work, "initrd")
        with open(path, "wb") as f:
            f.write(cpio.finish())
        argv = [QEMU, "-accel", "kvm", "-cpu", "max", "-M", "q35,kernel-irqchip=split", "-m", "512",
                "-smp", "2", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
                "-kernel", kernel.image, "-initrd", path,
                "-append", "console=ttyS0 quiet panic=-1"]
        try:
            r = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, timeout=PROBE_SECONDS)
        except (subprocess.TimeoutExpired, OSError):
            return False
        return MARK in r.stdout


def choose(wanted, kernel, say):
    """"kvm" or "tcg" for WANTED = auto, kvm or tcg."""
    if wanted != "auto":
        return wanted
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    version = subprocess.run([QEMU, "--version"], stdout=subprocess.PIPE, text=True,
                             check=True).stdout.splitlines()[0]
    key = "%s, kernel %s on %s" % (version, kernel.release, os.uname().release)
    cache = os.path.join(cache_root(), "accel.json")
    try:
        with open(cache) as f:
            known = json.load(f)
    except (OSError, ValueError):
        known = {}
    if key not in known:
        say("trying KVM (at most %d s; asked once)" % PROBE_SECONDS)
        known[key] = "kvm" if _probe(kernel) else "tcg"
        say("KVM works here" if known[key] == "kvm" else "KVM does not run this kernel; emulating")
        temporary = "%s.%d" % (cache, os.getpid())
        with open(temporary, "w") as f:
            json.dump(known, f, indent=1)
        os.rename(temporary, cache)
    return known[key]


# Processors for the four labs of ./dev test.
ENOUGH = 8


def _threads():
    """Each emulated processor has a thread of its own, or both have one and take turns. The first is a little
    quicker, and things really happen at the same time; but where threads wait for a real processor one
    emulated processor spins while the other isn't run: two labs beside each other took three times as long
    on two. PASSTHRU_LAB_THREADS=single says that a lab won't be alone."""
    alone = os.environ.get("PASSTHRU_LAB_THREADS") != "single"
    return "multi" if alone or len(os.sched_getaffinity(0)) >= ENOUGH else "single"


def machine_args(accel):
    if accel == "kvm":
        return ["-accel", "kvm", "-cpu", "max", "-M", "q35,kernel-irqchip=split"]
    # "rep movsb" is emulated byte by byte, a fifth level of page tables is one more to walk, and with SMAP
    # each copy to or from a program ends a block of translated code twice: a kernel and a libc that are told
    # to use none of them, nor 256-bit registers, are a third quicker.
    return ["-accel", "tcg,thread=" + _threads(), "-cpu", "max,la57=off,erms=off,fsrm=off,avx=off,avx2=off,smap=off",
            "-M", "q35,kernel-irqchip=off"]
