#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Frames to a guest's virtual function and back, inside the lab: the host's side.

    vf_traffic.py INTERFACE ADDRESS COUNT

Sends COUNT frames of different contents and sizes to the Ethernet ADDRESS and waits for each to
come back from there with every byte inverted. A frame that isn't answered is sent again, for the
guest may not be up yet. Prints a JSON summary; ends with 1 when one never came back.
"""

import json
import os
import socket
import sys
import time

TYPE = 0x88b5       # IEEE's number for local experiments
SIZES = (60, 61, 128, 512, 1514)


def exchange(s, mine, theirs, n, deadline):
    """How often the frame was sent until it came back right; 0: never."""
    data = n.to_bytes(4, "big") + os.urandom(SIZES[n % len(SIZES)] - 14 - 4)
    expected = theirs + bytes(255 - b for b in data)
    sent = 0
    while time.monotonic() < deadline:
        s.send(theirs + mine + TYPE.to_bytes(2, "big") + data)
        sent += 1
        until = min(deadline, time.monotonic() + 2)
        while time.monotonic() < until:
            try:
                frame = s.recv(2048)
            except socket.timeout:
                break
            if frame[:6] == mine and (frame[6:12] + frame[14:])[:len(expected)] == expected:
                return sent
    return 0


def main():
    interface, count = sys.argv[1], int(sys.argv[3])
    theirs = bytes.fromhex(sys.argv[2].replace(":", ""))
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(TYPE))
    s.bind((interface, TYPE))
    s.settimeout(0.5)
    deadline = time.monotonic() + 100
    sent = [exchange(s, s.getsockname()[4], theirs, n, deadline) for n in range(count)]
    print(json.dumps({"answered": sum(1 for n in sent if n), "sent": sum(sent)}))
    return 0 if all(sent) else 1


if __name__ == "__main__":
    sys.exit(main())
