#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keep the emulated processors alive.

Under emulation (TCG, QEMU 10.0) the end of a timer interrupt gets lost now and then: the local
APIC goes on showing vector 236 in service, and that processor never gets another tick. What
sleeps on it sleeps for good. A program that runs on the processor can't be inside an interrupt,
so it may say "end of interrupt" there at any time: where none is in service nothing happens.

One watcher a processor looks whether the others still tick (the lab's kernel ticks
periodically), because one on a stuck processor would not wake up itself.
"""

import ctypes
import mmap
import os
import time

APIC, EOI = 0xfee00000, 0xb0


def ticks():
    with open("/proc/interrupts") as f:
        for line in f:
            words = line.split()
            if words[0] == "LOC:":
                return [int(w) for w in words[1:] if w.isdigit()]
    return []


def end_interrupt(cpu):
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    os.sched_setaffinity(0, {cpu})
    fd = os.open("/dev/mem", os.O_RDWR | os.O_SYNC)
    # the APIC takes whole words only
    ctypes.c_uint32.from_buffer(mmap.mmap(fd, 4096, offset=APIC), EOI).value = 0
    os._exit(0)


def watch(own):
    os.sched_setaffinity(0, {own})
    before = ticks()
    while True:
        time.sleep(2)
        now = ticks()
        for cpu, (was, count) in enumerate(zip(before, now)):
            if cpu != own and was == count:
                with open("/dev/kmsg", "w") as f:
                    f.write("lab: processor %d no longer ticks, ending its interrupt\n" % cpu)
                end_interrupt(cpu)
        before = now


def main():
    for cpu in range(1, os.cpu_count()):
        if os.fork() == 0:
            watch(cpu)
    watch(0)


if __name__ == "__main__":
    main()
