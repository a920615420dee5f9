/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Calls are short: almost all fit in this. */
#define ROOM_FIRST 4096u

/* ---- reading ---- */

static uint32_t read_word(const unsigned char *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The length of the frame at the start, 0 when it isn't known yet. */
static int frame_length(const struct frame_buffer *buffer, size_t *ret_length)
{
	size_t length = 0;

	if (buffer->end - buffer->start >= FRAME_LENGTH_SIZE) {
		length = read_word(buffer->bytes + buffer->start);
		if (length < FRAME_LENGTH_SIZE + FRAME_HEADER_SIZE ||
		    length > (buffer->limit ? buffer->limit : FRAME_MAX))
			return -EPROTO;
	}
	*ret_length = length;
	return 0;
}

int frame_buffer_space(struct frame_buffer *buffer, unsigned char **ret_at, size_t *ret_size)
{
	size_t used = buffer->end - buffer->start, room = buffer->room, length;
	int r = frame_length(buffer, &length);

	if (r < 0)
		return r;
	if (buffer->start) {
		memmove(buffer->bytes, buffer->bytes + buffer->start, used);
		buffer->start = 0;
		buffer->end = used;
	}
	if (used == room) {
		/* twice what has come, but no more than the frame needs */
		room = room ? room * 2 : ROOM_FIRST;
		if (length && room > length && length > used)
			room = length;
	} else if (!used && room > ROOM_FIRST) {
		room = ROOM_FIRST;
	}
	if (room != buffer->room) {
		unsigned char *bytes = realloc(buffer->bytes, room);

		if (!bytes)
			return -ENOMEM;
		buffer->bytes = bytes;
		buffer->room = room;
	}
	*ret_at = buffer->bytes + buffer->end;
	*ret_size = buffer->room - buffer->end;
	return 0;
}

void frame_buffer_added(struct frame_buffer *buffer, size_t size)
{
	buffer->end += size;
}

int frame_buffer_take(struct frame_buffer *buffer, struct frame *ret_frame)
{
	const unsigned char *at;
	size_t length;
	int r = frame_length(buffer, &length);

	if (r < 0)
		return r;
	if (!length || buffer->end - buffer->start < length)
		return 0;
	at = buffer->bytes + buffer->start + FRAME_LENGTH_SIZE;
	*ret_frame = (struct frame){
		.header = {.program = read_word(at),
			   .version = read_word(at + 4),
			   .procedure = (int32_t)read_word(at + 8),
			   .type = (int32_t)read_word(at + 12),
			   .serial = read_word(at + 16),
			   .status = (int32_t)read_word(at + 20)},
		.payload = at + FRAME_HEADER_SIZE,
		.size = length - FRAME_LENGTH_SIZE - FRAME_HEADER_SIZE,
	};
	buffer->start += length;
	return 1;
}

bool frame_buffer_is_partial(const struct frame_buffer *buffer)
{
	return buffer->end > buffer->start;
}

void frame_buffer_free(struct frame_buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct frame_buffer){.limit = buffer->limit};
}

/* ---- writing ---- */

static void write_word(unsigned char *at, uint32_t value)
{
	at[0] = (unsigned char)(value >> 24);
	at[1] = (unsigned char)(value >> 16);
	at[2] = (unsigned char)(value >> 8);
	at[3] = (unsigned char)value;
}

static void write_header(unsigned char *at, const struct frame_header *header)
{
	write_word(at, header->program);
	write_word(at + 4, header->version);
	write_word(at + 8, (uint32_t)header->procedure);
	write_word(at + 12, (uint32_t)header->type);
	write_word(at + 16, header->serial);
	write_word(at + 20, (uint32_t)header->status);
}

/* A message with room for its payload, which comes after it. */
static int make_frame(const struct frame_header *header, size_t size, struct frame_bytes *ret_frame)
{
	const size_t before = FRAME_LENGTH_SIZE + FRAME_HEADER_SIZE;
	unsigned char *bytes;

	if (size > FRAME_MAX - before)
		return -EMSGSIZE;
	bytes = malloc(before + size);
	if (!bytes)
		return -ENOMEM;
	write_word(bytes, (uint32_t)(before + size));
	write_header(bytes + FRAME_LENGTH_SIZE, header);
	ret_frame->bytes = bytes;
	ret_frame->size = before + size;
	return 0;
}

int frame_write(const struct frame_header *header, xdrproc_t encode, const void *payload,
		struct frame_bytes *ret_frame)
{
	struct frame_bytes frame;
	size_t size = 0;
	XDR xdr;
	int r;

	if (encode) {
		/* 0 stands for failure, too: nothing that has a type here is empty on the wire */
		size = xdr_sizeof(encode, (void *)(uintptr_t)payload);
		if (!size)
			return -EMSGSIZE;
	}
	r = make_frame(header, size, &frame);
	if (r < 0)
		return r;
	if (encode) {
		xdrmem_create(&xdr, (char *)frame.bytes + frame.size - size, (u_int)size,
			      XDR_ENCODE);
		if (!encode(&xdr, (void *)(uintptr_t)payload)) {
			free(frame.bytes);
			return -EMSGSIZE;
		}
	}
	*ret_frame = frame;
	return 0;
}

int frame_write_bytes(const struct frame_header *header, const void *payload, size_t size,
		      struct frame_bytes *ret_frame)
{
	struct frame_bytes frame;
	int r = make_frame(header, size, &frame);

	if (r < 0)
		return r;
	if (size)
		memcpy(frame.bytes + frame.size - size, payload, size);
	*ret_frame = frame;
	return 0;
}
