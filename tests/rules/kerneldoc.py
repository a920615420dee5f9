#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every public declaration carries its manual: a kernel-doc comment that names each
parameter or field and what is returned. Each header compiles alone, as C17 and C++17."""

import re
import subprocess

import tap

DECLARATION = re.compile(
    r"(?P<doc>/\*\*(?:[^*]|\*(?!/))*\*/\s*\n)?"
    r"(?:"
    r"(?P<define>#define (?P<dname>PT_\w+)(?!_H\b)[ \t(][^\n]*)"
    r"|(?P<type>(?:struct|enum) (?P<tname>\w+)) \{(?P<body>[^{}]*)\}"
    r"|(?P<alias>typedef [^;{}]*?\(\*(?P<aname>\w+)\)\((?P<aargs>[^;]*)\));"
    r"|(?P<ret>(?:const )?(?:struct |enum )?\w+[ \w*]*?[ *])(?P<fname>pt_\w+)\((?P<args>[^;{}]*)\)"
    r"[^;{}()]*(?:__attribute__\(\(.*?\)\)\))?;"
    r")", re.M | re.S)


def parameters(text):
    if text.strip() in ("", "void"):
        return []
    names = []
    for part in text.split(","):
        part = re.sub(r"\[[^\]]*\]", "", part).strip()
        names.append(re.search(r"(\w+)$", part).group(1))
    return names


def fields(kind, body):
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    if kind == "enum":
        return [item.split("=")[0].strip() for item in body.split(",") if item.strip()]
    return re.findall(r"(\w+)(?:\[[^\]]*\])*;", body)


def described(doc):
    return set(re.findall(r"@(\w+):", doc))


def check(path, text):
    seen = set()
    for m in DECLARATION.finditer(text):
        doc = m.group("doc") or ""
        if m.group("dname"):
            name, title, wanted = m.group("dname"), r"%s - ", []
            if name.endswith("_H"):
                continue
        elif m.group("tname"):
            name = m.group("type")
            kind = name.split()[0]
            title, wanted = r"%s - ", fields(kind, m.group("body"))
            doc_all = doc + "".join(re.findall(r"/\*\*.*?\*/", m.group("body"), re.S))
        elif m.group("aname"):
            name, title = "typedef " + m.group("aname"), r"%s - "
            wanted = parameters(m.group("aargs"))
        else:
            name, title, wanted = m.group("fname"), r"%s\(\) - ", parameters(m.group("args"))
            seen.add(name)
            if not m.group("ret").strip() == "void" and "\n * Return:" not in doc:
                yield "%s: %s: no \"Return:\"" % (path, name)
        if not m.group("tname"):
            doc_all = doc
        if not re.search(r"^(?:/\*\*| \*) " + title % re.escape(name), doc, re.M):
            yield "%s: %s: no kernel-doc comment that starts with its name" % (path, name)
            continue
        for w in wanted:
            if w not in described(doc_all):
                yield "%s: %s: @%s is not described" % (path, name, w)
        for extra in sorted(described(doc_all) - set(wanted)):
            yield "%s: %s: describes @%s, which isn't there" % (path, name, extra)
    for missed in sorted(set(tap.prototypes(text)) - seen):
        yield "%s: %s: not understood by this check" % (path, missed)


def compiles(path, argv):
    r = subprocess.run(argv + ["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only",
                               "-Iinclude", path],
                       cwd=tap.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return [r.stdout] if r.returncode else []


def main():
    t = tap.Tap()
    for path in tap.public_headers():
        t.check(path + " documents all it declares", list(check(path, tap.read(path))))
        t.check(path + " compiles alone as C17", compiles(path, ["gcc", "-std=c17", "-xc"]))
        t.check(path + " compiles alone as C++17", compiles(path, ["g++", "-std=c++17", "-xc++"]))
    t.finish()


main()
