#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The part of ./dev bench that starts guests and plugs devices; runs inside the lab.

    inside_guests.py ROUNDS PLUGGED DEVICE...

Three actors by turns: passthrud and libvirtd, asked with the same calls of libvirt-python for the
same definitions, and the floor: sysfs, QEMU with the command line that passthrud uses, and QMP, by
hand, with no check, no record and no way back. The floor resets a device before the guest has it
and after, as passthrud does; without those resets it is told too. A passthrud of before, if there
is one, is asked what this one is. The guest is the test guest, which answers requests to unplug.
PLUGGED is what is attached and detached; guests start with the first DEVICE, and with all. Prints
samples as JSON.
"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

import libvirt

RUN = "/run/bench-guests"
BEFORE = "/lab/before/passthrud"
SERIAL = RUN + "/serial"
NAME = "bench"
LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
DAEMON_CONFIG = 'auth_unix_rw = "none"\nauth_unix_ro = "none"\n'
# What would need more daemons or hide what is measured; QEMU writes its log itself in passthrud too.
QEMU_CONFIG = 'stdio_handler = "file"\nsecurity_driver = "none"\n'

DOMAIN = """<domain type='qemu'>
  <name>%s</name>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>%s/payload.elf</kernel>
    <cmdline>stay expect-none</cmdline>
  </os>
  <features><acpi/><apic/></features>
  <cpu mode='custom' match='exact'><model>qemu64</model></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
%s
    <serial type='file'><source path='%s'/></serial>
    <memballoon model='none'/>
%s
  </devices>
%s</domain>
"""
PORTS = "".join("    <controller type='pci' index='%d' model='pcie-root-port'/>\n" % n
                for n in range(1, 13))
HOSTDEV = """    <hostdev mode='subsystem' type='pci' managed='yes'>
      <source><address domain='0x%s' bus='0x%s' slot='0x%s' function='0x%s'/></source>
    </hostdev>
"""


def hostdev(address):
    return HOSTDEV % tuple(re.split("[:.]", address))


# What libvirtd's configuration says too: a profile costs the same whoever loads it.
UNLABELLED = "  <seclabel type='none'/>\n"


def domain(devices, more=""):
    return DOMAIN % (NAME, RUN, PORTS, SERIAL, "".join(hostdev(d) for d in devices), more)


def wait_for(condition, what, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise SystemExit("it never came: " + what)
        time.sleep(0.01)


def serial_says(phrase):
    def look():
        with open(SERIAL) as f:
            return phrase in f.read()
    return look


def driver(address):
    try:
        return os.path.basename(os.readlink("/sys/bus/pci/devices/%s/driver" % address))
    except FileNotFoundError:
        return None


# ---- daemons -------------------------------------------------------------------------------------


class Daemon:
    def __init__(self, name, argv, path, more=""):
        self.name, self.more = name, more
        self.log = open("%s/%s.log" % (RUN, name), "wb")
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log)
        self.connection = None
        until = time.monotonic() + 120
        while not self.connection:
            try:
                self.connection = libvirt.open("qemu+unix:///system?socket=" + path)
            except libvirt.libvirtError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise SystemExit(name + " does not answer")
                time.sleep(0.1)

    def prepare(self, devices):
        self.domain = self.connection.defineXML(domain(devices, self.more))

    def start(self):
        self.domain.create()

    def attach(self, address):
        self.domain.attachDeviceFlags(hostdev(address), LIVE)

    def detach(self, address):
        self.domain.detachDeviceFlags(hostdev(address), LIVE)

    def destroy(self):
        self.domain.destroy()

    def clean(self):
        self.domain.undefine()

    def stop(self):
        self.connection.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


# ---- the floor -----------------------------------------------------------------------------------


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def to_vfio(address):
    at = "/sys/bus/pci/devices/%s/" % address
    write(at + "driver_override", "vfio-pci")
    if os.path.exists(at + "driver"):
        write(at + "driver/unbind", address)
    write("/sys/bus/pci/drivers_probe", address)


def to_host(address):
    at = "/sys/bus/pci/devices/%s/" % address
    write(at + "driver_override", "\n")
    write(at + "driver/unbind", address)
    write("/sys/bus/pci/drivers_probe", address)


class Qmp:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                time.sleep(0.001)
        self.file = self.socket.makefile("r")
        self.read()
        self.call("qmp_capabilities")

    def read(self):
        return json.loads(self.file.readline())

    def call(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            answer = self.read()
            if "error" in answer:
                raise SystemExit("%s: %s" % (command, answer["error"]))
            if "return" in answer:
                return answer["return"]

    def wait_event(self, name, device):
        while True:
            event = self.read()
            if event.get("event") == name and event["data"].get("device") == device:
                return


class Floor:
    name = "floor"

    def __init__(self, own):
        self.own, self.reset_ns = own, 0

    def reset(self, address):
        begin = time.monotonic_ns()
        write("/sys/bus/pci/devices/%s/reset" % address, "1")
        self.reset_ns += time.monotonic_ns() - begin

    def prepare(self, devices):
        line = self.own.connection.domainXMLToNative("qemu-argv", domain(devices))
        self.devices, self.qmp_path = devices, RUN + "/qmp"
        self.argv = shlex.split(line.replace("\\\n", " ")) + [
            "-S", "-qmp", "unix:%s,server=on,wait=off" % self.qmp_path]

    def start(self):
        if os.path.exists(self.qmp_path):
            os.unlink(self.qmp_path)
        for d in self.devices:
            to_vfio(d)
            self.reset(d)
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL)
        self.qmp = Qmp(self.qmp_path)
        self.qmp.call("cont")

    def attach(self, address):
        to_vfio(address)
        self.reset(address)
        self.qmp.call("device_add", driver="vfio-pci", id="plugged", host=address, bus="pci.12")

    def detach(self, address):
        self.qmp.call("device_del", id="plugged")
        self.qmp.wait_event("DEVICE_DELETED", "plugged")
        self.reset(address)
        to_host(address)

    def destroy(self):
        self.process.terminate()
        self.process.wait()
        for d in self.devices:
            self.reset(d)
            to_host(d)

    def clean(self):
        pass


# ---- measuring -----------------------------------------------------------------------------------


class Samples:
    def __init__(self, works):
        self.of, self.counts = {w: {} for w in works}, False

    def take(self, work, actor, function, *arguments):
        actor.reset_ns = 0
        begin = time.monotonic_ns()
        function(*arguments)
        took = {actor.name: time.monotonic_ns() - begin}
        if actor.reset_ns:
            took["floor without resets"] = took[actor.name] - actor.reset_ns
        for name, ns in took.items():
            if self.counts:
                self.of[work].setdefault(name, []).append(ns)
            print("%s: %s %.0f ms" % (name, work, ns / 1e6), file=sys.stderr, flush=True)


def works(counts):
    return (["start with %d" % n for n in counts] + ["attach", "detach"] +
            ["destroy with %d" % n for n in counts])


def run_guest(samples, actor, devices, plugged):
    """One guest from its definition to its end; @plugged goes in and out meanwhile, if any."""
    before = {d: driver(d) for d in devices + [plugged or devices[0]]}
    with open(SERIAL, "w"):
        os.chmod(SERIAL, 0o666)
    actor.prepare(devices)
    samples.take("start with %d" % len(devices), actor, actor.start)
    if plugged:
        wait_for(serial_says("guest: waiting"), "the guest of " + actor.name)
        samples.take("attach", actor, actor.attach, plugged)
        wait_for(serial_says("guest: hotplug result ok"), "a device, to the guest of " + actor.name)
        samples.take("detach", actor, actor.detach, plugged)
    samples.take("destroy with %d" % len(devices), actor, actor.destroy)
    actor.clean()
    subprocess.run(["udevadm", "settle", "-t", "30"], check=False)
    wait_for(lambda: before == {d: driver(d) for d in before}, "what was before " + actor.name, 30)


def prepare():
    shutil.rmtree(RUN, ignore_errors=True)
    os.makedirs(RUN)
    os.chmod(RUN, 0o755)
    shutil.copy("/lab/bin/passthrud", RUN)
    shutil.copy("/lab/guest/payload.elf", RUN)
    write(RUN + "/libvirtd.conf", DAEMON_CONFIG)
    write("/etc/libvirt/qemu.conf", QEMU_CONFIG)
    subprocess.run(["modprobe", "vfio-pci"], check=True)


def main():
    libvirt.registerErrorHandler(lambda *_: None, None)
    rounds, plugged, devices = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    prepare()
    own = Daemon("passthrud", [RUN + "/passthrud", "--socket", RUN + "/sock"], RUN + "/sock",
                 UNLABELLED)
    other = Daemon("libvirtd", ["/usr/sbin/libvirtd", "-f", RUN + "/libvirtd.conf"],
                   "/run/libvirt/libvirt-sock")
    actors = [Floor(own), own, other]
    if os.path.exists(BEFORE):
        actors.insert(1, Daemon("before", [BEFORE, "--socket", RUN + "/before"], RUN + "/before",
                                UNLABELLED))
    samples = Samples(works((1, len(devices))))
    loads = []
    for n in range(rounds + 1):             # the first round warms caches and doesn't count
        samples.counts = n > 0
        for actor in actors:
            run_guest(samples, actor, devices[:1], plugged)
        for actor in actors:
            run_guest(samples, actor, devices, None)
        loads.append(os.getloadavg()[0])
        print("guests: round %d of %d" % (n, rounds), file=sys.stderr, flush=True)
    for actor in actors[1:]:
        actor.stop()
    print(json.dumps({"devices": len(devices), "samples": samples.of, "load": loads}))


main()
