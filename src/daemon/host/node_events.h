/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events of node devices, from the kernel's uevents as udev passes them on. While there are
 * subscribers, the names of all nodes are cached, because sysfs has no entry of a removed device.
 */
#ifndef DAEMON_HOST_NODE_EVENTS_H
#define DAEMON_HOST_NODE_EVENTS_H

#include "daemon/events.h"

/* libvirt's event numbers of node devices */
#define NODE_EVENT_LIFECYCLE 0
#define NODE_EVENT_UPDATE    1

#define NODE_CREATED 0
#define NODE_DELETED 1

struct node_events;

int node_events_new(const struct context *context, struct events *events,
		    struct node_events **ret_events, struct pt_error *err);

/* After events_free(). NULL is allowed. */
void node_events_free(struct node_events *events);

/*
 * Whether there are subscribers; and the meaning of a uevent, for tests. @action: "add", "remove" …
 */
bool node_events_are_begun(const struct node_events *events);
void node_events_handle(struct node_events *events, const char *action, const char *path);

#endif
