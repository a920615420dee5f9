#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Static checks of all sources: clang-format, clang-tidy, gcc -fanalyzer, shellcheck.

    tests/lint.py [--build DIR] [--junit FILE] [--shallow]

Compile commands come from DIR (build-test).  A file that passed is not looked at
again until it, any header, the checks or the tools change, in any clone: what passed is
in ~/.cache/passthru/lint-passed, by content.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lab"))

from paths import cache_root                                        # noqa: E402

# So many results are kept, some trees' worth.
KEEP = 20000

# One version everywhere: each has other ideas. These are in Debian 12, Debian 13 and Ubuntu 24.04.
FORMAT, TIDY = "clang-format-19", "clang-tidy-19"
TREES = ("include", "src", "tests", "examples", "bench", "lab", "man")


def files(*suffixes):
    found = []
    for tree in TREES:
        for where, _, names in os.walk(tree):
            found += [os.path.join(where, n) for n in names if n.endswith(suffixes)]
    return sorted(found)


def digest(*parts):
    h = hashlib.sha256()
    for p in parts:
        h.update(p if isinstance(p, bytes) else p.encode())
        h.update(b"\0")
    return h.hexdigest()


def content(path):
    with open(path, "rb") as f:
        return f.read()


def version(tool):
    return subprocess.run([tool, "--version"], stdout=subprocess.PIPE, check=True).stdout


def commands(build):
    """(source, compiler arguments, directory) of every C file, once each."""
    with open(os.path.join(build, "compile_commands.json")) as f:
        entries = json.load(f)
    seen = {}
    for e in entries:
        path = os.path.normpath(os.path.join(e["directory"], e["file"]))
        # what a build makes (rpcgen) is not ours to lint
        if path.endswith(".c") and not path.startswith(os.path.abspath(build) + os.sep):
            seen.setdefault(os.path.relpath(path), (shlex.split(e["command"]), e["directory"]))
    return sorted((p, a, d) for p, (a, d) in seen.items())


# What gcc's analyzer gets wrong here: memory that goes with its scope (cleanup attributes) or into
# a caller's structure is no leak; the sanitizers look for leaks.
ANALYZER = ["-fanalyzer", "-Wno-analyzer-malloc-leak", "-fdiagnostics-plain-output"]

# What it gets wrong in one file. QEMU's process is made there: its standard streams are what dup2() is
# called for, and it closes what it doesn't hand over.
ANALYZER_IN = {"src/domain/confine/spawn.c": ["-Wno-analyzer-fd-leak"]}


def analyzer_args(args):
    """The compile command without sanitizers and output files, plus -fanalyzer."""
    out, skip = [], False
    for a in args:
        if skip:
            skip = False
        elif a in ("-o", "-MF", "-MQ"):
            skip = True
        elif not a.startswith(("-fsanitize", "-fno-sanitize", "-fdiagnostics", "-O", "-MD", "-g")):
            out.append(a)
    return out + ["-O2", "-g", *ANALYZER, "-Werror", "-o", "/dev/null"]


# clang's analyzer within each function and its small callees: a fifth of the time. gcc's goes deep in any case.
SHALLOW = ["--extra-arg=" + word for word in ("-Xclang", "-analyzer-config", "-Xclang", "mode=shallow")]


def checks(build, shallow):
    """(name, key, argv, directory) of everything to run; equal keys give equal results."""
    headers = digest(*[content(f) for f in files(".h")])
    config = digest(content(".clang-tidy"), content(".clang-format"), version(TIDY),
                    version("gcc"), content(__file__))
    layout = version(FORMAT)
    for path in files(".c", ".h"):
        yield ("format " + path, digest("format", config, layout, content(path)),
               [FORMAT, "--dry-run", "-Werror", path], ".")
    for path, args, directory in commands(build):
        key = (config, headers, content(path), " ".join(args))
        tidy = [TIDY, "--quiet", "-p", build] + (SHALLOW if shallow else [])
        if path.startswith("tests/"):
            # a test may well die where memory runs out, or try what no caller should do
            tidy.append("--checks=-clang-analyzer-*,-bugprone-suspicious-realloc-usage")
        else:
            argv = analyzer_args(args) + ANALYZER_IN.get(path, [])
            yield "analyzer " + path, digest("analyzer", *key), argv, directory
        yield "tidy " + path, digest("tidy", str(shallow), *key), tidy + [path], "."
    for path in ("dev", ".ci/run"):
        yield ("shellcheck " + path, digest("shellcheck", config, content(path)),
               ["shellcheck", path], ".")


def passed_layout(todo):
    """Names of the files whose layout is right. One clang-format for all of them takes a tenth of the
    time of one for each; where it finds something, they are looked at one by one."""
    layout = [check for check in todo if check[0].startswith("format ")]
    if not layout:
        return set()
    status = subprocess.run(layout[0][2][:-1] + [check[2][-1] for check in layout],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
    return set() if status else {check[0] for check in layout}


def run(check):
    name, key, argv, directory = check
    start = time.monotonic()
    r = subprocess.run(argv, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, errors="replace")
    return name, key, r.returncode, r.stdout, time.monotonic() - start


def known_keys(path):
    try:
        with open(path) as f:
            return f.read().split()
    except OSError:
        return []


def remember(path, passed):
    """The newest are last. Another run may have written meanwhile: its results stay."""
    keys = [k for k in known_keys(path) if k not in passed] + sorted(passed)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = "%s.%d" % (path, os.getpid())
    with open(temporary, "w") as f:
        f.write("\n".join(keys[-KEEP:]) + "\n")
    os.rename(temporary, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build-test")
    parser.add_argument("--junit")
    parser.add_argument("--shallow", action="store_true")
    args = parser.parse_args()
    passed_path = os.path.join(cache_root(), "lint-passed")
    known = set(known_keys(passed_path))
    suite = ET.Element("testsuite", name="lint")
    todo, keep, failed = [], set(), 0
    for check in checks(args.build, args.shallow):
        if check[1] in known:
            keep.add(check[1])
            ET.SubElement(suite, "testcase", classname="lint", name=check[0])
        else:
            todo.append(check)
    laid_out = passed_layout(todo)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, key, status, output, seconds in pool.map(
                lambda check: (*check[:2], 0, "", 0) if check[0] in laid_out else run(check), todo):
            case = ET.SubElement(suite, "testcase", classname="lint", name=name,
                                 time="%.2f" % seconds)
            if status == 0:
                keep.add(key)
            else:
                failed += 1
                print("%s:\n%s" % (name, output))
                lines = output.strip().split("\n")
                first = next((line for line in lines if " error: " in line), lines[0])
                first = re.sub(r"[^ -~]", "?", first)
                ET.SubElement(case, "failure", message=first)
    remember(passed_path, keep)
    if args.junit:
        ET.ElementTree(suite).write(args.junit)
    print("lint: %d checks, %d failed (%d unchanged since they passed)" % (
        len(suite), failed, len(suite) - len(todo)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
