/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A stream of bytes cut into frames: in pieces of any size, given by the first byte, the
 * frames are the same as all at once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct found {
	unsigned int count;
	uint32_t sum;
	int end;
};

static int add(struct frame_buffer *buffer, const uint8_t *data, size_t size)
{
	while (size) {
		unsigned char *at;
		size_t room;
		int r = frame_buffer_space(buffer, &at, &room);

		if (r < 0)
			return r;
		if (!room)
			abort();
		room = room < size ? room : size;
		memcpy(at, data, room);
		frame_buffer_added(buffer, room);
		data += room;
		size -= room;
	}
	return 0;
}

static struct found cut(const uint8_t *data, size_t size, size_t step)
{
	struct frame_buffer buffer = {0};
	struct found found = {0};
	size_t at;

	for (at = 0; at < size && found.end == 0; at += step) {
		struct frame frame;
		int r = add(&buffer, data + at, size - at < step ? size - at : step);

		while (r >= 0 && (r = frame_buffer_take(&buffer, &frame)) == 1) {
			size_t i;

			found.count++;
			found.sum = found.sum * 31 + frame.header.serial;
			for (i = 0; i < frame.size; i++)
				found.sum = found.sum * 31 + frame.payload[i];
		}
		if (r < 0)
			found.end = r;
		/* what is kept is bounded by what came */
		if (buffer.room > 4 * size + 4096)
			abort();
	}
	frame_buffer_free(&buffer);
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
