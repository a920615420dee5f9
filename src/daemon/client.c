/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "daemon/log.h"
#include "rpc/protocol.h"

/* How often deadlines are checked, as fractions of the patience. */
#define TICKS 6

AUTO_DEFINE(clients, struct clients *, clients_free)

/* A message, or the rest of one, that the socket didn't take yet. */
struct unsent {
	struct unsent *next;
	size_t sent;
	struct frame_bytes frame;
};

static uint64_t now(struct client *client)
{
	uint64_t usec = 0;

	(void)sd_event_now(client->clients->context->loop, CLOCK_MONOTONIC, &usec);
	return usec;
}

/* ---- what is awaited ---- */

/* After each change of what it holds. */
static void count_bytes(struct client *client)
{
	size_t bytes = client->is_dead ? 0 : client->input.room + client->unsent_size;

	client->user->bytes += bytes - client->bytes;
	if (client->user->uid != 0)
		client->clients->others_bytes += bytes - client->bytes;
	client->bytes = bytes;
}

static bool has_memory(const struct client *client)
{
	const struct client_user *user = client->user;
	size_t all = CLIENT_ALL_BYTES;

	if (user->uid == 0)
		return true;
	if (user->bytes < CLIENT_LITTLE_BYTES)
		all += CLIENT_ALL_LITTLE;
	return user->bytes < CLIENT_USER_BYTES && client->clients->others_bytes < all;
}

static bool is_listened_to(const struct client *client)
{
	return has_memory(client) && client->unsent_size < CLIENT_UNSENT_MAX &&
	       !client->clients->ops->is_full(client);
}

/*
 * Read only as much as can be handled: a client that sends calls faster than it reads replies
 * waits in its own socket. A client with something outstanding has a deadline.
 */
static void update(struct client *client)
{
	uint32_t watched = 0;
	bool is_owing =
		!client->is_open || client->unsent || frame_buffer_is_partial(&client->input);

	if (client->is_dead)
		return;
	count_bytes(client);
	client->is_waiting = !has_memory(client);
	if (is_listened_to(client))
		watched |= EPOLLIN;
	else if (!client->unsent && has_memory(client))
		is_owing = false; /* it is us who are slow */
	if (client->streams && client->is_open)
		is_owing = false; /* a person perhaps, who has stopped the terminal */
	if (client->unsent)
		watched |= EPOLLOUT;
	if (client->is_resumed)
		watched |= EPOLLIN | EPOLLOUT;
	if (watched != client->watched)
		(void)sd_event_source_set_io_events(client->io, watched);
	client->watched = watched;
	if (!is_owing)
		client->deadline_usec = 0;
	else if (!client->deadline_usec)
		client->deadline_usec =
			now(client) + client->clients->context->config.patience_usec;
	client->clients->ops->changed(client);
}

static void check_deadlines(struct clients *clients, uint64_t now_usec)
{
	struct client *client;

	for (client = clients->first; client; client = client->next) {
		if (client->is_dead || !client->deadline_usec || client->deadline_usec > now_usec)
			continue;
		client_drop(client, client->unsent     ? "it does not read its replies"
				    : !client->is_open ? "it did not open its connection"
						       : "it did not complete a message");
	}
	/* those who waited for memory: a whole message may be there already */
	for (client = clients->first; client; client = client->next)
		if (client->is_waiting && has_memory(client))
			client_resume(client);
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
			client_drop(client, "no memory for a reply");
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

void client_send_message(struct client *client, int32_t procedure, xdrproc_t encode,
			 const void *payload)
{
	struct frame_header header = {.program = RPC_PROGRAM_MAIN,
				      .version = 1,
				      .procedure = procedure,
				      .type = FRAME_MESSAGE};
	struct frame_bytes bytes;

	if (client->unsent_size > CLIENT_MESSAGES_MAX)
		client_drop(client, "it does not read its events");
	else if (frame_write(&header, encode, payload, &bytes) < 0)
		client_drop(client, "no memory for an event");
	else
		client_send(client, &bytes);
}

/* ---- in ---- */

/* True when it has had its turn, and messages may be left, which no poll tells of. */
static bool handle_frames(struct client *client)
{
	const int64_t begin_ms = clock_now_ms();
	unsigned int count = 0;
	bool is_over = false;
	struct frame frame;
	int r = 0;

	while (!client->is_dead && !is_over && is_listened_to(client) &&
	       (r = frame_buffer_take(&client->input, &frame)) > 0) {
		client->deadline_usec = client->is_open ? 0 : client->deadline_usec;
		client->clients->ops->receive(client, &frame);
		is_over = ++count >= CLIENT_ROUND || clock_now_ms() - begin_ms >= CLIENT_ROUND_MS;
	}
	if (r < 0)
		client_drop(client, "a message of an invalid length");
	is_over = is_over && frame_buffer_is_partial(&client->input);
	if (!frame_buffer_is_partial(&client->input))
		frame_buffer_free(&client->input); /* idle connections cost next to nothing */
	update(client);
	if (is_over)
		client_resume(client);
	return is_over;
}

static void client_receive(struct client *client)
{
	unsigned char *at;
	size_t size;
	ssize_t n;
	int r;

	client->input.limit =
		client->is_open && !client->is_readonly ? FRAME_MAX_CHANGE : FRAME_MAX_READONLY;
	r = frame_buffer_space(&client->input, &at, &size);

	if (r < 0) {
		client_drop(client, r == -EPROTO ? "a message of an invalid length"
						 : "no memory for a message");
		return;
	}
	n = recv(client->fd, at, size, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		count_bytes(client);
		return;
	}
	if (n <= 0) {
		client_drop(client, NULL);
		return;
	}
	frame_buffer_added(&client->input, (size_t)n);
	(void)handle_frames(client);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct client *client = context;

	(void)source;
	(void)fd;
	if (client->is_dead)
		return 0;
	client->is_resumed = false;
	/* of what it has sent all the answers would be for nobody */
	if (client->is_readonly && (revents & (EPOLLHUP | EPOLLERR))) {
		client_drop(client, NULL);
		return 0;
	}
	if (revents & EPOLLOUT)
		send_unsent(client);
	if (!client->is_dead && handle_frames(client))
		return 0;
	if (!client->is_dead && (revents & EPOLLIN))
		client_receive(client);
	else if (!client->is_dead && (revents & (EPOLLHUP | EPOLLERR)))
		client_drop(client, NULL);
	return 0;
}

/* What its socket took is the same to epoll as before: so it is asked for what holds it up. */
void client_resume(struct client *client)
{
	if (client->is_dead)
		return;
	client->is_resumed = true;
	client->watched = EPOLLIN | EPOLLOUT;
	(void)sd_event_source_set_io_events(client->io, client->watched);
}

/* ---- users ---- */

static const struct client_user *find_user(const struct clients *clients, uid_t uid)
{
	const struct client_user *user = clients->users;

	while (user && user->uid != uid)
		user = user->next;
	return user;
}

bool clients_have_room(const struct clients *clients, uid_t uid, bool is_readonly)
{
	const struct context_config *config = &clients->context->config;
	const struct client_user *user = find_user(clients, uid);

	unsigned int others_max = config->max_clients - config->max_clients / CONTEXT_CLIENTS_ROOT;

	if (uid == 0)
		return clients->count < config->max_clients;
	if (clients->others >= others_max ||
	    (is_readonly && clients->others_readonly >= others_max / 2))
		return false;
	return !user || user->clients < config->max_per_user;
}

/* NULL without memory. */
static struct client_user *join_user(struct clients *clients, uid_t uid)
{
	struct client_user *user = clients->users;

	while (user && user->uid != uid)
		user = user->next;
	if (!user) {
		user = calloc(1, sizeof(*user));
		if (!user)
			return NULL;
		user->uid = uid;
		user->next = clients->users;
		clients->users = user;
	}
	user->clients++;
	return user;
}

static void leave_user(struct clients *clients, struct client_user *user)
{
	struct client_user **at = &clients->users;

	if (--user->clients)
		return;
	while (*at != user)
		at = &(*at)->next;
	*at = user->next;
	free(user);
}

/* ---- from beginning to end ---- */

static void count_client(const struct client *client, int by)
{
	if (client->user->uid == 0)
		return;
	client->clients->others += (unsigned int)by;
	if (client->is_readonly)
		client->clients->others_readonly += (unsigned int)by;
}

static void free_client(struct client *client)
{
	struct clients *clients = client->clients;

	if (client->previous)
		client->previous->next = client->next;
	else
		clients->first = client->next;
	if (client->next)
		client->next->previous = client->previous;
	clients->count--;
	count_client(client, -1);
	leave_user(clients, client->user);
	free(client);
}

void client_drop(struct client *client, const char *why)
{
	struct clients *clients = client->clients;

	if (client->is_dead)
		return;
	if (why)
		log_rated(&clients->dropped, PT_LOG_NOTICE, "client %d of user %u dropped: %s",
			  (int)client->pid, (unsigned int)client->user->uid, why);
	else
		log_message(PT_LOG_DEBUG, "client %d disconnected", (int)client->pid);
	client->is_dead = true;
	clients->has_dead = true;
	(void)sd_event_source_set_enabled(clients->sweep, SD_EVENT_ONESHOT);
	clients->ops->dropped(client);
	client->io = sd_event_source_disable_unref(client->io);
	close(client->fd);
	drop_unsent(client);
	frame_buffer_free(&client->input);
	count_bytes(client);
}

static void sweep(struct clients *clients)
{
	struct client *client, *next;

	if (!clients->has_dead)
		return;
	clients->has_dead = false;
	for (client = clients->first; client; client = next) {
		next = client->next;
		if (client->is_dead)
			free_client(client);
	}
}

static int64_t priority_of(const struct client_user *user, bool is_readonly)
{
	if (!user->uid || !is_readonly)
		return SD_EVENT_PRIORITY_NORMAL;
	return CLIENT_PRIORITY_READONLY + user->clients / CLIENT_PRIORITY_SHARE;
}

int client_new(struct clients *clients, int fd, bool is_readonly, struct pt_error *err)
{
	AUTO_CLOSE int own = fd;
	AUTO_FREE struct client *client = calloc(1, sizeof(*client));
	struct ucred peer = {.pid = 0, .uid = (uid_t)-1};
	socklen_t size = sizeof(peer);
	int r;

	if (!client)
		return pt_fail_memory(err);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return pt_fail(err, PT_SYSTEM, errno, "can't tell whose a client is: %s",
			       strerror(errno));
	client->user = join_user(clients, peer.uid);
	if (!client->user)
		return pt_fail_memory(err);
	r = sd_event_add_io(clients->context->loop, &client->io, fd, EPOLLIN, on_io, client);
	if (r < 0) {
		leave_user(clients, client->user);
		return pt_fail(err, PT_SYSTEM, -r, "can't serve a client: %s", strerror(-r));
	}
	(void)sd_event_source_set_priority(client->io, priority_of(client->user, is_readonly));
	client->clients = clients;
	client->fd = TAKE_FD(own);
	client->pid = peer.pid;
	client->is_readonly = is_readonly;
	client->watched = EPOLLIN;
	client->next = clients->first;
	if (client->next)
		client->next->previous = client;
	clients->first = client;
	clients->count++;
	count_client(client, 1);
	update(client);
	log_message(PT_LOG_DEBUG, "client %d of user %u%s", (int)client->pid,
		    (unsigned int)peer.uid, is_readonly ? ", read-only" : "");
	client = NULL; /* the list's */
	return 0;
}

/* ---- all of them ---- */

static int on_tick(sd_event_source *source, uint64_t usec, void *context)
{
	struct clients *clients = context;

	(void)usec;
	if (clients->first) {
		uint64_t now_usec;

		(void)sd_event_now(clients->context->loop, CLOCK_MONOTONIC, &now_usec);
		check_deadlines(clients, now_usec);
	}
	(void)sd_event_source_set_time_relative(source,
						clients->context->config.patience_usec / TICKS);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_sweep(sd_event_source *source, void *context)
{
	(void)source;
	sweep(context);
	return 0;
}

int clients_new(const struct context *context, const struct client_ops *ops, void *ops_context,
		struct clients **ret_clients, struct pt_error *err)
{
	AUTO(auto_clients) struct clients *clients = calloc(1, sizeof(*clients));
	uint64_t usec = context->config.patience_usec / TICKS;
	int r;

	if (!clients)
		return pt_fail_memory(err);
	clients->context = context;
	clients->ops = ops;
	clients->ops_context = ops_context;
	r = sd_event_add_time_relative(context->loop, &clients->tick, CLOCK_MONOTONIC, usec,
				       usec / 2, on_tick, clients);
	if (r >= 0)
		r = sd_event_add_defer(context->loop, &clients->sweep, on_sweep, clients);
	if (r >= 0)
		r = sd_event_source_set_enabled(clients->sweep, SD_EVENT_OFF);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r,
			       "can't create a timer for clients: "
			       "%s",
			       strerror(-r));
	*ret_clients = TAKE_POINTER(clients);
	return 0;
}

void clients_drop_all(struct clients *clients)
{
	struct client *client;

	for (client = clients->first; client; client = client->next)
		client_drop(client, NULL);
}

void clients_free(struct clients *clients)
{
	if (!clients)
		return;
	clients_drop_all(clients);
	sweep(clients);
	(void)sd_event_source_disable_unref(clients->tick);
	(void)sd_event_source_disable_unref(clients->sweep);
	free(clients);
}
