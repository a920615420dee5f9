#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What systemd says of how far the units are confined: docs/security.md has the figures, and a reason for
each option that a unit doesn't set. An option that is dropped has no reason there."""

import json
import os
import re
import subprocess
import tempfile

import tap

DOCUMENT = "docs/security.md"
UNITS = ("passthrud", "passthru-persist", "passthru-recover")


def analyze(unit, *options):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, unit + ".service")
        with open(path, "w", encoding="utf-8") as f:
            f.write(re.sub("@[A-Z]+@", "/bin/true", tap.read("data/%s.service.in" % unit)))
        return subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", *options, path],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, check=False).stdout


def rows(heading):
    """Of the first table below a heading, the cells of each row."""
    section = tap.read(DOCUMENT).split("\n### %s\n" % heading, 1)[1]
    section = re.split(r"^#", section, maxsplit=1, flags=re.M)[0]
    found = [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
             for line in section.splitlines() if line.startswith("|")]
    return found[2:]


def version():
    return subprocess.run(["systemd-analyze", "--version"], stdout=subprocess.PIPE, text=True,
                          check=False).stdout.split()[1]


def check_reasons(unit):
    """Every option that isn't set is in the table; and nothing else is, as the first version has it that
    the figures are of: others count some options as set where there is nothing to set."""
    tests = {t["name"]: t for t in json.loads(analyze(unit, "--json=short"))}
    unset = {name for name, t in tests.items() if t["set"] is False and t["exposure"]}
    explained = set()
    for options, units, _ in rows("Options that are not set"):
        if unit in units.split(", ") or units == "all":
            explained |= set(re.findall(r"`([^`]+)`", options))
    return ["%s isn't set, and has no reason in %s" % (name, DOCUMENT) for name in sorted(unset - explained)] + \
        ["%s is set, and %s says why not" % (name, DOCUMENT)
         for name in sorted(explained & set(tests) - unset) if version() == rows("Exposure")[0][1]]


def check_figures():
    """Of the versions that they were taken with."""
    bad = []
    for unit, taken_with, _, after in rows("Exposure"):
        said = re.search(r"exposure level for .*: ([\d.]+)", analyze(unit))
        if taken_with == version() and said[1] != after:
            bad.append("%s: %s, not %s" % (unit, said[1], after))
    return bad + ([] if {r[0] for r in rows("Exposure")} == set(UNITS) else ["not of each unit"])


def main():
    t = tap.Tap()
    for unit in UNITS:
        t.check("%s.service is confined as far as it can be" % unit, check_reasons(unit))
    t.check("the figures are systemd's", check_figures())
    t.finish()


main()
