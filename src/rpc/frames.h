/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages in a stream of bytes. The sender may be anyone: a length is checked before
 * anything is allocated for it, and memory grows with what was really received.
 */
#ifndef RPC_FRAMES_H
#define RPC_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rpc/xdr.h>

/* The longest message, its length word included. */
#define FRAME_MAX (32u * 1024 * 1024)

/*
 * What passthrud accepts: names, numbers and lists of guests; and definitions, from clients that
 * may make any. libvirt's limit is 32 MiB for everyone.
 */
#define FRAME_MAX_READONLY (64u * 1024)
#define FRAME_MAX_CHANGE   (2u * 1024 * 1024)

#define FRAME_LENGTH_SIZE 4
#define FRAME_HEADER_SIZE 24

enum frame_type { FRAME_CALL, FRAME_REPLY, FRAME_MESSAGE, FRAME_STREAM, FRAME_CALL_WITH_FDS };
enum frame_status { FRAME_OK, FRAME_ERROR, FRAME_CONTINUE };

/* @type and @status are any number that was sent. */
struct frame_header {
	uint32_t program;
	uint32_t version;
	int32_t procedure;
	int32_t type;
	uint32_t serial;
	int32_t status;
};

struct frame {
	struct frame_header header;
	const unsigned char *payload; /* in the buffer, until more is added to it */
	size_t size;
};

/* Bytes received and not yet taken. Zero it to begin with. */
struct frame_buffer {
	unsigned char *bytes;
	size_t start; /* of what wasn't taken */
	size_t end;
	size_t room;
	uint32_t limit; /* of a frame; 0: FRAME_MAX */
};

/*
 * The place for the next bytes, at least one; drops the frames taken before. 0 or -ENOMEM, or
 * -EPROTO when the frame at the start has an impossible length.
 */
int frame_buffer_space(struct frame_buffer *buffer, unsigned char **ret_at, size_t *ret_size);

/* So many bytes were put there. */
void frame_buffer_added(struct frame_buffer *buffer, size_t size);

/*
 * Take the next whole frame: 1 and *ret_frame, 0 when there is none yet, or -EPROTO for a
 * length that is too short for a header or above the limit.
 */
int frame_buffer_take(struct frame_buffer *buffer, struct frame *ret_frame);

/* True when a frame has begun and not ended. */
bool frame_buffer_is_partial(const struct frame_buffer *buffer);

/* Forget all of it. */
void frame_buffer_free(struct frame_buffer *buffer);

/* A message ready to be sent. */
struct frame_bytes {
	unsigned char *bytes; /* freed with free() */
	size_t size;
};

/*
 * Write a message; @encode may be NULL for no payload. -ENOMEM, or -EMSGSIZE when what
 * @payload holds is beyond the protocol's limits.
 */
int frame_write(const struct frame_header *header, xdrproc_t encode, const void *payload,
		struct frame_bytes *ret_frame);

/* The same of a payload that is encoded already, or isn't XDR: a stream's. */
int frame_write_bytes(const struct frame_header *header, const void *payload, size_t size,
		      struct frame_bytes *ret_frame);

#endif
