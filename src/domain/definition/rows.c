/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/rows.h"

#include <assert.h>
#include <string.h>

/* Is @prefix and @name one of "a,b", which ends at one of @ends? Then @ret_end is there. */
static bool is_in_list(const char *list, const char *ends, const char *prefix, const char *name)
{
	size_t prefix_len = strlen(prefix), name_len = strlen(name);

	for (;;) {
		size_t len = strcspn(list, ends);

		if (len == prefix_len + name_len && memcmp(list, prefix, prefix_len) == 0 &&
		    memcmp(list + prefix_len, name, name_len) == 0)
			return true;
		if (list[len] != ',')
			return false;
		list += len + 1;
	}
}

/* Does @pattern begin with this word? Then @ret_row goes on behind it. */
static bool word_matches(const char *pattern, const char *prefix, const char *name,
			 struct row *ret_row)
{
	const char *end;

	if (*pattern == '{') {
		if (!is_in_list(pattern + 1, ",}", prefix, name))
			return false;
		end = strchr(pattern, '}') + 1;
	} else {
		if (!is_in_list(pattern, "[/", prefix, name))
			return false;
		end = pattern + strlen(prefix) + strlen(name);
	}
	ret_row->keys = *end == '[' ? end : NULL;
	if (ret_row->keys)
		end = strchr(end, ']') + 1;
	ret_row->rest = end + (*end == '/');
	return true;
}

static void add_row(struct rows *rows, const struct supported *supported, const char *pattern,
		    const char *prefix, const char *name)
{
	struct row row = {.supported = supported};

	/* most rows are somewhere else altogether */
	if (*pattern != '{' && *pattern != (*prefix ? *prefix : *name))
		return;
	if (!*pattern || !word_matches(pattern, prefix, name, &row))
		return;
	assert(rows->count < rows->room);
	rows->at[rows->count++] = row;
}

struct rows rows_of_guest(struct row *room, size_t size)
{
	struct rows rows = {.at = room, .room = size, .is_guest = true};

	rows.at[rows.count++] = (struct row){.supported = supported_guest, .rest = ""};
	return rows;
}

struct rows rows_below(const struct rows *parent, const char *prefix, const char *name)
{
	struct rows rows = {.at = parent->at + parent->count, .room = parent->room - parent->count};
	const bool is_devices = parent->is_guest && !*prefix && strcmp(name, "devices") == 0;

	for (size_t i = 0; i < parent->count; i++)
		add_row(&rows, parent->at[i].supported, parent->at[i].rest, prefix, name);
	for (size_t i = 1; parent->is_guest && i < supported_guest_count; i++)
		add_row(&rows, &supported_guest[i], supported_guest[i].path, prefix, name);
	for (size_t i = 0; is_devices && i < supported_devices_count; i++)
		add_row(&rows, &supported_devices[i], supported_devices[i].path, prefix, name);
	return rows;
}

void rows_keep_key(struct rows *rows, const char *key)
{
	size_t count = 0;

	for (size_t i = 0; i < rows->count; i++)
		if (!rows->at[i].keys || (key && is_in_list(rows->at[i].keys + 1, ",]", "", key)))
			rows->at[count++] = rows->at[i];
	rows->count = count;
}

const struct row *rows_next_own(const struct rows *rows, const struct row *row)
{
	for (row = row ? row + 1 : rows->at; row < rows->at + rows->count; row++)
		if (!*row->rest)
			return row;
	return NULL;
}

bool attribute_next(const char **at, struct attribute *ret_attribute)
{
	const char *text = *at ? *at + strspn(*at, " ") : "";
	size_t len = strcspn(text, " ");

	if (!len)
		return false;
	*ret_attribute = (struct attribute){.is_key = *text == '*'};
	*at = text + len;
	text += ret_attribute->is_key;
	ret_attribute->name = text;
	ret_attribute->name_length = strcspn(text, "!=");
	text += ret_attribute->name_length;
	ret_attribute->is_required = *text == '!';
	ret_attribute->kind = text + strcspn(text, "=") + 1;
	ret_attribute->kind_length = (size_t)(*at - ret_attribute->kind);
	return true;
}

bool attribute_is(const struct attribute *attribute, const char *name)
{
	return strncmp(attribute->name, name, attribute->name_length) == 0 &&
	       !name[attribute->name_length];
}
