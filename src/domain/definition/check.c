/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "base/auto.h"
#include "domain/definition/definition.h"
#include "domain/definition/rows.h"
#include "domain/definition/xml_node.h"

/* Longest path of an element in a message. */
enum { PATH = 512 };

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

bool definition_is_machine(const char *text)
{
	return strcmp(text, "q35") == 0 || strcmp(text, "pc") == 0 ||
	       ((strncmp(text, "pc-q35-", 7) == 0 || strncmp(text, "pc-i440fx-", 10) == 0) &&
		is_word(text));
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

/* Nothing: one is made. */
static bool is_genid(const char *text)
{
	return !*text || is_uuid(text);
}

static const struct {
	const char *name;
	bool (*is)(const char *text);
	const char *what;
	int errnum; /* when it isn't */
} kinds[] = {
	{"mac", is_mac, "a MAC address", EINVAL},
	{"uuid", is_uuid, "a UUID", EINVAL},
	{"genid", is_genid, "a UUID", EINVAL},
	{"cpuset", is_cpuset, "a list such as 0-3,8", EINVAL},
	{"machine", definition_is_machine, "q35, pc or one of their versions", EOPNOTSUPP},
	{"port", is_port, "a port", EINVAL},
	{"time", is_time, "a time such as 2030-01-31T23:59:59", EINVAL},
	{"wwn", is_wwn, "16 hexadecimal digits", EINVAL},
};

const char *definition_kind_words(const char *kind, size_t length)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(kinds[i].name, kind, length) == 0 && !kinds[i].name[length])
			return kinds[i].what;
	return "";
}

/* A value and its kind, and where it stands, for messages. */
struct value {
	const char *text;
	const char *kind; /* the first @kind_length bytes */
	size_t kind_length;
	const char *attribute;
	size_t attribute_length;
	const xmlNode *node;
};

/* What else has a namespace is not ours: its name is made to match no row. */
static const char *prefix_of(const xmlNode *node)
{
	if (!node->ns)
		return "";
	return strcmp((const char *)node->ns->href, QEMU_NAMESPACE) == 0 ? "qemu:" : "other:";
}

/* "domain/devices/disk", for a device that stands alone too; cut when it is too long. */
static size_t write_path(const xmlNode *node, char buffer[PATH])
{
	const xmlNode *parent = node->parent;
	bool has_parent = parent && parent->type == XML_ELEMENT_NODE;
	size_t len = 0;

	if (has_parent)
		len = write_path(parent, buffer);
	else if (!node_is(node, "domain") && text_copy(buffer, PATH, "domain/devices"))
		len = strlen(buffer);
	(void)text_format(buffer + len, PATH - len, "%s%s%.200s", len ? "/" : "", prefix_of(node),
			  (const char *)node->name);
	return strlen(buffer);
}

/* "domain/devices/disk@type" */
static const char *place(const struct value *value, char buffer[PATH])
{
	size_t len = write_path(value->node, buffer);

	if (value->attribute)
		(void)text_format(buffer + len, PATH - len, "@%.*s", (int)value->attribute_length,
				  value->attribute);
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

/* ---- elements ---- */

static const char *property_text(const xmlAttr *property)
{
	return property->children && property->children->content
		       ? (const char *)property->children->content
		       : "";
}

static const xmlAttr *find_property(const xmlNode *node, const struct attribute *attribute)
{
	const xmlAttr *at = node->properties;

	while (at && (at->ns || !attribute_is(attribute, (const char *)at->name)))
		at = at->next;
	return at;
}

static bool find_attribute(const struct rows *rows, const char *name,
			   struct attribute *ret_attribute)
{
	const struct row *row = NULL;

	while ((row = rows_next_own(rows, row))) {
		const char *at = row->supported->attributes;

		while (attribute_next(&at, ret_attribute))
			if (attribute_is(ret_attribute, name))
				return true;
	}
	return false;
}

static int fail_unsupported(const struct value *value, struct pt_error *err)
{
	char where[PATH];

	return pt_fail(err, PT_INVALID, EOPNOTSUPP, "%s isn't supported (line %ld)",
		       place(value, where), xmlGetLineNo(value->node));
}

static int check_required(const xmlNode *node, const struct rows *rows, struct pt_error *err)
{
	const struct row *row = NULL;
	struct attribute attribute;
	char where[PATH];

	while ((row = rows_next_own(rows, row))) {
		const char *at = row->supported->attributes;

		while (attribute_next(&at, &attribute)) {
			const struct value value = {.attribute = attribute.name,
						    .attribute_length = attribute.name_length,
						    .node = node};

			if (attribute.is_required && !find_property(node, &attribute))
				return pt_fail(err, PT_INVALID, EINVAL, "%s is missing (line %ld)",
					       place(&value, where), xmlGetLineNo(node));
		}
	}
	return 0;
}

static int check_attributes(const xmlNode *node, const struct rows *rows, struct pt_error *err)
{
	int r = check_required(node, rows, err);

	for (const xmlAttr *at = node->properties; at && r == 0; at = at->next) {
		const char *name = (const char *)at->name;
		struct value value = {
			.attribute = name, .attribute_length = strlen(name), .node = node};
		struct attribute attribute;

		if (at->ns || !find_attribute(rows, name, &attribute))
			return fail_unsupported(&value, err);
		value.text = property_text(at);
		value.kind = attribute.kind;
		value.kind_length = attribute.kind_length;
		r = check_value(&value, err);
	}
	return r;
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

static int check_text(const xmlNode *node, const struct rows *rows, struct pt_error *err)
{
	const char *stray = stray_text(node), *text = stray ? stray : node_text(node);
	const struct row *row = NULL;
	struct value value = {.node = node, .text = text ? text : ""};

	while (!stray && (row = rows_next_own(rows, row)))
		if (row->supported->text) {
			value.kind = row->supported->text;
			value.kind_length = strlen(value.kind);
			return check_value(&value, err);
		}
	return text ? fail_value(&value, EINVAL, "expected: no text is allowed there", err) : 0;
}

/* The value of the attribute that is the element's key, as a row without one names it; or NULL. */
static const char *key_of(const xmlNode *node, const struct rows *rows)
{
	const struct row *row = NULL;
	struct attribute attribute;

	while ((row = rows_next_own(rows, row))) {
		const char *at = row->keys ? NULL : row->supported->attributes;

		while (attribute_next(&at, &attribute)) {
			const xmlAttr *found =
				attribute.is_key ? find_property(node, &attribute) : NULL;

			/* a value that isn't a word is refused later, by its kind */
			if (found && is_word(property_text(found)))
				return property_text(found);
		}
	}
	return NULL;
}

static int check_element(const xmlNode *node, const struct rows *parent, int depth,
			 struct pt_error *err);

static bool is_repeated(const xmlNode *node)
{
	const xmlNode *at;

	for (at = node->prev; at; at = at->prev)
		if (at->type == XML_ELEMENT_NODE && at->ns == node->ns &&
		    strcmp((const char *)at->name, (const char *)node->name) == 0)
			return true;
	return false;
}

/* @rows: those that apply to the element itself, and to what is in it. */
static int check_content(const xmlNode *node, const struct rows *rows, int depth,
			 struct pt_error *err)
{
	const struct row *row = rows_next_own(rows, NULL);
	const struct value value = {.node = node};
	char where[PATH];
	int r;

	if (!row)
		return fail_unsupported(&value, err);
	if (row->supported->times == ONE && is_repeated(node))
		return pt_fail(err, PT_INVALID, EINVAL, "%s occurs more than once (line %ld)",
			       place(&value, where), xmlGetLineNo(node));
	if (row->supported->times == VERBATIM)
		return 0;
	r = check_attributes(node, rows, err);
	if (r == 0)
		r = check_text(node, rows, err);
	for (const xmlNode *child = node_child(node, NULL); child && r == 0;
	     child = node_next(child, NULL))
		r = check_element(child, rows, depth + 1, err);
	return r;
}

static int check_element(const xmlNode *node, const struct rows *parent, int depth,
			 struct pt_error *err)
{
	struct rows rows;

	if (depth > DEFINITION_MAX_DEPTH)
		return pt_fail(err, PT_INVALID, EINVAL,
			       "the definition is nested too deeply (line %ld)",
			       xmlGetLineNo(node));
	rows = rows_below(parent, prefix_of(node), (const char *)node->name);
	rows_keep_key(&rows, key_of(node, &rows));
	return check_content(node, &rows, depth, err);
}

int definition_check(const xmlNode *root, bool is_device, struct pt_error *err)
{
	AUTO_FREE struct row *room = NULL;
	struct rows guest, rows;

	if (!is_device && !node_is(root, "domain"))
		return pt_fail(err, PT_INVALID, EINVAL, "the root element is <%s>, not <domain>",
			       (const char *)root->name);
	if (is_device && node_is(root, "domain"))
		return pt_fail(err, PT_INVALID, EOPNOTSUPP,
			       "the root element is <domain>, not a device");
	room = malloc(ROWS_MAX * sizeof(*room));
	if (!room)
		return pt_fail_memory(err);
	guest = rows_of_guest(room, ROWS_MAX);
	if (is_device) {
		rows = rows_below(&guest, "", "devices");
		return check_element(root, &rows, 2, err);
	}
	return check_content(root, &guest, 0, err);
}
