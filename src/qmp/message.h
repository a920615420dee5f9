/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages in the stream of bytes that QEMU sends: JSON objects, one a line. */
#ifndef QMP_MESSAGE_H
#define QMP_MESSAGE_H

#include <stddef.h>

#include <json-c/json.h>

/* Bytes received and not yet taken. Zero it to begin with. */
struct message_buffer {
	char *bytes;
	size_t start;	/* of what wasn't taken */
	size_t scanned; /* no end of line from start to here */
	size_t end;
	size_t room;
	size_t limit;	     /* of a line; 0: QMP_MAX_MESSAGE */
	size_t limit_parsed; /* of what it takes in memory; 0: QMP_MAX_MEMORY */
};

/*
 * Where the next bytes go, at least one of room; invalidates lines taken before. 0, -ENOMEM, or
 * -EPROTO when a line longer than the limit has begun.
 */
int message_buffer_space(struct message_buffer *buffer, char **ret_at, size_t *ret_size);

/* So many bytes were put there. */
void message_buffer_added(struct message_buffer *buffer, size_t size);

/*
 * Take the next whole message: 1 and *ret_message (the caller's) and the memory that it takes,
 * as an estimate that is never much too low; 0 when there is none yet, -EPROTO for a line that
 * isn't one JSON object or would take more than the limit, -ENOMEM. Empty lines are skipped.
 */
int message_take(struct message_buffer *buffer, struct json_object **ret_message, size_t *ret_size);

/* Forget all of it. */
void message_buffer_free(struct message_buffer *buffer);

enum message_kind {
	MESSAGE_GREETING, /* {"QMP": {…}} */
	MESSAGE_ANSWER,	  /* {"return": …} */
	MESSAGE_REFUSAL,  /* {"error": {"class": …, "desc": …}} */
	MESSAGE_EVENT,	  /* {"event": …} */
};

/* What it is, or -EPROTO when it is none of these or lacks what its kind must have. */
int message_kind(struct json_object *message);

#endif
