/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The connection itself. */
#include <stdlib.h>
#include <string.h>

#include "daemon/handlers/handlers.h"
#include "daemon/call.h"
#include "daemon/events.h"
#include "daemon/host/node_events.h"
#include "daemon/handlers/domain_fault.h"
#include "daemon/log.h"

#define URI "qemu:///system"

#define OPEN_READONLY	1u
#define OPEN_NO_ALIASES 2u

/* The libvirt whose protocol this is: clients take it for what the daemon can. */
#define LIBVIRT_VERSION 11003000

/* virDrvFeature */
enum feature {
	FEATURE_TYPED_PARAM_STRING = 9,
	FEATURE_KEEPALIVE = 10,
	FEATURE_EVENT_CALLBACK = 14,
	FEATURE_CLOSE_CALLBACK = 15,
};

static int auth_list(struct pt_host *host, struct call *call)
{
	struct rpc_auth_types *result = call->result;

	(void)host;
	/* one type, "none": who may connect is the socket's matter */
	result->types.types_val = calloc(1, sizeof(*result->types.types_val));
	if (!result->types.types_val)
		return call_fail_memory(call);
	result->types.types_len = 1;
	return 0;
}

static int supports_feature(struct pt_host *host, struct call *call)
{
	const struct rpc_number *args = call->args;
	struct rpc_number *result = call->result;

	(void)host;
	switch (args->number) {
	case FEATURE_TYPED_PARAM_STRING:
	case FEATURE_KEEPALIVE:
	case FEATURE_EVENT_CALLBACK:
	case FEATURE_CLOSE_CALLBACK:
		result->number = 1;
		break;
	default:
		result->number = 0;
	}
	return 0;
}

static int connect_open(struct pt_host *host, struct call *call)
{
	const struct rpc_open_args *args = call->args;
	const char *name = args->name ? *args->name : "";

	(void)host;
	if (call->client->is_open)
		return fault_set(&call->fault, FAULT_INTERNAL, FAULT_FROM_RPC,
				 "connection already open");
	if (args->flags & ~(OPEN_READONLY | OPEN_NO_ALIASES))
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_RPC,
				 "unsupported flags (0x%x)", args->flags);
	if (*name && strcmp(name, URI) != 0)
		return fault_set(&call->fault, FAULT_NO_CONNECT, FAULT_FROM_NONE,
				 "%.200s: passthrud serves " URI, name);
	call->client->is_open = true;
	if (args->flags & OPEN_READONLY)
		call->client->is_readonly = true;
	return 0;
}

static int connect_close(struct pt_host *host, struct call *call)
{
	(void)host;
	/* the client hangs up once it has the answer */
	call->client->is_open = false;
	subscriptions_drop(call->client);
	return 0;
}

static int get_type(struct pt_host *host, struct call *call)
{
	(void)host;
	return call_answer_text(call, strdup("QEMU"));
}

static int get_uri(struct pt_host *host, struct call *call)
{
	(void)host;
	return call_answer_text(call, strdup(URI));
}

static int get_lib_version(struct pt_host *host, struct call *call)
{
	struct rpc_long *result = call->result;

	(void)host;
	result->number = LIBVIRT_VERSION;
	return 0;
}

static int is_secure(struct pt_host *host, struct call *call)
{
	struct rpc_number *result = call->result;

	(void)host;
	result->number = 1; /* a unix socket */
	return 0;
}

/* A connection here ends with its socket, which clients notice by themselves. */
static int close_callback(struct pt_host *host, struct call *call)
{
	(void)host;
	(void)call;
	return 0;
}

/* ---- events ---- */

static int answer_subscription(struct call *call, enum event_kind kind, int event,
			       const char *device)
{
	struct rpc_number *result = call->result;
	int r = events_subscribe(call->context, call->client, kind, event, device, &result->number);

	if (r == -ENOMEM)
		return call_fail_memory(call);
	if (r < 0)
		return fault_set(&call->fault, FAULT_INTERNAL, FAULT_FROM_RPC,
				 "events can't be delivered: %s",
				 r == -E2BIG ? "too many callbacks" : strerror(-r));
	return 0;
}

static int device_event_register(struct pt_host *host, struct call *call)
{
	const struct rpc_device_event_args *args = call->args;

	(void)host;
	if (args->event != NODE_EVENT_LIFECYCLE && args->event != NODE_EVENT_UPDATE)
		return fault_set(&call->fault, FAULT_INTERNAL, FAULT_FROM_RPC,
				 "unsupported node device event ID %d", args->event);
	return answer_subscription(call, EVENT_NODE_DEVICE, args->event,
				   args->device ? args->device->name : NULL);
}

/* The arguments of all the others begin with the event; there is nothing yet to tell of. */
static int other_event_register(struct call *call, enum event_kind kind, int event)
{
	if (event < 0)
		return fault_set(&call->fault, FAULT_INTERNAL, FAULT_FROM_RPC,
				 "unsupported event ID %d", event);
	return answer_subscription(call, kind, event, NULL);
}

static int domain_event_register(struct pt_host *host, struct call *call)
{
	const struct rpc_domain_event_args *args = call->args;
	char uuid[UUID_TEXT];

	(void)host;
	if (args->event < 0)
		return other_event_register(call, EVENT_DOMAIN, args->event);
	return answer_subscription(
		call, EVENT_DOMAIN, args->event,
		args->domain ? uuid_format((const unsigned char *)args->domain->uuid, uuid) : NULL);
}

static int network_event_register(struct pt_host *host, struct call *call)
{
	(void)host;
	return other_event_register(call, EVENT_NETWORK,
				    ((const struct rpc_object_event_args *)call->args)->event);
}

static int pool_event_register(struct pt_host *host, struct call *call)
{
	(void)host;
	return other_event_register(call, EVENT_STORAGE_POOL,
				    ((const struct rpc_object_event_args *)call->args)->event);
}

static int secret_event_register(struct pt_host *host, struct call *call)
{
	(void)host;
	return other_event_register(call, EVENT_SECRET,
				    ((const struct rpc_secret_event_args *)call->args)->event);
}

static int event_deregister(struct pt_host *host, struct call *call)
{
	static const struct {
		int32_t procedure;
		enum event_kind kind;
	} kinds[] = {
		{RPC_NODE_DEVICE_EVENT_DEREGISTER, EVENT_NODE_DEVICE},
		{RPC_DOMAIN_EVENT_DEREGISTER, EVENT_DOMAIN},
		{RPC_NETWORK_EVENT_DEREGISTER, EVENT_NETWORK},
		{RPC_STORAGE_POOL_EVENT_DEREGISTER, EVENT_STORAGE_POOL},
		{RPC_SECRET_EVENT_DEREGISTER, EVENT_SECRET},
	};
	const struct rpc_number *args = call->args;
	size_t i;

	(void)host;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].procedure == call->procedure->number &&
		    events_unsubscribe(call->client, kinds[i].kind, args->number) == 0)
			return 0;
	return fault_set(&call->fault, FAULT_INTERNAL, FAULT_FROM_RPC,
			 "event callback %d not registered", args->number);
}

const struct handler handlers_connect[] = {
	{RPC_AUTH_LIST, auth_list, HANDLER_QUICK},
	{RPC_CONNECT_SUPPORTS_FEATURE, supports_feature, HANDLER_QUICK},
	{RPC_CONNECT_OPEN, connect_open, HANDLER_QUICK},
	{RPC_CONNECT_CLOSE, connect_close, HANDLER_QUICK},
	{RPC_CONNECT_GET_TYPE, get_type, HANDLER_QUICK},
	{RPC_CONNECT_GET_URI, get_uri, HANDLER_QUICK},
	{RPC_CONNECT_GET_LIB_VERSION, get_lib_version, HANDLER_QUICK},
	{RPC_CONNECT_IS_SECURE, is_secure, HANDLER_QUICK},
	{RPC_REGISTER_CLOSE_CALLBACK, close_callback, HANDLER_QUICK},
	{RPC_UNREGISTER_CLOSE_CALLBACK, close_callback, HANDLER_QUICK},
	{RPC_NODE_DEVICE_EVENT_REGISTER, device_event_register, HANDLER_QUICK},
	{RPC_NODE_DEVICE_EVENT_DEREGISTER, event_deregister, HANDLER_QUICK},
	{RPC_DOMAIN_EVENT_REGISTER, domain_event_register, HANDLER_QUICK},
	{RPC_DOMAIN_EVENT_DEREGISTER, event_deregister, HANDLER_QUICK},
	{RPC_NETWORK_EVENT_REGISTER, network_event_register, HANDLER_QUICK},
	{RPC_NETWORK_EVENT_DEREGISTER, event_deregister, HANDLER_QUICK},
	{RPC_STORAGE_POOL_EVENT_REGISTER, pool_event_register, HANDLER_QUICK},
	{RPC_STORAGE_POOL_EVENT_DEREGISTER, event_deregister, HANDLER_QUICK},
	{RPC_SECRET_EVENT_REGISTER, secret_event_register, HANDLER_QUICK},
	{RPC_SECRET_EVENT_DEREGISTER, event_deregister, HANDLER_QUICK},
	{0},
};
