# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the rule scripts share: where the tree is, and results in TAP."""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Tap:
    def __init__(self):
        self.number = 0
        self.failed = 0

    def check(self, name, problems):
        """One result: fine when PROBLEMS is empty."""
        self.number += 1
        print("%s %d - %s" % ("not ok" if problems else "ok", self.number, name))
        for problem in problems:
            print("# " + str(problem).replace("\n", "\n# "))
        self.failed += bool(problems)

    def finish(self):
        print("1..%d" % self.number)
        sys.exit(1 if self.failed else 0)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def files(*suffixes, under=("include", "src", "tests", "examples", "bench", "lab")):
    """Paths below the root, of C sources and the like."""
    found = []
    for tree in under:
        for where, directories, names in os.walk(os.path.join(ROOT, tree)):
            directories[:] = [d for d in directories if d != "__pycache__"]
            found += [os.path.relpath(os.path.join(where, n), ROOT)
                      for n in names if n.endswith(suffixes)]
    return sorted(found)


def tracked():
    """Everything that belongs to the tree: tracked or about to be; all files without git."""
    try:
        r = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard"],
                           cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except FileNotFoundError:
        r = None
    if r and r.returncode == 0:
        return sorted(p for p in set(r.stdout.splitlines())
                      if os.path.isfile(os.path.join(ROOT, p)))
    return [p for p in files("", under=(".",)) if not p.startswith(("build", ".git/"))]


def without_comments(text):
    """C text with comments and literals blanked out, the same number of lines."""
    def blank(m):
        kept = "\n" * m.group(0).count("\n")
        return '""' + kept if m.group(0)[0] in "\"'" else " " + kept
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text,
                  flags=re.S)


def public_headers():
    return files(".h", under=("include",))


def prototypes(text):
    """Names of the functions a public header declares."""
    text = re.sub(r"^\s*#.*(?:\\\n.*)*", "", without_comments(text), flags=re.M)
    text = re.sub(r"\{[^{}]*\}", "", re.sub(r'extern "" \{|extern ""', "", text))
    return [m.group(1) for m in re.finditer(r"\b(pt_\w+)\s*\([^;{}]*\)\s*;", text)
            if not re.search(r"typedef[^;]*$", text[:m.start()])]
