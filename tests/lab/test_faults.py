# SPDX-License-Identifier: LGPL-2.1-or-later
"""What goes wrong around passthru, for real: cards pulled, processes killed, power cut, drivers that
hang, resets that fail, no room in /run.

Not provoked here, for want of a way on this kernel and these cards: a driver that refuses to let go
(the kernel lets none refuse; one that declines a device is in tests/flow), and an FLR that fails
(it takes the kernel a minute to notice; the reset by PM that fails here does so at once).
"""

import os
import time

import pytest

import worlds
from test_persist import NIC, NVME, boot, installed                 # noqa: F401
from test_watch import plugged, watch                               # noqa: F401
from zoo_names import EDU, LONE_NIC, NIC_A, NIC_B, TWIN

pytestmark = pytest.mark.only("lab", reason="a real kernel's faults")

HERE = os.path.dirname(os.path.abspath(__file__))
IN_USE, DRIVER_STUCK, QUARANTINED, RESET_FAILED, STORAGE = 15, 22, 18, 24, 26
GUEST = 'LAB_GUEST_EXTRA="$*" exec lab-guest -- stay'


def status(world):
    return {c["device"]: c for c in world.passthru("status", "--json").ok().json}


def wait_for(what, probe, seconds=60):
    until = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < until, "no %s within %d s" % (what, seconds)
        time.sleep(0.2)


# ---- cards that are pulled ----

def test_a_card_is_pulled_while_claimed_by_hand(watch):             # noqa: F811
    world = watch.world
    with plugged(watch, "edu") as card:
        world.passthru("detach", card).ok()
        assert status(world)[card]["present"]
    # seen to leave, with the claim it leaves behind
    assert watch.wait("left", card)["owner"]["kind"] == "manual"
    assert not status(world)[card]["present"]
    assert "The device was removed from the machine; passthru recover deletes this claim" in (
        world.passthru("status").ok().out)
    assert "%s: was removed from the machine: its claim is deleted" % card in (
        world.passthru("recover").ok().out)
    assert status(world) == {} and world.claims() == []


def test_a_card_is_pulled_from_a_running_command(watch):            # noqa: F811
    world = watch.world
    with plugged(watch, "edu") as card:
        world.sh("setsid passthru run --device %s -- sh -c 'exec sleep 300' >/run/faults.out 2>&1 & "
                 "echo $! >/run/faults.pid" % card)
        wait_for("claim", lambda: status(world).get(card, {}).get("state") == "held" and
                 world.driver(card) == "vfio-pci")
    assert not status(world)[card]["present"] and status(world)[card]["owner"]["alive"]
    # what a living owner has is left to it
    assert world.passthru("recover").ok().out == "Nothing to recover.\n"
    world.sh("kill $(cat /run/faults.pid); while kill -0 $(cat /run/faults.pid); do sleep 0.2; "
             "done 2>/dev/null")
    assert status(world) == {}, world.read("/run/faults.out")


# ---- processes that are killed ----

def start_guest(world, card, name):
    """A guest that stays, under passthru run; the pids of QEMU and of passthru."""
    world.sh("setsid passthru run --device %s -- sh -c '%s' words </dev/null >/run/%s.out 2>&1 & "
             "echo $! >/run/%s.pid" % (card, GUEST, name, name))
    wait_for("guest", lambda: "guest: waiting" in world.read("/run/%s.out" % name), 120)
    ours = world.read("/run/%s.pid" % name).strip()
    qemu = world.sh("pgrep -P %s qemu" % ours).strip()
    assert "qemu" in world.read("/proc/%s/cmdline" % qemu)
    return qemu, ours


def check_killed(world, card):
    """QEMU killed, then passthru run itself; CARD is with the host again after each."""
    before = world.snapshot()
    qemu, ours = start_guest(world, card, "killed")
    world.sh("kill -9 %s; while kill -0 %s 2>/dev/null; do sleep 0.1; done" % (qemu, ours))
    assert world.snapshot() == before, world.read("/run/killed.out")

    qemu, ours = start_guest(world, card, "killed")
    # nobody to see to the devices: the guest must not go on either
    world.sh("kill -9 %s; while kill -0 %s 2>/dev/null; do sleep 0.1; done" % (ours, qemu))
    assert not status(world)[card]["owner"]["alive"]
    assert "gone" in world.passthru("status").ok().out
    assert "%s: returned to the host: " % card in world.passthru("recover").ok().out
    assert world.snapshot() == before


# ---- drivers that hang ----

def test_a_driver_that_hangs_holds_up_nothing_else(world):
    """vfio-pci's remove waits until the device is closed. The holder is hidden from passthru,
    which would refuse otherwise; to the kernel it is there."""
    before = world.snapshot()
    hold = world.lab.push(os.path.join(HERE, "vfio_hold.py"))
    world.passthru("detach", EDU).ok()
    detached = world.snapshot()
    world.sh("setsid %s %s >/run/hold.out 2>&1 & echo $! >/run/hold.pid; "
             "until grep held /run/hold.out; do sleep 0.1; done" % (hold, EDU))
    world.passthru("reattach", EDU).fails(IN_USE, "guest vfio_hold.py")
    world.sh("""mkdir -p /run/empty
setsid unshare -m sh -c 'mount --bind /run/empty /proc/'$(cat /run/hold.pid)'
	passthru reattach %s; echo status $?' >/run/stuck.out 2>&1 &""" % EDU)
    wait_for("reattach under way", lambda: status(world)[EDU]["state"] == "changing")

    # meanwhile others come and go, and the device itself is no way round its lock
    check_killed(world, LONE_NIC)
    world.passthru("detach", NIC_A, NIC_B).ok()
    world.passthru("reattach", NIC_A, NIC_B).ok()
    assert world.passthru("recover").status == 0

    wait_for("end", lambda: "status" in world.read("/run/stuck.out"), 90)
    output = world.read("/run/stuck.out")
    assert "status %d" % DRIVER_STUCK in output and "vfio-pci" in output and EDU in output, output
    claim = status(world)[EDU]
    assert claim["state"] == "stuck" and "vfio-pci" in claim["why"]
    assert world.passthru("reset", EDU).status != 0
    world.passthru("detach", TWIN).ok()
    world.passthru("reattach", TWIN).ok()

    # the driver returns, and recovery goes on where it was left
    world.sh("kill -9 $(cat /run/hold.pid)")
    wait_for("recovery", lambda: world.passthru("recover").ok() and not world.claims(), 30)
    assert world.snapshot() == before, detached


# ---- resets that fail ----

def test_a_card_that_falls_off_the_bus(world):
    """Its root port leads elsewhere, so nothing answers: all ones, and the reset by PM fails."""
    before = world.snapshot()
    methods = "%s/%s/reset_method" % (worlds.DEVICES, LONE_NIC)
    bus = "setpci -s 00:04.0 SECONDARY_BUS"
    number = world.sh(bus).strip()
    world.sh("echo pm >" + methods)
    try:
        r = world.passthru("run", "--device", LONE_NIC, "--", "sh", "-c", bus + "=fe")
        assert r.status == RESET_FAILED and "quarantine" in r.err, str(r)
        claim = status(world)[LONE_NIC]
        assert claim["state"] == "quarantined" and claim["why"]
        assert world.driver(LONE_NIC) == "vfio-pci"
        # neither the host nor the next guest gets it, nor does recovery
        world.passthru("reattach", LONE_NIC).fails(QUARANTINED, LONE_NIC)
        world.passthru("run", "--device", LONE_NIC, "--", "true").fails(QUARANTINED, LONE_NIC)
        world.passthru("recover").ok()
        assert world.passthru("reset", LONE_NIC).status == RESET_FAILED
        assert status(world)[LONE_NIC]["state"] == "quarantined"
    finally:
        world.sh("%s=%s; echo default >%s" % (bus, number, methods))
    world.passthru("reset", LONE_NIC).ok()
    assert status(world)[LONE_NIC]["state"] == "held"
    world.passthru("reattach", LONE_NIC).ok()
    assert world.snapshot() == before


# ---- /run ----

@pytest.mark.parametrize("fault, why", [
    ("mount -o remount,ro /run/passthru", "Read-only file system"),
    ("head -c 1M /dev/zero >/run/passthru/ballast", "No space left on device"),
])
def test_no_room_for_notes(world, fault, why):
    """Refused before anything is changed, in either direction; and no step needs room later."""
    home = world.snapshot()
    world.sh("mkdir -p /run/passthru && mount -t tmpfs -o size=128k,mode=755 tmpfs /run/passthru")
    try:
        world.passthru("detach", LONE_NIC).ok()
        before = world.snapshot()
        world.sh(fault, check=False)
        for words in (("detach", NVME), ("reattach", LONE_NIC), ("reset", LONE_NIC),
                      ("run", "--device", NVME, "--", "true")):
            world.passthru(*words).fails(STORAGE, why)
            assert world.snapshot() == before, words
        world.sh("mount -o remount,rw /run/passthru; rm -f /run/passthru/ballast")
        world.passthru("reattach", LONE_NIC).ok()
    finally:
        world.sh("umount /run/passthru", check=False)
    assert world.snapshot() == home


# ---- power ----

def test_the_power_is_cut(installed):                               # noqa: F811
    """Claims end with the power; what the host shall never have it doesn't get."""
    world = installed
    before = world.snapshot()
    world.passthru("persist", NIC).ok()
    world.passthru("detach", NVME).ok()
    world.sh("setsid passthru run --device %s -- sh -c 'exec sleep 300' >/dev/null 2>&1 &" % EDU)
    wait_for("claims", lambda: world.claims() == [NVME, EDU])
    boot(world)
    # /run/passthru is there again: the rule's program has its locks there
    assert world.claims() == []
    after = world.snapshot()
    assert after["functions"].pop(NIC) == ("vfio-pci", "vfio-pci")
    before["functions"].pop(NIC)
    assert after == before
    assert world.passthru("recover").ok().out == "Nothing to recover.\n"
    assert status(world) == {}
    world.passthru("unpersist", NIC).ok()
    world.passthru("reattach", NIC).ok()
