/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The context of every part of the daemon: its event loop, its configuration, the machine. It
 * contains nothing else, so a part that includes it sees no other part.
 *
 * One thread runs the loop. It reads, decodes and executes quick calls. A call that waits for
 * hardware, or reads much of sysfs, is a job of the pool (pool.h), where each thread has its own
 * host.
 */
#ifndef DAEMON_CONTEXT_H
#define DAEMON_CONTEXT_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "pci/host.h"

/* Tests put a made-up machine here. */
struct context_config {
	const char *root;	    /* as for pt_host_new() */
	const struct host_ops *ops; /* NULL: the machine's own */
	void *ops_context;
	const struct machine_ops *machine; /* of guests; NULL: the machine's own */
	unsigned int max_clients;	   /* 0: CONTEXT_CLIENTS_MAX or less, by the descriptors */
	unsigned int max_per_user;	   /* of each user but root; 0: CONTEXT_CLIENTS_PER_USER */
	uint64_t patience_usec;		   /* 0: CONTEXT_PATIENCE_USEC */
	const char *guest_user;	  /* whom guests run as; NULL: see domain/confine/confine.h */
	bool has_own_users;	  /* each guest as a user of its own, in that one's groups */
	bool are_scopes_optional; /* a guest whose scope can't be made starts all the same */
	bool are_host_files_seen; /* guests have no view of their own (domain/confine/view.h) */
	/* does a guest's QEMU run as this user? They have no business here. NULL: ask nobody */
	bool (*is_guest)(uid_t uid);
	unsigned int unplug_ms; /* how long unplugging waits for a guest; 0: GUEST_UNPLUG_MS */
};

#define CONTEXT_CLIENTS_MAX	 4096
#define CONTEXT_CLIENTS_PER_USER 256

/* Of the connections, the part (1/n) that only root may have. */
#define CONTEXT_CLIENTS_ROOT 16

/* Descriptors that clients leave to the rest: QEMUs, sysfs, files. No more than half of all. */
#define CONTEXT_RESERVED_FDS 1024

/*
 * How long a client may take to open its connection, to finish a message it has begun, or
 * to take an answer. One that takes longer is dropped.
 */
#define CONTEXT_PATIENCE_USEC (30 * (uint64_t)1000000)

/* Only read once threads run. */
struct context {
	struct context_config config;
	sd_event *loop;
	struct pt_host *host; /* the loop's own */
};

/* The texts of @config are not copied. */
int context_new(const struct context_config *config, struct context **ret_context,
		struct pt_error *err);
void context_free(struct context *context); /* NULL is allowed */

/* Another host like the context's, for another thread. */
int context_open_host(const struct context *context, struct pt_host **ret_host,
		      struct pt_error *err);

#endif
