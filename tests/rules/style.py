#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules of style that a program can check; clang-format does the layout."""

import ast
import os
import re
import sys

import tap

FILE_LINES = 600
FUNCTION_LINES = 60

# Data tables may be long: path of the file or (file, function), each with its reason.
LONG_FILES = {}
LONG_FUNCTIONS = {}

# Python beyond the standard library, and where.
IMPORTS = {"pytest": "tests/", "libvirt": ("bench/", "tests/lab/")}

# Only these files may do these things; the rest of the library asks them.
ONLY = [
    (r"\bio_write_at\s*\(", ("src/base/io.c", "src/base/io.h", "src/pci/kernel.c"),
     "changes of the machine go through host_ops (src/pci/host.h)"),
    (r"\b(?:secure_)?getenv\s*\(", ("src/cli/", "src/daemon/"),
     "the library does not look at the environment"),
    (r"\b(?:exit|abort|printf|puts|putchar|perror|vprintf)\s*\(", ("src/cli/", "src/daemon/"),
     "the library never exits and never prints"),
    # a buffer that was measured, or words that are checked; files.c quotes paths in messages, which pt_fail() cleans
    (r"\(void\)\s*v?snprintf\s*\(",
     ("src/base/text.c", "src/domain/confine/files.c", "src/domain/command_line/parts.c",
      "src/pci/holders/scan.c"),
     "text is cut by text_format() and text_copy(), between two characters (src/base/text.h)"),
    # the last two hand over words of ours or of a checked definition
    (r"\bjson_(?:tokener_\w+|object_new_string\w*|object_to_json_\w+)\s*\(",
     ("src/base/json.c", "src/daemon/guests/reboot.c", "src/domain/guest/unplug.c"),
     "JSON is parsed, and texts are put into it, by src/base/json.h"),
    (r"\bumask\s*\(", ("src/domain/confine/spawn.c", "src/domain/machine/view.c"),
     "the umask is all threads': only a child that is no longer the daemon sets its own"),
    (r"\bfdopendir\s*\(", ("src/base/io.c",),
     "directories are opened by io_open_directory_at(), which leaks no descriptor"),
]

# Guests reach the machine through its door: files below the host's root directory, the rest by
# struct machine_ops. spawn.c's child has /dev/null.
DOOR = re.compile(
    r"(?<![\w.>])(?:open|creat|stat|lstat|access|opendir|mkdir|rmdir|unlink|rename|link|symlink|chown"
    r"|lchown|chmod|readlink|realpath|statfs|glob|v?fork|exec\w+|[ps]rlimit|setrlimit|getrlimit"
    r"|if_nametoindex|ioctl)\s*\(|\bAT_FDCWD\b")
BESIDE_THE_DOOR = ("src/domain/machine/", "src/domain/confine/spawn.c")

AUTO_DEFINED = re.compile(r"^AUTO_DEFINE\((\w+),\s*([^,]+),", re.M)

PLACES = re.compile(r"/work/|/tmp/w/|/root/\.|/home/[a-z]")
HOSTS = re.compile(r"https?://([\w.-]+)")
# Pages that text may point to; the tree names no package host or mirror.
PAGES = ("kernel.org", "gnu.org", "libvirt.org", "qemu.org", "spdx.org", "pcisig.com",
         "freedesktop.org", "wikipedia.org", "w3.org", "example.org", "libosinfo.org", "microsoft.com")


def functions(text):
    """(name, first line, number of lines) of each function of a C file."""
    lines = text.split("\n")
    start = None
    for n, line in enumerate(lines):
        if line == "{":
            start = n
        elif line == "}" and start is not None:
            head = " ".join(lines[max(0, start - 6):start])
            names = re.findall(r"(\w+)\s*\(", head.split(";")[-1].split("}")[-1])
            yield names[0] if names else "?", start + 1, n - start + 1
            start = None


def lengths(t):
    problems = []
    for path in tap.files(".c", ".h", ".py"):
        count = tap.read(path).count("\n")
        if count > FILE_LINES and path not in LONG_FILES:
            problems.append("%s has %d lines, more than %d" % (path, count, FILE_LINES))
    t.check("no file is longer than %d lines" % FILE_LINES, problems)
    problems = []
    for path in tap.files(".c"):
        for name, line, count in functions(tap.read(path)):
            if count > FUNCTION_LINES and (path, name) not in LONG_FUNCTIONS:
                problems.append("%s:%d: %s() has %d lines, more than %d" % (
                    path, line, name, count, FUNCTION_LINES))
    t.check("no function is longer than %d lines" % FUNCTION_LINES, problems)


def words(t):
    licence, places, stubs, space = [], [], [], []
    for path in tap.tracked():
        try:
            text = tap.read(path)
        except UnicodeDecodeError:
            continue
        if path.endswith((".c", ".h", ".py")) or text.startswith("#!"):
            if text and "SPDX-License-Identifier: LGPL-2.1-or-later" not in text[:300]:
                licence.append(path)
        if path.startswith(("tests/machines/", "tests/fuzz/corpus/")) or path == "LICENSE":
            continue
        for n, line in enumerate(text.split("\n"), 1):
            where = "%s:%d: %s" % (path, n, line.strip()[:100])
            if PLACES.search(line) and path != "tests/rules/style.py":
                places.append(where)
            for host in HOSTS.findall(line):
                if not host.endswith(PAGES):
                    places.append(where)
            if re.search(r"\b(TODO|FIXME|XXX)\b", line) and path != "tests/rules/style.py":
                stubs.append(where)
            if line != line.rstrip() and not path.endswith((".md", ".patch")):
                space.append(where)
    t.check("no two test modules have one name: pytest knows them by it", same_names())
    t.check("every source names its licence", licence)
    t.check("no path or host of someone's machine", places)
    t.check("nothing is left to do", stubs)
    t.check("no spaces at the ends of lines", space)


def door(t):
    problems = []
    for path in tap.files(".c", ".h", under=("src/domain",)):
        text = tap.without_comments(tap.read(path))
        problems += ["%s:%d: %s" % (path, text[:m.start()].count("\n") + 1, m.group(0))
                     for m in DOOR.finditer(text) if not path.startswith(BESIDE_THE_DOOR)]
    t.check("guests reach the machine through its door (src/domain/machine/machine.h)", problems)


def double_autos(texts):
    """What two files of {path: text} AUTO_DEFINE. The command sees only the public API, so it has
    its own for that API's types (src/cli/auto.h)."""
    where = {}
    for path, text in sorted(texts.items()):
        plane = "cli" if path.startswith("src/cli/") else "library"
        for name, kind in AUTO_DEFINED.findall(text):
            for what in ("the name " + name, "the type " + re.sub(r"\s", "", kind)):
                where.setdefault((plane, what), []).append(path)
    return ["%s: %s" % (what, ", ".join(paths)) for (_, what), paths in sorted(where.items())
            if len(paths) > 1]


def auto_rules(t):
    one = "AUTO_DEFINE(%s, %s *, %s)\n"
    seen = double_autos({
        "src/pci/a.c": one % ("claims", "struct a", "f") + one % ("x", "struct b", "f"),
        "src/pci/b.c": one % ("claims", "struct c", "f") + one % ("y", "struct b", "f"),
        "src/cli/c.c": one % ("claims", "struct a", "f"),
    })
    expected = ["the name claims: src/pci/a.c, src/pci/b.c",
                "the type structb*: src/pci/a.c, src/pci/b.c"]
    t.check("the rule finds a name and a type that are defined twice",
            [] if seen == expected else seen or ["nothing"])
    t.check("no two files AUTO_DEFINE the same type or name: a plane's are in its auto.h",
            double_autos({p: tap.read(p) for p in tap.files(".c", ".h", under=("src",))}))


def c_rules(t):
    for pattern, places, why in ONLY:
        problems = []
        for path in tap.files(".c", ".h", under=("src",)):
            if path.startswith(places):
                continue
            text = tap.without_comments(tap.read(path))
            problems += ["%s:%d: %s" % (path, text[:m.start()].count("\n") + 1, m.group(0))
                         for m in re.finditer(pattern, text)]
        t.check(why, problems)
    problems = []
    for path in tap.files(".h"):
        guard = re.sub(r"\W", "_", os.path.basename(path)).upper()
        if not re.search(r"^#ifndef (\w+_)?%s\n#define (\w+_)?%s$" % (guard, guard),
                         tap.read(path), re.M):
            problems.append("%s: expected a guard named …%s" % (path, guard))
    t.check("headers are guarded by their own name", problems)
    problems = []
    for path in tap.files(".c", ".h", under=("src", "include", "examples")):
        text = tap.without_comments(tap.read(path))
        problems += ["%s: %s" % (path, m.group(0)) for m in
                     re.finditer(r"typedef struct\b[^;]*;?", text)]
    t.check("no typedefs for structs", problems)


def python_rules(t):
    imports, first_lines = [], []
    for path in tap.files(".py") + ["dev"]:
        text = tap.read(path)
        if text.startswith("#!") and not re.match(r"#!/usr/bin/python3\n|#!/bin/(ba)?sh\n", text):
            first_lines.append(path)
        executable = os.access(os.path.join(tap.ROOT, path), os.X_OK)
        if executable != text.startswith("#!"):
            first_lines.append(path + ": executable, or a first line with #!, but not both")
        if not path.endswith(".py"):
            continue
        beside = {n[:-3] for n in os.listdir(os.path.join(tap.ROOT, os.path.dirname(path)))
                  if n.endswith(".py")}
        beside |= {os.path.basename(p)[:-3] for p in tap.files(".py", under=("lab", "tests"))
                   if os.path.dirname(p) != "tests/lab"}
        for node in ast.walk(ast.parse(text)):
            names = ([a.name for a in node.names] if isinstance(node, ast.Import) else
                     [node.module or ""] if isinstance(node, ast.ImportFrom) else [])
            for name in (n.split(".")[0] for n in names):
                if name in sys.stdlib_module_names or name in beside or \
                        path.startswith(IMPORTS.get(name, "\0")):
                    continue
                imports.append("%s imports %s" % (path, name))
    t.check("Python is the standard library's", imports)
    t.check("scripts start with /usr/bin/python3 or bash", first_lines)


def same_names():
    seen = {}
    for path in tap.tracked():
        if path.startswith("tests/") and path.endswith(".py"):
            seen.setdefault(path.rsplit("/", 1)[1], []).append(path)
    return [" and ".join(paths) for name, paths in sorted(seen.items())
            if len(paths) > 1 and name.startswith("test_")]


def main():
    t = tap.Tap()
    lengths(t)
    words(t)
    c_rules(t)
    auto_rules(t)
    door(t)
    python_rules(t)
    t.finish()


main()
