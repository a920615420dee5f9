#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A well-behaved client beside hostile ones: neighbour.py KIND SOCKET UID PID calls until its input ends, then prints
how often it did what, and how long the longest took in seconds, as JSON. What the machine does beside isn't
passthrud's: the time in which a thread of PID, or this process, could have run and had no processor is left out.
KIND "clock" calls nobody, and tells of a machine that stood still."""

import json
import os
import select
import sys
import time

import wire

PAUSE = 0.02
SPARE = "pci_0000_02_00_0"
XML = """<domain type='qemu'><name>spare</name><uuid>%s</uuid><memory unit='MiB'>64</memory><os><type
arch='x86_64' machine='q35'>hvm</type></os></domain>""" % wire.uuid_of("spare")


def waits(pid):
    """How long each thread has waited for a processor, in seconds (Linux, Documentation/scheduler/sched-stats.rst)."""
    found = {}
    for thread in os.listdir("/proc/%d/task" % pid):
        try:
            with open("/proc/%d/task/%s/schedstat" % (pid, thread)) as f:
                found[thread] = int(f.read().split()[1]) / 1e9
        except (OSError, IndexError):
            pass
    return found


def longest_wait(before, after):
    return max((after[t] - before.get(t, 0) for t in after), default=0)


class Neighbour:
    def __init__(self, path, uid, pid):
        self.path, self.uid, self.pid, self.longest = path, uid, pid, {}
        self.connection = wire.Connection(path, uid)

    def measure(self, name, call, *args):
        daemon, own = waits(self.pid), waits(os.getpid())
        begin = time.monotonic()
        problem = None
        try:
            call(*args)
        except (OSError, wire.Refused) as e:
            problem = "%s: %s" % (type(e).__name__, e)
            if isinstance(e, OSError):
                self.connection = wire.Connection(self.path, self.uid)
        took = time.monotonic() - begin
        if took > PAUSE:
            loop = str(self.pid)
            now = waits(self.pid)
            took -= longest_wait(own, waits(os.getpid())) + now.pop(loop) - daemon.pop(loop)
            took -= longest_wait(daemon, now)
        count, longest, problems = self.longest.get(name, (0, 0, []))
        self.longest[name] = (count + 1, max(longest, took), (problems + [problem])[:3] if problem else problems)

    def ask(self, name, procedure, payload=b""):
        self.measure(name, lambda: self.connection.call(procedure, payload))

    def visit(self):
        wire.Connection(self.path, self.uid).close()

    def look(self):
        self.measure("connect", self.visit)
        self.ask("type", wire.GET_TYPE)
        self.ask("list of guests", wire.LIST_DOMAINS, wire.number(1, 0))
        self.ask("info", wire.GET_INFO, wire.domain("good"))
        self.ask("vcpus", wire.GET_VCPUS, wire.domain("good") + wire.number(1, 1))
        self.ask("list of devices", wire.LIST_NODES, wire.number(1, 0))
        self.ask("device", wire.NODE_XML, wire.text(SPARE) + wire.number(0))

    def change(self):
        for name, procedure, payload in (
                ("detach", wire.DETTACH, wire.text(SPARE)),
                ("suspend", wire.SUSPEND, wire.domain("good")),
                ("define", wire.DEFINE_XML, wire.text(XML)),
                ("resume", wire.RESUME, wire.domain("good")),
                ("reattach", wire.RE_ATTACH, wire.text(SPARE)),
                ("undefine", wire.UNDEFINE, wire.domain("spare"))):
            self.ask(name, procedure, payload)

    def listen(self):
        """To all events of guests; who is dropped for not hearing them loses its connection."""
        for event in range(25):
            try:
                self.connection.call(wire.REGISTER, wire.number(event, 0))
            except wire.Refused:
                pass

    def run(self, kind):
        if kind == "listener":
            self.listen()
        self.ask("ready", wire.GET_TYPE)
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], 0)[0]:
            if kind == "listener":
                self.ask("type between events", wire.GET_TYPE)
            else:
                self.look()
            if kind == "admin":
                self.change()
            time.sleep(PAUSE)
        self.connection.close()
        print(json.dumps(self.longest))


def watch_clock():
    print("ready", flush=True)
    longest, before = 0, time.monotonic()
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        now = time.monotonic()
        longest, before = max(longest, now - before - PAUSE), now
    print(json.dumps({"machine": (0, longest, [])}))


if __name__ == "__main__":
    if sys.argv[1] == "clock":
        watch_clock()
        sys.exit()
    Neighbour(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])).run(sys.argv[1])
