# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bad input and an unwilling machine: a clear error, a status of its own, nothing changed."""

import os

import pytest

from zoo_names import EDU, NOWHERE, NVME, PORT

CHANGING = ("detach", "reattach", "reset")


@pytest.mark.parametrize("verb", CHANGING + ("show",))
def test_unknown_device(world, verb):
    before = world.snapshot()
    world.passthru(verb, NOWHERE).fails(10, NOWHERE)
    assert world.snapshot() == before


@pytest.mark.only("fake", reason="no kernel is asked")
@pytest.mark.parametrize("verb", ["detach", "show"])
@pytest.mark.parametrize("word", [
    "", "1", "01:00", "01:00.8", "01:20.0", "01:00.0 ", " 01:00.0", "0x01:00.0", "01:00.0x",
    "pci_0000_01_00", "pci_0000_01_00_0_", "g000:01:00.0", "0000:01:00.0\n", "+1:00.0"])
def test_malformed_address(world, verb, word):
    before = world.snapshot()
    r = world.passthru(verb, word).fails(2)
    assert "PCI address" in r.err
    assert world.snapshot() == before


@pytest.mark.only("fake", reason="no kernel is asked")
@pytest.mark.parametrize("words", [
    ["detach"], ["detach", NVME, NVME], ["detach", "--nonsense", NVME], ["detach", "--driver"],
    ["detach", "--driver", "../nvme", NVME], ["detach", "--force", NVME], ["nonsense"], [],
    ["plan", "nonsense", NVME], ["run", "--", "true"], ["run", "--device", NVME],
    ["run", "--device", NVME, "--", "no-such-program-anywhere"],
    ["detach", NVME, "--bus", "2"], ["reset", "--bus", "2", "--slot", "0"]])
def test_malformed_command_line(world, words):
    before = world.snapshot()
    r = world.passthru(*words)
    assert r.status == 2 and r.err and not r.out, str(r)
    assert world.snapshot() == before


@pytest.mark.parametrize("verb", ["detach", "reset"])
def test_a_bridge_stays(world, verb):
    before = world.snapshot()
    world.passthru(verb, PORT).fails(28, PORT, "bridge")
    assert world.snapshot() == before


def test_errors_are_json_when_asked(world):
    r = world.passthru("detach", "--json", NOWHERE)
    assert r.status == 10
    assert "no-device" in r.out + r.err


@pytest.mark.only("lab", reason="the fake's files belong to whoever runs the tests")
@pytest.mark.parametrize("verb", CHANGING)
def test_not_root(world, verb):
    before = world.snapshot()
    world.passthru(verb, EDU if verb == "detach" else NVME, uid=65534).fails(20, "root")
    assert world.snapshot() == before


@pytest.mark.only("fake", reason="the real thing is the next test")
@pytest.mark.parametrize("error, status", [("EROFS", 20), ("EACCES", 20), ("EINVAL", 1)])
def test_writes_that_the_kernel_refuses(world, error, status):
    before = world.snapshot()
    for operation in ("override", "unbind", "probe"):
        world.fault(NVME, operation, error)
    r = world.passthru("detach", EDU, NVME).fails(status, NVME)
    assert "Putting" not in r.err
    assert world.snapshot() == before


@pytest.mark.only("lab", reason="a mount of its own needs a real kernel")
def test_read_only_sysfs(world):
    before = world.snapshot()
    script = "mount -o remount,ro,bind /sys && exec /lab/bin/passthru detach " + NVME
    r = world.lab.run(["unshare", "-m", "sh", "-c", script], timeout=60)
    assert r.status == 20 and "read-only" in r.err, r
    assert world.snapshot() == before


@pytest.mark.only("lab", reason="a mount of its own needs a real kernel")
@pytest.mark.parametrize("how", ["ro", "size=4k,nr_inodes=2"])
def test_state_that_cannot_be_written(world, how):
    before = world.snapshot()
    script = "mount -t tmpfs -o %s none /run && exec /lab/bin/passthru detach %s" % (how, NVME)
    r = world.lab.run(["unshare", "-m", "sh", "-c", script], timeout=60)
    assert r.status == 26 and r.err, r
    assert world.snapshot() == before


@pytest.mark.only("lab", reason="only a real kernel runs out of drivers")
def test_vfio_is_missing(world):
    before = world.snapshot()
    hide = "modprobe -r vfio-pci && mount -t tmpfs none /lib/modules && "
    r = world.lab.run(["unshare", "-m", "sh", "-c", hide + "exec /lab/bin/passthru detach " + NVME],
                      timeout=60)
    assert r.status == 19 and "vfio" in r.err, r
    assert world.snapshot() == before


@pytest.mark.only("lab", reason="only a real kernel has modules to load")
def test_vfio_is_loaded_when_needed(world):
    before = world.snapshot()
    config = "/etc/modprobe.d/no-vfio.conf"
    world.sh("modprobe -r vfio-pci; echo 'install vfio-pci echo not today >&2; false' >" + config)
    r = world.passthru("detach", NVME)
    world.sh("rm " + config)
    assert r.status == 19 and "loading module vfio-pci failed: not today" in r.err, str(r)
    assert world.snapshot() == before
    world.passthru("detach", NVME).ok()
    assert world.driver(NVME) == "vfio-pci"
    world.passthru("reattach", NVME).ok()
    assert world.snapshot() == before


@pytest.mark.only("fake", reason="the fake can make a device leave at a given instant")
@pytest.mark.parametrize("when", ["unbind", "override", "probe"])
def test_a_device_that_leaves_midway(world, when):
    before = world.snapshot()
    world.fault(NVME, when, "once gone")
    r = world.passthru("detach", NVME, EDU)
    assert r.status in (10, 11), str(r)
    assert NVME in r.err
    after = world.snapshot()
    assert after["functions"][EDU] == before["functions"][EDU]
    assert NVME not in after["functions"]
    assert after["state"] == []


@pytest.mark.only("fake", reason="the fake can make driver code hang for a given time")
def test_a_driver_that_lies(world):
    before = world.snapshot()
    world.fault(NVME, "unbind", "once lie")
    world.passthru("detach", NVME).fails(21, NVME)
    assert world.snapshot() == before


def test_a_module_in_place_of_a_driver(world):
    before = world.snapshot()
    world.passthru("detach", "--driver", "vfio_pci", NVME).fails(19, "vfio_pci", "--driver vfio-pci")
    assert world.snapshot() == before


@pytest.mark.only("fake", reason="the kernel's files can't be removed")
def test_a_device_whose_driver_cannot_be_looked_up(world):
    os.unlink(world.path("/sys/bus/pci/devices/%s/modalias" % NVME))
    world.passthru("plan", "detach", NVME).fails(1, NVME, "No such file", "--driver vfio-pci")


@pytest.mark.only("fake", reason="a real driver can't be slow on request")
@pytest.mark.parametrize("words", ["recover", "detach " + NVME])
def test_a_recovery_is_reported_once(world, words):
    world.fault(NVME, "unbind", "once delay 2000")
    r = world.sh("""
        {program} detach {nvme} >/dev/null 2>&1 &
        for i in $(seq 100); do [ ! "$(ls {journal} 2>/dev/null)" ] || break; sleep 0.1; done
        sleep 0.5; kill -9 $!; sleep 2
        {program} {words} 2>&1""".format(program=world.program(), nvme=NVME, words=words,
                                         journal=world.path("/run/passthru/journal")))
    assert r.count("an interrupted operation was undone") == 1, r
    if words == "recover":
        assert r.splitlines() == [NVME + ": an interrupted operation was undone"]
    else:
        assert sorted(line.split(": ", 1)[1] for line in r.splitlines()) == [
            NVME + ": an interrupted operation was undone", "unbound from nvme, bound to vfio-pci"], r


def test_the_report_of_a_recovery_does_not_break_into_lines_of_progress(world):
    r = world.sh("{program} run --device {nvme} -- sh -c 'kill -9 $PPID' >/dev/null 2>&1; sleep 0.5; "
                 "{program} detach {nvme} 2>&1".format(program=world.program(), nvme=NVME))
    lines = r.splitlines()
    assert len(lines) == 3 and all(line.count(NVME) == 1 for line in lines), r
    assert lines[1].startswith("passthru: %s: returned to the host" % NVME), r
