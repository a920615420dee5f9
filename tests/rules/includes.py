#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may include whom (docs/architecture.md holds the same table in words)."""

import re

import tap

# Every folder of src/, and every room in it, sees itself and what stands here, nothing else.
SEES = {
    "base": [],
    "pci": ["base"],
    "pci/holders": ["base", "pci"],
    "assign": ["base", "pci", "pci/holders"],
    "assign/persist": ["base", "pci", "assign"],
    "qmp": ["base"],
    "rpc": ["base"],
    "domain/definition": ["base", "pci"],
    "domain/command_line": ["base", "assign", "domain/definition"],
    "domain/store": ["base", "pci", "assign", "assign/persist", "domain/definition"],
    "domain/machine": ["base", "pci"],
    "domain/confine": ["base", "pci", "pci/holders", "assign", "domain/definition", "domain/store",
                       "domain/machine"],
    "domain/resources": ["base", "pci", "pci/holders", "assign", "qmp", "domain/definition",
                         "domain/command_line", "domain/store", "domain/confine", "domain/machine"],
    "domain/guest": ["base", "pci", "assign", "qmp", "domain/definition", "domain/command_line",
                     "domain/store", "domain/confine", "domain/resources"],
    "daemon": ["base", "pci", "rpc"],
    "daemon/host": ["base", "pci", "assign", "rpc", "daemon", "domain/definition", "domain/confine",
                    "domain/resources"],
    "daemon/guests": ["base", "pci", "assign", "qmp", "rpc", "daemon", "domain/definition",
                      "domain/store", "domain/confine", "domain/resources", "domain/guest"],
    "daemon/handlers": ["base", "pci", "assign", "rpc", "daemon", "daemon/host", "daemon/guests",
                        "domain/definition", "domain/command_line", "domain/store",
                        "domain/confine", "domain/resources", "domain/guest"],
    # the command is a user of the public API: what it needs of the planes, the API lacks
    "cli": ["base"],
}

# Who puts the daemon together sees all of it; nobody includes them but the program.
ASSEMBLERS = ["src/daemon/daemon.c", "src/daemon/program.c"]
ASSEMBLED = "daemon/daemon.h"

# Modules, a .c and a .h of one name, that include each other, and no third in the circle.
CIRCLE_MAX = 2

# The plane behind each public header; a plane may include those of the planes it sees.
PUBLIC = {
    "error": "base",
    "address": "pci", "host": "pci", "device": "pci", "group": "pci", "holders": "pci",
    "identity": "pci", "nodedev": "pci", "reset": "pci", "sriov": "pci",
    "claim": "assign", "state": "assign", "persist": "assign", "plan": "assign", "watch": "assign",
}

# Lines that the tree of docs/architecture.md may have.
PAGE_LINES = 60

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)


def room_of(name):
    """"pci/holders" of "pci/holders/block.h"."""
    return name.rpartition("/")[0]


def problems_of(path):
    room = room_of(path[len("src/"):])
    if path in ASSEMBLERS:
        return
    for kind, name in INCLUDE.findall(tap.read(path)):
        owner = room_of(name)
        if owner == "passthru":
            owner = PUBLIC.get(name[len("passthru/"):-2])
            if room != "cli" and owner.split("/")[0] not in [
                    r.split("/")[0] for r in [room] + SEES[room]]:
                yield "%s includes <%s>, which belongs to %s" % (path, name, owner)
        elif name == ASSEMBLED and path != "src/" + ASSEMBLED[:-1] + "c":
            yield "%s includes \"%s\", which is for program.c alone" % (path, name)
        # "" and <> find the same files
        elif (kind == '"' or owner in SEES) and owner not in [room] + SEES[room]:
            yield "%s includes \"%s\"; %s sees only %s" % (
                path, name, room, ", ".join(SEES[room]) or "itself")


def circles():
    """Groups of more than CIRCLE_MAX modules each of which reaches all the others."""
    sees = {}
    for path in tap.files(".c", ".h", under=("src",)):
        module = path[len("src/"):-2]
        sees.setdefault(module, set()).update(
            name[:-2] for _, name in INCLUDE.findall(tap.read(path)))
    sees = {m: {n for n in names if n in sees and n != m} for m, names in sees.items()}

    def reached(module):
        found, queue = set(), [module]
        while queue:
            for n in sees[queue.pop()] - found:
                found.add(n)
                queue.append(n)
        return found

    reach = {m: reached(m) for m in sees}
    found = {frozenset(n for n in reach[m] if m in reach[n]) for m in sees if m in reach[m]}
    return sorted(", ".join(sorted(c)) for c in found if len(c) > CIRCLE_MAX)


def picture():
    """The lines of the tree in docs/architecture.md, and which rooms of src/ they name."""
    text = tap.read("docs/architecture.md").split("\n## The tree\n")[1].split("```")[1]
    rooms, above = [], []
    for indent, name in re.findall(r"^( *)([a-z_]+)/ ", text.split("\nsrc/\n")[1], re.M):
        if not indent:
            break
        above[len(indent) // 2 - 1:] = [name]
        rooms.append("/".join(above))
    return text.strip().split("\n"), rooms


def main():
    t = tap.Tap()
    sources = tap.files(".c", ".h", under=("src",))
    rooms = sorted({room_of(p[len("src/"):]) for p in sources})
    t.check("the table has every room, and no other",
            ["src/" + r for r in sorted(set(rooms) ^ set(SEES))])
    for room in rooms:
        t.check("src/" + room, [p for s in sources if room_of(s[len("src/"):]) == room
                                for p in problems_of(s)])
    lines, drawn = picture()
    with_rooms = {r.split("/")[0] for r in rooms}     # src/domain is nothing but its rooms
    t.check("the picture of docs/architecture.md has every room, once, and no other",
            sorted(set(drawn) ^ (set(rooms) | with_rooms)) +
            ["%s: %d times" % (r, drawn.count(r)) for r in set(drawn) if drawn.count(r) > 1])
    t.check("rooms see only what is above them in the picture",
            ["%s sees %s" % (r, seen) for r in drawn for seen in SEES.get(r, ())
             if seen in drawn and drawn.index(seen) > drawn.index(r)])
    t.check("the picture fits one page",
            ["%d lines" % len(lines)] if len(lines) > PAGE_LINES else [])
    t.check("no circle of more than %d modules" % CIRCLE_MAX, circles())
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
