/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/xml_node.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* Names are bytes to us and unsigned bytes to libxml2. */
#define X(text) ((const xmlChar *)(text))

bool node_is(const xmlNode *node, const char *name)
{
	return node && node->type == XML_ELEMENT_NODE && !node->ns &&
	       strcmp((const char *)node->name, name) == 0;
}

static xmlNode *first_of(xmlNode *node, const char *name)
{
	for (; node; node = node->next)
		if (name ? node_is(node, name) : node->type == XML_ELEMENT_NODE)
			return node;
	return NULL;
}

xmlNode *node_child(const xmlNode *node, const char *name)
{
	return node ? first_of(node->children, name) : NULL;
}

xmlNode *node_next(const xmlNode *node, const char *name)
{
	return node ? first_of(node->next, name) : NULL;
}

/* @path up to @end, or all of it. */
static xmlNode *find_until(const xmlNode *node, const char *path, const char *end)
{
	xmlNode *at = (xmlNode *)(uintptr_t)node;

	while (at && path < end) {
		const char *slash = memchr(path, '/', (size_t)(end - path));
		size_t len = slash ? (size_t)(slash - path) : (size_t)(end - path);
		xmlNode *child = node_child(at, NULL);

		while (child && (child->ns || strlen((const char *)child->name) != len ||
				 memcmp(child->name, path, len) != 0))
			child = node_next(child, NULL);
		at = child;
		path += len + (slash ? 1 : 0);
	}
	return at;
}

xmlNode *node_find(const xmlNode *node, const char *path)
{
	return find_until(node, path, path + strlen(path));
}

const char *node_attribute(const xmlNode *node, const char *name)
{
	const xmlAttr *attribute = node ? xmlHasNsProp(node, X(name), NULL) : NULL;

	if (!attribute)
		return NULL;
	/* one text node: the parser joined them (parse.c) */
	return attribute->children && attribute->children->content
		       ? (const char *)attribute->children->content
		       : "";
}

const char *node_text(const xmlNode *node)
{
	const xmlNode *child = node ? node->children : NULL;

	return child && child->type == XML_TEXT_NODE ? (const char *)child->content : NULL;
}

const char *node_get(const xmlNode *node, const char *path)
{
	const char *at = strchr(path, '@');
	const xmlNode *found = find_until(node, path, at ? at : path + strlen(path));

	return at ? node_attribute(found, at + 1) : node_text(found);
}

bool node_has(const xmlNode *node, const char *attribute, const char *value)
{
	return text_equal(node_attribute(node, attribute), value);
}

bool node_says(const xmlNode *node, const char *path, const char *value)
{
	return text_equal(node_get(node, path), value);
}

xmlNode *node_add(xmlNode *parent, const char *name, const char *text)
{
	return xmlNewTextChild(parent, NULL, X(name), X(text));
}

int node_set(xmlNode *node, const char *attribute, const char *value)
{
	return xmlSetNsProp(node, NULL, X(attribute), X(value)) ? 0 : -ENOMEM;
}

int node_set_format(xmlNode *node, const char *attribute, const char *format, ...)
{
	char value[256];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= sizeof(value))
		return -ENAMETOOLONG;
	return node_set(node, attribute, value);
}

int node_set_text(xmlNode *node, const char *text)
{
	xmlNode *made = text ? xmlNewDocText(node->doc, X(text)) : NULL;

	if (text && !made)
		return -ENOMEM;
	while (node->children)
		node_remove(node->children);
	if (made)
		(void)xmlAddChild(node, made);
	return 0;
}

void node_unset(xmlNode *node, const char *attribute)
{
	if (node)
		(void)xmlUnsetNsProp(node, NULL, X(attribute));
}

void node_remove(xmlNode *node)
{
	if (!node)
		return;
	xmlUnlinkNode(node);
	xmlFreeNode(node);
}

int node_number(const xmlNode *node, const char *attribute, uint64_t max, uint64_t *ret_value)
{
	const char *text = node_attribute(node, attribute);

	if (!text)
		return -ENOENT;
	return text_parse_number(text, strncmp(text, "0x", 2) == 0 ? 16 : 10, max, ret_value);
}
