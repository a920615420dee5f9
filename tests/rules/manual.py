#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The man page, the shell completion and the program agree on verbs and exit statuses."""

import re

import tap


def reasons():
    """{exit status: {names}} of src/base/error.c."""
    table = {}
    for name, status in re.findall(r'\{"([\w-]+)", (\d+)\}', tap.read("src/base/error.c")):
        table.setdefault(int(status), set()).add(name)
    table[0] = set()                        # "none" is no reason
    return table


def documented(man):
    """The same of the man page's table: rows of status, *reason*, … and meaning."""
    section = man.split("# EXIT STATUS")[1].split("\n# ")[0]
    return {int(status): set(re.findall(r"\*([\w-]+)\*", text))
            for status, text in re.findall(r"^\|  (\d+)\n:  ([^\n]*)", section, re.M)}


def verbs():
    """The verb table of src/cli/verbs.c."""
    rows = re.search(r"struct cli_verb cli_verbs\[\] = \{(.*?)\n\};", tap.read("src/cli/verbs.c"), re.S)
    return re.findall(r"\.name = \"([\w-]+)\"", rows.group(1)) if rows else []


def doubles(path):
    """Sections of a page that are there twice, and what is described twice as an item of its own."""
    text = tap.read(path)
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    # an item is a line of its own above an indented text: *list* [_device_...]
    items = [words.split("*")[1] for words in re.findall(r"^(\*[^\n]+)\n\t", text, re.M)]
    for what, found in (("section", titles), ("item", items)):
        for name in sorted({n for n in found if found.count(n) > 1}):
            yield "%s: the %s %s is there %d times" % (path, what, name, found.count(name))


def daemon_options():
    """Options of passthrud: (page, usage(), table of getopt_long())."""
    page = tap.read("man/passthrud.8.scd").split("\n# OPTIONS")[1].split("\n# ")[0]
    source = tap.read("src/daemon/main.c")
    lines = [line for line in page.split("\n") if line.startswith("*-")]
    return (set(re.findall(r"\*--([\w-]+)\*", "\n".join(lines))),
            set(re.findall(r'^\s*"  (?:--[\w-]+, )?--([\w-]+)', source, re.M)) |
            set(re.findall(r'"  --[\w-]+, --([\w-]+)', source)) |
            set(re.findall(r'"  --([\w-]+),', source)),
            set(re.findall(r'\{"([\w-]+)", (?:no|required|optional)_argument', source)))


def verb_options():
    """Options of passthru: (page, help). "=" and what follows belongs to the option's value."""
    page = tap.read("man/passthru.1.scd").split("\n# FILES")[0]
    helps = tap.read("src/cli/verbs.c") + tap.read("src/cli/cli.c") + tap.read("src/cli/guests.c")
    texts = " ".join(re.findall(r'"((?:[^"\\]|\\.)*)"', helps))
    return (set(re.findall(r"\*--([a-z][\w-]+)\*", page)),
            set(re.findall(r"(?<![\w-])--([a-z][\w-]+)", texts)))


def main():
    t = tap.Tap()
    t.check("nothing is described twice",
            [d for p in tap.tracked() if p.endswith(".scd") for d in doubles(p)])
    page, usage, table = daemon_options()
    t.check("passthrud's options are the same in its page, its help and its table",
            ["--%s: %s" % (o, ", ".join(where for where, has in
                                       (("page", page), ("help", usage), ("table", table)) if o in has))
             for o in sorted(page | usage | table) if not (o in page and o in usage and o in table)])
    man = tap.read("man/passthru.1.scd")
    page, helped = verb_options()
    t.check("passthru's options are the same in its page and in the help of its verbs",
            ["--%s: only in the %s" % (o, "page" if o in page else "help") for o in sorted(page ^ helped)])
    have, said = reasons(), documented(man)
    problems = ["status %d: the program has %s, the page %s" % (
        n, sorted(have.get(n, ())), sorted(said.get(n, ())))
        for n in sorted(set(have) | set(said)) if have.get(n) != said.get(n)]
    t.check("exit statuses are as in src/base/error.c", problems)
    known = verbs()
    t.check("the verb table was found", [] if known else ["no verbs in src/cli/verbs.c"])
    t.check("every verb is in the man page",
            [v for v in known if not re.search(r"^(.*, )?\*%s\*" % re.escape(v), man, re.M)])
    completion = tap.read("data/passthru.bash-completion")
    t.check("every verb is completed",
            [v for v in known if not re.search(r"(?<![\w-])%s(?![\w-])" % re.escape(v), completion)])
    t.finish()


main()
