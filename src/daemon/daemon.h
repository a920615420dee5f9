/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * passthrud, put together: the only place that knows all of its parts. They know each other only
 * as far as their headers say, and none of them knows this.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "base/auto.h"
#include "daemon/context.h"

struct daemon {
	struct context *context;
	struct mailbox *mailbox;
	struct pool *pool;
	struct calls *calls;
	struct clients *clients;
	struct events *events;
	struct node_events *node_events;
	struct device_faults *faults; /* NULL for a made-up machine */
	struct usb_watch *usb_watch;  /* the same */
	struct fixed *fixed;
	struct emulators *emulators;
	struct guests *guests;
	struct server *server;
};

int daemon_new(const struct context_config *config, struct daemon **ret_daemon,
	       struct pt_error *err);

/* Drops all clients; operations under way are waited for. NULL is allowed. */
void daemon_free(struct daemon *daemon);
AUTO_DEFINE(daemon, struct daemon *, daemon_free)

#endif
