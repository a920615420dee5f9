#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Long counts of what ./dev test does a sample of.

    ./dev soak [NAME…] [--rounds N] [--seed S] [--resume]
    ./dev soak fuzz [--targets NAME,…] [--quiet N] …
    ./dev soak NAME --round N [--seed S]     one round by itself, such as one that failed

    kills        SIGKILL of passthru at random instants of its operations, in the lab
    guest_kills  SIGKILL of passthrud, or of QEMU, at random instants of a guest's life, in the lab
    selinux_kills  the same on an installed Debian 13 under SELinux
    races        two processes that want the same device, in the lab
    path_races   each round 1,000 operations on paths whose components another user exchanges
                 meanwhile, the kinds of paths in turn; needs root
    fuzz         each round a million executions of one fuzz target, the targets in turn, each until
                 it found no new edge in the last 10,000,000 (--quiet, --targets)
    exhaustive   unit tests with all of their trials; a round is the whole of it

Each line of build-soak/NAME.jsonl is a round: that file is the log and the state. --resume goes on
after its last round, with its seed; without it the file is put aside as NAME.jsonl.1 and so on.
A round's random numbers come from the seed and its number. Ends with 1 when a round had a problem.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STATE = os.path.join(TOP, "build-soak")
sys.path[:0] = [os.path.join(TOP, folder) for folder in ("lab", "tests/flow", "tests/fuzz")]

import soak_fuzz                                                    # noqa: E402
import worlds                                                       # noqa: E402

OPERATIONS = 1000


class Stopped(Exception):
    pass


def run(argv, **more):
    """As subprocess.run(), all output in one text; a process that is stopped takes its child along."""
    with subprocess.Popen(argv, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", **more) as p:
        try:
            out, _ = p.communicate()
        except BaseException:
            p.terminate()
            raise
    return p.returncode, out


class Kind:
    lines = []                      # of all rounds up to now

    def goes_on(self):
        return True

    def figures(self):
        return ""


class InLab(Kind):
    """A test of pytest that does the rounds it is asked for (worlds.Rounds), in a lab of our own."""
    lab = None

    def __init__(self, test, rounds, batch, profile="vtd"):
        self.test, self.rounds, self.batch, self.profile = test, rounds, batch, profile

    def run(self, first, count, seed):
        part = os.path.join(STATE, "part.%d" % os.getpid())
        for attempt in (1, 2):
            with open(part, "w"):
                pass
            if not InLab.lab:
                InLab.lab, _ = worlds.lab_up("soak", self.profile)
                if self.profile == "selinux":
                    InLab.lab.run(worlds.ENFORCED, timeout=600)
            status, out = run(
                ["/usr/bin/python3", "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider",
                 "--world=lab", self.test],
                env={**os.environ, "PASSTHRU_LAB": InLab.lab.name,
                     "PASSTHRU_ROUNDS": "%d %d %d %s" % (first, count, seed, part)})
            with open(part) as f:
                lines = [json.loads(line) for line in f]
            os.unlink(part)
            if status and not any(line["problems"] for line in lines):
                # the rounds went well, but not what is around them
                lines.append({"round": first + len(lines), "seed": seed, "problems": [out[-4000:]]})
            if status:
                gone = not InLab.lab.pid
                self.close()            # what a failure left must not be the next round's
                if gone and attempt == 1:
                    print("soak: the lab's machine went away; once more from round %d" % first)
                    continue
            return lines

    @staticmethod
    def close():
        if InLab.lab:
            InLab.lab.down()
            InLab.lab = None


class Fuzz(Kind):
    """Each round one fuzz target, as long as it finds new edges; see tests/fuzz/soak_fuzz.py."""
    rounds, batch = 100000, 1
    targets, quiet = [], soak_fuzz.QUIET
    begun = 0                       # the first round of this run: a target with a fault since isn't tried again

    def choose(self):
        failed = {line["target"] for line in self.lines[self.begun:] if line["problems"]}
        return soak_fuzz.choose(self.lines, self.targets, self.quiet, failed)

    def goes_on(self):
        return self.choose() is not None

    def run(self, first, count, seed):
        again = [line["target"] for line in self.lines if line["round"] == first]
        target = again[0] if again else self.choose()
        number = random.Random("%d %d" % (seed, first)).randrange(1, 1 << 31)
        return [{"round": first, "seed": seed, "target": target, **soak_fuzz.fuzz(target, number, run)}]

    def figures(self):
        return soak_fuzz.table(self.lines, self.targets)


class PathRaces(Kind):
    """Of one kind of path, in turn (tests/unit/test_path_races.c)."""
    kinds = ("disk", "serial", "log", "nvram", "tpm", "folder", "removal", "backing", "evdev",
             "own_disk", "own_backing", "own_tpm")
    rounds, batch = 10 * len(kinds), 1

    def run(self, first, count, seed):
        if os.geteuid():
            raise SystemExit("soak: path_races needs root, who alone can make files of other users")
        kind = self.kinds[first % len(self.kinds)]
        number = random.Random("%d %d" % (seed, first)).randrange(1, 1 << 31)
        # what users have, and three times as fast; ./dev test runs a sample with the sanitizers
        status, out = run(["build/tests/unit/unit_path_races"],
                          env={**os.environ, "RACE_KIND": kind, "RACE_OPERATIONS": str(OPERATIONS),
                               "SEED": str(number)})
        done = re.search(r"# %s: (\d+) swaps in (\d+) operations" % kind, out)
        return [{"round": first, "seed": seed, "kind": kind,
                 "swaps": int(done[1]) if done else 0, "operations": int(done[2]) if done else 0,
                 "problems": [out[-4000:]] if status or not done else []}]


class Exhaustive(Kind):
    rounds, batch = 1, 1

    def run(self, first, count, seed):
        status, out = run(["meson", "test", "-C", "build-test", "--no-rebuild", "--print-errorlogs",
                           "--suite", "exhaustive", "--logbase", "soak"])
        return [{"round": first, "seed": seed, "problems": [out[-4000:]] if status else []}]


KINDS = {
    "kills": InLab("tests/lab/test_kills.py", 1000, 25),
    "guest_kills": InLab("tests/lab/test_guests.py::test_killed_in_the_middle", 500, 10),
    "selinux_kills": InLab("tests/lab/test_guests.py::test_killed_in_the_middle", 500, 10, "selinux"),
    "races": InLab("tests/flow/test_race.py", 500, 25),
    "path_races": PathRaces(),
    "fuzz": Fuzz(),
    "exhaustive": Exhaustive(),
}


class Log:
    def __init__(self, name, is_resumed):
        self.path = os.path.join(STATE, name + ".jsonl")
        self.lines = []
        os.makedirs(STATE, exist_ok=True)
        if is_resumed and os.path.exists(self.path):
            self.read()
        elif os.path.exists(self.path):
            aside = next(n for n in range(1, 1 << 30)
                         if not os.path.exists("%s.%d" % (self.path, n)))
            os.rename(self.path, "%s.%d" % (self.path, aside))

    def read(self):
        """The last line may be half of one, if the power went; then that round is done again."""
        with open(self.path, "rb+") as f:
            whole = f.read()
            f.truncate(whole.rfind(b"\n") + 1)
        self.lines = [json.loads(line) for line in whole.split(b"\n")[:-1]]

    def add(self, lines):
        self.lines.extend(lines)
        with open(self.path, "a") as f:
            f.writelines(json.dumps(line) + "\n" for line in lines)
            f.flush()
            os.fsync(f.fileno())

    @property
    def next(self):
        return max((line["round"] for line in self.lines), default=-1) + 1

    def summary(self):
        counts = [(sum(line.get(key, 0) for line in self.lines), name) for key, name in (
            ("hit", "kills"), ("executions", "executions"), ("swaps", "swaps"))]
        bad = [line["round"] for line in self.lines if line["problems"]]
        return "%d rounds, %s%d failures%s" % (
            len(self.lines),
            "".join("%d %s, " % count for count in counts if count[0]),
            len(bad), " (rounds %s)" % ", ".join(map(str, bad)) if bad else "")


def soak(name, args):
    """False when a round had a problem."""
    kind = KINDS[name]
    if args.round is not None:
        kind.lines = Log(name, True).lines
        lines = kind.run(args.round, 1, args.seed if args.seed is not None else kept_seed(name))
        print("\n".join(json.dumps(line) for line in lines), flush=True)
        return not any(line["problems"] for line in lines)
    log = Log(name, args.resume)
    kind.lines, kind.begun = log.lines, len(log.lines)
    seed = log.lines[0]["seed"] if log.lines else args.seed
    if seed is None:
        seed = random.randrange(1 << 30)
    rounds = args.rounds or kind.rounds
    print("%s: rounds %d to %d, seed %d; log: %s" % (name, log.next, rounds - 1, seed, log.path),
          flush=True)
    start = time.monotonic()
    try:
        while log.next < rounds and kind.goes_on():
            lines = kind.run(log.next, min(kind.batch, rounds - log.next), seed)
            log.add(lines)
            for line in lines:
                if line["problems"]:
                    print("FAILED %s, round %d:\n%s\nagain: ./dev soak %s --round %d --seed %d" % (
                        name, line["round"], "\n".join(map(str, line["problems"])), name,
                        line["round"], seed), flush=True)
            print("%s: %s in %d s" % (name, log.summary(), time.monotonic() - start), flush=True)
            if kind.figures():
                print(kind.figures(), flush=True)
    except Stopped:
        print("%s: stopped; %s; log: %s\ngo on: ./dev soak %s --rounds %d --resume" % (
            name, log.summary(), log.path, name, rounds))
        raise
    return not any(line["problems"] for line in log.lines)


def kept_seed(name):
    lines = Log(name, True).lines
    if not lines:
        raise SystemExit("soak: there is no log of %s to take a seed from: say --seed" % name)
    return lines[0]["seed"]


def stop(number, frame):
    raise Stopped


def main():
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *KINDS])
    parser.add_argument("--rounds", type=int, metavar="N", help="how many in all")
    parser.add_argument("--seed", type=int, metavar="S")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--round", type=int, metavar="N")
    parser.add_argument("--targets", metavar="NAME,…", help="of fuzz, instead of all")
    parser.add_argument("--quiet", type=int, metavar="N", default=soak_fuzz.QUIET,
                        help="a fuzz target ends after N executions without a new edge")
    args = parser.parse_args()
    KINDS["fuzz"].targets = args.targets.split(",") if args.targets else soak_fuzz.targets()
    KINDS["fuzz"].quiet = args.quiet
    if set(KINDS["fuzz"].targets) - set(soak_fuzz.targets()):
        parser.error("fuzz targets: " + " ".join(soak_fuzz.targets()))
    if args.round is not None and len(args.names) != 1:
        parser.error("--round takes one NAME")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    os.makedirs(STATE, exist_ok=True)
    try:
        good = [soak(name, args) for name in args.names or KINDS]
    except Stopped:
        return 130
    finally:
        InLab.close()
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
