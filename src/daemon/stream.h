/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A terminal over a connection: output of the guest goes to the client in packets of a stream,
 * input of the client goes to the guest. All in the loop, without blocking.
 *
 * The daemon buffers little: the terminal is read only after the client has received all previous
 * data, and the client only after the terminal has.
 */
#ifndef DAEMON_STREAM_H
#define DAEMON_STREAM_H

#include "daemon/client.h"

/* A client may send so much before it has to wait for the terminal, and so much at once. */
#define STREAM_PENDING_MAX (64u * 1024)
#define STREAM_PACKET_MAX  (256u * 1024)

#define STREAMS_PER_CLIENT_MAX 16

/*
 * Begin one, as the answer of the call that @header is of. Takes @fd, a terminal opened
 * non-blocking; its device is what streams_find() goes by.
 */
int stream_new(struct client *client, const struct frame_header *header, int fd,
	       struct pt_error *err);

/* The stream on this terminal, of any client; NULL if there is none. */
struct stream *stream_find(const struct clients *clients, dev_t terminal);

/* End it, telling its client why. */
void stream_break(struct stream *stream, const char *why);

/* A packet that a client sent; one that belongs to no stream is ignored. */
void stream_receive(struct client *client, const struct frame *frame);

/* True while a client is not to be read, for the terminal is slower than it. */
bool streams_are_full(const struct client *client);

/* The room for messages to the client has changed. */
void streams_update(struct client *client);

/* The client is gone. */
void streams_drop(struct client *client);

#endif
