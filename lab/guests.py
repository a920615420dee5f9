# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guests that run inside the lab: built once, kept in the cache by content."""

import hashlib
import os
import shutil
import subprocess

import initrd
import kernel as kernels
from paths import LabError, cache_root, source_dir


def _digest(directory):
    h = hashlib.sha256()
    for root, dirs, files in os.walk(directory):
        dirs.sort()
        for name in sorted(files):
            with open(os.path.join(root, name), "rb") as f:
                h.update(name.encode() + b"\0" + f.read())
    return h.hexdigest()[:16]


def payload():
    """The freestanding guest's ELF file, built if its source changed."""
    here = os.path.join(source_dir(), "guest")
    out = os.path.join(cache_root(), "guest",
                       "payload-%s.elf" % _digest(os.path.join(here, "payload")))
    if not os.path.exists(out):
        os.makedirs(os.path.dirname(out), exist_ok=True)
        temporary = "%s.%d" % (out, os.getpid())
        r = subprocess.run([os.path.join(here, "build.sh"), temporary], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
        if r.returncode:
            raise LabError("the test guest does not build (a C compiler and binutils are "
                           "needed):\n" + r.stdout)
        os.rename(temporary, out)
    return out


# Each of these takes seconds off a boot that is emulated twice over.  Without ACPI
# the PCI bus is found by probing, interrupts come as MSI-X, which needs no table.
LINUX_CMDLINE = (
    "console=ttyS0 quiet loglevel=3 acpi=off nosmp nokaslr mitigations=off nopti tsc=reliable "
    "lpj=4000000 no_timer_check 8250.nr_uarts=1 cryptomgr.notests audit=0 apparmor=0 selinux=0 "
    "random.trust_cpu=on rcupdate.rcu_expedited=1 panic=-1 reboot=t,force initcall_blacklist="
    "jent_mod_init,load_system_certificate_list,shpcd_init,init_kprobe_trace,inet6_init,"
    "trace_eval_init,bpf_tcp_ca_kfunc_init,bpf_dummy_struct_ops_init,init_encrypted,"
    "crypto_kdf108_init,drbg_init,hugetlb_init rodata=off")
LINUX_MODULES = ["nvme"]


def linux(kernel, directory):
    """The distribution's kernel with a drive's driver and a script as its initrd, put into DIRECTORY."""
    cpio = initrd.Cpio()
    for name in ("dev", "proc", "sys", "bin", "mod"):
        cpio.directory(name)
    cpio.node("dev/console", 5, 1)
    cpio.file("bin/busybox", initrd.busybox())
    cpio.symlink("bin/sh", "busybox")
    order = []
    for path in kernels.modules(kernel, LINUX_MODULES):
        order.append(os.path.basename(path).split(".ko")[0] + ".ko")
        cpio.file("mod/" + order[-1], kernels.read_module(path), 0o644)
    cpio.file("mod/order", ("\n".join(order) + "\n").encode(), 0o644)
    with open(os.path.join(source_dir(), "guest/linux/init"), "rb") as f:
        cpio.file("init", f.read())
    with open(os.path.join(directory, "linux.cpio"), "wb") as f:
        f.write(cpio.finish())
    with open(os.path.join(directory, "linux.cmdline"), "w") as f:
        f.write(LINUX_CMDLINE)
    # The lab sees the machine's files under their own names.
    os.symlink(kernel.image, os.path.join(directory, "vmlinux"))


def install(directory):
    """Put the test guest into a lab's exchange folder."""
    shutil.copy(payload(), os.path.join(directory, "payload.elf"))
