#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Add up what the parts of ./dev test found: count.py DIRECTORY PART...

Each part left PART.json (meson's test log) or PART.xml (JUnit) in DIRECTORY, one that lost its lab
PART.before.xml too; a part that left neither failed.  Prints what failed and why something was skipped;
the last line is "N passed, N failed, N skipped".  With CI set a skipped test in
the lab has failed: there the lab is what is tested.
"""

import json
import os
import re
import sys
import xml.etree.ElementTree as ET


class Count:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def fail(self, part, name, why="", details=""):
        """WHY is one line, DETAILS those that a program printed about it."""
        self.failed.append("%s: %s%s%s" % (part, name, why and ": " + why, details))

    def skip(self, part, name, why):
        if part in ("lab", "guests", "installed") and os.environ.get("CI"):
            self.fail(part, name, "skipped although CI is set: " + why)
        else:
            self.skipped.append("%s: %s: %s" % (part, name, why))


def tap(count, part, test):
    """One program that spoke TAP."""
    out = test.get("stdout", "")
    found = len(count.failed)
    plan = re.search(r"^1\.\.([0-9]+)", out, re.M)
    seen = 0
    for bad, name, details in re.findall(r"^(not )?ok [0-9]+ ?(?:- )?(.*)((?:\n#.*)*)$", out, re.M):
        seen += 1
        where = "%s: %s" % (test["name"], name)
        skip = re.search(r"# SKIP ?(.*)", name)
        if skip:
            count.skip(part, where, skip.group(1) or "no reason given")
        elif bad:
            count.fail(part, where, details=details)
        else:
            count.passed += 1
    if test["result"] != "OK" and len(count.failed) == found or not plan:
        count.fail(part, test["name"], "%s after %d of %s" % (
            test["result"].lower(), seen, plan.group(1) if plan else "?"), last_words(test))


def last_words(test):
    """What a program that ended early said at the end, a failed assertion or a sanitizer's report first."""
    lines = [line for line in test.get("stderr", "").splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"not ok|#|==[0-9]+==ERROR|.*runtime error|.*Assertion", line)]
    return "".join("\n  # " + line[:200] for line in (telling or lines)[-12:])


def meson_log(count, part, path):
    with open(path) as f:
        for line in f:
            test = json.loads(line)
            if re.search(r"^(1\.\.[0-9]|ok |not ok )", test.get("stdout", ""), re.M):
                tap(count, part, test)
            elif test["result"] == "OK":
                count.passed += 1
            elif test["result"] == "SKIP":
                count.skip(part, test["name"], (test.get("stdout") or "no reason given").strip())
            else:
                count.fail(part, test["name"], test["result"].lower())


def junit(count, part, path):
    for case in ET.parse(path).getroot().iter("testcase"):
        name = "%s %s" % (case.get("classname", ""), case.get("name", ""))
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        skipped = case.find("skipped")
        if bad is not None:
            count.fail(part, name, (bad.get("message") or "").split("\n")[0][:200])
        elif skipped is not None:
            count.skip(part, name, skipped.get("message") or "no reason given")
        else:
            count.passed += 1


def main(directory, parts):
    count = Count()
    for part in parts:
        before = (count.passed, len(count.failed), len(count.skipped))
        path = os.path.join(directory, part)
        try:
            if os.path.exists(path + ".json"):
                meson_log(count, part, path + ".json")
            else:
                if os.path.exists(path + ".before.xml"):
                    print("the lab's machine went away in part %s: what was left of that was "
                          "run in another lab" % part)
                    junit(count, part, path + ".before.xml")
                junit(count, part, path + ".xml")
        except (OSError, ValueError, ET.ParseError) as e:
            count.fail(part, "no results", str(e))
        else:
            if before == (count.passed, len(count.failed), len(count.skipped)):
                count.fail(part, "no tests ran")
    for line in count.skipped:
        print("skipped " + line)
    for line in count.failed:
        print("FAILED " + line)
    print("%d passed, %d failed, %d skipped" % (count.passed, len(count.failed),
                                                len(count.skipped)))
    return 1 if count.failed or not count.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
