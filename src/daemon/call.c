/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/call.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/stream.h"

struct calls {
	struct pool *pool;
	struct {
		const struct handler *handlers;
		void *context;
	} tables[CALLS_TABLES_MAX];
	size_t count;
};

/* ---- who answers ---- */

int calls_new(struct pool *pool, struct calls **ret_calls, struct pt_error *err)
{
	struct calls *calls = calloc(1, sizeof(*calls));

	if (!calls)
		return pt_fail_memory(err);
	calls->pool = pool;
	*ret_calls = calls;
	return 0;
}

void calls_free(struct calls *calls)
{
	free(calls);
}

void calls_serve(struct calls *calls, const struct handler *table, void *context)
{
	assert(calls->count < CALLS_TABLES_MAX);
	calls->tables[calls->count].handlers = table;
	calls->tables[calls->count++].context = context;
}

static const struct handler *find_handler(const struct calls *calls, int32_t procedure,
					  void **ret_context)
{
	size_t i;

	for (i = 0; i < calls->count; i++) {
		const struct handler *handler = calls->tables[i].handlers;

		for (; handler->run; handler++) {
			if (handler->procedure != procedure)
				continue;
			*ret_context = calls->tables[i].context;
			return handler;
		}
	}
	return NULL;
}

bool calls_have(const struct calls *calls, int32_t procedure)
{
	void *context;

	return find_handler(calls, procedure, &context);
}

int call_fail_memory(struct call *call)
{
	return fault_set(&call->fault, FAULT_NO_MEMORY, FAULT_FROM_NONE,
			 "passthrud has no memory left");
}

int call_answer_text(struct call *call, char *text)
{
	struct rpc_text *result = call->result;

	if (!text)
		return call_fail_memory(call);
	result->text = text;
	return 0;
}

static void call_free(struct call *call)
{
	if (call->procedure) {
		rpc_free(call->procedure->args, call->args);
		rpc_free(call->procedure->result, call->result);
	}
	free(call);
}

/* ---- answering ---- */

static void answer_fault(struct client *client, const struct frame_header *header,
			 const struct fault *fault)
{
	struct frame_bytes bytes;

	log_message(PT_LOG_INFO, "client %d: procedure %d: %s", (int)client->pid, header->procedure,
		    fault->detail);
	if (fault_write(fault, header, FRAME_REPLY, &bytes) < 0)
		client_drop(client, "no memory for a reply");
	else
		client_send(client, &bytes);
}

static void answer_result(struct call *call)
{
	struct frame_header header = call->header;
	struct frame_bytes bytes;
	int r;

	header.type = FRAME_REPLY;
	header.status = FRAME_OK;
	r = frame_write(&header, call->procedure->result, call->result, &bytes);
	if (r == -EMSGSIZE) {
		(void)fault_set(&call->fault, FAULT_RPC, FAULT_FROM_RPC,
				"the reply to %s is longer than the protocol allows",
				call->procedure->name);
		answer_fault(call->client, &call->header, &call->fault);
	} else if (r < 0) {
		client_drop(call->client, "no memory for a reply");
	} else {
		client_send(call->client, &bytes);
	}
}

/* ---- calls under way ---- */

static bool is_full(const struct client *client)
{
	return client->call_count >= CALLS_PER_CLIENT_MAX ||
	       (client->user->uid != 0 && client->user->calls >= CALLS_PER_USER_MAX) ||
	       streams_are_full(client);
}

static void call_begin(struct client *client, struct call *call)
{
	call->client = client;
	call->previous = NULL;
	call->following = client->calls;
	if (client->calls)
		client->calls->previous = call;
	client->calls = call;
	client->call_count++;
	client->user->calls++;
}

/* All connections of a user may have waited for the end of one call. */
static void resume(struct client *client, bool is_whole_user)
{
	struct client *other;

	if (!is_whole_user) {
		client_resume(client);
		return;
	}
	for (other = client->clients->first; other; other = other->next)
		if (other->user == client->user)
			client_resume(other);
}

static void call_end(struct client *client, struct call *call)
{
	bool was_full = client->call_count == CALLS_PER_CLIENT_MAX;
	bool was_user_full = client->user->calls == CALLS_PER_USER_MAX;

	if (call->previous)
		call->previous->following = call->following;
	else
		client->calls = call->following;
	if (call->following)
		call->following->previous = call->previous;
	client->call_count--;
	client->user->calls--;
	if (was_full || (was_user_full && client->user->uid != 0))
		resume(client, was_user_full);
}

static void call_finish(struct call *call)
{
	struct client *client = call->client;

	if (client) {
		call_end(client, call);
		if (call->fault.code)
			answer_fault(client, &call->header, &call->fault);
		else
			answer_result(call);
	}
	call_free(call);
}

/* ---- what can't be answered ---- */

static void call_refuse(struct client *client, const struct frame_header *header,
			enum fault_code code, const char *detail)
{
	struct fault fault;

	(void)fault_set(&fault, code, FAULT_FROM_RPC, "%s", detail);
	answer_fault(client, header, &fault);
}

/* What may be asked before a connection is open. */
static bool is_greeting(int32_t procedure)
{
	return procedure == RPC_AUTH_LIST || procedure == RPC_CONNECT_SUPPORTS_FEATURE ||
	       procedure == RPC_CONNECT_OPEN || procedure == RPC_CONNECT_CLOSE;
}

/* True when the call may go on; otherwise it was answered. */
static bool check(struct client *client, const struct frame_header *header,
		  const struct rpc_procedure *procedure)
{
	struct fault fault;

	if (!procedure) {
		(void)fault_set(&fault, FAULT_NO_SUPPORT, FAULT_FROM_RPC, "procedure %d",
				header->procedure);
	} else if (!client->is_open && !is_greeting(header->procedure)) {
		(void)fault_set(&fault, FAULT_INTERNAL, FAULT_FROM_RPC, "connection not open");
	} else if (client->is_readonly && procedure->is_change) {
		(void)fault_set(&fault, FAULT_DENIED, FAULT_FROM_NODEDEV,
				"read only access prevents %s", procedure->name);
	} else {
		return true;
	}
	answer_fault(client, header, &fault);
	return false;
}

/* ---- by a worker ---- */

static void call_run(struct job *job, struct pt_host *host)
{
	struct call *call = CONTAINER_OF(job, struct call, job);

	if (call->handler->run(host, call) < 0 && !call->fault.code)
		(void)call_fail_memory(call);
}

static void call_fail(struct job *job, const struct pt_error *err)
{
	struct call *call = CONTAINER_OF(job, struct call, job);

	(void)fault_set_reason(&call->fault, err, NULL);
}

static void call_done(struct job *job)
{
	call_finish(CONTAINER_OF(job, struct call, job));
}

static enum pool_lane lane_of(const struct call *call)
{
	if (call->handler->place == HANDLER_ENDS)
		return POOL_END;
	if (call->procedure->is_change)
		return POOL_CHANGE;
	return call->client->is_readonly ? POOL_READONLY : POOL_READ;
}

static void hand_over(struct call *call)
{
	call->is_in_pool = true;
	call->job = (struct job){.run = call_run,
				 .fail = call_fail,
				 .done = call_done,
				 .lane = lane_of(call),
				 .peer = call->client,
				 .uid = call->client->user->uid};
	if (call->handler->place == HANDLER_GUEST)
		memcpy(call->job.guest, ((const struct rpc_domain *)call->args)->uuid,
		       sizeof(call->job.guest));
	pool_add(call->calls->pool, &call->job);
}

/* ---- receiving ---- */

static int decode(struct call *call, const struct frame *frame)
{
	const struct rpc_procedure *procedure = call->procedure;
	int r = rpc_decode(procedure->args, procedure->args_size, frame->payload, frame->size,
			   &call->args);

	if (r < 0 || !procedure->result_size)
		return r;
	call->result = calloc(1, procedure->result_size);
	return call->result ? 0 : -ENOMEM;
}

static void receive_call(struct client *client, const struct frame *frame)
{
	const struct rpc_procedure *procedure = rpc_procedure_find(frame->header.procedure);
	struct call *call;
	int r;

	if (!check(client, &frame->header, procedure))
		return;
	call = calloc(1, sizeof(*call));
	if (!call) {
		client_drop(client, "no memory for a call");
		return;
	}
	call->calls = client->clients->ops_context;
	call->procedure = procedure;
	call->handler = find_handler(call->calls, procedure->number, &call->context);
	call->header = frame->header;
	r = decode(call, frame);
	if (r < 0) {
		call_refuse(client, &frame->header, r == -ENOMEM ? FAULT_NO_MEMORY : FAULT_RPC,
			    r == -ENOMEM ? "passthrud has no memory "
					   "left"
					 : "the arguments can't be decoded");
		call_free(call);
		return;
	}
	call_begin(client, call);
	r = call->handler->place == HANDLER_QUICK
		    ? call->handler->run(client->clients->context->host, call)
		    : CALL_WAITS;
	if (r == CALL_WAITS) {
		hand_over(call);
		return;
	}
	if (r < 0 && !call->fault.code)
		(void)call_fail_memory(call);
	call_finish(call);
}

static void receive_keepalive(struct client *client, const struct frame *frame)
{
	struct frame_header header = frame->header;
	struct frame_bytes bytes;

	if (header.type != FRAME_MESSAGE || header.procedure != RPC_KEEPALIVE_PING)
		return; /* a pong: that it came is all it says */
	header.procedure = RPC_KEEPALIVE_PONG;
	if (frame_write(&header, NULL, NULL, &bytes) < 0)
		client_drop(client, "no memory for a reply");
	else
		client_send(client, &bytes);
}

static void call_receive(struct client *client, const struct frame *frame)
{
	const struct frame_header *header = &frame->header;

	if (header->program == RPC_PROGRAM_KEEPALIVE && header->version == 1) {
		receive_keepalive(client, frame);
	} else if (header->type == FRAME_CALL_WITH_FDS) {
		call_refuse(client, header, FAULT_NO_SUPPORT, "passing of file descriptors");
	} else if (header->type == FRAME_STREAM && header->program == RPC_PROGRAM_MAIN) {
		stream_receive(client, frame);
	} else if (header->type != FRAME_CALL) {
		log_message(PT_LOG_DEBUG, "client %d: message of type %d ignored", (int)client->pid,
			    header->type);
	} else if (header->program == RPC_PROGRAM_QEMU) {
		call_refuse(client, header, FAULT_NO_SUPPORT, "the QEMU-specific program");
	} else if (header->program != RPC_PROGRAM_MAIN || header->version != 1) {
		call_refuse(client, header, FAULT_RPC, "unknown program or version");
	} else {
		receive_call(client, frame);
	}
}

/* ---- connections ---- */

/* A change continues without its client; a read that has not started is dropped. */
static void call_client_dropped(struct client *client)
{
	while (client->calls) {
		struct call *call = client->calls;

		call_end(client, call);
		call->client = NULL;
		/* one that is run in the loop, and has dropped its client, is its own affair */
		if (call->is_in_pool && !call->procedure->is_change &&
		    pool_forget(call->calls->pool, &call->job))
			call_free(call);
	}
	streams_drop(client);
	subscriptions_drop(client);
}

const struct client_ops calls_client_ops = {.receive = call_receive,
					    .is_full = is_full,
					    .changed = streams_update,
					    .dropped = call_client_dropped};
