#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""names.py LIBRARY: the library shows what the public headers declare, nothing else."""

import subprocess
import sys

import tap


def main(library):
    t = tap.Tap()
    out = subprocess.run(["nm", "-D", "--defined-only", library], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    shown = {}
    for line in out.splitlines():
        kind, name = line.split()[-2:]
        if kind != "A":                     # the version itself
            name, _, version = name.partition("@@")
            shown[name] = version
    declared = {n for h in tap.public_headers() for n in tap.prototypes(tap.read(h))}
    t.check("every declared function is in the library", sorted(declared - set(shown)))
    t.check("the library shows nothing that isn't declared", sorted(set(shown) - declared))
    t.check("every symbol carries a version", sorted(n for n, v in shown.items() if not v))
    t.finish()


main(sys.argv[1])
