# SPDX-License-Identifier: LGPL-2.1-or-later
"""Help for test_guests*.py: definitions, the test guest's serial port, data on a drive; and the
fixtures that they share."""

import contextlib
import json
import os
import re
import time
import zlib

import pytest

import worlds
from test_daemon import Daemon

HOST_BLOCK, GUEST_BLOCKS = 40000, 64

DOMAIN = """<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>%(name)s</name>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>/lab/guest/payload.elf</kernel>
    <cmdline>%(words)s</cmdline>
  </os>
  <features><acpi/><apic/></features>
  <cpu mode='custom' match='exact'><model>qemu64</model></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <serial type='file'><source path='%(serial)s'/></serial>
    <memballoon model='none'/>
%(devices)s
  </devices>
%(more)s</domain>
"""


# The first of the users that guests run as.
FIRST_UID = 1879113728


@pytest.fixture(scope="module")
def daemon(lab_machine):
    lab_machine.push(os.path.join(worlds.BUILD, "src/daemon/passthrud"))
    d = Daemon(lab_machine)
    d.start()
    yield d
    d.stop()


@pytest.fixture
def guests(world, daemon):
    """No guest before, none afterwards, and the daemon still there."""
    g = Guests(world, daemon)
    yield g
    g.clean_up()


def hostdev(address, managed="yes", guest=""):
    """As the seed writes it; GUEST is more XML, for its address in the guest."""
    domain, bus, rest = address.split(":")
    slot, function = rest.split(".")
    return """<hostdev mode='subsystem' type='pci' managed='%s'>
<source>
  <address domain='0x%s'
           bus='0x%s'
           slot='0x%s'
           function='0x%s'/>
</source>
%s</hostdev>
""" % (managed, domain, bus, slot, function, guest)


def pattern(seed, size):
    out = bytearray()
    while len(out) < size:
        seed = (seed * 1664525 + 1013904223) & 0xffffffff
        out += seed.to_bytes(4, "little")
    return bytes(out[:size])


class Guest:
    def __init__(self, guests, name):
        self.guests, self.name = guests, name
        self.path = "/tmp/serial-%s" % name

    def start(self):
        self.guests.daemon.sh(": >%s; chmod 666 %s" % (self.path, self.path))
        self.guests.daemon.virsh("start", self.name)

    def serial(self):
        return self.guests.daemon.sh("cat %s" % self.path).out

    def wait(self, phrase, seconds=60):
        """Few programs are run meanwhile: the guest needs the processor."""
        r = self.guests.daemon.lab.run(
            ["bash", "-c", 'until [[ $(tr -d "\\0" <"$1") == *"$2"* ]]; do ((SECONDS < $3)) || '
             '{ cat "$1" "$4"; exit 1; }; sleep 0.5; done', "bash", self.path, phrase,
             str(seconds), "/var/log/passthru/guests/%s.log" % self.name], timeout=seconds + 180)
        assert r.status == 0, "%s isn't said:\n%s" % (phrase, r.out)

    def pid(self):
        with_state = "/run/passthru/guests/%s.json" % self.name
        return json.loads(self.guests.daemon.sh("cat " + with_state).out)["pid"]


    def uid(self):
        """The user of its own that it runs as."""
        uid = int(self.guests.daemon.sh("stat -c %%u /proc/%d" % self.pid()).out)
        assert FIRST_UID <= uid < FIRST_UID + 65536
        return uid

    def access(self, path):
        """What an access control list permits it, "rw-"; "" without an entry."""
        entries = self.guests.daemon.sh("getfacl -nps %s" % path).out
        found = re.search(r"^user:%d:(...)" % self.uid(), entries, re.M)
        return found[1] if found else ""


class Guests:
    def __init__(self, world, daemon):
        self.world, self.daemon = world, daemon

    def write_xml(self, name, devices="", words="", more=""):
        path = "/tmp/%s.xml" % name
        text = DOMAIN % {"name": name, "words": words or "expect-none", "devices": devices, "more": more,
                         "serial": "/tmp/serial-%s" % name}
        self.daemon.sh("cat >%s <<'END'\n%s\nEND" % (path, text))
        return path

    def define(self, name, *args, **kwargs):
        self.daemon.virsh("define", self.write_xml(name, *args, **kwargs))
        return Guest(self, name)

    def write_device(self, *hostdevs):
        """Files for attach-device and detach-device."""
        paths = []
        for n, xml in enumerate(hostdevs):
            paths.append("/tmp/device%d.xml" % n)
            self.daemon.sh("cat >%s <<'END'\n%s\nEND" % (paths[-1], xml))
        return paths[0] if len(paths) == 1 else paths

    def wait_for(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.daemon.log()[-4000:]
            time.sleep(0.5)

    def disk(self, address):
        return "/dev/%s" % self.daemon.sh(
            "udevadm settle -t 20; ls /sys/bus/pci/devices/%s/nvme/*/ | "
            "grep -o 'nvme[0-9]*c*[0-9]*n1' | sed 's/c[0-9]*//'" % address).out.strip()

    def write_host_data(self, address, seed=7):
        """Put a pattern where the guest will look; its CRC-32, as the guest says it."""
        data = pattern(seed, GUEST_BLOCKS * 512)
        r = self.daemon.lab.run(
            "dd of=%s bs=512 seek=%d oflag=direct conv=notrunc status=none"
            % (self.disk(address), HOST_BLOCK), input=data, timeout=60)
        assert r.status == 0, r.err
        return "%08x" % zlib.crc32(data)

    def read_host_data(self, address):
        return self.daemon.sh(
            "dd if=%s bs=512 skip=%d count=%d iflag=direct status=none | /usr/bin/python3 -c "
            "'import sys,zlib; print(\"%%08x\" %% zlib.crc32(sys.stdin.buffer.read()))'"
            % (self.disk(address), HOST_BLOCK, GUEST_BLOCKS)).out.strip()

    def clean_up(self):
        r = self.daemon.sh("""
            set -e
            /usr/bin/python3 -c '
import libvirt
c = libvirt.open("qemu:///system")
for d in c.listAllDomains():
    active = d.isActive()
    if d.isPersistent(): d.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
    if active: d.destroy()      # one that is off is gone already
assert c.listAllDomains() == []'
            rm -f /tmp/serial-*""", check=False)
        log = self.daemon.log()
        if r.status:
            self.start_over()
        assert "Sanitizer" not in log and "runtime error" not in log, log
        assert r.status == 0, r.out + r.err

    def start_over(self):
        """After a test that failed and left what passthrud can't remove: the next ones find no guest."""
        with contextlib.suppress(AssertionError):   # it may be gone already
            self.daemon.stop()
        self.daemon.sh("pkill -KILL qemu-system; rm -f /run/passthru/guests/*.json /etc/passthru/guests/*.xml; "
                       "passthru recover", check=False)
        self.daemon.start()
