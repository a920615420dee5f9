/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/call.h"

#include <stdlib.h>

#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/stream.h"
#include "daemon/pool.h"

static const struct handler *const tables[] = {
	handlers_connect,	handlers_host,		handlers_nodedev,      handlers_change,
	handlers_domain,	handlers_domain_define, handlers_domain_stats, handlers_guest,
	handlers_guest_devices, handlers_console,	handlers_security,     handlers_empty,
};

const struct handler *handler_find(int32_t procedure)
{
	const struct handler *handler;
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (handler = tables[i]; handler->run; handler++)
			if (handler->procedure == procedure)
				return handler;
	return NULL;
}

int call_fail_memory(struct call *call)
{
	return fault_set(&call->fault, FAULT_NO_MEMORY, FAULT_FROM_NONE, "passthrud has none left");
}

int call_answer_text(struct call *call, char *text)
{
	struct rpc_text *result = call->result;

	if (!text)
		return call_fail_memory(call);
	result->text = text;
	return 0;
}

void call_free(struct call *call)
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
		client_drop(client, "no memory for an answer");
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
				"the answer of %s is longer than the protocol allows",
				call->procedure->name);
		answer_fault(call->client, &call->header, &call->fault);
	} else if (r < 0) {
		client_drop(call->client, "no memory for an answer");
	} else {
		client_send(call->client, &bytes);
	}
}

void call_finish(struct call *call)
{
	struct client *client = call->client;

	if (client) {
		client_call_ended(client, call);
		if (call->fault.code)
			answer_fault(client, &call->header, &call->fault);
		else
			answer_result(call);
	}
	call_free(call);
}

/* ---- receiving ---- */

static void refuse(struct client *client, const struct frame_header *header, enum fault_code code,
		   const char *detail)
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
	call->daemon = client->daemon;
	call->procedure = procedure;
	call->handler = handler_find(procedure->number);
	call->header = frame->header;
	r = rpc_decode(procedure->args, procedure->args_size, frame->payload, frame->size,
		       &call->args);
	if (r == 0 && procedure->result_size) {
		call->result = calloc(1, procedure->result_size);
		r = call->result ? 0 : -ENOMEM;
	}
	if (r < 0) {
		refuse(client, &frame->header, r == -ENOMEM ? FAULT_NO_MEMORY : FAULT_RPC,
		       r == -ENOMEM ? "passthrud has none left" : "the arguments can't be decoded");
		call_free(call);
		return;
	}
	client_call_began(client, call);
	r = call->handler->is_slow ? CALL_WAITS : call->handler->run(client->daemon->host, call);
	if (r == CALL_WAITS) {
		workers_add(client->daemon->workers, call);
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
		client_drop(client, "no memory for an answer");
	else
		client_send(client, &bytes);
}

void call_receive(struct client *client, const struct frame *frame)
{
	const struct frame_header *header = &frame->header;

	if (header->program == RPC_PROGRAM_KEEPALIVE && header->version == 1) {
		receive_keepalive(client, frame);
	} else if (header->type == FRAME_CALL_WITH_FDS) {
		refuse(client, header, FAULT_NO_SUPPORT, "passing of file descriptors");
	} else if (header->type == FRAME_STREAM && header->program == RPC_PROGRAM_MAIN) {
		stream_receive(client, frame);
	} else if (header->type != FRAME_CALL) {
		log_message(PT_LOG_DEBUG, "client %d: message of type %d ignored", (int)client->pid,
			    header->type);
	} else if (header->program == RPC_PROGRAM_QEMU) {
		refuse(client, header, FAULT_NO_SUPPORT, "the QEMU-specific program");
	} else if (header->program != RPC_PROGRAM_MAIN || header->version != 1) {
		refuse(client, header, FAULT_RPC, "unknown program or version");
	} else {
		receive_call(client, frame);
	}
}
