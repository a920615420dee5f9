/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "daemon/client.h"
#include "daemon/events.h"
#include "daemon/host/device_faults.h"
#include "daemon/host/fixed.h"
#include "daemon/guests/guests.h"
#include "daemon/log.h"
#include "daemon/server.h"
#include "daemon/pool.h"

/* How often deadlines are looked at, as parts of the patience. */
#define TICKS 6

AUTO_DEFINE(daemon, struct daemon *, daemon_free)

bool daemon_is_this_machine(const struct daemon *daemon)
{
	return !daemon->config.root;
}

int daemon_open_host(const struct daemon *daemon, struct pt_host **ret_host, struct pt_error *err)
{
	const struct daemon_config *config = &daemon->config;
	int r = pt_host_new(config->root, ret_host, err);

	if (r < 0)
		return r;
	if (config->ops) {
		(*ret_host)->ops = config->ops;
		(*ret_host)->ops_context = config->ops_context;
	}
	pt_host_set_log(*ret_host, log_library, NULL);
	return 0;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *context)
{
	struct daemon *daemon = context;

	(void)usec;
	if (daemon->clients) {
		uint64_t now;

		(void)sd_event_now(daemon->loop, CLOCK_MONOTONIC, &now);
		clients_check_deadlines(daemon, now);
	}
	(void)sd_event_source_set_time_relative(source, daemon->config.patience_usec / TICKS);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_sweep(sd_event_source *source, void *context)
{
	(void)source;
	clients_sweep(context);
	events_sweep(context);
	return 0;
}

void daemon_sweep_later(struct daemon *daemon)
{
	(void)sd_event_source_set_enabled(daemon->sweep, SD_EVENT_ONESHOT);
}

static int prepare_loop(struct daemon *daemon)
{
	uint64_t usec = daemon->config.patience_usec / TICKS;
	int r = sd_event_new(&daemon->loop);

	if (r >= 0)
		r = sd_event_add_time_relative(daemon->loop, &daemon->tick, CLOCK_MONOTONIC, usec,
					       usec / 2, on_tick, daemon);
	if (r >= 0)
		r = sd_event_add_defer(daemon->loop, &daemon->sweep, on_sweep, daemon);
	if (r >= 0)
		r = sd_event_source_set_enabled(daemon->sweep, SD_EVENT_OFF);
	return r;
}

int daemon_new(const struct daemon_config *config, struct daemon **ret_daemon, struct pt_error *err)
{
	AUTO(auto_daemon) struct daemon *daemon = calloc(1, sizeof(*daemon));
	int r;

	if (!daemon)
		return pt_fail_memory(err);
	daemon->config = *config;
	if (!config->max_clients)
		daemon->config.max_clients = DAEMON_CLIENTS_MAX;
	if (!config->max_per_user)
		daemon->config.max_per_user = DAEMON_CLIENTS_PER_USER;
	if (!config->patience_usec)
		daemon->config.patience_usec = DAEMON_PATIENCE_USEC;
	daemon->fixed = fixed_new();
	if (!daemon->fixed)
		return pt_fail_memory(err);
	r = prepare_loop(daemon);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "no event loop: %s", strerror(-r));
	r = daemon_open_host(daemon, &daemon->host, err);
	if (r == 0)
		r = workers_new(daemon, &daemon->workers, err);
	if (r == 0)
		r = guests_new(daemon, &daemon->guests, err);
	if (r == 0 && daemon_is_this_machine(daemon))
		r = faults_new(daemon, &daemon->faults, err);
	if (r < 0)
		return r;
	*ret_daemon = TAKE_POINTER(daemon);
	return 0;
}

void daemon_free(struct daemon *daemon)
{
	struct client *client;

	if (!daemon)
		return;
	listeners_free(daemon);
	/* first, for they know of calls that the workers have */
	for (client = daemon->clients; client; client = client->next)
		client_drop(client, NULL);
	workers_free(daemon->workers);
	clients_sweep(daemon);
	events_free(daemon->events);
	faults_free(daemon->faults);
	guests_free(daemon->guests);
	(void)sd_event_source_disable_unref(daemon->tick);
	(void)sd_event_source_disable_unref(daemon->sweep);
	sd_event_unref(daemon->loop);
	pt_host_free(daemon->host);
	fixed_free(daemon->fixed);
	free(daemon);
}
