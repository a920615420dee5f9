#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Inside the lab: sit at terminals with unmodified virsh, and tell what is seen, as JSON.

    console_session.py GUEST

GUEST is defined, off, and has a <console type='pty'/>."""

import json
import os
import pty
import select
import subprocess
import sys
import time


class Terminal:
    """virsh on a terminal of its own."""

    def __init__(self, *words):
        self.output = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp("virsh", ["virsh", *words])

    def wait(self, phrase, seconds=90):
        """True once @phrase was said; with None, once virsh is gone: its status."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if phrase and phrase in self.output:
                return True
            if self.read(0.2):
                continue
            if phrase is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    while self.read(0):         # its last words
                        pass
                    return os.waitstatus_to_exitcode(status)
        return False

    def read(self, seconds):
        """True when there was something."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            output = os.read(self.fd, 4096)
        except OSError:                 # its end of the terminal is closed
            time.sleep(seconds)
            return False
        self.output += output.decode(errors="replace")
        return bool(output)

    def type(self, text):
        os.write(self.fd, text.encode())


def virsh(*words):
    return subprocess.run(["virsh", *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def main():
    guest, told = sys.argv[1], {}
    virsh("start", guest, "--paused")
    first = Terminal("console", guest)
    told["connects"] = first.wait("Escape character")
    time.sleep(1)                       # virsh has said so before it has the stream
    virsh("resume", guest)
    told["sees the guest"] = first.wait("guest: waiting")
    first.type("nobody reads this, and nothing stops for it")
    second = Terminal("console", guest)
    told["second is refused"] = second.wait(None) == 1 and "Active console session" in second.output
    forced = Terminal("console", guest, "--force")
    told["force connects"] = forced.wait("Escape character")
    told["force ends the first"] = first.wait(None) == 1 and "--force" in first.output
    forced.type("\x1d")
    told["escape leaves"] = forced.wait(None) == 0
    last = Terminal("console", guest)
    told["connects again"] = last.wait("Escape character")
    time.sleep(1)
    pid = subprocess.run(["pgrep", "-f", "guest=" + guest], stdout=subprocess.PIPE).stdout
    virsh("reboot", guest)
    told["button is seen"] = last.wait("guest: power button")
    told["guest starts again"] = last.wait("guest: waiting")
    told["same QEMU"] = pid == subprocess.run(["pgrep", "-f", "guest=" + guest],
                                              stdout=subprocess.PIPE).stdout
    told["state"] = virsh("domstate", guest).strip()
    virsh("shutdown", guest)
    told["ends with the guest"] = last.wait(None) == 0
    told["reason"] = virsh("domstate", guest, "--reason").strip()
    print(json.dumps(told))


main()
