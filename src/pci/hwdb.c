/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pci/hwdb.h"

#include <stdbool.h>
#include <string.h>

/* Offsets in the header, which begins with SIGNATURE; all numbers are 64 bits, little endian. */
#define SIGNATURE     "KSLPHHRH"
#define AT_NODE_SIZE  32
#define AT_CHILD_SIZE 40
#define AT_VALUE_SIZE 48
#define AT_ROOT	      56
#define HEADER_SIZE   80

/* A node: offset of its prefix, number of children (8 bits), number of values; both follow it. */
#define NODE_PREFIX   0
#define NODE_CHILDREN 8
#define NODE_VALUES   16
#define NODE_SIZE     24

/* A child: its character (8 bits), offset of its node. */
#define CHILD_NODE 8
#define CHILD_SIZE 16

/* A value: offsets of its key and its text; newer versions add what it came from. */
#define VALUE_TEXT 8
#define VALUE_SIZE 16

/* Whole structures of a later version may be longer, but not that much. */
#define SIZE_MAX_OF_ANY 4096

struct layout {
	size_t node_size;
	size_t child_size;
	size_t value_size;
	size_t root;
};

static uint64_t get64(const struct hwdb *hwdb, size_t at)
{
	uint64_t value = 0;
	int i;

	for (i = 7; i >= 0; i--)
		value = value << 8 | hwdb->bytes[at + (size_t)i];
	return value;
}

static bool fits(const struct hwdb *hwdb, uint64_t at, uint64_t size)
{
	return at <= hwdb->size && size <= hwdb->size - at;
}

/* A terminated string; NULL when it isn't one. */
static const char *get_text(const struct hwdb *hwdb, uint64_t at)
{
	if (at >= hwdb->size || !memchr(hwdb->bytes + at, '\0', hwdb->size - (size_t)at))
		return NULL;
	return (const char *)hwdb->bytes + at;
}

static bool get_size(const struct hwdb *hwdb, size_t at, size_t least, size_t *ret_size)
{
	uint64_t size = get64(hwdb, at);

	*ret_size = (size_t)size;
	return size >= least && size <= SIZE_MAX_OF_ANY;
}

static bool get_layout(const struct hwdb *hwdb, struct layout *ret_layout)
{
	if (hwdb->size < HEADER_SIZE || memcmp(hwdb->bytes, SIGNATURE, 8) != 0)
		return false;
	ret_layout->root = (size_t)get64(hwdb, AT_ROOT);
	return get_size(hwdb, AT_NODE_SIZE, NODE_SIZE, &ret_layout->node_size) &&
	       get_size(hwdb, AT_CHILD_SIZE, CHILD_SIZE, &ret_layout->child_size) &&
	       get_size(hwdb, AT_VALUE_SIZE, VALUE_SIZE, &ret_layout->value_size);
}

/* One node, checked: all of its children and values are inside the database. */
struct node {
	const char *prefix;
	size_t children; /* offset of the first */
	size_t children_count;
	size_t values;
	size_t values_count;
};

static bool get_node(const struct hwdb *hwdb, const struct layout *layout, uint64_t at,
		     struct node *ret_node)
{
	uint64_t values_count;

	if (!fits(hwdb, at, layout->node_size))
		return false;
	ret_node->prefix = get_text(hwdb, get64(hwdb, (size_t)at + NODE_PREFIX));
	ret_node->children = (size_t)at + layout->node_size;
	ret_node->children_count = hwdb->bytes[at + NODE_CHILDREN];
	values_count = get64(hwdb, (size_t)at + NODE_VALUES);
	ret_node->values = ret_node->children + ret_node->children_count * layout->child_size;
	ret_node->values_count = (size_t)values_count;
	return ret_node->prefix && values_count <= hwdb->size / layout->value_size &&
	       fits(hwdb, ret_node->children,
		    ret_node->children_count * layout->child_size +
			    values_count * layout->value_size);
}

/* The node below @node that @c leads to. */
static bool find_child(const struct hwdb *hwdb, const struct layout *layout,
		       const struct node *node, char c, uint64_t *ret_at)
{
	size_t i;

	for (i = 0; i < node->children_count; i++) {
		size_t child = node->children + i * layout->child_size;

		if (hwdb->bytes[child] == (uint8_t)c) {
			*ret_at = get64(hwdb, child + CHILD_NODE);
			return true;
		}
	}
	return false;
}

static const char *find_value(const struct hwdb *hwdb, const struct layout *layout,
			      const struct node *node, const char *property)
{
	const char *found = NULL;
	size_t i;

	for (i = 0; i < node->values_count; i++) {
		size_t value = node->values + i * layout->value_size;
		const char *key = get_text(hwdb, get64(hwdb, value));

		/* of two the later one counts, as it comes from a file with a later name */
		if (key && key[0] == ' ' && !strcmp(key + 1, property))
			found = get_text(hwdb, get64(hwdb, value + VALUE_TEXT));
	}
	return found;
}

const char *hwdb_find(const struct hwdb *hwdb, const char *pattern, const char *property)
{
	struct layout layout;
	struct node node;
	uint64_t at;

	if (!get_layout(hwdb, &layout))
		return NULL;
	/* each round takes a character of the pattern, so a trie that loops ends too */
	for (at = layout.root; get_node(hwdb, &layout, at, &node);) {
		size_t len = strlen(node.prefix);

		if (strncmp(node.prefix, pattern, len) != 0)
			return NULL;
		pattern += len;
		if (!*pattern)
			return find_value(hwdb, &layout, &node, property);
		if (!find_child(hwdb, &layout, &node, *pattern++, &at))
			return NULL;
	}
	return NULL;
}
