# SPDX-License-Identifier: LGPL-2.1-or-later
"""What guests have beside the host's PCI devices, on a real kernel: an emulated TPM, a tap on a
bridge, huge pages, processors of their own, and what a definition may say of devices."""

import json
import re

import pytest

from virsh_guests import Guest, daemon, guests, hostdev     # noqa: F401
from zoo_names import EDU

pytestmark = pytest.mark.only("lab", "guests need a real kernel, and QEMU")

TPM = """<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"""
STATE = "/var/lib/passthru/swtpm"


def state_file(daemon, name):     # noqa: F811
    return "%s/%s/tpm2-00.permall" % (STATE, daemon.virsh("domuuid", name).strip())


def record(daemon, name):     # noqa: F811
    return json.loads(daemon.sh("cat /run/passthru/guests/%s.json" % name).out)


def restart(daemon):     # noqa: F811
    daemon.sh("kill -9 $(cat /tmp/passthrud.pid); while kill -0 $(cat /tmp/passthrud.pid) "
              "2>/dev/null; do sleep 0.1; done")
    daemon.start()


def resets(guest):
    guest.wait("guest: all ok", seconds=120)
    return int(re.search(r"guest: tpm ok code=00000000 random=\w+ resets=(\d+)",
                         guest.serial())[1])


def test_an_emulated_tpm(world, daemon, guests):     # noqa: F811
    """Windows 11 wants one: it works, keeps its state, ends with its guest, and is missed."""
    before = world.snapshot()
    daemon.sh("rm -rf %s" % STATE)
    g = guests.define("d1", TPM + hostdev(EDU), words="tpm stay")
    path = state_file(daemon, "d1")
    g.start()
    first = resets(g)
    tpm = record(daemon, "d1")["tpm"]["pid"]
    assert daemon.sh("cat /proc/%d/comm" % tpm).out.strip() == "swtpm"
    status = daemon.sh("cat /proc/%d/status" % tpm).out
    assert re.search(r"^Uid:\t%s\t" % daemon.sh("id -u passthru-qemu").out.strip(), status, re.M)
    assert re.search(r"^CapEff:\t0+$", status, re.M) and "NoNewPrivs:\t1" in status
    assert daemon.sh("stat -c '%%U %%a' %s" % path).out.split() == ["passthru-qemu", "600"]
    # neither the daemon's end nor a new one is anything to it
    restart(daemon)
    guests.wait_for(lambda: "was found again" in daemon.sh("cat /tmp/passthrud.log").out)
    daemon.virsh("destroy", "d1")
    assert daemon.sh("kill -0 %d" % tpm, check=False).status != 0
    # the same TPM at the next start; then it is killed, which is told
    g.start()
    assert resets(g) == first + 1
    daemon.sh("kill -9 %d" % record(daemon, "d1")["tpm"]["pid"])
    guests.wait_for(lambda: "its TPM has failed" in daemon.sh("cat /tmp/passthrud.log").out)
    assert daemon.virsh("domstate", "d1").strip() == "running"
    daemon.virsh("destroy", "d1")
    assert "mutually exclusive" in daemon.virsh_fails("undefine", "d1", "--tpm", "--keep-tpm")
    daemon.virsh("undefine", "d1", "--keep-tpm")
    assert world.exists(path)
    # undefined while it runs: what is kept goes when it ends
    daemon.virsh("define", "/tmp/d1.xml")
    path = state_file(daemon, "d1")
    g.start()
    resets(g)
    daemon.virsh("undefine", "d1")
    assert world.exists(path)
    daemon.virsh("destroy", "d1")
    assert not world.exists(path)
    assert world.snapshot() == before


def test_no_swtpm(world, daemon, guests):     # noqa: F811
    before = world.snapshot()
    guests.define("d1", TPM + hostdev(EDU))
    daemon.sh("mount --bind /dev/null /usr/bin/swtpm")
    try:
        assert "install the package swtpm" in daemon.virsh_fails("start", "d1")
    finally:
        daemon.sh("umount /usr/bin/swtpm")
    assert world.snapshot() == before
