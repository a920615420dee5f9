#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kill passthru at random instants, inside the lab, and look what is left.

    kills.py FIRST COUNT SEED

Each round starts an operation on a device, kills it with SIGKILL after a random time, runs
`passthru recover`, and looks: the device must be as before or as after the operation, no
claim, journal or override may be left over. What it prints is in rounds.py.
"""

import os
import signal
import subprocess
import sys
import time

import rounds

DEVICES = "/sys/bus/pci/devices"
STATE = "/run/passthru"
# A drive, a NIC, two drives at once, and two NICs of one group.
SETS = [["0000:01:00.0"], ["0000:04:00.0"], ["0000:01:00.0", "0000:02:00.0"],
        ["0000:08:01.0", "0000:08:02.0"]]


def passthru(*words):
    return subprocess.run(["passthru", *words], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)


def look(devices):
    found = []
    for device in devices:
        try:
            driver = os.path.basename(os.readlink("%s/%s/driver" % (DEVICES, device)))
        except FileNotFoundError:
            driver = None
        with open("%s/%s/driver_override" % (DEVICES, device)) as f:
            override = f.read().strip()
        found.append((device, driver, None if override == "(null)" else override))
    claims = sorted(os.listdir(STATE + "/claims")) if os.path.isdir(STATE) else []
    journals = sorted(os.listdir(STATE + "/journal")) if os.path.isdir(STATE) else []
    return {"functions": found, "claims": claims, "journals": journals}


def recover():
    """A helper of the killed process may still be in a driver: then ask again."""
    for _ in range(200):
        r = passthru("recover")
        if r.returncode == 0 and not os.listdir(STATE + "/journal"):
            return
        time.sleep(0.05)
    raise SystemExit("recovery doesn't come to an end: %s" % r.stdout)


def kill_after(words, seconds):
    """None when it was killed, otherwise how long it took: it had ended before."""
    start = time.monotonic()
    p = subprocess.Popen(["passthru", *words], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        p.wait(seconds)
        return time.monotonic() - start
    except subprocess.TimeoutExpired:
        p.send_signal(signal.SIGKILL)
        p.wait()
        return None


def words_for(verb, devices):
    if verb == "run":
        return ["run", "--no-reset", *[w for d in devices for w in ("--device", d)],
                "--", "/bin/sleep.for-devices", "0.05"]
    return [verb, *devices]


def measure(verb, devices):
    start = time.monotonic()
    r = passthru(*words_for(verb, devices))
    if r.returncode:
        raise SystemExit("%s %s: %s" % (verb, devices, r.stdout))
    return time.monotonic() - start


def one_round(rng, home, times):
    devices = rng.choice(SETS)
    verb = rng.choice(("detach", "reattach", "run"))
    before = home[tuple(devices)]
    if verb == "reattach":
        passthru("detach", *devices)
    was = look(devices)
    # The machine is not equally fast all the time: what ended early says how long it takes
    # now, and what didn't may take longer than was thought, so that its end is hit, too.
    key = verb, tuple(devices)
    at = rng.uniform(0, 1) * times[key]
    took = kill_after(words_for(verb, devices), at)
    times[key] = times[key] * 1.03 if took is None else took
    recover()
    now = look(devices)
    held = {"functions": [(d, "vfio-pci", "vfio-pci") for d in devices],
            "claims": devices, "journals": []}
    result = {"operation": verb, "devices": devices, "at": round(at, 4), "hit": took is None,
              "problems": []}
    if now not in [was, before] + ([held] if verb == "detach" else []):
        result["problems"].append("was %s, is %s" % (was, now))
    if now != before:
        r = passthru("reattach", *devices)
        if look(devices) != before:
            result["problems"].append("stranded: %s; %s" % (look(devices), r.stdout))
            result["stranded"] = True
    return result


def main():
    # run appends QEMU's -device words; a sleep that takes no offence at them stands for QEMU
    with open("/bin/sleep.for-devices", "w") as f:
        f.write("#!/bin/sh\nexec sleep \"$1\"\n")
    os.chmod("/bin/sleep.for-devices", 0o755)
    home = {tuple(s): look(s) for s in SETS}
    times = {(verb, tuple(s)): measure(verb, s)
             for s in SETS for verb in ("detach", "reattach", "run")}
    return rounds.main(lambda rng: one_round(rng, home, times))


if __name__ == "__main__":
    sys.exit(main())
