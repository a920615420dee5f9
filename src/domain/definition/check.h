/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of what is supported in a definition, and the check against it.
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
 */
#ifndef DOMAIN_DEFINITION_CHECK_H
#define DOMAIN_DEFINITION_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include <libxml/tree.h>

#include "base/error.h"

struct supported {
	const char *path;
	const char *text;
	const char *attributes;
	enum { ONE, MANY, VERBATIM } times; /* in its parent; VERBATIM: anything may be in it */
};

/* table.c and table_devices.c */
extern const struct supported supported_guest[], supported_devices[];
extern const size_t supported_guest_count, supported_devices_count;

#define QEMU_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"

/* The whole document, or one device. The message names the path, as "domain/devices/disk". */
int definition_check(const xmlNode *root, bool is_device, struct pt_error *err);

/* Rules that the table can't express (rules.c): required elements, and unique ones. */
int definition_check_rules(const xmlNode *root, struct pt_error *err);

/* Fails when <devices> (NULL: there is none) has no room for @more of them. */
int definition_check_count(const xmlNode *devices, unsigned int more, struct pt_error *err);

#endif
