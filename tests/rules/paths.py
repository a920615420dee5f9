#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every file and folder of this tree that documents, man pages and comments name is there."""

import ast
import fnmatch
import os
import re

import tap

# What stands in prose: "src/pci/host.h", "tests/lab", "src/domain/definition/table*.c".
TREES = ("src", "tests", "docs", "bench", "lab", "man", "examples", "include", "data")
NAMED = re.compile(r"(?<![\w/.$<-])((?:%s)/[\w./*-]*[\w/*])(?![\w{<$])" % "|".join(TREES))
# "pci/host.h", "reboot.c", "paths.py".
SOURCE = re.compile(r"(?<![\w/.$<*-])((?:[\w*]+/)*[\w*]*[a-z]\w*\*?\.(?:[ch]|py))(?![\w(/])")

HASH = re.compile(r"(?:^|[ \t])#[^\n]*", re.M)

# How things were called before: the left column of its table.
MOVED = "docs/moved.md"

# Of QEMU's tree, or Linux's, or libvirt's; and names with a part to be filled in.
ELSEWHERE = re.compile(r"^docs/.*\.(?:rst|txt|json)$|^(?:drivers|sys|linux|net|arpa|netinet)/|[A-Z]{3}"
                       r"|^virterror\.h$")


def prose(path, text):
    """What people read of a file; "" for one that isn't looked at."""
    if path == MOVED:
        return re.sub(r"^\|[^|]*\|", "|", text, flags=re.M)
    if path.endswith((".md", ".scd")):
        return text
    if path.endswith((".c", ".h")):
        return "\n".join(re.findall(r"/\*.*?\*/|//[^\n]*", text, re.S))
    if path.endswith(".py"):
        nodes = [n for n in ast.walk(ast.parse(text)) if isinstance(
            n, (ast.Module, ast.ClassDef, ast.FunctionDef))]
        return "\n".join([ast.get_docstring(n) or "" for n in nodes] + HASH.findall(text))
    if path.endswith(("meson.build", ".sh")) or path == "dev":
        return "\n".join(HASH.findall(text))
    return ""


def missing(path, text, places):
    """What @text of @path names and isn't in @places, all paths of files and folders."""
    text = prose(path, text)
    for name in sorted(set(NAMED.findall(text)) | set(SOURCE.findall(text))):
        # a folder of src, or of a room in it, may be left out
        wanted = name.strip("/")
        if not ELSEWHERE.search(name) and not any(
                fnmatch.fnmatchcase(p, wanted) or fnmatch.fnmatchcase(p, "*/" + wanted) for p in
                (places if "*" in wanted else places & {wanted} or
                 [p for p in places if p.endswith("/" + wanted)])):
            yield "%s names %s" % (path, name)


def main():
    t = tap.Tap()
    tracked = tap.tracked()
    places = set(tracked)
    for path in tracked:
        while path := os.path.dirname(path):
            places.add(path)
    seen = [m for path, text in [
        ("a.md", "src/pci/host.h tests/gone src/gone*.c"),
        ("b.c", '/* host.h, pci/host.h, gone.h */ "lost.h"'),
        ("c.py", '"""paths.py, gone.py"""\nx = "lost.py"  \x23 tests/rules, lab/gone.py'),
        (MOVED, "| `src/old.c` | `src/pci/host.h` |\n| `src/older.c` | `src/gone.c` |\n")]
        for m in missing(path, text, places)]
    expected = ["a.md names src/gone*.c", "a.md names tests/gone", "b.c names gone.h",
                "c.py names gone.py", "c.py names lab/gone.py", MOVED + " names src/gone.c"]
    t.check("what isn't there is found", sorted(set(seen) ^ set(expected)))
    problems = []
    for path in tracked:
        try:
            problems += missing(path, tap.read(path), places)
        except UnicodeDecodeError:
            continue
    t.check("every file that text or a comment names is there", problems)
    t.finish()


main()
