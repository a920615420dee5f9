/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which events clients want to hear of, and sending them. All in the loop. */
#ifndef DAEMON_EVENTS_H
#define DAEMON_EVENTS_H

#include "daemon/client.h"

enum event_kind {
	EVENT_NODE_DEVICE,
	EVENT_DOMAIN,
	EVENT_NETWORK,
	EVENT_STORAGE_POOL,
	EVENT_SECRET,
	EVENT_KIND_COUNT
};

/* A client may have so many; libvirt's own clients register one of each. */
#define SUBSCRIPTIONS_MAX 256

struct events;

/* A source of events that must be started while there are subscribers. */
struct event_source_ops {
	/* 0 or a negative errno; after an error nothing is subscribed */
	int (*begin)(void *context);
	/* when the loop is through with the round in which the last subscription ended */
	void (*end)(void *context);
};

int events_new(struct clients *clients, struct events **ret_events, struct pt_error *err);

/* All clients are gone by then. NULL is allowed. */
void events_free(struct events *events);

void events_set_source(struct events *events, enum event_kind kind,
		       const struct event_source_ops *ops, void *context);

/*
 * @object: the only object, NULL for all. -E2BIG, -ENOMEM, or the failure of the source.
 */
int events_subscribe(struct events *events, struct client *client, enum event_kind kind, int event,
		     const char *object, int *ret_callback);

/* -ENOENT when the client has no such subscription. */
int events_unsubscribe(struct client *client, enum event_kind kind, int callback);

/* All of a client's. */
void subscriptions_drop(struct client *client);

/*
 * Send @message to each client that subscribed to this event of @object, or of all; *callback,
 * a field of it, is set to the number of the subscription.
 */
void events_send(struct events *events, enum event_kind kind, int event, const char *object,
		 int32_t procedure, xdrproc_t encode, void *message, int *callback);

#endif
