# SPDX-License-Identifier: LGPL-2.1-or-later
"""Events of a real kernel: hotplug, drivers, claims, PCI Express errors, stopped DMA; and the log."""

import contextlib
import json
import time

import pytest

pytestmark = pytest.mark.only("lab", reason="the kernel's events are a real kernel's")

EDU, NIC = "0000:05:00.0", "0000:04:00.0"
OUT = "/run/lab-watch"


class Watch:
    def __init__(self, world):
        self.world = world

    def events(self):
        return [json.loads(line) for line in self.world.sh("cat %s.json" % OUT).splitlines()]

    def wait(self, event, device, seconds=90):
        """The first event of that kind on that device."""
        until = time.monotonic() + seconds
        while True:
            for e in self.events():
                if e["event"] == event and e["device"] == device:
                    return e
            assert time.monotonic() < until, "no %s of %s:\n%s\n%s" % (
                event, device, self.events(),
                self.world.sh("cat %s.err; pgrep -a passthru; dmesg | tail -20" % OUT))
            time.sleep(0.5)


@pytest.fixture
def watch(world):
    # setsid and no terminal: as a service would run it
    world.sh("rm -f %s.*; setsid passthru watch --json >%s.json 2>%s.err & echo $! >%s.pid" % (
        OUT, OUT, OUT, OUT))
    # it opens its sources one after the other, claims last
    world.sh("for i in $(seq 600); do ls -l /proc/$(cat %s.pid)/fd | grep -q inotify && break; "
             "sleep 0.1; done" % OUT)
    time.sleep(1)
    yield Watch(world)
    with contextlib.suppress(AssertionError):
        world.sh("kill $(cat %s.pid); rm -f %s.*" % (OUT, OUT))


def test_claims_and_drivers(watch):
    world = watch.world
    world.passthru("detach", NIC).ok()
    assert watch.wait("claimed", NIC)["owner"]["kind"] == "manual"
    unbound = watch.wait("unbound", NIC)
    assert unbound["driver"] == "e1000e" and unbound["words"] == "from e1000e", unbound
    assert watch.wait("bound", NIC)["driver"] == "vfio-pci"
    world.passthru("reattach", NIC).ok()
    assert "owner" not in watch.wait("released", NIC)
    # its end is a signal, and no failure
    world.sh("kill $(cat %s.pid); while kill -0 $(cat %s.pid) 2>/dev/null; do sleep 0.1; done" % (
        OUT, OUT))
    assert world.read(OUT + ".err") == ""


@contextlib.contextmanager
def plugged(watch, driver, **options):
    """A card in the first hotplug slot, seen to come and to leave; its address."""
    world = watch.world
    bus = world.read("/sys/bus/pci/devices/0000:00:0e.0/secondary_bus_number")
    address = "0000:%02x:00.0" % int(bus)
    world.lab.qmp("device_add", {"driver": driver, "id": "watch_card", "bus": "hp1", **options})
    try:
        watch.wait("appeared", address)
        yield address
    finally:
        world.lab.qmp("device_del", id="watch_card")
        watch.wait("left", address)
        # the kernel has let go of it; it is out only when its slot has no power any more
        until = time.monotonic() + 60
        while any(o["name"] == "watch_card"
                  for o in world.lab.qmp("qom-list", path="/machine/peripheral")):
            assert time.monotonic() < until, "the card stays in its slot"
            time.sleep(0.5)


def test_hotplug(watch):
    with plugged(watch, "edu"):
        pass


def test_bus_error_of_a_claimed_device(watch):
    # of the emulated cards only virtio's really report errors
    with plugged(watch, "virtio-rng-pci", **{"aer": True, "disable-legacy": "on"}) as card:
        world = watch.world
        watch.wait("bound", card)
        world.passthru("detach", card).ok()
        world.lab.qmp("human-monitor-command",
                      {"command-line": "pcie_aer_inject_error watch_card RCVR"})
        e = watch.wait("bus-error", card)
        assert e["words"].startswith("corrected: ") and e["owner"]["kind"] == "manual"
        world.passthru("reattach", card).ok()


def test_dma_fault_of_a_guest(watch):
    world = watch.world
    r = world.passthru("run", "--device", EDU, "--", "sh", "-c",
                       'LAB_GUEST_EXTRA="$*" exec lab-guest -- edu-bad-dma', "words")
    assert "bad-dma address=e000000 sent" in r.ok().out
    e = watch.wait("dma-fault", EDU)
    assert "0xe000000" in e["words"] and e["owner"]["kind"] == "process"


def test_the_journal_takes_the_log(world):
    """A real journald, started by hand: no systemd runs in the lab."""
    daemon = "/lib/systemd/systemd-journald"
    world.sh("test -s /etc/machine-id || systemd-machine-id-setup; mkdir -p /run/log/journal; "
             "setsid %s >/dev/null 2>&1 & echo $! >/run/journald.pid; "
             "until test -S /run/systemd/journal/socket; do sleep 0.2; done" % daemon)
    try:
        world.passthru("detach", "--force", "--reason", "two\nlines", NIC).ok()
        world.passthru("reattach", NIC).ok()
        entries, until = [], time.monotonic() + 60
        while len(entries) < 2 and time.monotonic() < until:
            out = world.sh("journalctl --sync; journalctl -o json -t passthru "
                           "PASSTHRU_DEVICE=%s --no-pager" % NIC)
            entries = [json.loads(line) for line in out.splitlines()]
            time.sleep(0.5)
        assert [(e["PASSTHRU_VERB"], e["PASSTHRU_RESULT"]) for e in entries[-2:]] == [
            ("detach", "done"), ("reattach", "done")], entries
        assert entries[-2]["PASSTHRU_FORCED"] == "two\nlines"
        assert entries[-2]["MESSAGE"] == "detach %s: done, forced: two lines" % NIC
        assert entries[-2]["PRIORITY"] == "4" and entries[-1]["PRIORITY"] == "5"
        assert entries[-1]["PASSTHRU_COMMAND"].endswith("reattach " + NIC)
    finally:
        world.sh("kill $(cat /run/journald.pid); rm -rf /run/systemd/journal /run/log/journal",
                 check=False)
