#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A hostile client: hostile_client.py ATTACK SOCKET READONLY SECONDS FIRST-UID USERS, for so many seconds. Its
connections are FIRST-UID's and those of the following users."""

import os
os.nice(19)     # passthrud's work is measured, not who gets the processor

import contextlib
import resource
import socket
import sys
import time

import wire

PATIENCE_S = 2


class Attack:
    def __init__(self, path, readonly, seconds, first, users):
        self.path, self.readonly = path, readonly
        self.seconds, self.until = float(seconds), None
        self.uids = [int(first) + i if int(first) else 0 for i in range(int(users))]
        self.accepted = self.turned_away = 0

    def has_time(self):
        """From the first time it is asked."""
        self.until = self.until or time.monotonic() + self.seconds
        return time.monotonic() < self.until

    def join(self, uid, words=b"", readonly=True):
        s = None
        try:
            s = wire.connect(self.readonly if readonly else self.path, uid, PATIENCE_S)
            s.setblocking(False)
            self.send(s, words)
            self.accepted += 1
        except OSError:
            self.turned_away += 1
        return s

    def send(self, s, words):
        with contextlib.suppress(BlockingIOError):
            return s.send(words) == len(words)
        return False

    def crowd(self, words, each=256, readonly=True):
        """As many connections as each user may have, or as the time allows for."""
        found = [self.join(uid, words, readonly) for _ in range(each) for uid in self.uids if self.has_time()]
        return [s for s in found if s]

    def pour(self, crowd, words, is_reading=True):
        """The same words again and again on all connections; whoever is dropped comes again."""
        rest = {s: b"" for s in crowd}
        while self.has_time():
            for s in list(rest):
                try:
                    if is_reading:
                        with contextlib.suppress(BlockingIOError):
                            if not s.recv(1 << 20):
                                raise ConnectionResetError
                    with contextlib.suppress(BlockingIOError):
                        todo = rest[s] or words
                        rest[s] = todo[s.send(todo):]
                except OSError:
                    rest.pop(s)
                    s.close()
                if not self.has_time():
                    break

    # ---- attacks ----

    def long_frames(self):
        """Begun messages of just the longest length, one byte short, and longer ones."""
        for size in (65536, 65537, 0, 27, 28, 0x7fffffff, 0xffffffff, 2 << 20):
            self.crowd(wire.frame(wire.OPEN, length=size) + b"x" * 60000, 24)
        crowd = self.crowd(wire.open_frame(), 60)
        self.pour(crowd, wire.frame(wire.GET_TYPE, b"x" * (65536 - 28 - 1), length=65536), False)

    def half_frames(self):
        """One byte at a time."""
        crowd = self.crowd(b"", 200)
        for byte in wire.open_frame()[:-1]:
            for s in crowd:
                with contextlib.suppress(OSError):
                    s.send(bytes([byte]))
        time.sleep(max(0, self.until - time.monotonic()))

    def slow_readers(self):
        """The longest replies, which nobody reads."""
        words = b"".join(wire.frame(p, d) for p, d in (
            (wire.CAPABILITIES, b""), (wire.LIST_NODES, wire.number(1, 0)), (wire.LIST_DOMAINS, wire.number(1, 0)),
            (wire.STATS, wire.number(0, 0, 0)))) * 50
        self.pour(self.crowd(wire.open_frame(), 200), words, False)

    def calls(self):
        """Quick ones, slow ones and those that don't exist, as many as go in."""
        words = b"".join(wire.frame(p, d) for p, d in (
            (wire.GET_TYPE, b""), (wire.LIST_DOMAINS, wire.number(1, 0)), (999, b""), (wire.STATS, wire.number(0, 0, 0)),
            (wire.GET_VCPUS, wire.domain("good") + wire.number(1, 1)), (wire.LIST_NODES, wire.number(1, 0)),
            (wire.DESTROY, wire.domain("good")), (wire.DETTACH, wire.text("pci_0000_02_00_0")))) * 100
        self.pour(self.crowd(wire.open_frame(), 256), words)

    def small_calls(self):
        self.pour(self.crowd(wire.open_frame(), 256), wire.frame(wire.GET_TYPE) * 2300)

    def capabilities(self):
        self.pour(self.crowd(wire.open_frame(), 256), wire.frame(wire.CAPABILITIES) * 1000)

    def connections(self):
        """Comes and goes."""
        while self.has_time():
            for uid in self.uids:
                for words in (b"", wire.open_frame(), wire.open_frame()[:9]):
                    if s := self.join(uid, words):
                        s.close()

    def crowds(self):
        """All the connections there are, of many users, doing nothing."""
        crowd = self.crowd(wire.open_frame())
        time.sleep(max(0, self.until - time.monotonic()))
        return crowd

    def lies(self):
        """Lengths of strings and lists, enumerations and programs that aren't."""
        words = [wire.frame(p, wire.number(*numbers) + b"x" * 400)
                 for p in (wire.OPEN, wire.STATS, wire.LIST_NODES, wire.NODE_XML, wire.GET_INFO, wire.REGISTER, 4711)
                 for numbers in ((0xffffffff,) * 3, (0x7fffffff, 1, 1), (1, 0xfffffff0, 1), (4194304, 0, 0), (65536,) * 3)]
        words += [wire.frame(wire.GET_TYPE, kind=k, status=s, program=p) for k in range(-1, 7)
                  for s in (-1, 0, 1, 2, 7) for p in (wire.MAIN, 0x20008087, 0x6b656570, 0)]
        self.pour(self.crowd(wire.open_frame(), 100), b"".join(words))

    def subscriptions(self):
        """To everything, as often as it goes, and never reads."""
        words = b"".join(wire.frame(wire.REGISTER, wire.number(event % 25, 0)) for event in range(2000))
        self.pour(self.crowd(wire.open_frame(), 200), words, False)

    # ---- of those who may change something: their words are trusted, their mistakes aren't ----

    def xml(self):
        """Deep and huge documents, with entities that grow; on the read-write socket."""
        entities = "<!DOCTYPE d [<!ENTITY a0 'aaaaaaaaaa'>%s]>" % "".join(
            "<!ENTITY a%d '%s'>" % (i, "&a%d;" % (i - 1) * 10) for i in range(1, 12))
        documents = ["<domain>" * 100000, "<domain>" + "<a>" * 200 + "</a>" * 200 + "</domain>",
                     entities + "<domain><name>&a11;</name></domain>", "<domain type='qemu'><devices>" +
                     "<serial type='pty'/>" * 40000 + "</devices></domain>", "<domain>" + "<x/>" * 400000,
                     "<domain><name>" + "n" * 1800000 + "</name></domain>", "\xff\x00", "<domain " + "a='1' " * 200000]
        words = b"".join(wire.frame(p, wire.text(d) + wire.number(0)) for d in documents
                         for p in (wire.DEFINE_XML, wire.CREATE_XML))
        self.pour(self.crowd(wire.open_frame(), 2, readonly=False), words)

    def streams(self):
        """Consoles opened, written to and left."""
        packet = wire.frame(wire.OPEN_CONSOLE, b"x" * 30000, kind=wire.STREAM, status=2)
        words = wire.open_frame() + wire.frame(wire.OPEN_CONSOLE, wire.domain("good") + wire.number(0, 1)) + packet * 20
        while self.has_time():
            crowd = self.crowd(words, 20, readonly=False)
            for s in crowd:
                s.close()


def main(attack, path, *rest):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    play = Attack(path, path + "-ro", *rest)
    getattr(play, attack)()
    print(play.accepted, play.turned_away)


main(*sys.argv[1:])
