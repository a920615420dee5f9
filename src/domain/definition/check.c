/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "domain/definition/definition.h"
#include "domain/definition/xml_node.h"

/* Longest path of an element with its key values; what doesn't fit isn't in the table. */
enum { PATH = 512, WORD = 128 };

/* ---- kinds ---- */

static bool is_word(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789_.:+@-");

	return len > 0 && len < 256 && !text[len];
}

static bool is_mac(const char *text)
{
	for (int i = 0; i < 17; i++)
		if (i % 3 == 2 ? text[i] != ':'
			       : !text[i] || !strchr("0123456789abcdefABCDEF", text[i]))
			return false;
	return !text[17];
}

static bool is_uuid(const char *text)
{
	int digits = 0;

	for (; *text; text++) {
		if (*text == '-')
			continue;
		if (!strchr("0123456789abcdefABCDEF", *text) || ++digits > 32)
			return false;
	}
	return digits == 32;
}

/* "0-3,^2,8": whether these CPUs or nodes exist is for the start to see. */
static bool is_cpuset(const char *text)
{
	size_t len = strspn(text, "0123456789,^-");

	return len > 0 && !text[len] && strlen(text) < 1024 && text[0] != ',' && text[0] != '-' &&
	       text[len - 1] != ',' && text[len - 1] != '-' && text[len - 1] != '^';
}

static bool is_machine(const char *text)
{
	return strcmp(text, "q35") == 0 || (strncmp(text, "pc-q35-", 7) == 0 && is_word(text));
}

/* libvirt's -1 is "not chosen yet". */
static bool is_port(const char *text)
{
	uint64_t number;

	return strcmp(text, "-1") == 0 || text_parse_number(text, 10, 65535, &number) == 0;
}

/* A World Wide Name (T10 SPC), 64 bits without 0x. */
static bool is_wwn(const char *text)
{
	return strlen(text) == 16 && text[strspn(text, "0123456789abcdefABCDEF")] == '\0';
}

/* XML Schema's dateTime without a zone: UTC. */
static bool is_time(const char *text)
{
	struct tm tm = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	return end && !*end;
}

static const struct {
	const char *name;
	bool (*is)(const char *text);
	const char *what;
	int errnum; /* when it isn't */
} kinds[] = {
	{"mac", is_mac, "a MAC address", EINVAL},
	{"uuid", is_uuid, "a UUID", EINVAL},
	{"cpuset", is_cpuset, "a list such as 0-3,8", EINVAL},
	{"machine", is_machine, "q35 or one of its versions", EOPNOTSUPP},
	{"port", is_port, "a port", EINVAL},
	{"time", is_time, "a time such as 2030-01-31T23:59:59", EINVAL},
	{"wwn", is_wwn, "16 hexadecimal digits", EINVAL},
};

/* A value and its kind, and where it stands, for messages. */
struct value {
	const char *text;
	const char *kind; /* the first @kind_length bytes */
	size_t kind_length;
	const char *path; /* of the element, with key values */
	const char *attribute;
	const xmlNode *node;
};

/* "domain/devices/disk@type": a path without the key values, which only we put there. */
static const char *place(const struct value *value, char buffer[PATH])
{
	size_t len = 0;

	for (const char *at = value->path; *at && len + 1 < PATH; at++) {
		if (*at == '[')
			at += strcspn(at, "]");
		else
			buffer[len++] = *at;
	}
	buffer[len] = '\0';
	if (value->attribute)
		(void)text_format(buffer + len, PATH - len, "@%s", value->attribute);
	return buffer;
}

static int fail_value(const struct value *value, int errnum, const char *what, struct pt_error *err)
{
	char where[PATH];

	return pt_fail(err, PT_INVALID, errnum, "%s is '%.100s', which isn't %s (line %ld)",
		       place(value, where), value->text, what, xmlGetLineNo(value->node));
}

static int check_choice(const struct value *value, struct pt_error *err)
{
	size_t len = strlen(value->text);
	const char *at = value->kind, *end = at + value->kind_length;
	char where[PATH];

	while (at < end) {
		size_t word = strcspn(at, "| ");

		if (word == len && memcmp(at, value->text, len) == 0)
			return 0;
		at += word + 1;
	}
	return pt_fail(err, PT_INVALID, EOPNOTSUPP,
		       "%s='%.100s' isn't supported (line %ld); supported: %.*s",
		       place(value, where), value->text, xmlGetLineNo(value->node),
		       (int)value->kind_length, value->kind);
}

static int check_number(const struct value *value, struct pt_error *err)
{
	bool may_be_hex = value->kind[0] == '%' && strncmp(value->text, "0x", 2) == 0;
	unsigned long long min, max;
	uint64_t number;
	char what[64], *dash;

	min = strtoull(value->kind + 1, &dash, 10);
	max = strtoull(dash + 1, NULL, 10);
	if (text_parse_number(value->text, may_be_hex ? 16 : 10, max, &number) == 0 &&
	    number >= min)
		return 0;
	(void)text_format(what, sizeof(what), "a number from %llu to %llu", min, max);
	return fail_value(value, EINVAL, what, err);
}

static int check_named(const struct value *value, struct pt_error *err)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strlen(kinds[i].name) != value->kind_length - 1 ||
		    memcmp(kinds[i].name, value->kind + 1, value->kind_length - 1) != 0)
			continue;
		if (kinds[i].is(value->text))
			return 0;
		return fail_value(value, kinds[i].errnum, kinds[i].what, err);
	}
	return fail_value(value, EOPNOTSUPP, "of a known kind", err);
}

static int check_value(const struct value *value, struct pt_error *err)
{
	switch (value->kind[0]) {
	case '#':
	case '%':
		return check_number(value, err);
	case '^':
		if (!*value->text)
			return 0;
		__attribute__((fallthrough));
	case '/':
		/* the kernel takes no longer ones, and no QEMU option holds a newline */
		if (value->text[0] == '/' && strlen(value->text) < 4096 &&
		    !strpbrk(value->text, "\n\r"))
			return 0;
		return fail_value(value, EINVAL, "an absolute path", err);
	case '~':
		return is_word(value->text) ? 0 : fail_value(value, EINVAL, "a word", err);
	case '?':
		return 0;
	case '&':
		return check_named(value, err);
	default:
		return check_choice(value, err);
	}
}

/* ---- rows ---- */

/* Is the word @name (@len bytes) in "{a,b}", in "a,b" or "a" itself, which ends at @end? */
static bool is_in_list(const char *list, const char *end, const char *name, size_t len)
{
	if (list < end && *list == '{') {
		list++;
		end--;
	}
	while (list < end) {
		const char *comma = memchr(list, ',', (size_t)(end - list));
		size_t word = (size_t)((comma ? comma : end) - list);

		if (word == len && memcmp(list, name, len) == 0)
			return true;
		list += word + 1;
	}
	return false;
}

/* One word of a pattern against one word of a path, both with their "[…]". */
static bool word_matches(const char *pattern, size_t pattern_len, const char *word, size_t len)
{
	const char *key = memchr(word, '[', len);
	const char *wanted = memchr(pattern, '[', pattern_len);
	const char *pattern_end = pattern + pattern_len;
	size_t name_len = key ? (size_t)(key - word) : len;

	/* most rows are somewhere else altogether */
	if (*pattern != '{' && *pattern != *word)
		return false;
	if (!is_in_list(pattern, wanted ? wanted : pattern_end, word, name_len))
		return false;
	if (!wanted)
		return true;
	return key && is_in_list(wanted + 1, pattern_end - 1, key + 1, len - name_len - 2);
}

static bool path_matches(const char *pattern, const char *path)
{
	for (;;) {
		size_t pattern_len = strcspn(pattern, "/"), len = strcspn(path, "/");

		if (!word_matches(pattern, pattern_len, path, len))
			return false;
		pattern += pattern_len;
		path += len;
		if (!*pattern || !*path)
			return !*pattern && !*path;
		pattern++;
		path++;
	}
}

/* The next row for @path behind @row (NULL: the first). */
static const struct supported *next_row(const char *path, const struct supported *row)
{
	const struct supported *at = row ? row + 1 : supported_guest;
	const char *slash = strchr(path, '/');

	path = slash ? slash + 1 : "."; /* rows begin below <domain>, which is "." */
	/* two tables, one after the other; only the address tells where @at is */
	if (at >= supported_guest && at <= supported_guest + supported_guest_count) {
		for (; at < supported_guest + supported_guest_count; at++)
			if (path_matches(at->path, path))
				return at;
		at = supported_devices;
	}
	for (; at < supported_devices + supported_devices_count; at++)
		if (path_matches(at->path, path))
			return at;
	return NULL;
}

/* One word of a row's attributes. */
struct attribute {
	char name[64];
	const char *kind;
	size_t kind_length;
	bool is_key;
	bool is_required;
};

static bool next_attribute(const char **at, struct attribute *ret_attribute)
{
	const char *text = *at ? *at + strspn(*at, " ") : "";
	size_t len = strcspn(text, " "), name;

	if (!len)
		return false;
	*ret_attribute = (struct attribute){.is_key = *text == '*'};
	*at = text + len;
	text += ret_attribute->is_key;
	name = strcspn(text, "!=");
	assert(name < sizeof(ret_attribute->name));
	memcpy(ret_attribute->name, text, name); /* zeroed above */
	ret_attribute->is_required = text[name] == '!';
	ret_attribute->kind = text + strcspn(text, "=") + 1;
	ret_attribute->kind_length = (size_t)(*at - ret_attribute->kind);
	return true;
}

static bool find_attribute(const char *path, const char *name, struct attribute *ret_attribute)
{
	const struct supported *row = NULL;

	while ((row = next_row(path, row))) {
		const char *at = row->attributes;

		while (next_attribute(&at, ret_attribute))
			if (strcmp(ret_attribute->name, name) == 0)
				return true;
	}
	return false;
}

/* ---- elements ---- */

static int fail_unsupported(const struct value *value, struct pt_error *err)
{
	char where[PATH];

	return pt_fail(err, PT_INVALID, EOPNOTSUPP, "%s isn't supported (line %ld)",
		       place(value, where), xmlGetLineNo(value->node));
}

static int check_attributes(const xmlNode *node, const char *path, struct pt_error *err)
{
	const struct supported *row = NULL;
	struct attribute attribute;
	char where[PATH];

	while ((row = next_row(path, row))) {
		const char *at = row->attributes;

		while (next_attribute(&at, &attribute)) {
			const struct value value = {
				.path = path, .attribute = attribute.name, .node = node};

			if (attribute.is_required && !node_attribute(node, attribute.name))
				return pt_fail(err, PT_INVALID, EINVAL, "%s is missing (line %ld)",
					       place(&value, where), xmlGetLineNo(node));
		}
	}
	for (const xmlAttr *at = node->properties; at; at = at->next) {
		const char *name = (const char *)at->name;
		struct value value = {.path = path, .attribute = name, .node = node};
		int r;

		if (at->ns || !find_attribute(path, name, &attribute))
			return fail_unsupported(&value, err);
		value.text = node_attribute(node, name);
		value.kind = attribute.kind;
		value.kind_length = attribute.kind_length;
		r = check_value(&value, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The last text in @node, which holds none but its first child when all is well. */
static const char *stray_text(const xmlNode *node)
{
	const char *text = NULL;

	for (const xmlNode *child = node->children; child; child = child->next)
		if (child->type == XML_TEXT_NODE && child->prev)
			text = (const char *)child->content;
	return text;
}

static int check_text(const xmlNode *node, const char *path, struct pt_error *err)
{
	const char *text = stray_text(node) ? stray_text(node) : node_text(node);
	const struct supported *row = NULL;
	struct value value = {.path = path, .node = node, .text = text ? text : ""};

	while (!stray_text(node) && (row = next_row(path, row)))
		if (row->text) {
			value.kind = row->text;
			value.kind_length = strlen(row->text);
			return check_value(&value, err);
		}
	return text ? fail_value(&value, EINVAL, "expected: no text is allowed there", err) : 0;
}

/* ret_path: @parent, the element's name and the value of its key attribute. */
static int path_of(const xmlNode *node, const char *parent, char ret_path[PATH])
{
	bool is_qemu = node->ns && strcmp((const char *)node->ns->href, QEMU_NAMESPACE) == 0;
	const struct supported *row = NULL;
	struct attribute attribute;
	int len;

	/* what else has a namespace is not ours: its name is made to match no row */
	len = text_format(ret_path, PATH, "%s%s%s%s", parent, *parent ? "/" : "",
			  is_qemu    ? "qemu:"
			  : node->ns ? "other:"
				     : "",
			  (const char *)node->name);
	if (len < 0)
		return len;
	while ((row = next_row(ret_path, row))) {
		const char *at = row->attributes;

		while (next_attribute(&at, &attribute)) {
			const char *key = node_attribute(node, attribute.name);

			/* a value that isn't a word is refused later, by its kind */
			if (attribute.is_key && key && is_word(key))
				return text_format(ret_path + len, PATH - (size_t)len, "[%s]", key);
		}
	}
	return 0;
}

static int check_element(const xmlNode *node, const char *parent, int depth, struct pt_error *err);

static bool is_repeated(const xmlNode *node)
{
	const xmlNode *at;

	for (at = node->prev; at; at = at->prev)
		if (at->type == XML_ELEMENT_NODE && at->ns == node->ns &&
		    strcmp((const char *)at->name, (const char *)node->name) == 0)
			return true;
	return false;
}

static int check_children(const xmlNode *node, const char *path, int depth, struct pt_error *err)
{
	for (const xmlNode *child = node_child(node, NULL); child; child = node_next(child, NULL)) {
		int r = check_element(child, path, depth + 1, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int check_element(const xmlNode *node, const char *parent, int depth, struct pt_error *err)
{
	char path[PATH], where[PATH];
	struct value value = {.path = path, .node = node};
	const struct supported *row;
	int r;

	if (depth > DEFINITION_MAX_DEPTH || path_of(node, parent, path) < 0)
		return pt_fail(err, PT_INVALID, EINVAL,
			       "the definition is nested too deeply (line "
			       "%ld)",
			       xmlGetLineNo(node));
	row = next_row(path, NULL);
	if (!row)
		return fail_unsupported(&value, err);
	if (row->times == ONE && is_repeated(node))
		return pt_fail(err, PT_INVALID, EINVAL, "%s occurs more than once (line %ld)",
			       place(&value, where), xmlGetLineNo(node));
	if (row->times == VERBATIM)
		return 0;
	r = check_attributes(node, path, err);
	if (r == 0)
		r = check_text(node, path, err);
	return r < 0 ? r : check_children(node, path, depth, err);
}

int definition_check(const xmlNode *root, bool is_device, struct pt_error *err)
{
	if (is_device)
		return check_element(root, "domain/devices", 2, err);
	if (!node_is(root, "domain"))
		return pt_fail(err, PT_INVALID, EINVAL, "the root element is <%s>, not <domain>",
			       (const char *)root->name);
	return check_element(root, "", 0, err);
}
