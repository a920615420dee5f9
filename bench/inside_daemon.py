#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The part of ./dev bench that compares passthrud with libvirtd; runs inside the lab.

    inside_daemon.py ROUNDS DEVICE [--only-reading]

The same calls of libvirt-python go to both, by turns, and to bench-replay, which answers
them by heart: that is what a client costs whoever it talks to. A passthrud of before, if there is
one, is asked the same. Prints samples as JSON.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import libvirt

RUN = "/run/bench-daemon"
BEFORE = "/lab/before/passthrud"
PCI = libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV
CONFIG = 'auth_unix_rw = "none"\nauth_unix_ro = "none"\n'


class Server:
    def __init__(self, name, argv, socket):
        self.name, self.argv, self.socket = name, argv, socket
        self.uri = "qemu+unix:///system?socket=" + socket
        self.process = self.connection = None

    def start(self):
        """Nanoseconds until all PCI functions were listed."""
        begin = time.monotonic_ns()
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            if self.process.poll() is not None:
                raise SystemExit(self.name + " ended")
            if time.monotonic_ns() - begin > 300e9:
                raise SystemExit(self.name + " does not answer")
            try:
                connection = libvirt.open(self.uri)
                count = len(connection.listAllDevices(PCI))
                connection.close()
                if count == len(os.listdir("/sys/bus/pci/devices")) or self.name == "floor":
                    return time.monotonic_ns() - begin
            except libvirt.libvirtError:
                pass
            time.sleep(0.002)

    def stop(self):
        if self.connection:
            self.connection.close()
            self.connection = None
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def resident_kib(self):
        with open("/proc/%d/status" % self.process.pid) as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    # ---- the work ----

    def open(self):
        self.connection = libvirt.open(self.uri)

    def connect(self):
        libvirt.open(self.uri).close()

    def list(self):
        self.connection.listAllDevices(PCI)

    def list_all(self):
        self.connection.listAllDevices()

    def tree(self):
        for d in self.connection.listAllDevices(PCI):
            d.parent()

    def xml(self):
        for d in self.connection.listAllDevices(PCI):
            d.XMLDesc()

    def device(self, name):
        return self.connection.nodeDeviceLookupByName(name)


READS = [("connect", Server.connect), ("list", Server.list), ("list of all kinds", Server.list_all),
         ("tree", Server.tree), ("XML of all", Server.xml)]
CHANGES = [("detach", lambda s, n: s.device(n).dettach()), ("reset", lambda s, n: s.device(n).reset()),
           ("reattach", lambda s, n: s.device(n).reAttach())]


def timed(work, *args):
    begin = time.monotonic_ns()
    work(*args)
    return time.monotonic_ns() - begin


def measure_starts(servers, rounds, samples):
    for _ in range(rounds):
        for s in servers:
            samples["start to first answer"].setdefault(s.name, []).append(s.start())
            s.stop()


def main():
    libvirt.registerErrorHandler(lambda *_: None, None)
    rounds, device = int(sys.argv[1]), sys.argv[2]
    name = "pci_" + re.sub("[:.]", "_", device)
    shutil.rmtree(RUN, ignore_errors=True)
    os.makedirs(RUN)
    for program in ("passthrud", "bench-replay"):
        shutil.copy("/lab/bin/" + program, RUN)
    with open(RUN + "/libvirtd.conf", "w") as f:
        f.write(CONFIG)
    own = Server("passthrud", [RUN + "/passthrud", "--socket", RUN + "/sock"], RUN + "/sock")
    other = Server("libvirtd", ["/usr/sbin/libvirtd", "-f", RUN + "/libvirtd.conf"],
                   "/run/libvirt/libvirt-sock")
    daemons = [own, other]
    if os.path.exists(BEFORE):
        daemons.insert(0, Server("before", [BEFORE, "--socket", RUN + "/before"], RUN + "/before"))
    floor = Server("floor", [RUN + "/bench-replay", RUN + "/floor", RUN + "/sock"], RUN + "/floor")
    work = ["start to first answer"] + [w for w, _ in READS]
    changing = "--only-reading" not in sys.argv
    samples = {w: {} for w in work + ([w for w, _ in CHANGES] if changing else [])}
    memory = {}

    subprocess.run(["modprobe", "vfio-pci"], check=True)
    measure_starts(daemons, (rounds if len(daemons) > 2 else min(rounds, 3)) + 1, samples)
    for s in daemons:
        samples["start to first answer"][s.name].pop(0)
        s.start()
        memory[s.name] = {"idle": s.resident_kib()}
    # its first client is the one whose answers are kept
    floor.process = subprocess.Popen(floor.argv)
    while not os.path.exists(floor.socket):
        time.sleep(0.05)
    time.sleep(0.2)
    floor.open()
    for _, run in READS[1:]:
        run(floor)
    floor.connection.close()
    servers = [floor] + daemons
    for s in servers:
        s.open()
    for n in range(rounds + 1):             # the first round warms caches and doesn't count
        for w, run in READS:
            for s in servers:
                ns = timed(run, s)
                if n:
                    samples[w].setdefault(s.name, []).append(ns)
        for s in servers[1:] if changing else ():
            for w, run in CHANGES:
                ns = timed(run, s, name)
                if n:
                    samples[w].setdefault(s.name, []).append(ns)
    for s in servers[1:]:
        memory[s.name]["after all"] = s.resident_kib()
    for s in servers:
        s.stop()
    print(json.dumps({"functions": len(os.listdir("/sys/bus/pci/devices")), "samples": samples,
                      "memory_kib": memory}))


main()
