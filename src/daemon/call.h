/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One call of a client, from its arguments to its answer. */
#ifndef DAEMON_CALL_H
#define DAEMON_CALL_H

#include "daemon/client.h"
#include "daemon/errors.h"
#include "rpc/procedures.h"

struct call {
	struct daemon *daemon;
	/* NULL once it is gone; only for the loop, never for a worker */
	struct client *client;
	const struct handler *handler;
	const struct rpc_procedure *procedure;
	struct frame_header header;
	void *args;   /* the procedure's plain structs; NULL where it has none */
	void *result; /* zeroed before the handler fills it with malloc()ed pieces */
	struct fault fault;
	struct call *next;     /* in a queue of the workers */
	struct call *previous; /* see client.c: calls under way */
	struct call *following;
};

/*
 * Answers a call: fills call->result and returns 0, or sets call->fault and returns -1. @host
 * is the caller's own: the loop's, or a worker's. One that finds itself in the loop and would
 * have to wait returns CALL_WAITS, and is called again by a worker.
 */
#define CALL_WAITS 1

typedef int (*handler_fn)(struct pt_host *host, struct call *call);

struct handler {
	int32_t procedure;
	handler_fn run;
	bool is_slow; /* done by a worker */
};

/* NULL for a procedure without one, which a test rules out. */
const struct handler *handler_find(int32_t procedure);

/* The tables, each ended by a NULL function. */
extern const struct handler handlers_connect[];
extern const struct handler handlers_host[];
extern const struct handler handlers_nodedev[];
extern const struct handler handlers_change[];
extern const struct handler handlers_domain[];
extern const struct handler handlers_domain_define[];
extern const struct handler handlers_domain_stats[];
extern const struct handler handlers_guest[];
extern const struct handler handlers_guest_devices[];
extern const struct handler handlers_console[];
extern const struct handler handlers_security[];
extern const struct handler handlers_empty[];

/* Handle one frame that @client sent; may answer at once, hand it to a worker, or drop it. */
void call_receive(struct client *client, const struct frame *frame);

/* Loop: send what a worker found, and forget the call. */
void call_finish(struct call *call);

void call_free(struct call *call);

/* For handlers: fail for want of memory. */
int call_fail_memory(struct call *call);

/* The same for a string result: takes @text (malloc()ed, may be NULL). */
int call_answer_text(struct call *call, char *text);

#endif
