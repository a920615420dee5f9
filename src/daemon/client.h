/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Connections: frames in, frames out. The creator of the list of clients interprets the frames
 * (struct client_ops).
 */
#ifndef DAEMON_CLIENT_H
#define DAEMON_CLIENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/context.h"
#include "daemon/log.h"
#include "rpc/frames.h"

struct call;
struct client;
struct stream;
struct subscription;
struct unsent;

/* A client is not read while so much is unsent. */
#define CLIENT_UNSENT_MAX (1024u * 1024)

/* Messages for a client that doesn't take them pile up only so far. */
#define CLIENT_MESSAGES_MAX (4 * CLIENT_UNSENT_MAX)

/*
 * Memory for what has been received and not handled, and for replies that aren't read: of one user,
 * and of all users together, but for those who have little. Past that nobody but root is read. What
 * root may use isn't limited.
 */
#define CLIENT_USER_BYTES   ((size_t)8 * 1024 * 1024)
#define CLIENT_ALL_BYTES    ((size_t)16 * 1024 * 1024)
#define CLIENT_LITTLE_BYTES ((size_t)128 * 1024)
#define CLIENT_ALL_LITTLE   ((size_t)8 * 1024 * 1024) /* beyond the former, of those with little */

/*
 * In the loop whoever may change something comes first, and the others after them: a user's first
 * connections before the next ones, so that whoever has few doesn't wait for one that has many.
 */
#define CLIENT_PRIORITY_READONLY 10
#define CLIENT_PRIORITY_SHARE	 16

/* And so many messages are handled at once, or as many as the time allows for. */
#define CLIENT_ROUND	16
#define CLIENT_ROUND_MS 1

struct client_ops {
	/* A frame that it sent. */
	void (*receive)(struct client *client, const struct frame *frame);
	/* True while it is not to be read: client_resume() when that has changed. */
	bool (*is_full)(const struct client *client);
	/* The room for messages to the client has changed. */
	void (*changed)(struct client *client);
	/* The client was dropped: release its resources. */
	void (*dropped)(struct client *client);
};

/* All connections of one user. */
struct client_user {
	struct client_user *next;
	uid_t uid;
	unsigned int clients;
	unsigned int calls; /* call.c's */
	size_t bytes;
};

struct clients {
	const struct context *context;
	const struct client_ops *ops;
	void *ops_context;
	struct client *first;
	unsigned int count;
	unsigned int others, others_readonly; /* users other than root */
	size_t others_bytes;
	struct client_user *users;
	bool has_dead; /* some client is to be swept away */
	struct log_rate dropped;
	sd_event_source *tick, *sweep;
};

struct client {
	struct clients *clients;
	struct client *previous, *next;
	struct client_user *user;
	int fd;
	pid_t pid;
	sd_event_source *io;
	uint32_t watched; /* the io events asked for */
	bool is_resumed;  /* frames were received that aren't handled, and no poll tells of them */
	bool is_readonly;
	bool is_open;		/* virConnectOpen was answered */
	bool is_dead;		/* to be freed once the loop is through with this round */
	uint64_t deadline_usec; /* 0: nothing is awaited of it */
	struct frame_buffer input;
	struct unsent *unsent, *unsent_last;
	size_t unsent_size;
	size_t bytes;	 /* as counted for its user */
	bool is_waiting; /* for memory */
	/* call.c's, stream.c's and events.c's */
	struct call *calls;
	unsigned int call_count;
	struct stream *streams;
	struct subscription *subscriptions;
	int next_callback;
};

int clients_new(const struct context *context, const struct client_ops *ops, void *ops_context,
		struct clients **ret_clients, struct pt_error *err);

/* Drops all of them; they are freed by clients_free(). */
void clients_drop_all(struct clients *clients);
void clients_free(struct clients *clients); /* NULL is allowed */

/*
 * Whether one more client of this user can be served. Others leave root a part of the connections,
 * and read-only ones of theirs leave half to those who may change something.
 */
bool clients_have_room(const struct clients *clients, uid_t uid, bool is_readonly);

/* Takes @fd, also when it fails. */
int client_new(struct clients *clients, int fd, bool is_readonly, struct pt_error *err);

/* Close it. @why goes to the log, NULL for the usual end. */
void client_drop(struct client *client, const char *why);

/* Takes the bytes. */
void client_send(struct client *client, const struct frame_bytes *frame);

/*
 * Send a message that is not a reply; @encode may be NULL. A client that does not read its
 * messages is dropped.
 */
void client_send_message(struct client *client, int32_t procedure, xdrproc_t encode,
			 const void *payload);

/* The client can continue: handle the frames that were received in between soon. */
void client_resume(struct client *client);

#endif
