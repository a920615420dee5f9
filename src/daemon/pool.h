/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads for calls that take time: resets and rebinding take seconds, and reading a
 * sleeping device wakes it. They come when they are needed and go when they are idle. A
 * call is done to its end, whether its client still waits or not.
 */
#ifndef DAEMON_POOL_H
#define DAEMON_POOL_H

#include "daemon/daemon.h"

struct call;
struct workers;

#define WORKERS_MAX 16
/* Of these, so many may change devices: reading goes on while they do. */
#define WORKERS_CHANGING_MAX 12
#define WORKERS_IDLE_S	     10

int workers_new(struct daemon *daemon, struct workers **ret_workers, struct pt_error *err);

/* Waits for calls that were begun; the others are forgotten. */
void workers_free(struct workers *workers);

/*
 * Take back a call that only looks and wasn't begun, for nobody waits for it any more. False when
 * it is being done, or changes something.
 */
bool workers_forget(struct workers *workers, struct call *call);

/* Takes the call; call_finish() is called for it in the loop. */
void workers_add(struct workers *workers, struct call *call);

#endif
