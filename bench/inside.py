#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The part of ./dev bench that runs inside the lab; prints samples as JSON.

    inside.py ROUNDS DEVICE DRIVER [--without-libvirt] [--only-reading]

Every round takes one sample of everything, so that whatever else the machine does
hits all alike.
"""

import json
import os
import shutil
import subprocess
import sys
import time

# Copies in memory: the lab's own folder is read through 9p, which installed programs aren't.
BIN = "/run/bench"
RAW, LIB, PASSTHRU = BIN + "/bench-raw", BIN + "/bench-lib", BIN + "/passthru"
CONFIG = "/run/bench-libvirtd.conf"


def nanoseconds(argv):
    """What bench-raw or bench-lib printed: the last of its runs, the others warmed up."""
    r = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE, text=True)
    if r.returncode:
        raise SystemExit("%s: %s" % (" ".join(argv), r.stderr))
    return int(r.stderr.split()[-1])


def process(*argv):
    return lambda: nanoseconds([RAW, "time", "1", *argv])


def raw_loop(*words):
    return lambda: nanoseconds([RAW, "loop", "2", *words])


def raw_once(*words):
    return lambda: nanoseconds([RAW, "loop", "1", *words])


def lib(count, *words):
    return lambda: nanoseconds([LIB, str(count), *words])


def timed(work):
    def sample():
        begin = time.monotonic_ns()
        work()
        return time.monotonic_ns() - begin
    return sample


class Libvirt:
    """libvirtd, with the authentication that needs no desktop."""

    def __init__(self, device):
        import libvirt
        with open(CONFIG, "w") as f:
            f.write('auth_unix_rw = "none"\nauth_unix_ro = "none"\n')
        self.daemon = subprocess.Popen(["/usr/sbin/libvirtd", "-f", CONFIG],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
        until = time.monotonic() + 120
        while True:
            try:
                self.connection = libvirt.open("qemu:///system")
                if self.devices():
                    break
            except libvirt.libvirtError:
                pass
            if time.monotonic() > until:
                raise SystemExit("libvirtd does not answer")
            time.sleep(0.5)
        self.flag = libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV
        self.name = "pci_" + device.replace(":", "_").replace(".", "_")
        self.version = libvirt.getVersion()

    def devices(self):
        return self.connection.listAllDevices(2)        # PCI devices

    def tree(self):
        for d in self.devices():
            d.parent()

    def show(self):
        for d in self.devices():
            d.XMLDesc()

    def device(self):
        return self.connection.nodeDeviceLookupByName(self.name)

    def close(self):
        self.connection.close()
        self.daemon.terminate()
        self.daemon.wait()


def reading(addresses, virt):
    """{work: {by whom: sample()}}"""
    work = {
        "list": {
            "raw": raw_loop("list"), "libpassthru": lib(2, "list"),
            "raw process": process(RAW, "list"), "passthru": process(PASSTHRU, "list"),
            "passthru --json": process(PASSTHRU, "list", "--json"),
            "lspci -n": process("lspci", "-n"), "lspci -nnk": process("lspci", "-nnk"),
        },
        "tree": {"raw": raw_loop("list"), "raw process": process(RAW, "list"),
                 "passthru": process(PASSTHRU, "tree")},
        "show all": {"raw": raw_loop("show"), "libpassthru": lib(2, "show"),
                     "raw process": process(RAW, "show"),
                     "passthru": process(PASSTHRU, "show", *addresses),
                     "lspci -vvv": process("lspci", "-vvv")},
    }
    if virt:
        work["list"].update({"libvirt API": timed(virt.devices),
                             "virsh": process("virsh", "nodedev-list", "--cap", "pci")})
        work["tree"].update({"libvirt API": timed(virt.tree),
                             "virsh": process("virsh", "nodedev-list", "--tree")})
        work["show all"]["libvirt API"] = timed(virt.show)
    return work


def changing(device, driver, virt):
    """{by whom: [(work, sample())]}, in the order in which they must be done"""
    name = "pci_" + device.replace(":", "_").replace(".", "_")
    actors = {
        "raw": [("detach", raw_once("detach", device)), ("reset", raw_once("reset", device)),
                ("reattach", raw_once("reattach", device, driver))],
        "raw process": [("detach", process(RAW, "detach", device)),
                        ("reset", process(RAW, "reset", device)),
                        ("reattach", process(RAW, "reattach", device, driver))],
        "libpassthru": [(v, lib(1, v, device)) for v in ("detach", "reset", "reattach")],
        # a host that is kept, as the daemon keeps one
        "libpassthru again": [(v, lib(2, v, device)) for v in ("detach", "reset", "reattach")],
        "passthru": [(v, process(PASSTHRU, v, device)) for v in ("detach", "reset", "reattach")],
    }
    if virt:
        actors["libvirt API"] = [("detach", timed(lambda: virt.device().dettach())),
                                 ("reset", timed(lambda: virt.device().reset())),
                                 ("reattach", timed(lambda: virt.device().reAttach()))]
        actors["virsh"] = [("detach", process("virsh", "nodedev-detach", name)),
                           ("reset", process("virsh", "nodedev-reset", name)),
                           ("reattach", process("virsh", "nodedev-reattach", name))]
    return actors


def main():
    words = [w for w in sys.argv[1:] if not w.startswith("--")]
    rounds, device, driver = int(words[0]), words[1], words[2]
    virt = None if "--without-libvirt" in sys.argv else Libvirt(device)
    addresses = sorted(os.listdir("/sys/bus/pci/devices"))
    subprocess.run(["modprobe", "vfio-pci"], check=True)
    os.makedirs(BIN, exist_ok=True)
    for program in (RAW, LIB, PASSTHRU):
        shutil.copy("/lab/bin/" + os.path.basename(program), program)
    reads = reading(addresses, virt)
    changes = {} if "--only-reading" in sys.argv else changing(device, driver, virt)
    samples = {work: {who: [] for who in actors} for work, actors in reads.items()}
    for n in range(rounds + 1):             # the first round warms caches and doesn't count
        for work, actors in reads.items():
            for who, sample in actors.items():
                ns = sample()
                if n:
                    samples[work][who].append(ns)
        for who, steps in changes.items():
            for work, sample in steps:
                ns = sample()
                if n:
                    samples.setdefault(work, {}).setdefault(who, []).append(ns)
        print("round %d of %d" % (n, rounds), file=sys.stderr, flush=True)
    if virt:
        virt.close()
    print(json.dumps({"functions": len(addresses), "samples": samples,
                      "libvirt": virt.version if virt else None,
                      "kernel": os.uname().release}))


main()
