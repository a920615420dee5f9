#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a definition may say, some code reads: an element or attribute of the tables (definition/table*.c) that
no string of the other files of src/domain has would be accepted and lost."""

import re

import tap

TABLES = ("src/domain/definition/table.c", "src/domain/definition/table_devices.c")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')

# Accepted because libvirt or its clients write them, and without effect: what they say is said in another way,
# or is the only thing that there is.
WITHOUT_EFFECT = {
    "title", "description", "metadata",         # people's
    "arch", "apic", "level", "match",           # one value only
    "gl", "acceleration", "accel3d",            # off only
    "check", "fallback", "vendor", "pae",       # how a named model is compared with the host's
    "hotpluggable", "remove_disabled",          # what libvirt notes down of a guest
    "partition", "state", "relabel", "imagelabel",      # of a running one, chosen anew at its start
    "capabilities", "add", "del", "capability",                 # what libvirt is to believe of QEMU
}


def strings(path):
    return [s for s in STRING.findall(tap.read(path))]


def words_of(text):
    return set(re.findall(r"[A-Za-z_][A-Za-z0-9_-]*", text))


def macros(text):
    """{name: text} of the tables' own words."""
    return {m[1]: "".join(STRING.findall(m[2])) for m in re.finditer(
        r"#define (\w+)((?:[^\n\\]|\\\n|\\.)*)\n", text)}


def rows(path):
    """(path, attributes) of each row of a table."""
    text = tap.read(path)
    known = macros(text)
    body = re.sub(r"/\*.*?\*/", "", text[text.index("= {") + 3:], flags=re.S)
    for cells in re.findall(r"\{((?:[^{}\"]|\"(?:[^\"\\]|\\.)*\")*)\}", body):
        parts = []
        for cell in re.split(r",(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", cells):
            value = ""
            for name, literal in re.findall(r"([A-Z_0-9]+)|\"((?:[^\"\\]|\\.)*)\"", cell):
                value += literal or known.get(name, "")
            parts.append(value)
        if len(parts) >= 3:
            yield parts[0], parts[2]


def names(path, attributes):
    """The words of a row that code must know: the last of its path, and its attributes."""
    last = path.rpartition("/")[2] if "{" not in path.rpartition("/")[2] or "}" in path.rpartition("/")[2] \
        else path[path.rindex("{"):]
    for word in re.sub(r"\[[^]]*\]", "", last).strip("{}").split(","):
        word = word.rpartition(":")[2]
        if word and word != ".":
            yield word
    for word in attributes.split():
        yield word.partition("=")[0].strip("*!").rpartition(":")[2]


def main():
    t = tap.Tap()
    files = [p for p in tap.files(".c", under=("src/domain", "src/daemon/guests")) if p not in TABLES]
    known = set().union(*(words_of(s) for p in files for s in strings(p)))
    lost = sorted({(path, word) for table in TABLES for path, attributes in rows(table)
                   for word in names(path, attributes) if word not in known and word not in WITHOUT_EFFECT})
    t.check("each element and attribute that is accepted is read somewhere", ["%s: %s" % pair for pair in lost])
    t.finish()


main()
