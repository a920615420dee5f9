/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of what a definition may have (domain/definition/rows.h) as text of a manual page, in
 * scdoc(5): elements with what they may hold, so that the page says what the check does.
 */
#include <stdio.h>
#include <string.h>

#include "domain/definition/check.h"
#include "domain/definition/rows.h"

/* "a|b|c" as "a, b or c". */
static void write_choices(const char *kind, size_t length)
{
	const char *end = kind + length;

	while (kind < end) {
		size_t size = strcspn(kind, "| ");
		const char *next;

		if (kind + size > end)
			size = (size_t)(end - kind);
		next = kind + size + 1;
		printf("*%.*s*", (int)size, kind);
		if (next < end)
			(void)fputs(memchr(next, '|', (size_t)(end - next)) ? ", " : " or ",
				    stdout);
		kind = next;
	}
}

static void write_kind(const char *kind, size_t length)
{
	static const char any[] = "#0-18446744073709551615", units[] = "b|bytes|";
	const char *dash = memchr(kind, '-', length);

	if (length == sizeof(any) - 1 && strncmp(kind, any, length) == 0) {
		(void)fputs("a number", stdout);
		return;
	}
	if (strncmp(kind, units, sizeof(units) - 1) == 0) {
		(void)fputs("a unit, from *b* to *TiB*", stdout);
		return;
	}
	switch (*kind) {
	case '#':
	case '%':
		printf("%.*s to %.*s", (int)(dash - kind - 1), kind + 1,
		       (int)(kind + length - dash - 1), dash + 1);
		break;
	case '/':
		(void)fputs("a path", stdout);
		break;
	case '^':
		(void)fputs("a path or nothing", stdout);
		break;
	case '~':
		(void)fputs("a word", stdout);
		break;
	case '?':
		(void)fputs("text", stdout);
		break;
	case '&':
		(void)fputs(definition_kind_words(kind + 1, length - 1), stdout);
		break;
	default:
		write_choices(kind, length);
	}
}

static void write_attributes(const char *text)
{
	struct attribute attribute;
	const char *separator = "";

	while (attribute_next(&text, &attribute)) {
		printf("%s_%.*s_%s: ", separator, (int)attribute.name_length, attribute.name,
		       attribute.is_required ? " (required)" : "");
		write_kind(attribute.kind, attribute.kind_length);
		separator = "; ";
	}
}

static void write_row(const struct supported *row)
{
	const char *path = strcmp(row->path, ".") == 0 ? "domain" : row->path;

	printf("*%s*\n", path);
	if (row->times == VERBATIM)
		(void)fputs("\tanything, kept as it is\n", stdout);
	else if (!row->text && !row->attributes)
		(void)fputs("\tno attributes\n", stdout);
	else
		(void)fputs("\t", stdout);
	if (row->text && row->times != VERBATIM) {
		(void)fputs("holds ", stdout);
		write_kind(row->text, strlen(row->text));
		(void)fputs(row->attributes ? "; " : "\n", stdout);
	}
	if (row->attributes) {
		write_attributes(row->attributes);
		(void)fputs("\n", stdout);
	}
	(void)fputs("\n", stdout);
}

int main(void)
{
	(void)fputs(
		"# ELEMENTS\n\n"
		"What a definition may have below *<domain>*; anything else is refused. A word in "
		"braces stands for each of those in it. A word in brackets is the *type* (or *model*) "
		"that the element must have for what follows. Entries for one element add up.\n\n",
		stdout);
	for (size_t i = 0; i < supported_guest_count; i++)
		write_row(&supported_guest[i]);
	for (size_t i = 0; i < supported_devices_count; i++)
		write_row(&supported_devices[i]);
	return 0;
}
