#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measure passthru against raw sysfs, lspci and libvirt, all in one run in the lab.

    ./dev bench [--rounds N] [--vfs N] [--without-libvirt] [--only-daemon | --only-guests]
                [--before PASSTHRUD] [--json FILE]

Absolute times mean little, the lab is emulated; ratios within a row mean much.
Nothing in here is a test: a figure that matters goes to docs/bench.md by hand.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
BUILD = os.environ.get("PASSTHRU_BUILD", "build")
sys.path.insert(0, os.path.join(TOP, "lab"))

import lab as labs                                                  # noqa: E402
import zoo                                                          # noqa: E402

COLUMNS = ["raw", "libpassthru", "libpassthru again", "libvirt API", "raw process", "passthru",
           "passthru --json", "lspci -n", "lspci -nnk", "lspci -vvv", "virsh"]


def run(lab, rounds, only_reading, with_libvirt):
    words = ["/lab/bin/inside.py", str(rounds), "0000:" + zoo.find("nvme0").pci, "nvme"]
    words += ["--only-reading"] if only_reading else []
    words += [] if with_libvirt else ["--without-libvirt"]
    return run_inside(lab, words)


def run_daemon(lab, rounds, only_reading):
    """The daemons, asked the same."""
    words = ["/lab/bin/inside_daemon.py", str(rounds), "0000:" + zoo.find("nvme0").pci]
    return run_inside(lab, words + (["--only-reading"] if only_reading else []))


def run_guests(lab, rounds):
    """Guests: with one device and with eight, and one device in and out. The virtual functions
    have no driver on the host, as on machines that make them for guests: igbvf's own seconds of
    waiting for its PF would be all there is to see."""
    made = lab.run(["sh", "-c", """
        set -e
        cd /sys/bus/pci/devices/0000:%s
        echo 7 >sriov_numvfs
        udevadm settle -t 60
        modprobe -r igbvf
        for vf in virtfn*; do basename $(readlink $vf); done""" % zoo.find("igb0").pci], timeout=180)
    if made.status:
        raise SystemExit("no virtual functions: " + made.err)
    return run_inside(lab, ["/lab/bin/inside_guests.py", str(rounds),
                            "0000:" + zoo.find("nvme1").pci, "0000:" + zoo.find("nvme0").pci,
                            *made.out.split()])


def run_inside(lab, words):
    shown = []

    def output(name, data):
        if name == "err":
            sys.stderr.write(data.decode(errors="replace"))
        else:
            shown.append(data)

    with lab.command(words, output) as command:
        if command.wait() != 0:
            raise SystemExit("measuring failed")
    return json.loads(b"".join(shown))


def table(result):
    """Markdown: medians in ms; in brackets how many times the raw figure of its kind."""
    out = ["", "%d functions:" % result["functions"], ""]
    samples = result["samples"]
    columns = [c for c in COLUMNS if any(c in actors for actors in samples.values())]
    out.append("| work | " + " | ".join(columns) + " |")
    out.append("| --- |" + " ---: |" * len(columns))
    for work, actors in samples.items():
        median = {who: statistics.median(ns) / 1e6 for who, ns in actors.items()}
        cells = []
        for who in columns:
            if who not in median:
                cells.append("")
                continue
            is_call = who.startswith("libpassthru") or who in ("raw", "libvirt API")
            floor = "raw" if is_call else "raw process"
            ratio = "" if who == floor or floor not in median else \
                " (%.2f)" % (median[who] / median[floor])
            cells.append("%.1f%s" % (median[who], ratio))
        out.append("| %s | %s |" % (work, " | ".join(cells)))
    return "\n".join(out)


def has_before(result):
    return any("before" in actors for actors in result["samples"].values())


def before_cells(median):
    """Two more cells of a row, if a passthrud of before was measured beside this one."""
    if "before" not in median:
        return ""
    return " %.1f | %.2f |" % (median["before"], median["passthrud"] / median["before"])


def daemon_table(result):
    """Markdown: medians in ms; how many times libvirtd takes as long, and how many times the
    client by itself we do; and beside a passthrud of before, how many times that one we do."""
    compared = " before | passthrud : before |" if has_before(result) else ""
    out = ["", "The daemons, %d functions:" % result["functions"], "",
           "| call | client by itself | passthrud | libvirtd | libvirtd : passthrud | "
           "passthrud : client |" + compared, "| --- |" + " ---: |" * (7 if compared else 5)]
    for work, actors in result["samples"].items():
        median = {who: statistics.median(ns) / 1e6 for who, ns in actors.items()}
        own, floor = median["passthrud"], median.get("floor")
        out.append("| %s | %s | %.1f | %.1f | %.1f | %s |" % (
            work, "%.1f" % floor if floor else "", own, median["libvirtd"],
            median["libvirtd"] / own, "%.2f" % (own / floor) if floor else "") +
            before_cells(median))
    for who, kib in result["memory_kib"].items():
        out.append("\n%s, resident: " % who +
                   ", ".join("%s %.1f MiB" % (when, k / 1024) for when, k in kib.items()))
    return "\n".join(out)


def guests_table(result):
    """Markdown: medians in ms; how many times the floor and libvirtd take as long."""
    names = ("floor without resets", "floor", "passthrud", "libvirtd")
    compared = " before | passthrud : before |" if has_before(result) else ""
    out = ["", "Guests (with %d devices: an NVMe drive and virtual functions):" % result["devices"],
           "", "| work | " + " | ".join(names) +
           " | passthrud : floor | libvirtd : passthrud |" + compared,
           "| --- |" + " ---: |" * (8 if compared else 6)]
    for work, actors in result["samples"].items():
        median = {who: statistics.median(ns) / 1e6 for who, ns in actors.items()}
        bare, floor, own, other = (median[who] for who in names)
        out.append("| %s | %.0f | %.0f | %.0f | %.0f | %.2f | %.1f |" % (
            work, bare, floor, own, other, own / floor, other / own) + before_cells(median))
    out.append("\nThe lab's load at the end of each round: " +
               ", ".join("%.1f" % load for load in result["load"]))
    return "\n".join(out)


def load():
    return "%.1f" % os.getloadavg()[0]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--rounds", type=int, default=9)
    p.add_argument("--vfs", type=int, default=0, metavar="N", help="also read with N virtual "
                   "functions on each of four controllers (127 at most; takes minutes)")
    p.add_argument("--without-libvirt", action="store_true")
    p.add_argument("--only-daemon", action="store_true", help="only passthrud and libvirtd")
    p.add_argument("--before", metavar="PASSTHRUD", help="also a passthrud of another commit, by "
                   "turns with this one: two runs differ by more than most changes make")
    p.add_argument("--json", metavar="FILE", help="write all samples there")
    p.add_argument("--only-guests", action="store_true", help="only guests: by hand, passthrud "
                   "and libvirtd")
    args = p.parse_args()
    if args.only_guests and (args.only_daemon or args.without_libvirt or args.vfs):
        p.error("--only-guests goes with --rounds and --json only")

    results = []
    for profile in ["vtd"] + (["many-vfs"] if args.vfs else []):
        name = "bench-" + profile
        labs.Lab(name).down()
        lab = labs.Lab.up(profile=profile, name=name,
                          say=lambda text: print("lab: " + text, file=sys.stderr))
        try:
            for path in (BUILD + "/bench/bench-raw", BUILD + "/bench/bench-lib",
                         BUILD + "/bench/bench-replay", BUILD + "/src/cli/passthru",
                         BUILD + "/src/daemon/passthrud", "bench/inside.py",
                         "bench/inside_daemon.py", "bench/inside_guests.py"):
                lab.push(os.path.join(TOP, path))
            if args.before:
                lab.push(os.path.abspath(args.before), "before/passthrud")
            if profile == "many-vfs":
                r = lab.run(["lab-vfs", str(args.vfs)], timeout=1200)
                if r.status:
                    raise SystemExit("lab-vfs: " + r.out + r.err)
            result, reading = {}, profile != "vtd"
            if not args.only_daemon and not args.only_guests:
                result = run(lab, args.rounds, reading, not args.without_libvirt)
                print(table(result), flush=True)
            if not args.without_libvirt and not args.only_guests:
                result["daemon"] = run_daemon(lab, args.rounds, reading)
                print(daemon_table(result["daemon"]), flush=True)
            if not args.without_libvirt and not args.only_daemon and not reading:
                before = load()
                result["guests"] = run_guests(lab, args.rounds)
                print(guests_table(result["guests"]))
                print("The machine's load: %s before, %s after" % (before, load()), flush=True)
            result["kernel"] = lab.run(["uname", "-r"]).out.strip()
        finally:
            lab.down()
        result["profile"] = profile
        results.append(result)
    tools = {t: subprocess.run(argv, stdout=subprocess.PIPE, text=True).stdout.split("\n")[0]
             for t, argv in (("qemu", ["qemu-system-x86_64", "--version"]),
                             ("lspci", ["lspci", "--version"]),
                             ("libvirt", ["virsh", "--version"]))}
    print("\nMedians of %d, in ms; in brackets the ratio to raw (calls) or to the raw process "
          "(commands). Kernel %s, libvirt %s, %s, %s." % (
              args.rounds, results[0]["kernel"], tools["libvirt"], tools["qemu"],
              tools["lspci"]))
    if args.json:
        with open(args.json, "w") as f:
            json.dump({"rounds": args.rounds, "tools": tools, "results": results}, f, indent=1)


main()
