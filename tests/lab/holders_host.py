# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab as the tests of holders see it."""

import contextlib
import os
import re
import shlex
import shutil
from collections import namedtuple

import pytest

import worlds

NVME, NVME_TWIN = "0000:01:00.0", "0000:02:00.0"
IGB, E1000E = "0000:03:00.0", "0000:04:00.0"
GPU, AUDIO, USB = "0000:06:00.0", "0000:06:00.1", "0000:07:00.0"
BRIDGED = "0000:08:01.0"
DUMP = os.path.join(worlds.BUILD, "tests/lab/holders-dump")

Holder = namedtuple("Holder", "kind what through pid advice")


class Host:
    """The lab, the devices' names in it, and what holds them."""

    def __init__(self, lab):
        self.lab = lab

    def sh(self, script, check=True):
        r = self.lab.run("set -e\n" + script, timeout=120)
        assert not check or r.status == 0, "%s\nstatus %d\n%s%s" % (script, r.status, r.out, r.err)
        return r.out.strip()

    def disk(self, address):
        """Kernel name of the disk below a function; of a multipath NVMe, the one to be used."""
        found = self.sh("find /sys/bus/pci/devices/%s/ -name 'nvme*n1' -o -name 'sd[a-z]'" % address)
        return re.sub(r"c\d+n", "n", found.split("/")[-1])

    def interface(self, address):
        return self.sh("ls /sys/bus/pci/devices/%s/net" % address)

    def holders(self, address, complete=True):
        """The holders of a function."""
        return self.all_holders([address], complete)[address]

    def all_holders(self, addresses, complete=True):
        """The holders of functions, asked for together; each answer must be COMPLETE, or not."""
        # what udev starts for a new device may have it open for a moment
        r = self.lab.run("udevadm settle -t 20; holders-dump " + " ".join(addresses), timeout=60,
                         env=worlds.IN_LAB)
        assert r.status == 0, r.out + r.err
        found = {address: [] for address in addresses}
        ends = [a + (" complete" if complete else " incomplete") for a in addresses]
        for line in r.out.splitlines():
            address, *words = line.split("\t")
            if words:
                found[address].append(Holder(*words))
            else:
                assert line == ends.pop(0), r.out
        return found

    @contextlib.contextmanager
    def clean(self, *addresses):
        """Nothing is held after it; that nothing was before is known from the test before."""
        yield
        assert self.all_holders(addresses) == {address: [] for address in addresses}

    @contextlib.contextmanager
    def done(self, do, undo):
        """DO, and UNDO however the block ends."""
        try:
            self.sh(do)
            yield
        finally:
            self.lab.run(undo, timeout=120)

    @contextlib.contextmanager
    def process(self, script, ready):
        """A process of the lab in the background, once READY holds; killed with the block."""
        pid = self.sh("setsid sh -c %s >/tmp/process.log 2>&1 </dev/null & echo $!"
                      % shlex.quote("exec " + script))
        try:
            self.sh("for try in $(seq 200); do { %s; } && exit 0; sleep 0.1; done; "
                    "cat /tmp/process.log; exit 1" % ready.replace("$PID", pid))
            yield pid
        finally:
            self.lab.run("kill %s; while kill -0 %s 2>/dev/null; do sleep 0.1; done" % (pid, pid))


def need(tool):
    """A tool that the lab gets from this machine."""
    if not shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin"):
        pytest.skip("%s is not installed on this machine" % tool)


def only(holders, kind, what, through="", advice=None):
    assert len(holders) == 1, holders
    found = holders[0]
    assert (found.kind, found.what, found.through) == (kind, what, through), found
    assert advice is None or found.advice == advice, found
    return found
