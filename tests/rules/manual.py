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
    return table


def documented(man):
    """The same of the man page: "|  14" or "|[ 14", then ":  *group-not-viable*, …"."""
    section = man.split("# EXIT STATUS")[1].split("\n# ")[0]
    table = {}
    for status, text in re.findall(r"^[|\[][\[<>\]=|]*\s*(\d+)\n:[<>=]?\s*([^\n]+)", section, re.M):
        table[int(status)] = set(re.findall(r"\*([\w-]+)\*", text))
    return table


def verbs():
    """The verb table of src/cli/cli.c: {"name", "arguments", "summary", function}."""
    rows = re.search(r"struct cli_verb \w+\[\] = \{(.*?)\n\};", tap.read("src/cli/cli.c"), re.S)
    return re.findall(r'\{\s*"([\w-]+)",', rows.group(1)) if rows else []


def main():
    t = tap.Tap()
    man = tap.read("man/passthru.1.scd")
    have, said = reasons(), documented(man)
    problems = ["status %d: the program has %s, the page %s" % (
        n, sorted(have.get(n, ())) or "none", sorted(said.get(n, ())) or "none")
        for n in sorted(set(have) | set(said)) if have.get(n) != said.get(n)]
    t.check("exit statuses are as in src/base/error.c", problems)
    known = verbs()
    t.check("the verb table was found", [] if known else ["no verbs in src/cli/cli.c"])
    t.check("every verb is in the man page",
            [v for v in known if not re.search(r"^\*%s\*" % re.escape(v), man, re.M)])
    completion = tap.read("data/passthru.bash-completion")
    t.check("every verb is completed",
            [v for v in known if not re.search(r"(?<![\w-])%s(?![\w-])" % re.escape(v), completion)])
    t.finish()


main()
