/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Short words for what libxml2's tree takes many calls to say. Elements with a prefix are not
 * found by these: "qemu:commandline" is another thing than "commandline". */
#ifndef DOMAIN_DEFINITION_XML_NODE_H
#define DOMAIN_DEFINITION_XML_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include <libxml/tree.h>

/* First child element, and the next one after @node, called @name (NULL: any). */
xmlNode *node_child(const xmlNode *node, const char *name);
xmlNode *node_next(const xmlNode *node, const char *name);

/* node_child() for each word of "os/loader". */
xmlNode *node_find(const xmlNode *node, const char *path);

/* An attribute's value, NULL if it is missing. Valid until the attribute is changed. */
const char *node_attribute(const xmlNode *node, const char *name);

/* An element's text, NULL when it is empty. Lasts until it is changed. */
const char *node_text(const xmlNode *node);

/* "os/loader" (text) or "os/loader@type"; NULL when there is no such thing. */
const char *node_get(const xmlNode *node, const char *path);

bool node_is(const xmlNode *node, const char *name);

/* True when the attribute is there and is @value. */
bool node_has(const xmlNode *node, const char *attribute, const char *value);

/* True when the attribute or text at @path is there and is @value. */
bool node_says(const xmlNode *node, const char *path, const char *value);

/* New element at the end of @parent; NULL without memory. @text may be NULL. */
xmlNode *node_add(xmlNode *parent, const char *name, const char *text);

/* 0 or -ENOMEM. */
int node_set(xmlNode *node, const char *attribute, const char *value);
int node_set_format(xmlNode *node, const char *attribute, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Replace the contents of an element; NULL empties it. 0 or -ENOMEM. */
int node_set_text(xmlNode *node, const char *text);

void node_unset(xmlNode *node, const char *attribute);

/* Out of the tree and freed; NULL is allowed. */
void node_remove(xmlNode *node);

/* Number of an attribute in @base (0: hex with 0x, else decimal); -ENOENT, -EINVAL, -ERANGE. */
int node_number(const xmlNode *node, const char *attribute, uint64_t max, uint64_t *ret_value);

#endif
