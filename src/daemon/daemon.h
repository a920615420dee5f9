/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One loop reads, decodes and answers what is quick; what waits for hardware, or reads much
 * of sysfs, is done by workers (worker.h), each with a host of its own. Nothing of a
 * connection is kept but what is in its struct client.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "pci/host.h"

struct client;
struct workers;
struct events;
struct faults;
struct fixed;
struct guests;
struct listener;

/* What a daemon is made with; tests put a made-up machine here. */
struct daemon_config {
	const char *root;	    /* as for pt_host_new() */
	const struct host_ops *ops; /* NULL: the machine's own */
	void *ops_context;
	unsigned int max_clients;  /* 0: DAEMON_CLIENTS_MAX */
	unsigned int max_per_user; /* of each user but root; 0: DAEMON_CLIENTS_PER_USER */
	uint64_t patience_usec;	   /* 0: DAEMON_PATIENCE_USEC */
	const char *guest_user;	   /* whom guests run as; NULL: see domain/confine/confine.h */
	unsigned int unplug_ms;	   /* how long unplugging waits for a guest; 0: GUEST_UNPLUG_MS */
};

#define DAEMON_CLIENTS_MAX	4096
#define DAEMON_CLIENTS_PER_USER 256

/*
 * How long a client may take to open its connection, to finish a message it has begun, or
 * to take an answer. One that takes longer is dropped.
 */
#define DAEMON_PATIENCE_USEC (30 * (uint64_t)1000000)

struct daemon {
	struct daemon_config config;
	sd_event *loop;
	struct pt_host *host; /* the loop's own */
	struct client *clients;
	unsigned int client_count;
	bool has_dead; /* some client is to be swept away */
	sd_event_source *tick;
	sd_event_source *sweep; /* frees what was dropped; see daemon_sweep_later() */
	struct workers *workers;
	struct events *events;
	struct faults *faults; /* NULL for a made-up machine */
	struct fixed *fixed;
	struct guests *guests;
	struct listener *listeners;
};

int daemon_new(const struct daemon_config *config, struct daemon **ret_daemon,
	       struct pt_error *err);

/* Drops all clients; operations under way are waited for. */
void daemon_free(struct daemon *daemon);

/* Once the loop is through with this round, free what is no longer needed. */
void daemon_sweep_later(struct daemon *daemon);

/* Another host like the daemon's, for a worker. */
int daemon_open_host(const struct daemon *daemon, struct pt_host **ret_host, struct pt_error *err);

/* True when this is the machine itself, where system calls tell the same as files. */
bool daemon_is_this_machine(const struct daemon *daemon);

#endif
