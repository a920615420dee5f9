#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each case of docs/cases.md has tests that exist, or a reason why it has none; and none is left out."""

import os
import re

import tap

DOCUMENT = "docs/cases.md"
CASES = {"A%d" % n for n in range(1, 19)} | {"4.%d" % n for n in range(1, 21)} | \
    {"H%d" % n for n in (1, 2, 3, 4, 5, 6, 7, 9, 11, 12, 13, 14, 15, 16, 17, 18, 22, 23, 24, 26)}


def rows():
    for line in tap.read(DOCUMENT).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 4 and cells[0] not in ("case", "---"):
            yield cells


def tests_of(cell):
    """(file, function): the file is named once, before the first of its functions."""
    name = None
    for word in re.findall(r"`([^`]+)`", cell):
        if ": " in word:
            name, word = word.split(": ")
        if name and re.fullmatch(r"\w+", word):
            yield name, word


def check_tests():
    places = {os.path.basename(p): p for p in tap.files(".c", ".py", under=("tests",))}
    bad = []
    for case, what, cell, _ in rows():
        found = list(tests_of(cell))
        for name, function in found:
            if name not in places:
                bad.append("%s: there is no %s" % (case, name))
            elif not re.search(r"^(?:static void|def|#define) %s\(" % function, tap.read(places[name]), re.M):
                bad.append("%s: %s has no %s" % (case, name, function))
        if not found and not re.match(r"(?:not yet|no test): \w", cell):
            bad.append("%s, %s: neither a test nor a reason" % (case, what))
    return bad


def main():
    t = tap.Tap()
    t.check("each test exists", check_tests())
    t.check("no case is left out", sorted(CASES - {row[0] for row in rows()}))
    t.finish()


main()
