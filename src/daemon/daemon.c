/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <stdlib.h>

#include "base/auto.h"
#include "daemon/call.h"
#include "daemon/events.h"
#include "daemon/guests/emulators.h"
#include "daemon/guests/guests.h"
#include "daemon/guests/logs.h"
#include "daemon/guests/monitor.h"
#include "daemon/guests/usb_watch.h"
#include "daemon/handlers/handlers.h"
#include "daemon/host/device_faults.h"
#include "daemon/host/fixed.h"
#include "daemon/host/node_events.h"
#include "daemon/mailbox.h"
#include "daemon/pool.h"
#include "daemon/server.h"

/* Each family of procedures, and what it works on. */
static void serve(struct daemon *daemon)
{
	calls_serve(daemon->calls, handlers_connect, daemon->events);
	calls_serve(daemon->calls, handlers_host, daemon->emulators);
	calls_serve(daemon->calls, handlers_nodedev, daemon->fixed);
	calls_serve(daemon->calls, handlers_nodedev_change, NULL);
	calls_serve(daemon->calls, handlers_domain, daemon->guests);
	calls_serve(daemon->calls, handlers_domain_define, daemon->guests);
	calls_serve(daemon->calls, handlers_domain_stats, daemon->guests);
	calls_serve(daemon->calls, handlers_domain_life, daemon->guests);
	calls_serve(daemon->calls, handlers_domain_devices, daemon->guests);
	calls_serve(daemon->calls, handlers_domain_console, daemon->guests);
	calls_serve(daemon->calls, handlers_domain_security, daemon->guests);
	calls_serve(daemon->calls, handlers_empty, NULL);
}

static int new_core(struct daemon *daemon, struct pt_error *err)
{
	struct context *context = daemon->context;
	int r = mailbox_new(context->loop, &daemon->mailbox, err);

	if (!r)
		r = pool_new(context, daemon->mailbox, &daemon->pool, err);
	if (!r)
		r = calls_new(daemon->pool, &daemon->calls, err);
	if (!r)
		r = clients_new(context, &calls_client_ops, daemon->calls, &daemon->clients, err);
	if (!r)
		r = events_new(daemon->clients, &daemon->events, err);
	if (!r)
		r = server_new(daemon->clients, &daemon->server, err);
	return r;
}

static int new_parts(struct daemon *daemon, struct pt_error *err)
{
	struct guests_parts parts = {.context = daemon->context,
				     .pool = daemon->pool,
				     .mailbox = daemon->mailbox,
				     .events = daemon->events};
	int r = emulators_new(daemon->context, &daemon->emulators, err);

	parts.emulators = daemon->emulators;
	if (!r)
		r = guests_new(&parts, &daemon->guests, err);

	if (!r)
		r = node_events_new(daemon->context, daemon->events, &daemon->node_events, err);
	if (!r && daemon->context->host->is_this_machine)
		r = device_faults_new(daemon->context, &daemon->faults, err);
	if (!r && daemon->context->host->is_this_machine)
		r = usb_watch_new(daemon->guests, &daemon->usb_watch, err);
	daemon->fixed = fixed_new();
	return !r && !daemon->fixed ? pt_fail_memory(err) : r;
}

int daemon_new(const struct context_config *config, struct daemon **ret_daemon,
	       struct pt_error *err)
{
	AUTO(auto_daemon) struct daemon *daemon = calloc(1, sizeof(*daemon));
	int r;

	if (!daemon)
		return pt_fail_memory(err);
	r = context_new(config, &daemon->context, err);
	if (!r)
		r = new_core(daemon, err);
	if (!r)
		r = new_parts(daemon, err);
	if (r < 0)
		return r;
	serve(daemon);
	*ret_daemon = TAKE_POINTER(daemon);
	return 0;
}

void daemon_free(struct daemon *daemon)
{
	if (!daemon)
		return;
	server_free(daemon->server);
	/* first, for they know of calls that the pool has */
	if (daemon->clients)
		clients_drop_all(daemon->clients);
	pool_free(daemon->pool);
	if (daemon->guests) {
		logs_end(daemon->guests);
		monitors_free(daemon->guests);
	}
	mailbox_free(daemon->mailbox);
	clients_free(daemon->clients);
	events_free(daemon->events);
	node_events_free(daemon->node_events);
	usb_watch_free(daemon->usb_watch);
	device_faults_free(daemon->faults);
	guests_free(daemon->guests);
	emulators_free(daemon->emulators);
	calls_free(daemon->calls);
	fixed_free(daemon->fixed);
	context_free(daemon->context);
	free(daemon);
}
