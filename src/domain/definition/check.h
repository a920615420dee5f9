/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The check of a definition against the table of what is supported (rows.h). */
#ifndef DOMAIN_DEFINITION_CHECK_H
#define DOMAIN_DEFINITION_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include <libxml/tree.h>

#include "base/error.h"

#define QEMU_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"

/* The whole document, or one device. The message names the path, as "domain/devices/disk". */
int definition_check(const xmlNode *root, bool is_device, struct pt_error *err);

/* Rules that the table can't express (rules.c): required elements, and unique ones. */
int definition_check_rules(const xmlNode *root, struct pt_error *err);

/* Fails when <devices> (NULL: there is none) has no room for @more of them. */
int definition_check_count(const xmlNode *devices, unsigned int more, struct pt_error *err);

/* The name of a machine that guests can have: q35, pc or one of their versions. */
bool definition_is_machine(const char *text);

/* Words for a kind of values, "mac": "a MAC address"; "" for none. */
const char *definition_kind_words(const char *kind, size_t length);

#endif
