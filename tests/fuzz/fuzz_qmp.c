/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a QEMU in the hands of its guest may send: in pieces of any size, given by the first
 * byte, the messages are the same as all at once.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "qmp/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct found {
	unsigned int count;
	uint32_t sum;
	int end;
};

static void add(struct message_buffer *buffer, const uint8_t *data, size_t size)
{
	while (size) {
		size_t room;
		char *at;

		if (message_buffer_space(buffer, &at, &room) < 0 || !room)
			abort();
		room = room < size ? room : size;
		memcpy(at, data, room);
		message_buffer_added(buffer, room);
		data += room;
		size -= room;
	}
}

static struct found cut(const uint8_t *data, size_t size, size_t step)
{
	struct message_buffer buffer = {0};
	struct found found = {0};

	for (size_t at = 0; at < size && found.end == 0; at += step) {
		struct json_object *message;
		size_t length;
		int r;

		add(&buffer, data + at, size - at < step ? size - at : step);
		while ((r = message_take(&buffer, &message, &length)) == 1) {
			int kind = message_kind(message);

			if (kind == MESSAGE_EVENT && !json_object_object_get(message, "event"))
				abort();
			found.count++;
			found.sum = (found.sum * 31 + (uint32_t)length) * 31 + (uint32_t)kind;
			json_object_put(message);
		}
		if (r < 0)
			found.end = r;
	}
	message_buffer_free(&buffer);
	return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct found whole, pieces;

	if (!size)
		return 0;
	whole = cut(data + 1, size - 1, size);
	pieces = cut(data + 1, size - 1, 1 + data[0] % 64);
	if (whole.count != pieces.count || whole.sum != pieces.sum || whole.end != pieces.end)
		abort();
	return 0;
}
