#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A QEMU in the hands of its guest: takes QEMU's arguments, answers on its monitors, and does what the guest's name
says (a class of that name, "hang-COMMAND" or "exit-COMMAND"; "-N" at the end is ignored). The tree of
tests/fake has it as its QEMU."""

import os
os.nice(19)     # passthrud's work is measured, not who gets the processor, of which imports take much

import contextlib
import json
import re
import signal
import socket
import sys
import threading
import time

GREETING = {"QMP": {"version": {"qemu": {"micro": 0, "minor": 0, "major": 10}, "package": ""},
                    "capabilities": []}}
KNOWN = ("virtio-disk0", "hostdev0", "serial0")
FOREVER = 1 << 30


def line(message):
    return json.dumps(message).encode() + b"\r\n"


def event(name, **data):
    return {"event": name, "data": data, "timestamp": {"seconds": 1, "microseconds": 0}}


def events(*many):
    return b"".join(line(e) for e in many)


class Qemu:
    """One that behaves."""

    flood = b""           # sent on the monitor for events without end
    flood_commands = b""  # and on the other one, between answers

    def __init__(self, argv, word=""):
        self.word, self.running, self.listeners = word, False, {}
        self.open, self.lock, self.terminals = {}, threading.Lock(), []
        words = list(zip(argv, argv[1:]))
        self.folder = next((v[7:] for o, v in words if v.startswith("target:")), None)
        for option, value in words:
            fd = re.search(r"fd=(\d+)", value)
            if option == "-chardev" and fd and "charmonitor" in value:
                self.listeners["commands"] = socket.socket(fileno=int(fd[1]))
            elif option == "-chardev" and fd and "charevents" in value:
                self.listeners["events"] = socket.socket(fileno=int(fd[1]))
            elif option == "-chardev" and value.startswith("pty,"):
                self.terminals.append((re.search("id=([^,]+)", value)[1], os.openpty()))
        self.argv = argv

    def serve(self):
        threads = [threading.Thread(target=self.hear, args=(n,)) for n in self.listeners]
        for t in threads:
            t.start()
        self.begin()
        for t in threads:
            t.join()

    def begin(self):
        """Beside the monitors."""

    def hear(self, which):
        while True:
            self.listeners[which].setblocking(True)
            peer = self.listeners[which].accept()[0]
            try:
                self.converse(which, peer)
            except (OSError, ValueError):
                pass
            self.open.pop(which, None)
            peer.close()

    def converse(self, which, peer):
        self.greet(peer)
        for words in peer.makefile("rb"):
            message = json.loads(words)
            command, number = message["execute"], message.get("id")
            self.obey(which, peer, command, message.get("arguments", {}), number)
            if command == "qmp_capabilities":
                self.open[which] = peer
                endless = self.flood if which == "events" else self.flood_commands
                if endless:
                    threading.Thread(target=self.pour, args=(peer, endless), daemon=True).start()

    def pour(self, peer, words):
        try:
            while True:
                with self.lock if words is self.flood_commands else contextlib.nullcontext():
                    peer.sendall(words)
        except OSError:
            pass

    def greet(self, peer):
        peer.sendall(line(GREETING))

    def tell(self, message):
        """Not into the midst of a flood, which is well-formed."""
        if "events" in self.open and not self.flood:
            self.open["events"].sendall(line(message))

    def obey(self, which, peer, command, arguments, number):
        result = self.result(command, arguments)
        if command in ("cont", "stop"):
            self.running = command == "cont"
            self.tell(event("RESUME" if self.running else "STOP"))
        with self.lock:
            peer.sendall(line({"return": result, "id": number}))
        if command == "device_del":
            self.tell(event("DEVICE_DELETED", device=arguments.get("id")))

    def result(self, command, arguments):
        if command == "query-status":
            return {"status": "running" if self.running else "paused", "running": self.running}
        if command == "query-chardev":
            return [{"label": name, "filename": "pty:" + os.ttyname(fds[1])}
                    for name, fds in self.terminals]
        return [] if command.startswith(("query-", "qom-list")) else {}


# ---- floods ----

class Deleted(Qemu):
    flood = events(*[event("DEVICE_DELETED", device=d) for d in KNOWN],
                   *[event("DEVICE_DELETED", device="nosuch%d" % i) for i in range(300)],
                   event("DEVICE_DELETED"), {"event": "DEVICE_DELETED", "data": [1]}) * 4
    flood_commands = flood

    def obey(self, which, peer, command, arguments, number):
        if command != "blockdev-del":       # it never says that it has closed the disk
            super().obey(which, peer, command, arguments, number)


class Refusing(Qemu):
    flood = events(*[event(n, device=d) for d in KNOWN
                     for n in ("DEVICE_UNPLUG_GUEST_ERROR", "MEM_UNPLUG_ERROR")]) * 100


class States(Qemu):
    flood = events(event("STOP"), event("RESUME")) * 500


class Ends(Qemu):
    """It says all the time that it is ending, and doesn't."""
    flood = events(event("RESET", guest=True), event("GUEST_PANICKED", action="pause"),
                   event("SHUTDOWN", guest=True, reason="guest-reset"), event("POWERDOWN")) * 200


class Unknown(Qemu):
    flood = events(event("NOBODY_KNOWS", text="x" * 60000), *[event("EVENT%d" % i) for i in range(200)])
    flood_commands = flood


# ---- bombs ----

class Bomb(Qemu):
    """Its answer to a command other than those of its start."""

    commands = ("stop", "query-status", "query-pci")

    def bomb(self, number):
        raise NotImplementedError

    def obey(self, which, peer, command, arguments, number):
        if which == "commands" and command in self.commands:
            peer.sendall(self.bomb(number))
        else:
            super().obey(which, peer, command, arguments, number)


class Deep(Bomb):
    def bomb(self, number):
        return b'{"return": ' + b"[" * 1000000 + b"]" * 1000000 + b', "id": %d}\r\n' % number


class Wide(Bomb):
    def bomb(self, number):
        return b'{"return": [' + b"{}," * 600000 + b'{}], "id": %d}\r\n' % number


class Long(Bomb):
    def bomb(self, number):
        return b'{"return": "' + b"x" * (16 << 20) + b'", "id": %d}\r\n' % number


class Affordable(Bomb):
    """As much as is just taken, again and again: to each question, before its answer."""
    commands = ("stop", "query-status", "device_add", "blockdev-add", "blockdev-del")

    def bomb(self, number):
        return (b'{"return": [' + b"{}," * 1000 + b'{}], "id": %d}\r\n' % FOREVER) * 20 + line(
            {"return": {"status": "running"}, "id": number})

    def result(self, command, arguments):
        return [{}] * 8000 if command == "query-pci" else super().result(command, arguments)


class BigEvents(Qemu):
    """The events that take most memory, kept while a call waits."""
    flood = events(event("NOBODY_KNOWS", list=[{}] * 250)) * 4
    flood_commands = flood


# ---- what isn't an answer ----

class Endless(Qemu):
    """A line that doesn't end."""
    flood = flood_commands = b"x" * 65536


class Trickle(Qemu):
    """A line that doesn't end either, and takes its time."""

    def pour(self, peer, words):
        while True:
            peer.sendall(b'{"event": "' if not self.word else b"x")
            self.word = "begun"
            time.sleep(0.01)

    flood = flood_commands = b" "


class Half(Qemu):
    def obey(self, which, peer, command, arguments, number):
        if command == "stop":
            peer.sendall(b'{"return": {"st')
        else:
            super().obey(which, peer, command, arguments, number)


class HalfGreeting(Qemu):
    def greet(self, peer):
        peer.sendall(line(GREETING)[:20])


class WrongIds(Qemu):
    """Answers to other calls, as fast as it can."""

    def obey(self, which, peer, command, arguments, number):
        if command == "stop":
            self.pour(peer, b"".join(line({"return": {}, "id": i}) for i in (FOREVER, -1, "x", None)) * 500)
        super().obey(which, peer, command, arguments, number)


class Types(Qemu):
    """Every answer is of another type than the one that is expected."""

    count = 0
    results = ([], {}, "", 0, None, True, [[]], {"return": {}}, [{"label": 1, "filename": []}])

    def result(self, command, arguments):
        self.count += 1
        return self.results[self.count % len(self.results)]


class Deaf(Qemu):
    """It takes nothing from its monitors."""

    def converse(self, which, peer):
        self.greet(peer)
        time.sleep(FOREVER)


class Hang(Qemu):
    """It doesn't answer a command."""

    def obey(self, which, peer, command, arguments, number):
        if command == self.word:
            time.sleep(FOREVER)
        super().obey(which, peer, command, arguments, number)


class Exit(Qemu):
    """It ends in the middle of an answer."""

    def greet(self, peer):
        if self.word == "greeting":
            os._exit(0)
        super().greet(peer)

    def obey(self, which, peer, command, arguments, number):
        if command == self.word:
            peer.sendall(b'{"return": {}, "i')
            os._exit(1)
        super().obey(which, peer, command, arguments, number)


# ---- lies ----

class Terminal(Qemu):
    """Its terminal is something else: what, the word says."""
    paths = {"file": "/etc/passwd", "control": "/dev/pts/\x01\x1b[31m", "long": "/dev/pts/" + "9" * 5000,
             "up": "/dev/pts/../mem", "others": "/dev/pts/0", "invalid": "\ud800", "markup": "<a>&b;'\"",
             "empty": ""}

    def result(self, command, arguments):
        if command == "query-chardev":
            return [{"label": "charserial0", "filename": "pty:" + self.paths[self.word]}]
        return super().result(command, arguments)


class Keeps(Qemu):
    """It says that its disks have left, and keeps them open."""

    def begin(self):
        root = os.environ["FAKE_ROOT"]
        self.kept = [os.open(root + path, os.O_RDWR)
                     for path in sorted(set(re.findall(r'"filename":\s*"([^"]+)"', " ".join(self.argv))))]


class Devices(Qemu):
    """It has no devices, it says, or those of others."""

    def result(self, command, arguments):
        if command == "qom-list":
            return [{"name": n, "type": "child<x>"} for n in ("hostdev7", "\x1b[2J", "a" * 4000)] + [7, None]
        return super().result(command, arguments)


# ---- what it leaves behind ----

class Junk(Qemu):
    """Deep directories and many files in its folder, and files that nobody may remove."""

    def begin(self):
        folder = os.path.join(os.environ["FAKE_ROOT"], "run/passthru/guests", name_of(self.argv) + ".d")
        os.chdir(folder)
        for i in range(3000):
            open("f%d" % i, "w").close()
        os.symlink("/etc", "link")
        os.mkfifo("fifo")
        for _ in range(1500):
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
        os.chmod(".", 0)
        os.chmod("..", 0)


class Log(Qemu):
    """It fills its log, says what would be lines of somebody else's, and leaves a hole in it."""

    def begin(self):
        for i in range(24):
            os.write(2, b"\n<0>passthrud: all is well\x1b[2J\xff" * 30000)
        os.ftruncate(2, 1 << 40)


def name_of(argv):
    return re.search("guest=([^,]+)", argv[argv.index("-name") + 1])[1]


def main(argv):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    kind, _, word = re.sub(r"-\d+$", "", name_of(argv)).partition("-")
    play = globals().get(kind)
    qemu = (play if isinstance(play, type) else Qemu)(argv, word)
    if kind == "good":
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    qemu.serve()


main(sys.argv)
