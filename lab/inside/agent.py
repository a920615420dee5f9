#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab's agent: runs commands that arrive over virtio-serial ports.

Each port serves one client at a time.  Both directions are lines, a word and
its argument (base64 where it is data), so that a client that died in the middle
of one leaves nothing worse than a line that does not parse.

from the client                    to the client
  hello NONCE                        agent BOOT       when it starts, and before "hello"
  exec BASE64(json)                  hello NONCE      answer; forget all before it
  in BASE64 | eof                    out BASE64 | err BASE64
  size ROWS COLS | kill SIGNAL       exit STATUS | fail BASE64(message)
                                     ack             one "in" is written
"""

import base64
import fcntl
import glob
import json
import os
import pty
import queue
import select
import signal
import struct
import subprocess
import termios
import threading
import time

BOOT = open("/proc/sys/kernel/random/boot_id").read().strip()
CHUNK = 49152


class Session:
    """One command and the threads that move its data."""

    def __init__(self, port, request):
        self.port = port
        self.master = None
        self.ended = False
        self.input = queue.SimpleQueue()
        argv = request["argv"]
        env = dict(os.environ, **request.get("env", {}))
        common = {"cwd": request.get("cwd") or "/root", "env": env}
        if request.get("tty"):
            self.master, slave = pty.openpty()
            self.resize(*request["tty"])
            # setsid makes the pty the command's controlling terminal.
            self.process = subprocess.Popen(["setsid", "--ctty", "--wait"] + argv, stdin=slave,
                                            stdout=slave, stderr=slave, **common)
            os.close(slave)
            self.stdin = self.master
            outputs = [("out", self.master)]
        else:
            stdin = subprocess.PIPE if request.get("stdin") else subprocess.DEVNULL
            self.process = subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE,
                                            stderr=subprocess.PIPE, start_new_session=True,
                                            bufsize=0, **common)
            self.stdin = self.process.stdin.fileno() if request.get("stdin") else None
            outputs = [("out", self.process.stdout.fileno()), ("err", self.process.stderr.fileno())]
        self.pumps = [threading.Thread(target=self.pump, args=o, daemon=True) for o in outputs]

    def start(self):
        for t in self.pumps + [threading.Thread(target=self.wait, daemon=True),
                               threading.Thread(target=self.feed, daemon=True)]:
            t.start()

    def pump(self, word, fd):
        while True:
            # A daemon left behind may hold the pipe open for ever: once the
            # command has ended, silence counts as the end too.
            ended = self.ended
            if not select.select([fd], [], [], 0.25)[0]:
                if ended:
                    return
                continue
            try:
                data = os.read(fd, CHUNK)
            except OSError:     # EIO: the last user of the pty is gone
                return
            if not data:
                return
            self.port.say(word, data)

    def wait(self):
        status = self.process.wait()
        self.ended = True
        self.input.put(None)
        for t in self.pumps:
            t.join()
        self.port.finish(self, status)

    def feed(self):
        """Write what came for standard input.  A thread of its own, for a command
        that does not read must not keep the port from hearing "kill"."""
        while True:
            data = self.input.get()
            if not data:
                break
            try:
                while data:
                    data = data[os.write(self.stdin, data):]
            except (OSError, TypeError):
                pass
            self.port.write(b"ack\n")
        if self.process.stdin:
            self.process.stdin.close()

    def resize(self, rows, cols):
        if self.master is not None:
            fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def kill(self, number):
        try:
            os.killpg(self.process.pid, number)
        except OSError:
            pass

    def abandon(self):
        """The client is gone: hang up, then kill."""
        if self.process.poll() is not None:
            return
        self.kill(signal.SIGHUP)
        self.kill(signal.SIGTERM)
        threading.Timer(2, lambda: self.process.poll() is None and self.kill(signal.SIGKILL)).start()


class Port:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.lock = threading.Lock()
        self.session = None

    def write(self, line):
        with self.lock:
            while line:
                line = line[os.write(self.fd, line):]

    def say(self, word, data):
        self.write(word.encode() + b" " + base64.b64encode(data) + b"\n")

    def finish(self, session, status):
        if self.session is session:
            self.session = None
            self.write(b"exit %d\n" % status)

    def line(self, line):
        word, _, rest = line.partition(b" ")
        if word == b"hello":
            self.drop()
            self.write(b"agent %s\nhello %s\n" % (BOOT.encode(), rest))
        elif word == b"exec" and self.session is None:
            try:
                # Known first, started second: a short command ends before we look.
                self.session = Session(self, json.loads(base64.b64decode(rest)))
                self.session.start()
            except (OSError, ValueError, KeyError, TypeError) as e:
                kind = "missing" if isinstance(e, FileNotFoundError) else "error"
                self.say("fail", json.dumps([kind, str(e)]).encode())
        elif self.session is None:
            return
        elif word == b"in":
            self.session.input.put(base64.b64decode(rest))
        elif word == b"eof":
            self.session.input.put(None)
        elif word == b"size":
            self.session.resize(*[int(n) for n in rest.split()])
        elif word == b"kill":
            self.session.kill(int(rest))

    def drop(self):
        session, self.session = self.session, None
        if session:
            session.abandon()

    def is_alone(self):
        """Has the client really gone?  News of a hang-up takes another way than data: that the
        last client left may be heard when the next one has said hello and begun a command."""
        until = time.monotonic() + 1
        while time.monotonic() < until:
            poll = select.poll()
            poll.register(self.fd, select.POLLIN)
            if not any(event & select.POLLHUP for _, event in poll.poll(0)):
                return False
            time.sleep(0.1)
        return True

    def serve(self):
        # Said once, and waited for: a client whose agent died hears it in the middle.
        self.write(b"agent %s\n" % BOOT.encode())
        rest = b""
        while True:
            data = os.read(self.fd, CHUNK)
            if not data:
                rest = b""
                if self.is_alone():
                    self.drop()
                    # Writing blocks until a client is connected: that is how to wait for one.
                    self.write(b"\n")
                continue
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                try:
                    self.line(line)
                except (ValueError, OSError):
                    pass


def main():
    os.chdir("/")
    ports = []
    while not ports:
        for name in glob.glob("/sys/class/virtio-ports/*/name"):
            if open(name).read().startswith("lab"):
                ports.append("/dev/" + name.split("/")[-2])
        if not ports:
            time.sleep(0.1)
    for path in ports:
        threading.Thread(target=Port(path).serve).start()


main()
