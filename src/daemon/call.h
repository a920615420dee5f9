/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One call of a client, from its arguments to its answer. */
#ifndef DAEMON_CALL_H
#define DAEMON_CALL_H

#include "daemon/client.h"
#include "daemon/errors.h"
#include "daemon/pool.h"
#include "rpc/procedures.h"

/* A client is not read while so many of its calls are under way, or of its user's, unless root's.
 */
#define CALLS_PER_CLIENT_MAX 16
#define CALLS_PER_USER_MAX   128

struct calls;

struct call {
	struct job job;
	struct calls *calls;
	/* NULL once it is gone; only for the loop, never for a worker */
	struct client *client;
	const struct handler *handler;
	void *context; /* of the handler's table: calls_serve() */
	const struct rpc_procedure *procedure;
	struct frame_header header;
	bool is_in_pool;
	void *args;   /* the procedure's plain structs; NULL where it has none */
	void *result; /* zeroed before the handler fills it with malloc()ed pieces */
	struct fault fault;
	struct call *previous, *following; /* of the same client */
};

/*
 * Answers a call: fills call->result and returns 0, or sets call->fault and returns -1. @host
 * is the caller's own: the loop's, or a worker's. One that finds itself in the loop
 * (!call->is_in_pool) and would have to wait returns CALL_WAITS, and is called again by a worker.
 */
#define CALL_WAITS 1

typedef int (*handler_fn)(struct pt_host *host, struct call *call);

enum handler_place {
	HANDLER_QUICK, /* in the loop */
	HANDLER_SLOW,  /* by a worker */
	HANDLER_GUEST, /* by a worker; the arguments begin with the guest (struct rpc_domain) */
	HANDLER_ENDS,  /* by a worker, of which there is always one: it ends a guest */
};

struct handler {
	int32_t procedure; /* its number; the table ends with a NULL function */
	handler_fn run;
	enum handler_place place;
};

int calls_new(struct pool *pool, struct calls **ret_calls, struct pt_error *err);
void calls_free(struct calls *calls); /* NULL is allowed */

/* Add these procedures. @context is passed to the handlers of this table. */
#define CALLS_TABLES_MAX 16
void calls_serve(struct calls *calls, const struct handler *table, void *context);

/* Whether some table has it: false is a mistake, which a test rules out. */
bool calls_have(const struct calls *calls, int32_t procedure);

/* What connections need to make calls; the ops_context is a struct calls. */
extern const struct client_ops calls_client_ops;

/* For handlers: fail without memory. */
int call_fail_memory(struct call *call);

/* The same for a string result: takes @text (malloc()ed, may be NULL). */
int call_answer_text(struct call *call, char *text);

#endif
