/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/events.h"

#include <libudev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/auto.h"
#include "daemon/log.h"
#include "daemon/host/nodes.h"
#include "rpc/protocol.h"

/* Uevents wait here while the loop is busy: 500 functions appear at once with SR-IOV. */
#define RECEIVE_BUFFER (8 * 1024 * 1024)

struct subscription {
	struct subscription *next;
	enum event_kind kind;
	int event;
	int callback;
	char *device; /* NULL: all */
};

struct known {
	struct known *next;
	char *path;
	char *name;
};

struct events {
	struct daemon *daemon;
	struct udev *udev;
	struct udev_monitor *monitor;
	sd_event_source *source;
	struct known *known;
	unsigned int listeners;
};

/* ---- the nodes that are there ---- */

static struct known *find(struct events *events, const char *path)
{
	struct known *known = events->known;

	while (known && strcmp(known->path, path) != 0)
		known = known->next;
	return known;
}

/* False for want of memory. */
static bool keep(struct events *events, const char *path, const char *name)
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

static void forget(struct events *events, struct known *known)
{
	struct known **at = &events->known;

	while (*at != known)
		at = &(*at)->next;
	*at = known->next;
	free(known->path);
	free(known->name);
	free(known);
}

static void forget_all(struct events *events)
{
	while (events->known)
		forget(events, events->known);
}

/* ---- telling clients ---- */

static void send_message(struct client *client, int32_t procedure, xdrproc_t encode,
			 const void *payload)
{
	struct frame_header header = {.program = RPC_PROGRAM_MAIN,
				      .version = 1,
				      .procedure = procedure,
				      .type = FRAME_MESSAGE};
	struct frame_bytes bytes;

	if (client->unsent_size > CLIENT_EVENTS_MAX)
		client_drop(client, "it doesn't take its events");
	else if (frame_write(&header, encode, payload, &bytes) < 0)
		client_drop(client, "no memory for an event");
	else
		client_send(client, &bytes);
}

static void tell(struct daemon *daemon, const char *name, int event, int what)
{
	char *device = (char *)(uintptr_t)name;
	struct client *client;

	for (client = daemon->clients; client; client = client->next) {
		const struct subscription *s;

		/* a client that is dropped loses its subscriptions with it */
		for (s = client->subscriptions; s && !client->is_dead; s = s->next) {
			if (s->kind != EVENT_NODE_DEVICE || s->event != event ||
			    (s->device && strcmp(s->device, name) != 0))
				continue;
			if (event == NODE_EVENT_LIFECYCLE) {
				struct rpc_device_lifecycle message = {
					.callback = s->callback, .device = {device}, .event = what};

				send_message(client, RPC_NODE_DEVICE_LIFECYCLE_MESSAGE,
					     (xdrproc_t)xdr_rpc_device_lifecycle, &message);
			} else {
				struct rpc_device_update message = {.callback = s->callback,
								    .device = {device}};

				send_message(client, RPC_NODE_DEVICE_UPDATE_MESSAGE,
					     (xdrproc_t)xdr_rpc_device_update, &message);
			}
			if (client->is_dead)
				break;
		}
	}
}

void events_send(struct daemon *daemon, enum event_kind kind, int event, const char *object,
		 int32_t procedure, xdrproc_t encode, void *message, int *callback)
{
	struct client *client;

	for (client = daemon->clients; client; client = client->next) {
		const struct subscription *s;

		for (s = client->subscriptions; s && !client->is_dead; s = s->next) {
			if (s->kind != kind || s->event != event ||
			    (s->device && strcmp(s->device, object) != 0))
				continue;
			*callback = s->callback;
			send_message(client, procedure, encode, message);
			if (client->is_dead)
				break;
		}
	}
}

static void handle_there(struct daemon *daemon, const char *path)
{
	struct events *events = daemon->events;
	struct known *known = find(events, path);
	struct nodes nodes;

	if (node_of_path(daemon->host, path, &nodes) < 0)
		return;
	if (known && strcmp(known->name, nodes.items[0].name) != 0) {
		/* a name is made of what can change: the address of an interface */
		tell(daemon, known->name, NODE_EVENT_LIFECYCLE, NODE_DELETED);
		forget(events, known);
		known = NULL;
	}
	if (known) {
		tell(daemon, known->name, NODE_EVENT_UPDATE, 0);
	} else if (keep(events, path, nodes.items[0].name)) {
		tell(daemon, nodes.items[0].name, NODE_EVENT_LIFECYCLE, NODE_CREATED);
	}
	nodes_free(&nodes);
}

static void handle_gone(struct daemon *daemon, const char *path)
{
	struct known *known = find(daemon->events, path);

	if (!known)
		return;
	tell(daemon, known->name, NODE_EVENT_LIFECYCLE, NODE_DELETED);
	forget(daemon->events, known);
}

void events_handle(struct daemon *daemon, const char *action, const char *path)
{
	if (!daemon->events)
		return;
	if (!strcmp(action, "remove"))
		handle_gone(daemon, path);
	else
		handle_there(daemon, path);
}

/* ---- the monitor ---- */

/* After messages were lost: compare what is there with what was. */
static void look_again(struct daemon *daemon)
{
	struct events *events = daemon->events;
	struct known *known, *next;
	struct nodes nodes;
	size_t i;

	if (nodes_read(daemon->host,
		       NODES_ALL & ~(1u << NODE_SYSTEM), true, &nodes) < 0)
		return;
	for (known = events->known; known; known = next) {
		struct nodes found;

		next = known->next;
		if (node_of_path(daemon->host, known->path,
				 &found) == 0)
			nodes_free(&found);
		else
			handle_gone(daemon, known->path);
	}
	for (i = 0; i < nodes.count; i++)
		if (!find(events, nodes.items[i].path))
			handle_there(daemon, nodes.items[i].path);
	nodes_free(&nodes);
}

static int on_uevent(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct daemon *daemon = context;
	struct udev_device *device;

	(void)source;
	(void)fd;
	(void)revents;
	if (!daemon->events)
		return 0;
	errno = 0;
	device = udev_monitor_receive_device(daemon->events->monitor);
	if (!device) {
		if (errno == ENOBUFS) {
			log_message(PT_LOG_NOTICE, "uevents were lost: looking at all devices");
			look_again(daemon);
		}
		return 0;
	}
	if (udev_device_get_action(device))
		events_handle(daemon, udev_device_get_action(device),
			      udev_device_get_syspath(device));
	udev_device_unref(device);
	return 0;
}

/* udev's messages come when it is through with a device; without udev the kernel's must do. */
static int start_monitor(struct events *events)
{
	bool has_udev = access("/run/udev/control", F_OK) == 0;
	int r;

	events->udev = udev_new();
	if (!events->udev)
		return -ENOMEM;
	events->monitor = udev_monitor_new_from_netlink(events->udev, has_udev ? "udev" : "kernel");
	if (!events->monitor)
		return -ENOMEM;
	(void)udev_monitor_set_receive_buffer_size(events->monitor, RECEIVE_BUFFER);
	r = udev_monitor_enable_receiving(events->monitor);
	if (r < 0)
		return r;
	return sd_event_add_io(events->daemon->loop, &events->source,
			       udev_monitor_get_fd(events->monitor), EPOLLIN, on_uevent,
			       events->daemon);
}

static int start(struct daemon *daemon)
{
	struct events *events = calloc(1, sizeof(*events));
	struct nodes nodes;
	size_t i;
	int r;

	if (!events)
		return -ENOMEM;
	events->daemon = daemon;
	/* listen first, then look: what happens in between is told twice, not lost */
	r = daemon_is_this_machine(daemon) ? start_monitor(events) : 0;
	if (r >= 0)
		r = nodes_read(daemon->host,
			       NODES_ALL & ~(1u << NODE_SYSTEM), true, &nodes);
	if (r < 0) {
		events_free(events);
		return r;
	}
	for (i = 0; i < nodes.count; i++)
		(void)keep(events, nodes.items[i].path, nodes.items[i].name);
	nodes_free(&nodes);
	daemon->events = events;
	return 0;
}

void events_free(struct events *events)
{
	if (!events)
		return;
	forget_all(events);
	(void)sd_event_source_disable_unref(events->source);
	udev_monitor_unref(events->monitor);
	udev_unref(events->udev);
	free(events);
}

/* ---- subscriptions ---- */

static void end_subscription(struct daemon *daemon, struct subscription *subscription)
{
	if (subscription->kind == EVENT_NODE_DEVICE) {
		daemon->events->listeners--;
		daemon_sweep_later(daemon);
	}
	free(subscription->device);
	free(subscription);
}

int subscribe(struct client *client, enum event_kind kind, int event, const char *device,
	      int *ret_callback)
{
	struct daemon *daemon = client->daemon;
	struct subscription *subscription, **end = &client->subscriptions;
	unsigned int count = 0;
	int r;

	for (; *end; end = &(*end)->next)
		count++;
	if (count >= SUBSCRIPTIONS_MAX)
		return -E2BIG;
	if (kind == EVENT_NODE_DEVICE && !daemon->events) {
		r = start(daemon);
		if (r < 0)
			return r;
	}
	subscription = calloc(1, sizeof(*subscription));
	if (!subscription)
		return -ENOMEM;
	subscription->device = device ? strdup(device) : NULL;
	if (device && !subscription->device) {
		free(subscription);
		return -ENOMEM;
	}
	subscription->kind = kind;
	subscription->event = event;
	subscription->callback = client->next_callback++;
	if (kind == EVENT_NODE_DEVICE)
		daemon->events->listeners++;
	*end = subscription;
	*ret_callback = subscription->callback;
	return 0;
}

void events_sweep(struct daemon *daemon)
{
	if (!daemon->events || daemon->events->listeners)
		return;
	events_free(daemon->events);
	daemon->events = NULL;
}

int unsubscribe(struct client *client, enum event_kind kind, int callback)
{
	struct subscription **at = &client->subscriptions;

	for (; *at; at = &(*at)->next) {
		struct subscription *subscription = *at;

		if (subscription->kind != kind || subscription->callback != callback)
			continue;
		*at = subscription->next;
		end_subscription(client->daemon, subscription);
		return 0;
	}
	return -ENOENT;
}

void subscriptions_drop(struct client *client)
{
	while (client->subscriptions) {
		struct subscription *subscription = client->subscriptions;

		client->subscriptions = subscription->next;
		end_subscription(client->daemon, subscription);
	}
}
