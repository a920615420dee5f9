/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "daemon/call.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/stream.h"
#include "daemon/pool.h"

/* A message, or the rest of one, that the socket didn't take yet. */
struct unsent {
	struct unsent *next;
	size_t sent;
	struct frame_bytes frame;
};

static uint64_t now(struct client *client)
{
	uint64_t usec = 0;

	(void)sd_event_now(client->daemon->loop, CLOCK_MONOTONIC, &usec);
	return usec;
}

/* ---- what is awaited ---- */

static bool is_listened_to(const struct client *client)
{
	return client->call_count < CLIENT_CALLS_MAX && client->unsent_size < CLIENT_UNSENT_MAX &&
	       !streams_are_full(client);
}

/*
 * Read only what can be dealt with: a client that asks faster than it takes the answers
 * waits in its own socket. Whoever owes us something has a deadline for it.
 */
static void update(struct client *client)
{
	uint32_t watched = 0;
	bool is_owing =
		!client->is_open || client->unsent || frame_buffer_is_partial(&client->input);

	if (client->is_dead)
		return;
	if (is_listened_to(client))
		watched |= EPOLLIN;
	else if (!client->unsent)
		is_owing = false; /* it is us who are slow */
	if (client->streams && client->is_open)
		is_owing = false; /* a person perhaps, who has stopped the terminal */
	if (client->unsent)
		watched |= EPOLLOUT;
	if (watched != client->watched)
		(void)sd_event_source_set_io_events(client->io, watched);
	client->watched = watched;
	if (!is_owing)
		client->deadline_usec = 0;
	else if (!client->deadline_usec)
		client->deadline_usec = now(client) + client->daemon->config.patience_usec;
	streams_update(client);
}

void clients_check_deadlines(struct daemon *daemon, uint64_t now_usec)
{
	struct client *client;

	for (client = daemon->clients; client; client = client->next) {
		if (client->is_dead || !client->deadline_usec || client->deadline_usec > now_usec)
			continue;
		client_drop(client, client->unsent     ? "it doesn't take its answers"
				    : !client->is_open ? "it didn't open its connection"
						       : "it didn't finish a message");
	}
}

/* ---- out ---- */

static void drop_unsent(struct client *client)
{
	while (client->unsent) {
		struct unsent *unsent = client->unsent;

		client->unsent = unsent->next;
		free(unsent->frame.bytes);
		free(unsent);
	}
	client->unsent_last = NULL;
	client->unsent_size = 0;
}

/* The number of bytes the socket took, 0 when it takes none now, or a negative errno. */
static ssize_t push(struct client *client, const unsigned char *bytes, size_t size)
{
	ssize_t n = send(client->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -errno;
}

static void send_unsent(struct client *client)
{
	while (client->unsent) {
		struct unsent *unsent = client->unsent;
		ssize_t n = push(client, unsent->frame.bytes + unsent->sent,
				 unsent->frame.size - unsent->sent);

		if (n < 0) {
			client_drop(client, NULL);
			return;
		}
		if (n == 0)
			return;
		client->deadline_usec = 0; /* it does take them */
		unsent->sent += (size_t)n;
		client->unsent_size -= (size_t)n;
		if (unsent->sent < unsent->frame.size)
			continue;
		client->unsent = unsent->next;
		if (!client->unsent)
			client->unsent_last = NULL;
		free(unsent->frame.bytes);
		free(unsent);
	}
}

void client_send(struct client *client, const struct frame_bytes *frame)
{
	AUTO_FREE unsigned char *bytes = frame->bytes;
	struct unsent *unsent;
	ssize_t n = 0;

	if (client->is_dead)
		return;
	if (!client->unsent)
		n = push(client, bytes, frame->size);
	if (n < 0) {
		client_drop(client, NULL);
		return;
	}
	if ((size_t)n < frame->size) {
		unsent = calloc(1, sizeof(*unsent));
		if (!unsent) {
			client_drop(client, "no memory for an answer");
			return;
		}
		unsent->sent = (size_t)n;
		unsent->frame.bytes = TAKE_POINTER(bytes);
		unsent->frame.size = frame->size;
		if (client->unsent_last)
			client->unsent_last->next = unsent;
		else
			client->unsent = unsent;
		client->unsent_last = unsent;
		client->unsent_size += frame->size - (size_t)n;
	}
	update(client);
}

/* ---- in ---- */

static void handle_frames(struct client *client)
{
	struct frame frame;
	int r = 0;

	while (!client->is_dead && is_listened_to(client) &&
	       (r = frame_buffer_take(&client->input, &frame)) > 0) {
		client->deadline_usec = client->is_open ? 0 : client->deadline_usec;
		call_receive(client, &frame);
	}
	if (r < 0)
		client_drop(client, "a message of an impossible length");
	else if (!frame_buffer_is_partial(&client->input))
		frame_buffer_free(&client->input); /* idle connections cost next to nothing */
	update(client);
}

static void receive(struct client *client)
{
	unsigned char *at;
	size_t size;
	ssize_t n;
	int r = frame_buffer_space(&client->input, &at, &size);

	if (r < 0) {
		client_drop(client, r == -EPROTO ? "a message of an impossible length"
						 : "no memory for a message");
		return;
	}
	n = recv(client->fd, at, size, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_drop(client, NULL);
		return;
	}
	frame_buffer_added(&client->input, (size_t)n);
	handle_frames(client);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct client *client = context;

	(void)source;
	(void)fd;
	if (client->is_dead)
		return 0;
	if (revents & EPOLLOUT) {
		send_unsent(client);
		if (!client->is_dead)
			handle_frames(client);
	}
	if (!client->is_dead && (revents & EPOLLIN))
		receive(client);
	else if (!client->is_dead && (revents & (EPOLLHUP | EPOLLERR)))
		client_drop(client, NULL);
	return 0;
}

/* ---- calls under way ---- */

void client_go_on(struct client *client)
{
	if (!client->is_dead)
		(void)sd_event_source_set_io_events(client->io,
						    client->watched = EPOLLIN | EPOLLOUT);
}

void client_call_began(struct client *client, struct call *call)
{
	call->client = client;
	call->previous = NULL;
	call->following = client->calls;
	if (client->calls)
		client->calls->previous = call;
	client->calls = call;
	client->call_count++;
}

void client_call_ended(struct client *client, struct call *call)
{
	bool was_full = client->call_count == CLIENT_CALLS_MAX;

	if (call->previous)
		call->previous->following = call->following;
	else
		client->calls = call->following;
	if (call->following)
		call->following->previous = call->previous;
	client->call_count--;
	if (was_full)
		client_go_on(client);
}

/* ---- from beginning to end ---- */

static void free_client(struct client *client)
{
	struct daemon *daemon = client->daemon;

	if (client->previous)
		client->previous->next = client->next;
	else
		daemon->clients = client->next;
	if (client->next)
		client->next->previous = client->previous;
	daemon->client_count--;
	free(client);
}

void client_drop(struct client *client, const char *why)
{
	if (client->is_dead)
		return;
	if (why)
		log_message(PT_LOG_NOTICE, "client %d of user %u dropped: %s", (int)client->pid,
			    (unsigned int)client->uid, why);
	else
		log_message(PT_LOG_DEBUG, "client %d left", (int)client->pid);
	client->is_dead = true;
	client->daemon->has_dead = true;
	daemon_sweep_later(client->daemon);
	while (client->calls) {
		struct call *call = client->calls;

		client_call_ended(client, call);
		call->client = NULL;
		if (workers_forget(client->daemon->workers, call))
			call_free(call);
	}
	streams_drop(client);
	subscriptions_drop(client);
	client->io = sd_event_source_disable_unref(client->io);
	close(client->fd);
	drop_unsent(client);
	frame_buffer_free(&client->input);
}

void clients_sweep(struct daemon *daemon)
{
	struct client *client, *next;

	if (!daemon->has_dead)
		return;
	daemon->has_dead = false;
	for (client = daemon->clients; client; client = next) {
		next = client->next;
		if (client->is_dead)
			free_client(client);
	}
}

int client_new(struct daemon *daemon, int fd, bool is_readonly, struct pt_error *err)
{
	struct client *client = calloc(1, sizeof(*client));
	struct ucred peer = {.pid = 0, .uid = (uid_t)-1};
	socklen_t size = sizeof(peer);
	int r;

	if (!client) {
		close(fd);
		return pt_fail_memory(err);
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		r = -errno;
	else
		r = sd_event_add_io(daemon->loop, &client->io, fd, EPOLLIN, on_io, client);
	if (r < 0) {
		close(fd);
		free(client);
		return pt_fail(err, PT_SYSTEM, -r, "a client can't be served: %s", strerror(-r));
	}
	client->daemon = daemon;
	client->fd = fd;
	client->uid = peer.uid;
	client->pid = peer.pid;
	client->is_readonly = is_readonly;
	client->watched = EPOLLIN;
	client->next = daemon->clients;
	if (client->next)
		client->next->previous = client;
	daemon->clients = client;
	daemon->client_count++;
	update(client);
	log_message(PT_LOG_DEBUG, "client %d of user %u%s", (int)client->pid,
		    (unsigned int)client->uid, is_readonly ? ", read-only" : "");
	return 0;
}
