/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads for slow work: resets and rebinding take seconds, and reading a suspended device
 * resumes it. Threads are created on demand and exit when idle, except one idle thread. A job
 * always runs to its end, even if its client has disconnected. Each running job has a host of its
 * own, the one that was used last.
 *
 * Each job is in a lane, and each lane always has some threads that the others can't take from
 * it: a read never delays a change, and a guest can be ended at any time.
 */
#ifndef DAEMON_POOL_H
#define DAEMON_POOL_H

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/context.h"
#include "daemon/mailbox.h"

/* In the order in which waiting jobs are begun. */
enum pool_lane {
	POOL_END,      /* ends guests */
	POOL_CHANGE,   /* changes devices and guests */
	POOL_OWN,      /* the daemon's own: consequences of a guest's events */
	POOL_READ,     /* looks */
	POOL_READONLY, /* reads on a read-only connection */
	POOL_LANE_COUNT
};

/*
 * A guest whose QEMU doesn't answer has a thread until the deadline, and two while it starts. Each
 * thread's host takes up to 1 MiB.
 */
#define POOL_THREADS_MAX 40
#define POOL_IDLE_S	 10

/*
 * The maximum of parallel jobs of one peer, or of one user other than root, without those of
 * POOL_END. One user alone can't fill the lane of reads.
 */
#define POOL_PEER_MAX	       4
#define POOL_USER_MAX	       8
#define POOL_READONLY_USER_MAX 3

/*
 * Jobs of POOL_CHANGE that are about one guest run one after another: they would wait for each
 * other all the same, each with a thread, and for a QEMU that may never answer.
 */
#define POOL_GUEST_SIZE 16

/* The owner of the daemon's own jobs. */
#define POOL_NO_USER ((uid_t) - 1)

struct job {
	/* in a thread, with a host that is like the context's */
	void (*run)(struct job *job, struct pt_host *host);
	/* instead of @run, in any thread: there is no thread for it, or no host */
	void (*fail)(struct job *job, const struct pt_error *err);
	/* in the loop, at the end; frees the object that contains the job */
	void (*done)(struct job *job);
	enum pool_lane lane;
	const void *peer; /* the owner of the job, only compared; NULL: none */
	uid_t uid;	  /* or POOL_NO_USER */
	/* the UUID of the guest that a change is about; zero: none */
	unsigned char guest[POOL_GUEST_SIZE];
	/* the pool's */
	struct letter letter;
	struct job *next;
};

struct pool;

int pool_new(const struct context *context, struct mailbox *mailbox, struct pool **ret_pool,
	     struct pt_error *err);

/* Waits for jobs that were begun; for the others @fail is called, and @done for all. */
void pool_free(struct pool *pool); /* NULL is allowed */

/* Takes the job; from any thread. */
void pool_add(struct pool *pool, struct job *job);

/* True if no job waits or runs; finished jobs may still wait for the loop. */
bool pool_is_idle(struct pool *pool);

/* How many jobs of a lane run. */
unsigned int pool_count_running(struct pool *pool, enum pool_lane lane);

/* Take back a job that wasn't begun; false when it was. */
bool pool_forget(struct pool *pool, struct job *job);

#endif
