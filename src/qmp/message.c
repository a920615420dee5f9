/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp/message.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "qmp/qmp.h"

#define FIRST_ROOM ((size_t)64 * 1024)

/*
 * What json-c takes for values, by measuring: {} is 778 bytes (a hash table of 16), [] 350, and a
 * member or element of them some 160 with its key and its share of a table that has grown.
 */
#define OBJECT_BYTES 800
#define ARRAY_BYTES  400
#define VALUE_BYTES  160

/*
 * An estimate from the text alone: what can't be afforded must not be parsed. Of an object's
 * members the colons are counted, of an array's elements the commas; what is deeper than
 * QMP_MAX_DEPTH is refused anyway.
 */
static size_t estimate_memory(const char *line, size_t size)
{
	size_t i, bytes = size, depth = 0;
	bool in_string = false, is_object[QMP_MAX_DEPTH + 1] = {false};

	for (i = 0; i < size; i++) {
		if (in_string) {
			if (line[i] == '\\')
				i++;
			else if (line[i] == '"')
				in_string = false;
			continue;
		}
		switch (line[i]) {
		case '"':
			in_string = true;
			break;
		case '{':
		case '[':
			bytes += line[i] == '{' ? OBJECT_BYTES : ARRAY_BYTES;
			if (depth < QMP_MAX_DEPTH)
				is_object[++depth] = line[i] == '{';
			break;
		case '}':
		case ']':
			depth -= depth > 0;
			break;
		case ',':
			bytes += is_object[depth] ? 0 : VALUE_BYTES;
			break;
		case ':':
			bytes += VALUE_BYTES;
			break;
		default:
			break;
		}
	}
	return bytes;
}

static size_t limit_of(const struct message_buffer *buffer)
{
	return buffer->limit ? buffer->limit : QMP_MAX_MESSAGE;
}

int message_buffer_space(struct message_buffer *buffer, char **ret_at, size_t *ret_size)
{
	if (buffer->start > 0) {
		size_t left = buffer->end - buffer->start;

		memmove(buffer->bytes, buffer->bytes + buffer->start, left);
		buffer->scanned -= buffer->start;
		buffer->start = 0;
		buffer->end = left;
	}
	if (buffer->end == buffer->room) {
		size_t room = buffer->room ? 2 * buffer->room : FIRST_ROOM;
		char *bytes;

		if (buffer->end >= limit_of(buffer))
			return -EPROTO;
		bytes = realloc(buffer->bytes, room);
		if (!bytes)
			return -ENOMEM;
		buffer->bytes = bytes;
		buffer->room = room;
	}
	*ret_at = buffer->bytes + buffer->end;
	*ret_size = buffer->room - buffer->end;
	return 0;
}

void message_buffer_added(struct message_buffer *buffer, size_t size)
{
	buffer->end += size;
}

void message_buffer_free(struct message_buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct message_buffer){0};
}

int message_take(struct message_buffer *buffer, struct json_object **ret_message, size_t *ret_size)
{
	while (buffer->scanned < buffer->end) {
		char *line = buffer->bytes + buffer->start;
		char *newline = memchr(buffer->bytes + buffer->scanned, '\n',
				       buffer->end - buffer->scanned);
		size_t size;
		int r;

		if (!newline) {
			buffer->scanned = buffer->end;
			break;
		}
		size = (size_t)(newline - line);
		buffer->start += size + 1;
		buffer->scanned = buffer->start;
		if (size > limit_of(buffer))
			return -EPROTO;
		while (size > 0 && strchr(" \t\r", line[size - 1]) && line[size - 1])
			size--;
		if (size == 0)
			continue;
		*ret_size = estimate_memory(line, size);
		if (*ret_size > (buffer->limit_parsed ? buffer->limit_parsed : QMP_MAX_MEMORY))
			return -EPROTO;
		r = json_parse(line, size, QMP_MAX_MESSAGE, QMP_MAX_DEPTH, ret_message, NULL);
		if (r < 0)
			return r == -ENOMEM ? r : -EPROTO;
		return 1;
	}
	return 0;
}

static bool has(struct json_object *object, const char *key, enum json_type type)
{
	struct json_object *value;

	return json_object_object_get_ex(object, key, &value) && json_object_is_type(value, type);
}

int message_kind(struct json_object *message)
{
	struct json_object *error;

	if (has(message, "event", json_type_string))
		return MESSAGE_EVENT;
	if (json_object_object_get_ex(message, "return", NULL))
		return MESSAGE_ANSWER;
	if (json_object_object_get_ex(message, "error", &error) &&
	    has(error, "class", json_type_string) && has(error, "desc", json_type_string))
		return MESSAGE_REFUSAL;
	return has(message, "QMP", json_type_object) ? MESSAGE_GREETING : -EPROTO;
}
