/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes with units, and UUIDs. */
#ifndef DOMAIN_DEFINITION_UNITS_H
#define DOMAIN_DEFINITION_UNITS_H

#include <stdint.h>

#include <libxml/tree.h>

#include "base/error.h"

/* "2 GiB" as 2 and "GiB"; NULL is libvirt's KiB. Fails for what 64 bits don't hold. */
int size_parse(const char *text, const char *unit, uint64_t *ret_bytes, struct pt_error *err);

/* <memory unit='GiB'>2</memory>; -ENOENT for NULL. */
int size_of_node(const xmlNode *node, uint64_t *ret_bytes, struct pt_error *err);

/* @text passed the check of kind &uuid. */
void uuid_parse(const char *text, unsigned char ret_bytes[16]);
char *uuid_format(const unsigned char bytes[16], char text[37]);

#endif
