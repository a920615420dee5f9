#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every file and folder that text or a comment names is there."""

import os
import re

import tap

# What stands in prose: "src/pci/host.h", "tests/lab", "daemon/guests/reboot.h".
TREES = ("src", "tests", "docs", "bench", "lab", "man", "examples", "include", "data")
NAMED = re.compile(r"(?<![\w/.$<-])((?:%s)/[\w./-]*[\w/])(?![\w*{<$])" % "|".join(TREES))
HEADER = re.compile(r"(?<![\w/.<-])([a-z_]+(?:/[a-z_]+)*/[a-z_]+\.[ch])\b")

# It is about how things were called before.
BEFORE = ("docs/moved.md",)

# Of QEMU's tree, or of Linux's; and names with a part to be filled in.
ELSEWHERE = re.compile(r"^docs/.*\.(?:rst|txt|json)$|^(?:drivers|sys|linux|net|arpa|netinet)/|[A-Z]{3}")


def comments(text):
    return "\n".join(re.findall(r"/\*.*?\*/|//[^\n]*", text, re.S))


def exists(name):
    return any(os.path.exists(os.path.join(tap.ROOT, top, name))
               for top in (".", "src", "src/domain", "src/daemon", "include", "tests"))


def main():
    t = tap.Tap()
    missing = []
    for path in tap.tracked():
        if path in BEFORE or not path.endswith((".md", ".scd", ".c", ".h")):
            continue
        text = tap.read(path)
        if path.endswith((".c", ".h")):
            text = comments(text)
        named = set(NAMED.findall(text)) | set(HEADER.findall(text))
        missing += ["%s names %s" % (path, n) for n in sorted(named)
                    if not ELSEWHERE.search(n) and not exists(n.rstrip("/"))]
    t.check("every file that text or a comment names is there", missing)
    t.finish()


main()
