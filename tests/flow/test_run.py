# SPDX-License-Identifier: LGPL-2.1-or-later
"""passthru run: the device is the command's while it lasts, whatever ends it."""

import pytest

from zoo_names import EDU, NVME

# what the command is given beside its own words: "-device", "vfio-pci,host=…"
SEE = ["sh", "-c", 'readlink /sys/bus/pci/devices/%s/driver; echo "$@"' % NVME, "see"]


def test_the_commands_status_is_ours(world):
    before = world.snapshot()
    r = world.passthru("run", "--device", NVME, "--", "sh", "-c", "exit 7")
    assert r.status == 7, str(r)
    assert world.snapshot() == before


def test_a_command_that_is_killed(world):
    before = world.snapshot()
    r = world.passthru("run", "--device", NVME, "--", "sh", "-c", "kill -9 $$")
    assert r.status == 128 + 9, str(r)
    assert world.snapshot() == before


def test_arguments_for_qemu(world):
    r = world.passthru("run", "--device", NVME, "--device", EDU, "--", "sh", "-c", 'echo "$@"', "x")
    assert r.ok().out == "-device vfio-pci,host=%s -device vfio-pci,host=%s\n" % (NVME, EDU)


def test_input_and_output_are_the_commands(world):
    r = world.passthru("run", "--device", NVME, "--", "sh", "-c", "cat; echo to err >&2",
                       input="hello\n")
    assert r.ok().out == "hello\n"
    assert "to err" in r.err


def test_a_device_detached_by_hand_stays_detached(world):
    world.passthru("detach", NVME).ok()
    between = world.snapshot()
    world.passthru("run", "--device", NVME, "--", "true").ok()
    assert world.snapshot() == between


@pytest.mark.only("lab", reason="the command looks at /sys, which is the real one")
def test_the_device_is_on_vfio_meanwhile(world):
    r = world.passthru("run", "--device", NVME, "--", *SEE)
    assert "drivers/vfio-pci\n" in r.ok().out


def test_another_owner_is_refused(world):
    """While one command has the device, nobody else gets it."""
    before = world.snapshot()
    program = world.program()
    script = "; ".join("%s %s; echo status $?" % (program, words) for words in (
        "detach " + NVME, "reattach " + NVME, "reset " + NVME, "run --device %s -- true" % NVME))
    r = world.passthru("run", "--device", NVME, "--", "sh", "-c", script)
    assert r.ok().out.count("status 16") == 4, str(r)
    assert world.snapshot() == before


def test_the_command_has_the_signals_we_were_given(world):
    """Asked of a program that doesn't put its mask right by itself, as dash does."""
    script = "print(*[line for line in open('/proc/self/status') if line[:6] == 'SigBlk'])"
    r = world.passthru("run", "--device", NVME, "--", "/usr/bin/python3", "-c", script)
    assert "SigBlk:\t0000000000000000" in r.ok().out


def test_a_signal_to_us_ends_the_command(world):
    before = world.snapshot()
    out = world.sh("timeout -s TERM 2 %s run --device %s -- /usr/bin/python3 -c "
                   "'import time; time.sleep(900)'; echo status $?" % (world.program(), NVME))
    assert "status 124" in out
    assert world.snapshot() == before


def test_an_ignored_sigchld_is_put_right(world):
    """With it, the end of the command would never be heard of."""
    before = world.snapshot()
    deaf = ("import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
            "os.execvp(sys.argv[1], sys.argv[1:])")
    world.sh("exec /usr/bin/python3 -c '%s' %s run --device %s -- true"
             % (deaf, world.program(), NVME))
    assert world.snapshot() == before


@pytest.mark.only("fake", reason="drivers are slow on demand there only")
def test_a_signal_while_devices_are_taken(world):
    """The command isn't begun, and the device is back when we end by the signal."""
    before = world.snapshot()
    world.fault(NVME, "unbind", "delay 1500")
    out = world.sh("timeout -s TERM --preserve-status 0.7 %s run --device %s -- echo begun; "
                   "echo status $?" % (world.program(), NVME))
    world.fault(NVME, "unbind", None)
    assert out == "status 143\n"
    assert world.snapshot() == before


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors(world, closed):
    """Our messages must not reach the helper's socket or a lock that got number 1 or 2."""
    before = world.snapshot()
    for words in ("run --device %s -- true" % NVME, "detach " + NVME, "reattach " + NVME):
        out = world.sh("exec 3>&1; %s %s %s 3>&-; echo $? >&3" % (world.program(), words, closed))
        assert out.splitlines()[-1] == "0", (words, out)
    assert world.snapshot() == before
    locks = world.sh("cat %s/run/passthru/locks/*" % getattr(world, "tree", ""))
    assert "bound" not in locks


@pytest.mark.only("fake", reason="the lab's driver can't be slow; test_watch pulls real cards")
def test_a_card_that_is_removed_is_not_recovered_under_a_living_process(world):
    """device_del() removes the directory before it waits for the driver: the group is not found then."""
    world.fault(NVME, "unbind", "delay 3000")
    out = world.sh("""
        {program} detach {nvme} >/dev/null 2>&1 &
        sleep 1
        mv {tree}/sys/bus/pci/devices/{nvme} {tree}/gone
        {program} recover
        ls {tree}/run/passthru/journal | wc -l
        mv {tree}/gone {tree}/sys/bus/pci/devices/{nvme}
        wait $!; echo status $?""".format(program=world.program(), tree=world.tree, nvme=NVME))
    assert "Nothing to recover" in out and "undone" not in out, out
    assert "\n1\n" in out and "status 0" in out, out
    assert world.claims() == [NVME]
    world.fault(NVME, "unbind", None)
    world.passthru("reattach", NVME).ok()
