#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A well-behaved client beside hostile ones: neighbour.py KIND SOCKET UID calls until its input ends, then prints how
often it did what, and how long the longest took in seconds, as JSON. "machine" is not passthrud's: by how much a
pause became longer than it should have been."""

import json
import select
import sys
import time

import wire

PAUSE = 0.01
SPARE = "pci_0000_02_00_0"
XML = """<domain type='qemu'><name>spare</name><uuid>%s</uuid><memory unit='MiB'>64</memory><os><type
arch='x86_64' machine='q35'>hvm</type></os></domain>""" % wire.uuid_of("spare")


class Neighbour:
    def __init__(self, path, uid):
        self.path, self.uid, self.longest = path, uid, {}
        self.connection = wire.Connection(path, uid)

    def measure(self, name, call, *args):
        begin = time.monotonic()
        problem = None
        try:
            call(*args)
        except (OSError, wire.Refused) as e:
            problem = "%s: %s" % (type(e).__name__, e)
            if isinstance(e, OSError):
                self.connection = wire.Connection(self.path, self.uid)
        took = time.monotonic() - begin
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
            self.measure("machine", time.sleep, PAUSE)
        self.connection.close()
        print(json.dumps(self.longest))


if __name__ == "__main__":
    Neighbour(sys.argv[2], int(sys.argv[3])).run(sys.argv[1])
