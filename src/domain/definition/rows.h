/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of what is supported in a definition.
 *
 * PATH is below <domain>. A word in it may be a list, "{disk,interface}", and may ask for the
 * value of the element's key attribute: "devices/interface[user,bridge]/mac". All rows that
 * match an element apply to it together; an element that none matches isn't supported.
 *
 * ATTRIBUTES are words of NAME=KIND; "*" before the name makes it the element's key, "!" behind
 * it makes it required. TEXT is a kind too, NULL where no text may be. Kinds:
 *
 *	a|b|c	one of these words
 *	#0-255	a decimal number within these bounds
 *	%0-255	the same, hexadecimal when it begins with 0x
 *	/	an absolute path
 *	^	the same, or nothing where one is to be chosen
 *	~	a word: letters, digits and _.:+@-
 *	?	any text
 *	&NAME	see the table of kinds in check.c: &mac, &uuid, &cpuset, &machine, &port,
 *		&wwn, &time
 *
 * Which rows apply to an element: those of its parent that go on with the
 * element's name, so that each level has fewer to look at.
 */
#ifndef DOMAIN_DEFINITION_ROWS_H
#define DOMAIN_DEFINITION_ROWS_H

#include <stdbool.h>
#include <stddef.h>

struct supported {
	const char *path;
	const char *text;
	const char *attributes;
	enum { ONE, MANY, VERBATIM } times; /* in its parent; VERBATIM: anything may be in it */
};

/* table.c and table_devices.c */
extern const struct supported supported_guest[], supported_devices[];
extern const size_t supported_guest_count, supported_devices_count;

/* A row whose path matches so far. */
struct row {
	const struct supported *supported;
	const char *keys; /* "[a,b]" behind the word that matched last, or NULL */
	const char *rest; /* of its path; "" when the row is the element's own */
};

struct rows {
	struct row *at;
	size_t count, room;
	bool is_guest; /* of <domain>: all others are below it */
};

/* Rows of an element and of all that it is in: more than the table has for any. */
enum { ROWS_MAX = 512 };

/* The row of <domain>, which is the first. @room is for its rows and those below it. */
struct rows rows_of_guest(struct row *room, size_t size);

/*
 * Those of @parent that go on with @name, which begins with @prefix ("" or a namespace's), whatever
 * keys they ask for. They are stored behind those of @parent: the next call for the same parent
 * overwrites them.
 */
struct rows rows_below(const struct rows *parent, const char *prefix, const char *name);

/* Leave those that ask for no key, or for this one (NULL: the element has none). */
void rows_keep_key(struct rows *rows, const char *key);

/* The next row that is the element's own, behind @row (NULL: the first); NULL if there is none. */
const struct row *rows_next_own(const struct rows *rows, const struct row *row);

/* One word of a row's attributes. */
struct attribute {
	const char *name;
	size_t name_length;
	const char *kind;
	size_t kind_length;
	bool is_key;
	bool is_required;
};

/* The word at *at, which is moved on; false at the end. */
bool attribute_next(const char **at, struct attribute *ret_attribute);
bool attribute_is(const struct attribute *attribute, const char *name);

#endif
