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


def doubles(path, text):
    """Sections of a page that are there twice, and what is described twice as an item of its own."""
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    # an item is a line of its own above an indented text: *list* [_device_...], _/run/passthru_
    items = [words.split(words[0])[1] for words in re.findall(r"^([*_][^\n]+)\n\t", text, re.M)]
    for what, found in (("section", titles), ("item", items)):
        for name in sorted({n for n in found if found.count(n) > 1}):
            yield "%s: the %s %s is there %d times" % (path, what, name, found.count(name))


OPTION = re.compile(r"(?<![\w-])(--?[a-zA-Z][\w-]*)")


def options_in(text):
    """"--json" and "-v" of a text; "=" and what follows belongs to the option's value."""
    return set(OPTION.findall(text))


def marked(text):
    """The same of a man page's text, where options are bold: *--json*, *-v*, *show --xml* is none."""
    return set(re.findall(r"\*(--?[a-zA-Z][\w-]*)\*", text))


def literals(source):
    """All that stands in a C text's string literals, an escaped line's end as one."""
    texts = re.findall(r'"((?:[^"\\]|\\.)*)"', source)
    return "".join(texts).replace("\\n", "\n")


def getopt_names(source):
    """The long options of getopt_long()'s tables."""
    return {"--" + n for n in re.findall(r'\{\s*"([\w-]+)",\s*(?:no|required|optional)_argument', source)}


def helped(text):
    """What a help explains: the beginnings of its lines up to two blanks, "-v, --verbose"."""
    return set().union(*(options_in(line.strip().split("  ")[0])
                         for line in text.split("\n") if line.startswith("  -")))


def items_of(text):
    """(head, text) of each item of a page."""
    return re.findall(r"^([*_][^\n]+)\n((?:\t[^\n]*\n|\n(?=\t))+)", text, re.M)


def section(page, title):
    return page.split("\n# %s\n" % title)[1].split("\n# ")[0] + "\n"


def differences(**sets):
    """What isn't in all of them, and where it is."""
    return ["%s: only in the %s" % (o, " and the ".join(w for w, has in sets.items() if o in has))
            for o in sorted(set().union(*sets.values())) if not all(o in has for has in sets.values())]


def daemon_options():
    """passthrud's in its page, its help and what it parses."""
    source = tap.read("src/daemon/program.c")
    usage = source.split("static int usage(")[1].split("\n}")[0]
    page = section(tap.read("man/passthrud.8.scd"), "OPTIONS")
    parsed = getopt_names(source) | {"-" + c for c in re.search(r'getopt_long\(argc, argv, "(\w*)"', source).group(1)}
    return differences(page=set().union(*(marked(line) for line in page.split("\n") if line.startswith("*-"))),
                       help=helped(literals(usage)), parser=parsed)


def global_options():
    """Those of passthru that stand before any verb."""
    source = tap.read("src/cli/cli.c")
    parser = source.split("static int parse_globals(")[1].split("\n}")[0]
    return differences(
        page=set().union(*(marked(head) for head, _ in items_of(section(tap.read("man/passthru.1.scd"), "OPTIONS")))),
        help=helped(literals(source.split("static int print_help(")[1].split("\n}")[0])),
        # -v, -vv and so on are no literal of their own
        parser=options_in(" ".join(re.findall(r'"(--?\w+)"', parser))) | {"-v"})


def verb_rows():
    """{verb: C text} of the table of src/cli/verbs.c, its macros replaced, without the summary."""
    source = tap.read("src/cli/verbs.c")
    macros = dict(re.findall(r"^#define (\w+)\s+(?:\\\n)?((?:.*\\\n)*.*)$", source, re.M))
    rows = re.search(r"struct cli_verb cli_verbs\[\] = \{(.*?)\n\};", source, re.S).group(1)
    table = {}
    for row in re.split(r'\.name = ', rows)[1:]:
        for name, text in macros.items():
            row = re.sub(r"\b%s\b" % name, lambda m, text=text: text, row)
        # it may speak of another verb: "show --xml"
        summary = re.search(r'\.summary = "(.*?)"', row).group(0)
        table[row.split('"')[1]] = row.replace(summary, "").split(",", 1)[1]
    return table


def verb_helps():
    """{verb: options that its help tells}."""
    return {verb: options_in(literals(row)) for verb, row in verb_rows().items()}


def verb_devices(man):
    """A verb that takes devices, or may, does so in its page and in its help."""
    heads = {v: head for title in re.findall(r"^# (.+)$", man, re.M)[1:]
             for head, _ in items_of(section(man, title))
             for v in re.findall(r"(?:^|, )\*([a-z][\w-]*)\*", head)}
    for verb, row in verb_rows().items():
        told = re.search(r'\.arguments = "[^"]*?(\[?)DEVICE', row)
        page = re.search(r"(\[?)_device_", heads.get(verb, ""))
        if (told and told.group(1)) != (page and page.group(1)):
            yield "%s: its help and the page differ in whether it takes devices" % verb


def verb_pages(man):
    """{verb: (options of its item, options that it may have from elsewhere on the page)}."""
    general, known = marked(section(man, "DESCRIPTION")), marked(section(man, "OPTIONS"))
    table, shared = {}, {}
    for title in re.findall(r"^# (.+)$", man, re.M):
        text = section(man, title) if title != "NAME" else ""
        introduction = marked(text.split("\n*")[0]) if "VERBS" in title else set()
        for head, body in items_of(text):
            for verb in re.findall(r"(?:^|, )\*([a-z][\w-]*)\*", head):
                # where it speaks of another verb, or of all of them, it isn't its own
                body = re.sub(r"The same as \*--[\w-]+\* with that verb", "", body)
                table[verb] = marked(head + body) - known, general | introduction
        for verbs, items in re.findall(r"These options apply to (.*?):\n(.*)", text, re.S):
            for verb in re.findall(r"\*([\w-]+)\*", verbs):
                shared[verb] = set().union(*(marked(head) for head, _ in items_of(items)))
    return {verb: (own | shared.get(verb, set()), more) for verb, (own, more) in table.items()}


def verb_options(man):
    pages = verb_pages(man)
    for verb, told in verb_helps().items():
        own, more = pages.get(verb, (set(), set()))
        for option in sorted(told - own - more):
            yield "%s %s: only in the help" % (verb, option)
        for option in sorted(own - told):
            yield "%s %s: only in the page" % (verb, option)


def parsed_options(man):
    """All that the verbs parse is on the page, and the other way round."""
    parser = set().union(*(getopt_names(tap.read(p)) for p in tap.files(".c", under=("src/cli",))))
    known = marked(section(man, "OPTIONS"))
    page = set().union(*(own | more for own, more in verb_pages(man).values()))
    return differences(page=page - known, parser=parser - known)


def completed_options(completion):
    """Each verb's options of the help that aren't completed, and what is completed and isn't there."""
    words = dict(re.findall(r"local (\w+)=['\"]([^'\"]*)['\"]", completion))
    case = completion.split("case $verb in")[1].split("esac")[0]
    told = verb_helps()
    for verbs, text in re.findall(r"^\t([a-z][\w| *-]*)\)(.*?);;", case, re.M | re.S):
        for name in ("change", "decimal"):              # the first holds the second
            text = text.replace("$" + name, words[name])
        for verb in [v for v in verbs.split(" | ") if v in told]:
            found = options_in(re.sub(r"sed -n", "", text))
            for option in sorted(told[verb] ^ found):
                yield "%s %s: %s" % (verb, option, "isn't completed" if option in told[verb] else
                                     "is completed, and isn't in the help")


def find_what_differs(t, man):
    """These rules have failed: on a page that is spoilt."""
    spoilt = man.replace("--paused", "--frozen")
    expected = ["start --paused: only in the help", "start --frozen: only in the page"]
    t.check("an option that only the help or the page has is found",
            sorted(set(expected) ^ set(verb_options(spoilt))))
    spoilt = man + "\n# FILES\n\n_/run/passthru/claims_\n\tAgain.\n\n*tree*\n\tAgain.\n"
    expected = ["page: the section FILES is there 2 times", "page: the item tree is there 2 times",
                "page: the item /run/passthru/claims is there 2 times"]
    t.check("a section and items that are there twice are found",
            sorted(set(expected) ^ set(doubles("page", spoilt))))


def main():
    t = tap.Tap()
    t.check("nothing is described twice",
            [d for p in tap.tracked() if p.endswith(".scd") for d in doubles(p, tap.read(p))])
    t.check("passthrud's options are the same in its page, its help and its parser", daemon_options())
    man = tap.read("man/passthru.1.scd")
    t.check("passthru's own options are the same in its page, its help and its parser", global_options())
    t.check("each verb's options are the same in its page and in its help", list(verb_options(man)))
    t.check("each verb's devices are the same in its page and in its help", list(verb_devices(man)))
    t.check("the options of verbs are the same in the page and in their parsers", parsed_options(man))
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
    t.check("each verb's options are completed", list(completed_options(completion)))
    find_what_differs(t, man)
    t.finish()


main()
