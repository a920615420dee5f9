#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Root directories of other Debian releases, made of packages from this machine's own Debian mirror.

    roots.py sources SUITE            what apt is told in such a root
    roots.py make SUITE DIRECTORY [PACKAGE…]
    roots.py run DIRECTORY [--bind FROM:TO]… -- COMMAND…
    roots.py dev [--fresh] 12|13 -- COMMAND…    ./dev COMMAND in a root with a copy of this tree

`make` needs root and mmdebstrap, `run` and `dev` need root. Nothing of the machine is configured.
"""

import argparse
import contextlib
import fcntl
import filecmp
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from paths import LabError, cache_root, source_dir                                          # noqa: E402

SUITES = {"12": "bookworm", "13": "trixie"}
TREE = "/passthru"      # the copy of this tree in a root

# What a Debian machine reads besides its release itself.
POCKETS = ("", "-updates", "-security")
# How this machine's apt reaches its mirror: what a root on it needs, too.
REACH = re.compile(r"^Acquire::(?:https?::Proxy|Check-|Retries|https?::Timeout)\S* \"[^\"]+\";$", re.M)


def _output(argv):
    env = {k: v for k, v in os.environ.items() if k != "APT_CONFIG"}
    r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    if r.returncode:
        raise LabError("%s failed:\n%s" % (" ".join(argv), r.stderr.strip()))
    return r.stdout


def _signing_key(entry):
    """The file that an entry of apt's sources (FILE:NUMBER) names as its keyring, or None."""
    path, _, number = entry.rpartition(":")
    with open(path) as f:
        text = f.read()
    if path.endswith(".sources"):
        stanzas = [s for s in re.split(r"\n(?:[ \t]*\n)+", text.strip("\n")) if s]
        text = stanzas[int(number) - 1]
    else:
        text = text.split("\n")[int(number) - 1]
    m = re.search(r"^\s*[^#\n]*signed-by\s*[:=]\s*(/[^\]\s]+)", text, re.I | re.M)
    return m and m.group(1)


def codename():
    """This machine's release, e.g. "bookworm"."""
    with open("/etc/os-release") as f:
        m = re.search(r'^VERSION_CODENAME="?(\w+)', f.read(), re.M)
    return m and m.group(1)


def sources(suite, *more):
    """apt's sources (deb822) of another Debian release from where this machine has its own; MORE
    are suites beside the release itself, e.g. "bookworm-backports"."""
    here = codename()
    targets = _output(["apt-get", "indextargets", "--no-release-info", "--format",
                       "$(REPO_URI) $(RELEASE) $(COMPONENT) $(SOURCESENTRY)", "Created-By: Packages"])
    stanzas = []
    for line in sorted(set(targets.splitlines())):
        uri, release, component, entry = line.split(" ", 3)
        pocket = release[len(here or release):]
        if component != "main" or release != "%s%s" % (here, pocket) or pocket not in POCKETS:
            continue
        suites = [suite + pocket] + (list(more) if not pocket else [])
        key = _signing_key(entry)
        stanzas.append("Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n%s" % (
            uri, " ".join(suites), "Signed-By: %s\n" % key if key else ""))
    if not stanzas:
        raise LabError("apt on this machine (%s) has no Debian sources to make a root of %s from"
                       % (here, suite))
    return "\n".join(stanzas)


def make(suite, packages, directory, options=()):
    """A root of Debian SUITE (a minimal system with apt, and PACKAGES) in DIRECTORY, which appears
    whole or not at all; OPTIONS are mmdebstrap's."""
    if not shutil.which("mmdebstrap"):
        raise LabError("mmdebstrap is missing (apt install mmdebstrap)")
    os.makedirs(os.path.dirname(os.path.abspath(directory)), exist_ok=True)
    new = directory + ".new"
    if os.path.exists(new):
        shutil.rmtree(new)
    reach = ["--aptopt=" + o for o in REACH.findall(_output(["apt-config", "dump"]))]
    with tempfile.NamedTemporaryFile("w", suffix=".sources") as f:
        f.write(sources(suite))
        f.flush()
        _output(["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase",
                 "--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr",
                 '--aptopt=Acquire::Languages "none";', *reach, *options,
                 "--include=" + ",".join(["ca-certificates", *packages]), suite, new, f.name])
    os.rename(new, directory)


# Everything is mounted in a namespace that ends with the command. The shell stays: it is process 1
# of its namespace, and takes in orphans.
ENTER = r"""
root=$1 cwd=$2
shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
	mkdir -p "$root${1#*:}"
	mount --bind "${1%%:*}" "$root${1#*:}"
	shift
done
shift
chroot "$root" /bin/sh -c 'cd "$1" && shift && exec "$@"' sh "$cwd" "$@"
"""


def command(directory, argv, binds=(), cwd="/", env=None):
    """The argument vector that runs ARGV in a root, with /proc, /sys and /dev; BINDS are FROM:TO.
    The environment is the command's own, plus ENV. When the first process is killed, all of it ends."""
    clean = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
             "LANG": "C.UTF-8", "TERM": os.environ.get("TERM", "dumb"), **(env or {})}
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--", "sh", "-ec", ENTER, "sh",
            os.path.abspath(directory), cwd, *binds, "--",
            "env", "-i", *("%s=%s" % kv for kv in clean.items()), *argv]


def resolve(directory):
    """Names resolve in the root as they do here, today."""
    target = os.path.join(directory, "etc/resolv.conf")
    with open("/etc/resolv.conf") as f:
        text = f.read()
    if os.path.lexists(target):
        os.unlink(target)
    with open(target, "w") as f:
        f.write(text)


# -- ./dev in a root -------------------------------------------------------------------------------

def _sources(top):
    """Names of the files of the tree at TOP: what git knows or doesn't ignore, and where the tree is no
    clone, as from an archive, all but what is built."""
    if os.path.lexists(os.path.join(top, ".git")):
        listed = _output(["git", "-C", top, "-c", "safe.directory=*", "ls-files", "-z", "-co",
                          "--exclude-standard"]).split("\0")
    else:
        listed = []
        for where, directories, files in os.walk(top):
            directories[:] = [d for d in directories if d != "__pycache__" and
                              not (where == top and d.startswith("build"))]
            listed += [os.path.relpath(os.path.join(where, name), top) for name in files]
    return {n for n in listed if n and os.path.isfile(os.path.join(top, n))}


def copy_tree(directory, top=os.path.dirname(source_dir())):
    """The files of the tree at TOP go to the root's TREE. An unchanged one keeps its time there, so that
    builds are incremental; a changed one gets a new time, whatever its own is: it may be older than what
    was built of the text before it."""
    target = directory + TREE
    names = _sources(top)
    for where, directories, files in os.walk(target):
        if where == target:
            directories[:] = [d for d in directories if not d.startswith("build")]
        for name in files:
            if os.path.relpath(os.path.join(where, name), target) not in names:
                os.unlink(os.path.join(where, name))
    for name in names:
        source, copy = os.path.join(top, name), os.path.join(target, name)
        with contextlib.suppress(OSError):
            if os.stat(source).st_mode == os.stat(copy).st_mode and \
                    filecmp.cmp(source, copy, shallow=False):
                continue
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        shutil.copy(source, copy)


def _installed(directory):
    """{package: (version, KiB)} of a root."""
    lines = _output(command(directory, ["dpkg-query", "-W", "-f",
                                        "${Package} ${Version} ${Installed-Size}\n"])).splitlines()
    return {name: (version, int(size or 0)) for name, version, size in (x.split(" ") for x in lines)}


def _in_a_root(directory, words):
    """./dev WORDS there. Returns (status, seconds, MB that apt says it fetched)."""
    start, fetched, unit = time.monotonic(), 0, {"B": 1e-6, "kB": 1e-3, "MB": 1, "GB": 1e3}
    env = {k: os.environ[k] for k in ("CI", "NO_COLOR", "SANITIZE") if k in os.environ}
    with subprocess.Popen(command(directory, ["./dev", *words], cwd=TREE, env=env), text=True,
                          errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as p:
        for line in p.stdout:
            print(line, end="", flush=True)
            m = re.match(r"Fetched ([0-9.,]+) (\w+) in |.*: fetching .* \(([0-9]+) (MB)\)", line)
            if m:
                fetched += float((m[1] or m[3]).replace(",", "")) * unit[m[2] or m[4]]
    return p.returncode, time.monotonic() - start, fetched


def dev(number, words, is_fresh=False, results=None):
    """./dev WORDS in a root of Debian NUMBER that is kept, or in a bare one made for it and removed
    again; then the figures of it are printed. Returns its exit status."""
    base = os.path.join(cache_root(), "roots")
    directory = os.path.join(base, "debian" + number + ("-fresh-%d" % os.getpid() if is_fresh else ""))
    os.makedirs(base, exist_ok=True)
    with contextlib.ExitStack() as stack:
        lock = stack.enter_context(open(directory + ".lock", "w"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_fresh:
            stack.callback(os.unlink, lock.name)
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
        if not os.path.isdir(directory):
            start = time.monotonic()
            make(SUITES[number], [], directory)
            print("roots: a bare Debian %s was made in %.0f s" % (number, time.monotonic() - start), flush=True)
        resolve(directory)
        copy_tree(directory)
        before = _installed(directory)
        if results:     # those of an earlier run are none of this one
            shutil.rmtree(directory + TREE + "/build-test/results", ignore_errors=True)
        status, seconds, fetched = _in_a_root(directory, words)
        after = _installed(directory)
        if results:
            shutil.copytree(directory + TREE + "/build-test/results", results, dirs_exist_ok=True)
    new = sum(after[name][1] for name in after.keys() - before.keys())
    changed = [name for name in before if after.get(name, ("",))[0] != before[name][0]]
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print("roots: ./dev %s on Debian %s: status %d, %.1f min (%.1f min of processors), %d packages installed (%.0f MB), "
          "%.0f MB fetched; others changed: %s" % (
              " ".join(words), number, status, seconds / 60, (spent.ru_utime + spent.ru_stime) / 60,
              len(after.keys() - before.keys()),
              new * 1024 / 1e6, fetched, " ".join(changed) or "none"))
    return status


def main():
    p = argparse.ArgumentParser(prog="roots.py", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest="verb", required=True, metavar="VERB")
    v = sub.add_parser("sources")
    v.add_argument("suite")
    v.add_argument("more", nargs="*")
    v = sub.add_parser("make")
    v.add_argument("suite")
    v.add_argument("directory")
    v.add_argument("packages", nargs="*")
    v = sub.add_parser("run")
    v.add_argument("directory")
    v.add_argument("--bind", action="append", default=[], metavar="FROM:TO")
    v.add_argument("--cwd", default="/")
    v.add_argument("argv", nargs="+")
    v = sub.add_parser("dev")
    v.add_argument("--fresh", action="store_true")
    v.add_argument("--results", metavar="DIR")
    v.add_argument("number", choices=SUITES)
    v.add_argument("words", nargs="+")
    args = p.parse_args()
    if args.verb == "dev":
        return dev(args.number, args.words, args.fresh, args.results)
    if args.verb == "sources":
        print(sources(args.suite, *args.more), end="")
    elif args.verb == "make":
        make(args.suite, args.packages, args.directory)
    else:
        resolve(args.directory)
        argv = command(args.directory, args.argv, args.bind, args.cwd)
        os.execvp(argv[0], argv)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as e:
        sys.exit("roots: %s" % e)
