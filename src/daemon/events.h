/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events of node devices, from the kernel's uevents as udev passes them on. While somebody
 * listens, the names of all nodes are kept: of a device that left, sysfs tells nothing any more.
 */
#ifndef DAEMON_EVENTS_H
#define DAEMON_EVENTS_H

#include "daemon/client.h"

enum event_kind {
	EVENT_NODE_DEVICE,
	EVENT_DOMAIN,
	EVENT_NETWORK,
	EVENT_STORAGE_POOL,
	EVENT_SECRET,
};

/* libvirt's event numbers of node devices */
#define NODE_EVENT_LIFECYCLE 0
#define NODE_EVENT_UPDATE    1

#define NODE_CREATED 0
#define NODE_DELETED 1

/* A client may have so many; libvirt's own clients register one of each. */
#define SUBSCRIPTIONS_MAX 256

/*
 * @device: the only device wanted, NULL for all. -E2BIG, -ENOMEM, or what the
 * monitor failed with.
 */
int subscribe(struct client *client, enum event_kind kind, int event, const char *device,
	      int *ret_callback);

/* -ENOENT when the client has no such subscription. */
int unsubscribe(struct client *client, enum event_kind kind, int callback);

/*
 * Send @message to each client that subscribed to this event of @object, or of all; *callback,
 * a field of it, is set to the number of the subscription.
 */
void events_send(struct daemon *daemon, enum event_kind kind, int event, const char *object,
		 int32_t procedure, xdrproc_t encode, void *message, int *callback);

void subscriptions_drop(struct client *client);

/* What a uevent says, for the monitor and for tests. @action: "add", "remove", "change" … */
void events_handle(struct daemon *daemon, const char *action, const char *path);

/*
 * Stop when nobody listens any more. Called when the loop is through with a round: events
 * that are being told must not lose what they look at.
 */
void events_sweep(struct daemon *daemon);

void events_free(struct events *events);

#endif
