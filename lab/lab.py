#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""lab: a passthrough host without the hardware.  See README.md beside this file."""

import argparse
import fcntl
import json
import os
import select
import shutil
import signal
import struct
import sys
import termios
import threading
import time
import tty

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import kernel as kernels                                            # noqa: E402
import zoo                                                          # noqa: E402
from channel import LabLost                                         # noqa: E402
from host import Lab, LabError, LabTimeout, Result, all_labs   # noqa: E402
from qmp import QmpError, parse_words                               # noqa: E402

__all__ = ["Lab", "LabError", "LabLost", "LabTimeout", "QmpError", "Result"]

EXIT_LAB = 125      # the lab failed, not the command in it


def exit_code(status):
    return 128 - status if status < 0 else status


def cmd_up(args, say):
    Lab.up(profile=args.profile, name=args.name, kernel=args.kernel, accel=args.accel,
           memory=args.memory, deadline=args.deadline, say=say)
    return 0


def _emit(name, data):
    fd = 1 if name == "out" else 2
    while data:
        data = data[os.write(fd, data):]


def cmd_run(args, say):
    words = args.command
    if not words:
        raise LabError("run what?  lab run CMD [ARG…]")
    argv = ["sh", "-c", words[0]] if len(words) == 1 else words
    lab = Lab(args.name)
    piped = not sys.stdin.isatty()
    with lab.command(argv, _emit, stdin=piped, cwd=args.cwd) as command:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda n, _: command.send(b"kill %d" % n))
        if piped:
            command.feed_file(0)
        try:
            return exit_code(command.wait(args.timeout and time.monotonic() + args.timeout))
        except FileNotFoundError as e:
            print("lab: %s" % e, file=sys.stderr)
            return 127
        except TimeoutError:
            command.send(b"kill 9")
            raise LabTimeout("no end within %s s" % args.timeout) from None


def cmd_shell(args, say):
    if not sys.stdin.isatty():
        raise LabError("shell needs a terminal; use run")

    def size():
        return list(struct.unpack("HH", fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 4)))

    argv = args.command or ["bash", "-l", "-c", "PATH=/lab/bin:$PATH exec bash"]
    env = {"TERM": os.environ.get("TERM", "vt100")}
    with Lab(args.name).command(argv, _emit, tty=size(), env=env) as command:
        signal.signal(signal.SIGWINCH, lambda *_: command.send(b"size %d %d" % tuple(size())))
        saved = termios.tcgetattr(0)
        tty.setraw(0)
        try:
            command.feed_file(0)
            return exit_code(command.wait())
        finally:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)


def cmd_status(args, say):
    labs = all_labs()
    if args.json:
        print(json.dumps([{"name": lab.name, "state": "up" if lab.pid else "dead", "pid": lab.pid,
                           **{k: lab.config.get(k) for k in ("profile", "release", "accel", "started",
                                                             "boot_seconds")}} for lab in labs]))
        return 0
    if not labs:
        print("no lab is up")
    for lab in labs:
        c = lab.config
        up = "up %d s" % (time.time() - c.get("started", time.time())) if lab.pid else "dead"
        print("%-12s %-13s %-10s %s, %s, pid %s, booted in %s s" % (
            lab.name, c["profile"], up, c["release"], c["accel"], lab.pid or "-",
            c.get("boot_seconds", "?")))
    return 0


def cmd_qmp(args, say):
    if not args.command:
        raise LabError("qmp what?  A JSON object, NAME [key=value…], or: hmp TEXT")
    name, arguments = parse_words(args.command)
    answer = Lab(args.name).qmp(name, arguments)
    print(answer.replace("\r", "").rstrip("\n") if isinstance(answer, str)
          else json.dumps(answer, indent=1))
    return 0


def cmd_down(args, say):
    labs = all_labs() if args.all else [Lab(args.name)]
    for lab in labs:
        print("lab %s: %s" % (lab.name, "down" if lab.down() else "was not up"))
    return 0


def cmd_reboot(args, say):
    start = time.monotonic()
    Lab(args.name).reboot(hard=args.hard, deadline=args.deadline)
    say("back after %.1f s" % (time.monotonic() - start))
    return 0


def cmd_push(args, say):
    lab = Lab(args.name)
    lab._require()
    for path in args.files:
        print(lab.push(path, args.to and os.path.join(args.to, os.path.basename(path))))
    return 0


def cmd_install(args, say):
    Lab(args.name).install(args.directory)
    return 0


def cmd_console(args, say):
    print(Lab(args.name).console_tail(args.lines))
    return 0


def cmd_kernel(args, say):
    k = kernels.fetch(say) if args.fetch else kernels.find(args.kernel, say)
    print(k.dir)
    return 0


def cmd_image(args, say):
    print(Lab.installed(args.profile, say).dir)
    return 0


def cmd_zoo(args, say):
    print(zoo.table())
    return 0


def parser():
    p = argparse.ArgumentParser(prog="lab", description=__doc__)
    sub = p.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name, func, help):
        v = sub.add_parser(name, help=help)
        v.set_defaults(func=func)
        v.add_argument("--name", default=os.environ.get("PASSTHRU_LAB", "default"),
                       help="which lab (default: default, or $PASSTHRU_LAB)")
        return v

    v = verb("up", cmd_up, "boot a lab machine; nothing to do if it is up")
    v.add_argument("--profile", default="vtd", choices=list(zoo.PROFILES))
    v.add_argument("--kernel", metavar="DIR", help="a kernel of your own: DIR/vmlinuz and "
                                                   "DIR/lib/modules/RELEASE")
    v.add_argument("--accel", default="auto", choices=("auto", "kvm", "tcg"))
    v.add_argument("--memory", type=int, metavar="MIB", help="default 2560")
    v.add_argument("--deadline", type=float, metavar="S")
    v = verb("run", cmd_run, "run a command in it: argv as it is, one word through sh -c")
    v.add_argument("--timeout", type=float, metavar="S")
    v.add_argument("--cwd", help="working directory in the lab (default: /root)")
    v.add_argument("command", nargs=argparse.REMAINDER, metavar="CMD")
    v = verb("shell", cmd_shell, "a shell in it, or CMD on a terminal")
    v.add_argument("command", nargs=argparse.REMAINDER, metavar="CMD")
    v = verb("status", cmd_status, "the labs there are")
    v.add_argument("--json", action="store_true")
    v = verb("qmp", cmd_qmp, "a QMP command to the lab's machine: cards in and out, power, faults")
    v.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    v = verb("down", cmd_down, "stop it and remove it")
    v.add_argument("--all", action="store_true", help="every lab")
    v = verb("reboot", cmd_reboot, "shut down and boot again; what it wrote to / stays")
    v.add_argument("--hard", action="store_true", help="pull the power instead")
    v.add_argument("--deadline", type=float, metavar="S")
    v = verb("push", cmd_push, "copy files into its /lab/bin, which comes first in PATH")
    v.add_argument("--to", metavar="DIR", help="below /lab instead, e.g. data")
    v.add_argument("files", nargs="+", metavar="FILE")
    v = verb("install", cmd_install, "copy a directory over its /, and tell systemd (./dev lab install: "
                                     "what is built)")
    v.add_argument("directory", metavar="DIRECTORY", help="as meson install --destdir leaves it")
    v = verb("console", cmd_console, "the end of its console's output")
    v.add_argument("--lines", type=int, default=30)
    v = verb("kernel", cmd_kernel, "find or fetch the kernel and print where it is")
    v.add_argument("--fetch", action="store_true", help="look for a newer one even if one is cached")
    v.add_argument("--kernel", metavar="DIR", help=argparse.SUPPRESS)
    v = verb("image", cmd_image, "find or make an installed profile's disk and print where it is")
    v.add_argument("profile", choices=[p.name for p in zoo.PROFILES.values() if p.suite])
    verb("zoo", cmd_zoo, "the cards of the default profile, as a table")
    return p


def main():
    args = parser().parse_args()
    if getattr(args, "command", None) and args.command[0] == "--":
        args.command = args.command[1:]

    def say(text):
        print("lab %s: %s" % (args.name, text), file=sys.stderr, flush=True)

    try:
        return args.func(args, say)
    except (LabError, OSError) as e:
        print("lab %s: %s" % (args.name, e), file=sys.stderr)
        return EXIT_LAB


if __name__ == "__main__":
    sys.exit(main())
