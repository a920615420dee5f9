# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's protocol as bytes (src/rpc/protocol.x), for clients that are well-behaved and for those that are not."""

import contextlib
import os
import socket
import struct
import uuid

OPEN, CLOSE, GET_TYPE, CAPABILITIES = 1, 2, 3, 7
CREATE_XML, DEFINE_XML, DESTROY, DOMAIN_XML, GET_INFO = 10, 11, 12, 14, 16
RESUME, SUSPEND, UNDEFINE, SHUTDOWN = 28, 34, 35, 33
NODE_XML, DETTACH, RE_ATTACH = 114, 118, 119
ATTACH, DETACH = 160, 161
OPEN_CONSOLE, LIST_DOMAINS, LIST_NODES = 201, 273, 285
REGISTER, STATS, GET_VCPUS, XML_TO_NATIVE = 316, 344, 20, 136

MAIN = 0x20008086
CALL, REPLY, MESSAGE, STREAM = range(4)
HEADER = struct.Struct(">IIIiiIi")


def text(words):
    data = words.encode() if isinstance(words, str) else words
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


def number(*values):
    return struct.pack(">%dI" % len(values), *values)


def domain(name):
    return text(name) + uuid_of(name).bytes + struct.pack(">i", -1)


def uuid_of(name):
    return uuid.uuid5(uuid.NAMESPACE_DNS, name)


def frame(procedure, payload=b"", serial=1, kind=CALL, status=0, length=None, program=MAIN):
    size = HEADER.size + len(payload)
    return HEADER.pack(size if length is None else length, program, 1, procedure, kind, serial,
                       status) + payload


def open_frame():
    return frame(OPEN, number(1) + text("qemu:///system") + number(0))


@contextlib.contextmanager
def user(uid):
    """Connections that are made here are that user's."""
    if uid:
        os.seteuid(uid)
    try:
        yield
    finally:
        if uid:
            os.seteuid(0)


def connect(path, uid=0, timeout=30):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(timeout)
    with user(uid):
        s.connect(path)
    return s


class Refused(Exception):
    pass


class Connection:
    """A client that waits for its answers."""

    def __init__(self, path, uid=0, timeout=30):
        self.socket = connect(path, uid, timeout)
        self.serial, self.received, self.events = 0, b"", 0
        self.call(OPEN, number(1) + text("qemu:///system") + number(0))

    def send(self, procedure, payload=b""):
        self.serial += 1
        self.socket.sendall(frame(procedure, payload, self.serial))

    def take(self):
        """The next frame: its header's words and its payload."""
        while True:
            if len(self.received) >= HEADER.size:
                header = HEADER.unpack_from(self.received)
                if len(self.received) >= header[0]:
                    payload = self.received[HEADER.size:header[0]]
                    self.received = self.received[header[0]:]
                    return header, payload
            data = self.socket.recv(1 << 20)
            if not data:
                raise ConnectionResetError("passthrud hung up")
            self.received += data

    def answer(self):
        while True:
            header, payload = self.take()
            if header[4] == REPLY:
                break
            self.events += 1
        assert header[5] == self.serial, header
        if header[6]:
            size, = struct.unpack_from(">I", payload, 12)
            raise Refused(payload[16:16 + size].decode())
        return payload

    def call(self, procedure, payload=b""):
        self.send(procedure, payload)
        return self.answer()

    def text(self, procedure, payload=b""):
        data = self.call(procedure, payload)
        return data[4:4 + struct.unpack_from(">I", data)[0]].decode()

    def close(self):
        self.socket.close()
