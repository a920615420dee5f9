/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starting QEMU in two strokes. spawn_begin() makes the process and holds it, so that its pid is
 * known before it is QEMU: devices are claimed in its name, and a claim ends with its owner.
 * spawn_release() lets it become QEMU. If we die between the two, it notices and ends.
 */
#ifndef DOMAIN_CONFINE_SPAWN_H
#define DOMAIN_CONFINE_SPAWN_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "domain/confine/confine.h"

#define SPAWN_KEPT_MAX 320

struct spawn_request {
	const char *program; /* NULL: argv[0] */
	char *const *argv;
	char *const *environment; /* NAME=VALUE, NULL-terminated; NULL: none */
	const struct confine_user *user;
	bool becomes_itself;	/* @user: the program does that, being ours */
	const char *own;	/* the directory in its view (view.h) that is its own; NULL: none */
	const char *label;	/* what it runs under (secmodel.h), loaded by then; NULL: nothing */
	uint64_t locked_memory; /* bytes, RLIMIT_MEMLOCK */
	bool must_lock;		/* it needs that much; otherwise less will do */
	int output_fd;		/* its stdout and stderr */
	int kept[SPAWN_KEPT_MAX]; /* descriptors it inherits, under their own numbers, all above 2
				   */
	size_t kept_count;
};

struct spawn {
	pid_t pid;
	uint64_t start_time; /* as in struct pt_owner */
	int pidfd;
	int barrier_fd;
	int status_fd;
	bool is_ready; /* waits at its barrier */
};

/* Zeroed with descriptors -1 to begin with. */
#define SPAWN_NONE {.pidfd = -1, .barrier_fd = -1, .status_fd = -1}

/*
 * The process waits at its barrier, in its own session, with only the descriptors of @request open.
 */
int spawn_begin(struct pt_host *host, const struct spawn_request *request, struct spawn *ret_spawn,
		struct pt_error *err);

/* Wait until it has its view and is at its barrier, or has failed. */
int spawn_await(struct spawn *spawn, struct pt_error *err);

/* Let it go on; returns when it is QEMU, or failed to become it (and then it is reaped). */
int spawn_release(struct spawn *spawn, struct pt_error *err);

/* End it whatever it is by now, and reap it; the descriptors are closed. */
void spawn_cancel(struct spawn *spawn);

#endif
