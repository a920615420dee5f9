/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"

struct subscription {
	struct subscription *next;
	struct events *events;
	enum event_kind kind;
	int event;
	int callback;
	char *object; /* NULL: all */
};

struct events {
	struct clients *clients;
	struct {
		const struct event_source_ops *ops;
		void *context;
		unsigned int subscriptions;
		bool is_begun;
	} kinds[EVENT_KIND_COUNT];
	sd_event_source *sweep; /* stops the sources without subscribers */
};

AUTO_DEFINE(events, struct events *, events_free)

/* ---- sources ---- */

static void end_source(struct events *events, enum event_kind kind)
{
	if (!events->kinds[kind].is_begun)
		return;
	events->kinds[kind].is_begun = false;
	events->kinds[kind].ops->end(events->kinds[kind].context);
}

static int begin_source(struct events *events, enum event_kind kind)
{
	int r = 0;

	if (!events->kinds[kind].ops || events->kinds[kind].is_begun)
		return 0;
	r = events->kinds[kind].ops->begin(events->kinds[kind].context);
	events->kinds[kind].is_begun = r >= 0;
	return r;
}

/* Later, for events that are being sent must not lose what they look at. */
static int on_sweep(sd_event_source *source, void *context)
{
	struct events *events = context;
	enum event_kind kind;

	(void)source;
	for (kind = 0; kind < EVENT_KIND_COUNT; kind++)
		if (!events->kinds[kind].subscriptions)
			end_source(events, kind);
	return 0;
}

void events_set_source(struct events *events, enum event_kind kind,
		       const struct event_source_ops *ops, void *context)
{
	events->kinds[kind].ops = ops;
	events->kinds[kind].context = context;
}

int events_new(struct clients *clients, struct events **ret_events, struct pt_error *err)
{
	AUTO(auto_events) struct events *events = calloc(1, sizeof(*events));
	int r;

	if (!events)
		return pt_fail_memory(err);
	events->clients = clients;
	r = sd_event_add_defer(clients->context->loop, &events->sweep, on_sweep, events);
	if (r >= 0)
		r = sd_event_source_set_enabled(events->sweep, SD_EVENT_OFF);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "events can't be delivered: %s", strerror(-r));
	*ret_events = TAKE_POINTER(events);
	return 0;
}

void events_free(struct events *events)
{
	enum event_kind kind;

	if (!events)
		return;
	for (kind = 0; kind < EVENT_KIND_COUNT; kind++)
		end_source(events, kind);
	(void)sd_event_source_disable_unref(events->sweep);
	free(events);
}

/* ---- subscriptions ---- */

static void end_subscription(struct subscription *subscription)
{
	struct events *events = subscription->events;

	if (!--events->kinds[subscription->kind].subscriptions)
		(void)sd_event_source_set_enabled(events->sweep, SD_EVENT_ONESHOT);
	free(subscription->object);
	free(subscription);
}

int events_subscribe(struct events *events, struct client *client, enum event_kind kind, int event,
		     const char *object, int *ret_callback)
{
	struct subscription *subscription, **end = &client->subscriptions;
	unsigned int count = 0;
	int r;

	for (; *end; end = &(*end)->next)
		count++;
	if (count >= SUBSCRIPTIONS_MAX)
		return -E2BIG;
	subscription = calloc(1, sizeof(*subscription));
	if (!subscription)
		return -ENOMEM;
	subscription->object = object ? strdup(object) : NULL;
	r = object && !subscription->object ? -ENOMEM : begin_source(events, kind);
	if (r < 0) {
		free(subscription->object);
		free(subscription);
		return r;
	}
	subscription->events = events;
	subscription->kind = kind;
	subscription->event = event;
	subscription->callback = client->next_callback++;
	events->kinds[kind].subscriptions++;
	*end = subscription;
	*ret_callback = subscription->callback;
	return 0;
}

int events_unsubscribe(struct client *client, enum event_kind kind, int callback)
{
	struct subscription **at = &client->subscriptions;

	for (; *at; at = &(*at)->next) {
		struct subscription *subscription = *at;

		if (subscription->kind != kind || subscription->callback != callback)
			continue;
		*at = subscription->next;
		end_subscription(subscription);
		return 0;
	}
	return -ENOENT;
}

void subscriptions_drop(struct client *client)
{
	while (client->subscriptions) {
		struct subscription *subscription = client->subscriptions;

		client->subscriptions = subscription->next;
		end_subscription(subscription);
	}
}

/* ---- sending ---- */

void events_send(struct events *events, enum event_kind kind, int event, const char *object,
		 int32_t procedure, xdrproc_t encode, void *message, int *callback)
{
	struct client *client;

	for (client = events->clients->first; client; client = client->next) {
		const struct subscription *s;

		/* a client that is dropped loses its subscriptions with it */
		for (s = client->subscriptions; s && !client->is_dead; s = s->next) {
			if (s->kind != kind || s->event != event ||
			    (s->object && strcmp(s->object, object) != 0))
				continue;
			*callback = s->callback;
			client_send_message(client, procedure, encode, message);
			if (client->is_dead)
				break;
		}
	}
}
