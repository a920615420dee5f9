/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "daemon/errors.h"
#include "daemon/log.h"
#include "rpc/protocol.h"

/* What is read of a terminal at once; ptys have no more than a page. */
#define READ_SIZE 4096

struct stream {
	struct client *client;
	struct stream *next;
	struct frame_header header; /* of its packets */
	int fd;
	dev_t terminal;
	sd_event_source *io;
	uint32_t watched;
	bool has_ended; /* the guest's side did; the client is still to say goodbye */
	unsigned char *pending;
	size_t pending_size;
};

/* ---- the list ---- */

static void unlink_stream(struct stream *stream)
{
	struct stream **at = &stream->client->streams;

	while (*at != stream)
		at = &(*at)->next;
	*at = stream->next;
}

static void close_terminal(struct stream *stream)
{
	stream->io = sd_event_source_disable_unref(stream->io);
	if (stream->fd >= 0)
		close(stream->fd);
	stream->fd = -1;
	free(stream->pending);
	stream->pending = NULL;
	stream->pending_size = 0;
}

static void stream_free(struct stream *stream)
{
	unlink_stream(stream);
	close_terminal(stream);
	free(stream);
}

void streams_drop(struct client *client)
{
	while (client->streams)
		stream_free(client->streams);
}

struct stream *stream_find(const struct clients *clients, dev_t terminal)
{
	const struct client *client;

	for (client = clients->first; client; client = client->next) {
		struct stream *stream;

		for (stream = client->streams; stream; stream = stream->next)
			if (stream->fd >= 0 && stream->terminal == terminal)
				return stream;
	}
	return NULL;
}

/* ---- what is waited for ---- */

static void watch(struct stream *stream)
{
	uint32_t watched = 0;

	if (stream->fd < 0)
		return;
	/* an end of the terminal is told whatever is asked for: as long as the client can't be
	 * told, it must not turn the loop round and round */
	if (!stream->client->unsent && !stream->has_ended)
		watched |= EPOLLIN;
	if (stream->pending_size)
		watched |= EPOLLOUT;
	if (watched == stream->watched)
		return;
	(void)sd_event_source_set_io_events(stream->io, watched);
	(void)sd_event_source_set_enabled(stream->io, watched ? SD_EVENT_ON : SD_EVENT_OFF);
	stream->watched = watched;
}

void streams_update(struct client *client)
{
	struct stream *stream;

	for (stream = client->streams; stream; stream = stream->next)
		watch(stream);
}

bool streams_are_full(const struct client *client)
{
	const struct stream *stream;

	for (stream = client->streams; stream; stream = stream->next)
		if (stream->pending_size >= STREAM_PENDING_MAX)
			return true;
	return false;
}

/* ---- to the client ---- */

/* No bytes: with FRAME_CONTINUE the end of what the guest writes, with FRAME_OK a goodbye. */
static void send_packet(struct client *client, const struct frame_header *stream,
			enum frame_status status, const void *bytes, size_t size)
{
	struct frame_header header = *stream;
	struct frame_bytes frame;

	header.type = FRAME_STREAM;
	header.status = (int32_t)status;
	if (frame_write_bytes(&header, bytes, size, &frame) < 0)
		client_drop(client, "no memory for a stream");
	else
		client_send(client, &frame);
}

void stream_break(struct stream *stream, const char *why)
{
	struct client *client = stream->client;
	struct frame_header header = stream->header;
	struct frame_bytes frame;
	struct fault fault;

	log_message(PT_LOG_INFO, "client %d: stream aborted: %s", (int)client->pid, why);
	stream_free(stream);
	(void)fault_set(&fault, FAULT_FAILED, FAULT_FROM_STREAMS, "%s", why);
	if (fault_write(&fault, &header, FRAME_STREAM, &frame) < 0)
		client_drop(client, "no memory for a stream");
	else
		client_send(client, &frame);
}

/* ---- the terminal ---- */

static void stream_end(struct stream *stream)
{
	stream->has_ended = true;
	close_terminal(stream);
	send_packet(stream->client, &stream->header, FRAME_CONTINUE, NULL, 0);
}

static void read_terminal(struct stream *stream)
{
	unsigned char bytes[READ_SIZE];
	ssize_t n = read(stream->fd, bytes, sizeof(bytes));

	if (n > 0)
		send_packet(stream->client, &stream->header, FRAME_CONTINUE, bytes, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		stream_end(stream); /* EIO: QEMU has closed its end */
}

static void write_terminal(struct stream *stream)
{
	bool was_full = stream->pending_size >= STREAM_PENDING_MAX;
	ssize_t n = write(stream->fd, stream->pending, stream->pending_size);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		/* the terminal has no reader: reading reports that to the client */
		n = (ssize_t)stream->pending_size;
	}
	stream->pending_size -= (size_t)n;
	memmove(stream->pending, stream->pending + n, stream->pending_size);
	if (!stream->pending_size) {
		free(stream->pending);
		stream->pending = NULL;
	}
	if (was_full && stream->pending_size < STREAM_PENDING_MAX)
		client_resume(stream->client);
}

static int on_terminal(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct stream *stream = context;
	struct client *client = stream->client;

	(void)source;
	(void)fd;
	if ((revents & EPOLLOUT) && stream->pending_size)
		write_terminal(stream);
	/* while the client hasn't taken what it was sent it isn't sent more, its end neither */
	if ((revents & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !client->unsent)
		read_terminal(stream);
	/* the client, and with it the stream, may have been dropped for not being there */
	if (!client->is_dead)
		streams_update(client);
	return 0;
}

/* ---- from the client ---- */

static void take_data(struct stream *stream, const struct frame *frame)
{
	unsigned char *bytes;

	if (stream->fd < 0 || !frame->size)
		return; /* its end of the conversation is over; the guest has nothing to hear of it
			 */
	if (frame->size > STREAM_PACKET_MAX) {
		stream_break(stream, "a packet is longer than the protocol allows");
		return;
	}
	/* at most one packet more than what is full: see streams_are_full() */
	bytes = realloc(stream->pending, stream->pending_size + frame->size);
	if (!bytes) {
		stream_break(stream, "passthrud has no memory left");
		return;
	}
	memcpy(bytes + stream->pending_size, frame->payload, frame->size);
	stream->pending = bytes;
	stream->pending_size += frame->size;
	write_terminal(stream);
	watch(stream);
}

void stream_receive(struct client *client, const struct frame *frame)
{
	struct stream *stream = client->streams;
	struct frame_header header;

	while (stream && (stream->header.serial != frame->header.serial ||
			  stream->header.procedure != frame->header.procedure))
		stream = stream->next;
	if (!stream) {
		/* those of a stream that was refused, or ended, may still be on their way */
		log_message(PT_LOG_DEBUG, "client %d: packet without a stream ignored",
			    (int)client->pid);
		return;
	}
	if (frame->header.status == FRAME_CONTINUE) {
		take_data(stream, frame);
		return;
	}
	/* goodbye, whether it is finished or has had enough */
	header = stream->header;
	stream_free(stream);
	send_packet(client, &header, FRAME_OK, NULL, 0);
}

/* ---- beginning ---- */

static unsigned int count_streams(const struct client *client)
{
	const struct stream *stream;
	unsigned int count = 0;

	for (stream = client->streams; stream; stream = stream->next)
		count++;
	return count;
}

int stream_new(struct client *client, const struct frame_header *header, int fd,
	       struct pt_error *err)
{
	AUTO_CLOSE int own = fd;
	AUTO_FREE struct stream *stream = NULL;
	struct stat st;
	int r;

	if (count_streams(client) >= STREAMS_PER_CLIENT_MAX)
		return pt_fail(err, PT_BUSY, EBUSY, "a connection can have at most %d streams",
			       STREAMS_PER_CLIENT_MAX);
	if (fstat(fd, &st) < 0)
		return pt_fail(err, PT_SYSTEM, errno, "can't read the state of a terminal: %s",
			       strerror(errno));
	stream = calloc(1, sizeof(*stream));
	if (!stream)
		return pt_fail_memory(err);
	stream->watched = EPOLLIN;
	r = sd_event_add_io(client->clients->context->loop, &stream->io, fd, stream->watched,
			    on_terminal, stream);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "can't watch a terminal: %s", strerror(-r));
	stream->client = client;
	stream->header = *header;
	stream->terminal = st.st_rdev;
	stream->fd = TAKE_FD(own);
	stream->next = client->streams;
	client->streams = TAKE_POINTER(stream);
	return 0;
}
