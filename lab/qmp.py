# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small QMP client for the lab's own machine."""

import fcntl
import json
import os
import socket
import time

from paths import LabError


class QmpError(LabError):
    """QEMU refused; .kind is its error class."""

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind


class Qmp:
    """One conversation; QEMU serves one at a time, so a lock goes with it."""

    def __init__(self, path, timeout=30):
        self.lock_fd = os.open(path + ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.lock_fd, fcntl.LOCK_EX)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.buffer = b""
        self.events = []
        try:
            fd = os.open(os.path.dirname(path), os.O_PATH | os.O_CLOEXEC)
            try:
                self.socket.connect("/proc/self/fd/%d/%s" % (fd, os.path.basename(path)))
            finally:
                os.close(fd)
            self._read()        # the greeting
            self.command("qmp_capabilities")
        except OSError as e:
            self.close()
            raise LabError("no answer from the lab's QEMU: %s" % e) from e

    def _read(self):
        while b"\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise LabError("the lab's QEMU closed the connection")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def command(self, name, arguments=None):
        message = {"execute": name}
        if arguments:
            message["arguments"] = arguments
        self.socket.sendall(json.dumps(message).encode() + b"\n")
        while True:
            answer = self._read()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise QmpError(answer["error"]["class"], answer["error"]["desc"])
            else:
                return answer["return"]

    def wait_event(self, name, match=None, timeout=30):
        """The first event NAME whose data holds all of MATCH; None at the deadline."""
        deadline = time.monotonic() + timeout
        while True:
            for event in list(self.events):
                self.events.remove(event)
                data = event.get("data", {})
                if event["event"] == name and all(data.get(k) == v for k, v in (match or {}).items()):
                    return event
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                answer = self._read()
            except socket.timeout:
                return None
            if "event" in answer:
                self.events.append(answer)

    def close(self):
        self.socket.close()
        if self.lock_fd is not None:
            os.close(self.lock_fd)
            self.lock_fd = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def parse_words(words):
    """(name, arguments) from what was typed after `lab qmp`."""
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        try:
            message = json.loads(words[0])
            return message["execute"], message.get("arguments")
        except (ValueError, KeyError) as e:
            raise LabError("not a QMP command: %s" % e) from e
    if words[0] == "hmp":
        return "human-monitor-command", {"command-line": " ".join(words[1:])}
    arguments = {}
    for word in words[1:]:
        key, eq, value = word.partition("=")
        if not eq:
            raise LabError("%r is not KEY=VALUE" % word)
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = value
        # 1.0 is more likely an address than a fraction; QMP has few of those.
        arguments[key] = value if isinstance(parsed, float) else parsed
    return words[0], arguments
