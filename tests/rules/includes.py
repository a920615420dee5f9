#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may include whom (docs/architecture.md holds the same table in words)."""

import re

import tap

# A folder of src/ is a plane. It sees itself and the planes named here, nothing else.
SEES = {
    "base": [],
    "pci": ["base"],
    "qmp": ["base"],
    "rpc": ["base"],
    "assign": ["base", "pci"],
    "domain": ["base", "pci", "assign", "qmp"],
    "daemon": ["base", "pci", "assign", "qmp", "domain", "rpc"],
    # the command is a user of the public API: what it needs of the planes, the API lacks
    "cli": ["base"],
}

# The plane behind each public header; a plane may include those of the planes it sees.
PUBLIC = {
    "error": "base",
    "address": "pci", "host": "pci", "device": "pci", "group": "pci", "holders": "pci",
    "identity": "pci", "nodedev": "pci", "reset": "pci", "sriov": "pci",
    "claim": "assign", "state": "assign", "persist": "assign", "plan": "assign", "watch": "assign",
}

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)


def problems_of(path):
    plane = path.split("/")[1]
    for kind, name in INCLUDE.findall(tap.read(path)):
        head, _, rest = name.partition("/")
        if head == "passthru":
            owner = PUBLIC.get(rest[:-2])
            if plane != "cli" and owner not in [plane] + SEES[plane]:
                yield "%s includes <%s>, which belongs to %s" % (path, name, owner or "all planes")
        elif kind == '"' and head not in [plane] + SEES[plane]:
            yield "%s includes \"%s\"; %s sees only %s" % (
                path, name, plane, ", ".join(SEES[plane]) or "itself")


def main():
    t = tap.Tap()
    planes = sorted({p.split("/")[1] for p in tap.files(".c", ".h", under=("src",))})
    for plane in planes:
        if plane not in SEES:
            t.check(plane, ["src/%s is not in the table of tests/rules/includes.py" % plane])
            continue
        sources = tap.files(".c", ".h", under=("src/" + plane,))
        t.check("src/" + plane, [p for s in sources for p in problems_of(s)])
    t.check("every public header belongs to a plane",
            [h for h in tap.public_headers()
             if h.split("/")[-1][:-2] not in list(PUBLIC) + ["passthru"]])
    t.check("public headers include only public and system headers",
            ["%s includes \"%s\"" % (h, name) for h in tap.public_headers()
             for kind, name in INCLUDE.findall(tap.read(h)) if kind == '"'])
    t.check("examples use only the public headers",
            ["%s includes \"%s\"" % (s, name) for s in tap.files(".c", ".h", under=("examples",))
             for kind, name in INCLUDE.findall(tap.read(s)) if kind == '"'])
    t.finish()


main()
