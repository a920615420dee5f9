/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/node_events.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "daemon/host/nodes.h"
#include "daemon/log.h"
#include "daemon/uevents.h"
#include "rpc/protocol.h"

struct known {
	struct known *next;
	char *path;
	char *name;
};

struct node_events {
	const struct context *context;
	struct events *events;
	bool is_begun;
	struct uevent_monitor *monitor;
	struct known *known;
};

/* ---- the nodes that are there ---- */

static struct known *node_events_find(struct node_events *events, const char *path)
{
	struct known *known = events->known;

	while (known && strcmp(known->path, path) != 0)
		known = known->next;
	return known;
}

/* False without memory. */
static bool keep(struct node_events *events, const char *path, const char *name)
{
	struct known *known = calloc(1, sizeof(*known));

	if (!known)
		return false;
	known->path = strdup(path);
	known->name = strdup(name);
	if (!known->path || !known->name) {
		free(known->path);
		free(known->name);
		free(known);
		return false;
	}
	known->next = events->known;
	events->known = known;
	return true;
}

static void forget(struct node_events *events, struct known *known)
{
	struct known **at = &events->known;

	while (*at != known)
		at = &(*at)->next;
	*at = known->next;
	free(known->path);
	free(known->name);
	free(known);
}

static void forget_all(struct node_events *events)
{
	while (events->known)
		forget(events, events->known);
}

/* ---- telling clients ---- */

static void tell_lifecycle(struct node_events *events, const char *name, int what)
{
	struct rpc_device_lifecycle message = {.device = {(char *)(uintptr_t)name}, .event = what};

	events_send(events->events, EVENT_NODE_DEVICE, NODE_EVENT_LIFECYCLE, name,
		    RPC_NODE_DEVICE_LIFECYCLE_MESSAGE, (xdrproc_t)xdr_rpc_device_lifecycle,
		    &message, &message.callback);
}

static void tell_update(struct node_events *events, const char *name)
{
	struct rpc_device_update message = {.device = {(char *)(uintptr_t)name}};

	events_send(events->events, EVENT_NODE_DEVICE, NODE_EVENT_UPDATE, name,
		    RPC_NODE_DEVICE_UPDATE_MESSAGE, (xdrproc_t)xdr_rpc_device_update, &message,
		    &message.callback);
}

static void handle_there(struct node_events *events, const char *path)
{
	struct known *known = node_events_find(events, path);
	struct nodes nodes;

	if (node_of_path(events->context->host, path, &nodes) < 0)
		return;
	if (known && strcmp(known->name, nodes.items[0].name) != 0) {
		/* a name is made of what can change: the address of an interface */
		tell_lifecycle(events, known->name, NODE_DELETED);
		forget(events, known);
		known = NULL;
	}
	if (known) {
		tell_update(events, known->name);
	} else if (keep(events, path, nodes.items[0].name)) {
		tell_lifecycle(events, nodes.items[0].name, NODE_CREATED);
	}
	nodes_free(&nodes);
}

static void handle_gone(struct node_events *events, const char *path)
{
	struct known *known = node_events_find(events, path);

	if (!known)
		return;
	tell_lifecycle(events, known->name, NODE_DELETED);
	forget(events, known);
}

void node_events_handle(struct node_events *events, const char *action, const char *path)
{
	if (!events->is_begun)
		return;
	if (!strcmp(action, "remove"))
		handle_gone(events, path);
	else
		handle_there(events, path);
}

/* ---- the monitor ---- */

/* After messages were lost: compare what is there with what was. */
static void look_again(struct node_events *events)
{
	struct known *known, *next;
	struct nodes nodes;
	size_t i;

	if (nodes_read(events->context->host, NODES_ALL & ~(1u << NODE_SYSTEM), true, &nodes) < 0)
		return;
	for (known = events->known; known; known = next) {
		struct nodes found;

		next = known->next;
		if (node_of_path(events->context->host, known->path, &found) == 0)
			nodes_free(&found);
		else
			handle_gone(events, known->path);
	}
	for (i = 0; i < nodes.count; i++)
		if (!node_events_find(events, nodes.items[i].path))
			handle_there(events, nodes.items[i].path);
	nodes_free(&nodes);
}

static void on_uevent(void *context, const char *action, const char *path)
{
	struct node_events *events = context;

	if (action) {
		node_events_handle(events, action, path);
		return;
	}
	log_message(PT_LOG_NOTICE, "uevents were lost: reading all devices again");
	look_again(events);
}

/* ---- while there are subscribers ---- */

static void node_events_end(void *context)
{
	struct node_events *events = context;

	forget_all(events);
	uevent_monitor_free(TAKE_POINTER(events->monitor));
	events->is_begun = false;
}

static int node_events_begin(void *context)
{
	struct node_events *events = context;
	struct nodes nodes;
	size_t i;
	int r;

	/* subscribe first, then read: an event in between is reported twice instead of lost */
	r = events->context->host->is_this_machine
		    ? uevent_monitor_new(events->context->loop, NULL, NULL, on_uevent, events,
					 &events->monitor)
		    : 0;
	if (r >= 0)
		r = nodes_read(events->context->host, NODES_ALL & ~(1u << NODE_SYSTEM), true,
			       &nodes);
	if (r < 0) {
		node_events_end(events);
		return r;
	}
	for (i = 0; i < nodes.count; i++)
		(void)keep(events, nodes.items[i].path, nodes.items[i].name);
	nodes_free(&nodes);
	events->is_begun = true;
	return 0;
}

int node_events_new(const struct context *context, struct events *events,
		    struct node_events **ret_events, struct pt_error *err)
{
	static const struct event_source_ops ops = {.begin = node_events_begin,
						    .end = node_events_end};
	struct node_events *node_events = calloc(1, sizeof(*node_events));

	if (!node_events)
		return pt_fail_memory(err);
	node_events->context = context;
	node_events->events = events;
	events_set_source(events, EVENT_NODE_DEVICE, &ops, node_events);
	*ret_events = node_events;
	return 0;
}

bool node_events_are_begun(const struct node_events *events)
{
	return events->is_begun;
}

void node_events_free(struct node_events *events)
{
	free(events);
}
