# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fuzz targets run until they find no new edge: what ./dev soak fuzz counts, and ./dev fuzz begins with.

A target is done when none of its last QUIET new inputs reached a new edge (a branch between two
blocks of our code: libFuzzer's "cov"). Inputs of the corpus that each round reads first don't
count. Other code (the number of instrumented edges differs), or a fault, begins that anew.

    soak_fuzz.py TARGET [BUILD]     prints the options of libFuzzer for a target, one a line
"""

import glob
import os
import re
import resource
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXECUTIONS = 1000000            # of a round, or what fits in SECONDS
SECONDS = 300
QUIET = 10000000

# Bytes of an input that is made up; the kept ones may be longer. What is tried with many short
# inputs is seldom found with a few long ones. Otherwise libFuzzer's choice, 4096 at least.
LENGTHS = {"definition": 800, "definition_live": 800, "device": 400, "guest": 600}


def targets():
    return sorted(os.path.basename(p)[len("fuzz_"):-len(".c")]
                  for p in glob.glob(os.path.join(TOP, "tests/fuzz/fuzz_*.c")))


def write_words(path):
    """A dictionary for libFuzzer: elements, attributes and values in the tables of definitions."""
    words = set()
    for table in glob.glob(os.path.join(TOP, "src/domain/definition/table*.c")):
        with open(table) as f:
            for text in re.findall(r'"([^"\n]*)"', f.read()):
                words.update(re.findall(r"[A-Za-z_:][A-Za-z0-9_:-]+(?==)", text))
                words.update(re.findall(r"[A-Za-z_:0-9][A-Za-z0-9_:.-]*", text))
    parts = [word for word in words if len(word) > 1]
    parts += ["<%s>" % word for word in words] + ["</%s>" % word for word in words]
    parts += ["<%s " % word for word in words] + [" %s='" % word for word in words]
    parts += ["'/>", "'>", "</devices>", "0x", "0000:01:00.0", "52:54:00:00:00:01", "ua-a", "sda", "vda"]
    with open(os.path.join(TOP, path), "w") as f:
        f.writelines('"%s"\n' % part for part in sorted(set(parts)))
    return path


def options(target, build="build-fuzz"):
    """The program, its options, and its corpora: new inputs go to the first, the kept ones are the second."""
    corpora = ["%s/corpus/%s" % (build, target), "tests/fuzz/corpus/" + target]
    for corpus in corpora:
        os.makedirs(os.path.join(TOP, corpus), exist_ok=True)
    more = ["-max_len=%d" % LENGTHS[target]] if target in LENGTHS else []
    if more:
        more.append("-dict=" + write_words("%s/definition.dict" % build))
    return ["%s/tests/fuzz/fuzz_%s" % (build, target), "-timeout=25", "-print_final_stats=1",
            "-artifact_prefix=%s/%s-" % (build, target), *more, *corpora]


def read_edges(out):
    """(edges, executions at the last new one, executions of the corpus, its size) of libFuzzer's output."""
    edges = last = begun = 0
    size = 0
    for number, word, cov, corpus in re.findall(
            r"^#(\d+)\s+(\w+)\s+cov: (\d+) .*?corp: (\d+)/", out, re.M):
        if word == "INITED":
            begun = int(number)
        if int(cov) > edges:
            edges, last = int(cov), int(number)
        size = int(corpus)
    return edges, max(last, begun), begun, size


def is_paused(out, argv, run):
    """libFuzzer counts seconds of the clock: was it the machine that stood still, not the target?"""
    slow = re.search(r"Test unit written to (\S+-timeout-\S+)", out)
    if not slow or run(argv[:2] + [slow.group(1)])[0]:
        return False
    if os.path.exists(os.path.join(TOP, slow.group(1))):
        os.unlink(os.path.join(TOP, slow.group(1)))
    return True


def processor():
    """Seconds of a processor that programs took which ended: the clock's depend on who else is there."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def fuzz(target, number, run):
    """A round: its figures, and problems. @number seeds it, @run runs a program."""
    start, used = time.monotonic(), processor()
    argv = options(target)
    status, out = run(argv[:1] + ["-runs=%d" % EXECUTIONS, "-max_total_time=%d" % SECONDS,
                                  "-seed=%d" % number] + argv[1:])
    seconds = time.monotonic() - start
    done = re.search(r"^stat::number_of_executed_units:\s*(\d+)", out, re.M)
    counters = re.search(r"Loaded \d+ modules\s+\((\d+) ", out)
    edges, last, begun, size = read_edges(out)
    executions = int(done.group(1)) if done else last
    is_fault = (status or not done) and not is_paused(out, argv, run)
    return {"executions": executions - begun, "quiet": executions - last, "edges": edges,
            "counters": int(counters.group(1)) if counters else 0, "corpus": size,
            "seconds": round(seconds, 1), "processor": round(processor() - used, 1),
            "problems": [out[-4000:]] if is_fault else []}


def sum_up(lines, target):
    """The figures of all rounds of @target; "quiet": executions since its last new edge."""
    sums = {"executions": 0, "seconds": 0, "processor": 0, "edges": 0, "quiet": 0, "corpus": 0,
            "counters": 0, "timed": 0}
    for line in lines:
        if line["target"] != target:
            continue
        if line["counters"] != sums["counters"]:
            sums.update(edges=0, quiet=0)
        if line["edges"] > sums["edges"]:
            sums.update(edges=line["edges"], quiet=line["quiet"])
        else:
            sums["quiet"] += line["executions"]
        if line["problems"]:
            sums["quiet"] = 0
        sums["executions"] += line["executions"]
        sums["seconds"] += line["seconds"]
        if "processor" in line:
            sums["processor"] += line["processor"]
            sums["timed"] += line["executions"]
        sums.update(corpus=line["corpus"], counters=line["counters"])
    return sums


def choose(lines, wanted, quiet, failed=()):
    """The target whose turn it is: of those that aren't done, the one that ran least recently; or None."""
    left = [target for target in wanted or targets()
            if target not in failed and sum_up(lines, target)["quiet"] < quiet]
    order = {line["target"]: at for at, line in enumerate(lines)}
    return min(left, key=lambda target: order.get(target, -1), default=None)


def table(lines, wanted):
    """A second is one of the processor, minutes are the clock's."""
    rows = ["%-15s %13s %9s %6s %7s %14s %8s" % ("target", "executions", "a second", "edges", "inputs",
                                                 "since an edge", "minutes")]
    for target in wanted or targets():
        sums = sum_up(lines, target)
        if sums["processor"]:
            rows.append("%-15s %13d %9d %6d %7d %14d %8d" % (
                target, sums["executions"], sums["timed"] / sums["processor"], sums["edges"],
                sums["corpus"], sums["quiet"], sums["seconds"] / 60))
    return "\n".join(rows) if len(rows) > 1 else ""


if __name__ == "__main__":
    print("\n".join(options(*sys.argv[1:])))
