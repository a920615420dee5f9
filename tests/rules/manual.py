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


def main():
    t = tap.Tap()
    man = tap.read("man/passthru.1.scd")
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
