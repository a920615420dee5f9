# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host's end of the lab's command channel (see inside/agent.py)."""

import base64
import errno
import fcntl
import json
import os
import socket
import threading
import time

from paths import LabError

PORTS = 24
CHUNK = 32768
WINDOW = 16     # unacknowledged pieces of standard input


class LabLost(LabError):
    """The machine went away while a command ran (powered off, crashed, rebooted)."""


class Channel:
    """One port, ours alone until closed."""

    def __init__(self, state_dir, deadline):
        self.socket = None
        self.lock_fd = None
        self.buffer = b""
        self.boot = None
        self._take_port(os.path.join(state_dir, "ports"), deadline)
        try:
            self._greet(deadline)
        except BaseException:
            self.close()
            raise

    def _take_port(self, directory, deadline):
        first = os.getpid() % PORTS
        while True:
            for n in range(PORTS):
                name = os.path.join(directory, "lab%d" % ((first + n) % PORTS))
                fd = os.open(name + ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    os.close(fd)
                    continue
                self.lock_fd = fd
                self.path = name
                return
            if time.monotonic() > deadline:
                raise LabError("all %d command channels of the lab are in use" % PORTS)
            time.sleep(0.05)

    def _connect(self):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # A socket address holds 108 bytes; reach long paths through the directory.
            fd = os.open(os.path.dirname(self.path), os.O_PATH | os.O_CLOEXEC)
            try:
                s.connect("/proc/self/fd/%d/%s" % (fd, os.path.basename(self.path)))
            finally:
                os.close(fd)
        except OSError:
            s.close()
            raise
        self.socket = s
        self.buffer = b""

    def _greet(self, deadline):
        """Say hello until the agent answers; what it said before is not for us."""
        while True:
            nonce = os.urandom(8).hex().encode()
            until = min(deadline, time.monotonic() + 5)
            try:
                if self.socket is None:
                    self._connect()
                self.send(b"\nhello " + nonce)
                while True:
                    line = self.receive(max(0.01, until - time.monotonic()))
                    if line.startswith(b"agent "):
                        self.boot = line[6:].decode()
                    if line == b"hello " + nonce:
                        return
            except (OSError, EOFError) as e:
                timed_out = isinstance(e, socket.timeout)
                if not timed_out:
                    if self.socket:
                        self.socket.close()
                    self.socket = None
                if time.monotonic() >= deadline:
                    raise LabError("the lab's agent does not answer") from e
                if not timed_out:
                    if getattr(e, "errno", 0) in (errno.ECONNREFUSED, errno.ENOENT):
                        raise LabError("the lab's machine is not running") from e
                    time.sleep(0.1)

    def send(self, line):
        self.socket.settimeout(None)
        self.socket.sendall(line + b"\n")

    def receive(self, timeout=None):
        while b"\n" not in self.buffer:
            self.socket.settimeout(timeout)
            data = self.socket.recv(1 << 18)
            if not data:
                raise EOFError
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None
        if self.lock_fd is not None:
            os.close(self.lock_fd)
            self.lock_fd = None


class Command:
    """One command in the lab.

    output(name, data) is called with name "out" or "err"."""

    def __init__(self, channel, argv, output, stdin=False, tty=None, cwd=None, env=None):
        self.channel = channel
        self.output = output
        self.window = threading.Semaphore(WINDOW)
        self.write_lock = threading.Lock()
        self.over = False
        request = {"argv": argv, "stdin": stdin, "tty": tty, "cwd": cwd, "env": env or {}}
        self.channel.send(b"exec " + base64.b64encode(json.dumps(request).encode()))

    def send(self, line):
        with self.write_lock:
            if not self.over:
                self.channel.send(line)

    def feed(self, data):
        """Hand over standard input; blocks while the command does not read."""
        for at in range(0, len(data), CHUNK):
            self.window.acquire()
            if self.over:
                return
            self.send(b"in " + base64.b64encode(data[at:at + CHUNK]))

    def feed_file(self, fd):
        """Hand over all of FD in a thread of its own."""
        def work():
            try:
                while not self.over:
                    data = os.read(fd, CHUNK)
                    if not data:
                        break
                    self.feed(data)
                self.send(b"eof")
            except OSError:
                pass
        threading.Thread(target=work, daemon=True).start()

    def wait(self, deadline=None):
        """Pump output until the command ends; returns its wait status as Python's
        subprocess gives it (negative: the signal)."""
        try:
            while True:
                left = None if deadline is None else max(0.001, deadline - time.monotonic())
                word, _, rest = self.channel.receive(left).partition(b" ")
                if word in (b"out", b"err"):
                    self.output(word.decode(), base64.b64decode(rest))
                elif word == b"ack":
                    self.window.release()
                elif word == b"exit":
                    return int(rest)
                elif word == b"fail":
                    kind, text = json.loads(base64.b64decode(rest))
                    raise (FileNotFoundError if kind == "missing" else LabError)(text)
                elif word == b"agent":
                    # A greeting in the middle: not the agent that took our command.
                    raise LabLost("the lab's machine restarted while the command ran")
        except (EOFError, ConnectionError) as e:
            raise LabLost("the lab's machine went away while the command ran") from e
        finally:
            self.over = True
            self.window.release()
