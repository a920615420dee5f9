/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection: bytes in, calls, bytes out. */
#ifndef DAEMON_CLIENT_H
#define DAEMON_CLIENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/daemon.h"
#include "rpc/frames.h"

struct call;
struct stream;
struct subscription;

/* A client is not read while so many of its calls are under way, or so much is unsent. */
#define CLIENT_CALLS_MAX  16
#define CLIENT_UNSENT_MAX (1024u * 1024)

/* Events for a client that doesn't take them pile up only so far. */
#define CLIENT_EVENTS_MAX (4 * CLIENT_UNSENT_MAX)

struct unsent;

struct client {
	struct daemon *daemon;
	struct client *previous, *next;
	int fd;
	uid_t uid;
	pid_t pid;
	sd_event_source *io;
	uint32_t watched; /* the io events asked for */
	bool is_readonly;
	bool is_open;		/* virConnectOpen was answered */
	bool is_dead;		/* to be freed once the loop is through with this round */
	uint64_t deadline_usec; /* 0: nothing is awaited of it */
	struct frame_buffer input;
	struct unsent *unsent, *unsent_last;
	size_t unsent_size;
	struct call *calls;
	unsigned int call_count;
	struct stream *streams;
	struct subscription *subscriptions;
	int next_callback;
};

/* Takes @fd, also when it fails. */
int client_new(struct daemon *daemon, int fd, bool is_readonly, struct pt_error *err);

/* Close it; calls under way go on without it. @why goes to the log, NULL for the usual end. */
void client_drop(struct client *client, const char *why);

/* Free what was dropped. */
void clients_sweep(struct daemon *daemon);

/* Drop who has kept us waiting too long. */
void clients_check_deadlines(struct daemon *daemon, uint64_t now_usec);

/* Takes the bytes. */
void client_send(struct client *client, const struct frame_bytes *frame);

/* What held its messages up is gone: soon deal with those that were received meanwhile. */
void client_go_on(struct client *client);

void client_call_began(struct client *client, struct call *call);
void client_call_ended(struct client *client, struct call *call);

#endif
