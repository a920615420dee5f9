/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looking at node devices. */
#include <passthru/nodedev.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "daemon/handlers/handlers.h"
#include "daemon/call.h"
#include "daemon/host/fixed.h"
#include "daemon/host/nodes.h"
#include "daemon/handlers/resolve.h"

#define XML_INACTIVE 1u

/* ---- lists ---- */

/* Functions with VPD, when that is all that is asked of PCI. */
static void keep_vpd(struct pt_host *host, struct nodes *nodes)
{
	size_t i, kept = 0;

	for (i = 0; i < nodes->count; i++) {
		struct pt_address address;

		if (nodes->items[i].kind == NODE_PCI &&
		    (pt_address_parse(nodes->items[i].entry, &address, NULL) < 0 ||
		     !pt_nodedev_has_vpd(host, &address)))
			continue;
		nodes->items[kept++] = nodes->items[i];
	}
	nodes->count = kept;
}

/*
 * Each group of flags narrows the list, and none of a group asks for all of it. All that is
 * here is active and transient: nothing of it is defined in a file.
 */
static int read_by_flags(struct pt_host *host, struct call *call, unsigned int flags,
			 struct nodes *ret_nodes)
{
	const unsigned int states = NODES_FLAG_ACTIVE | NODES_FLAG_INACTIVE;
	const unsigned int lives = NODES_FLAG_PERSISTENT | NODES_FLAG_TRANSIENT;
	unsigned int capabilities = flags & ~(states | lives);
	unsigned int kinds = capabilities ? nodes_of_flags(capabilities) : NODES_ALL;
	bool is_vpd_asked = capabilities & NODES_FLAG_VPD;
	bool is_pci_asked = kinds & (1u << NODE_PCI);

	if ((flags & states && !(flags & NODES_FLAG_ACTIVE)) ||
	    (flags & lives && !(flags & NODES_FLAG_TRANSIENT)))
		kinds = 0;
	else if (is_vpd_asked)
		kinds |= 1u << NODE_PCI;
	if (nodes_read(host, kinds, false, ret_nodes) < 0)
		return call_fail_memory(call);
	if (is_vpd_asked && !is_pci_asked)
		keep_vpd(host, ret_nodes);
	return 0;
}

static int fill_list(struct call *call, const struct nodes *nodes)
{
	struct rpc_device_list *result = call->result;
	struct rpc_name *devices = calloc(nodes->count, sizeof(*devices));
	size_t i;

	if (!devices)
		return call_fail_memory(call);
	result->devices.devices_val = devices;
	for (i = 0; i < nodes->count; i++) {
		devices[i].name = strdup(nodes->items[i].name);
		if (!devices[i].name)
			return call_fail_memory(call);
		result->devices.devices_len++;
	}
	return 0;
}

/* One folder holds the names of all PCI functions; what else there is takes many files. */
static bool is_quick(unsigned int flags)
{
	return flags & NODES_FLAG_PCI &&
	       !(flags & ~(NODES_FLAG_PCI | NODES_FLAG_ACTIVE | NODES_FLAG_TRANSIENT));
}

static int list_all(struct pt_host *host, struct call *call)
{
	const struct rpc_list_args *args = call->args;
	struct rpc_device_list *result = call->result;
	struct nodes nodes = {0};
	int r;

	if (!call->is_in_pool && !is_quick(args->flags))
		return CALL_WAITS;
	r = read_by_flags(host, call, args->flags, &nodes);
	if (r < 0)
		return r;
	result->count = (unsigned int)nodes.count;
	if (args->is_list_wanted && nodes.count)
		r = fill_list(call, &nodes);
	nodes_free(&nodes);
	return r;
}

/* The old calls filter by one word. */
static int read_by_word(struct pt_host *host, struct call *call, rpc_optional_string word,
			unsigned int flags, struct nodes *ret_nodes)
{
	if (flags)
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_NODEDEV,
				 "unsupported flags (0x%x)", flags);
	if (word && !strcmp(*word, "vpd"))
		return read_by_flags(host, call, NODES_FLAG_VPD, ret_nodes);
	if (nodes_read(host, word ? nodes_of_word(*word) : NODES_ALL, false, ret_nodes) < 0)
		return call_fail_memory(call);
	return 0;
}

static int num_of_devices(struct pt_host *host, struct call *call)
{
	const struct rpc_device_count_args *args = call->args;
	struct rpc_number *result = call->result;
	struct nodes nodes = {0};
	int r = read_by_word(host, call, args->capability, args->flags, &nodes);

	if (r < 0)
		return r;
	result->number = (int)nodes.count;
	nodes_free(&nodes);
	return 0;
}

/* Fill a list of names with the first @max of them. */
static int answer_names(struct call *call, const char *const *names, size_t count, int max)
{
	struct rpc_names *result = call->result;
	size_t i;

	if (max < 0 || max > RPC_DEVICES_MAX)
		return fault_set(&call->fault, FAULT_RPC, FAULT_FROM_RPC,
				 "%d names are more than the protocol allows", max);
	if (count > (size_t)max)
		count = (size_t)max;
	result->names.names_val = calloc(count ? count : 1, sizeof(*result->names.names_val));
	if (!result->names.names_val)
		return call_fail_memory(call);
	for (i = 0; i < count; i++) {
		result->names.names_val[i] = strdup(names[i]);
		if (!result->names.names_val[i])
			return call_fail_memory(call);
		result->names.names_len++;
	}
	return 0;
}

static int list_devices(struct pt_host *host, struct call *call)
{
	const struct rpc_device_list_args *args = call->args;
	AUTO_FREE const char **names = NULL;
	struct nodes nodes = {0};
	size_t i;
	int r = read_by_word(host, call, args->capability, args->flags, &nodes);

	if (r < 0)
		return r;
	names = calloc(nodes.count + 1, sizeof(*names));
	for (i = 0; names && i < nodes.count; i++)
		names[i] = nodes.items[i].name;
	r = names ? answer_names(call, names, nodes.count, args->max) : call_fail_memory(call);
	nodes_free(&nodes);
	return r;
}

/* ---- one of them ---- */

static int lookup_by_name(struct pt_host *host, struct call *call)
{
	const struct rpc_name *args = call->args;
	struct rpc_name *result = call->result;
	struct nodes nodes = {0};

	if (resolve_node(host, call, args->name, &nodes) < 0)
		return -1;
	nodes_free(&nodes);
	result->name = strdup(args->name);
	return result->name ? 0 : call_fail_memory(call);
}

/* By what is known of it where that is enough; a worker asks the device, and keeps the answer. */
static int get_pci_xml(struct pt_host *host, struct call *call, const struct pt_address *address)
{
	struct nodedev_fixed facts = fixed_get(call->context, address);
	char name[PT_NODEDEV_NAME];
	struct pt_error err;
	char *xml = NULL;
	int r = nodedev_xml(host, address, !!call->is_in_pool, &facts, &xml, &err);

	if (r == -EAGAIN && !call->is_in_pool)
		return CALL_WAITS;
	if (r < 0 && err.reason == PT_NO_DEVICE)
		return resolve_fail(call, pt_nodedev_name(address, name));
	if (r < 0)
		return fault_set_reason(&call->fault, &err, NULL);
	if (facts.inode && !!call->is_in_pool)
		fixed_put(call->context, address, &facts);
	return call_answer_text(call, xml);
}

static int get_xml(struct pt_host *host, struct call *call)
{
	const struct rpc_name_flags *args = call->args;
	struct pt_address address;
	struct nodes nodes = {0};
	char *xml;

	if (args->flags & ~XML_INACTIVE)
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_NODEDEV,
				 "unsupported flags (0x%x)", args->flags);
	if (node_is_pci_name(args->name, &address))
		return get_pci_xml(host, call, &address);
	if (!call->is_in_pool)
		return CALL_WAITS;
	if (resolve_node(host, call, args->name, &nodes) < 0)
		return -1;
	xml = node_xml(host, &nodes.items[0]);
	nodes_free(&nodes);
	return call_answer_text(call, xml);
}

static int get_parent(struct pt_host *host, struct call *call)
{
	const struct rpc_name *args = call->args;
	struct rpc_optional_text *result = call->result;
	struct nodes nodes = {0};
	char *parent;

	if (resolve_node(host, call, args->name, &nodes) < 0)
		return -1;
	if (nodes.items[0].kind == NODE_SYSTEM) { /* the root of all */
		nodes_free(&nodes);
		return 0;
	}
	parent = node_parent(host, nodes.items[0].path);
	nodes_free(&nodes);
	result->text = parent ? malloc(sizeof(*result->text)) : NULL;
	if (!result->text) {
		free(parent);
		return call_fail_memory(call);
	}
	*result->text = parent;
	return 0;
}

/* The words of a node's capabilities: its kind and, of a function, "vpd". */
static int read_capabilities(struct pt_host *host, struct call *call, const char *name,
			     const char *names[2], size_t *ret_count)
{
	struct pt_address address;
	struct nodes nodes = {0};

	if (resolve_node(host, call, name, &nodes) < 0)
		return -1;
	names[0] = node_kind_word(nodes.items[0].kind);
	*ret_count = 1;
	if (nodes.items[0].kind == NODE_PCI &&
	    pt_address_parse(nodes.items[0].entry, &address, NULL) == 0 &&
	    pt_nodedev_has_vpd(host, &address))
		names[(*ret_count)++] = "vpd";
	nodes_free(&nodes);
	return 0;
}

static int num_of_caps(struct pt_host *host, struct call *call)
{
	const struct rpc_name *args = call->args;
	struct rpc_number *result = call->result;
	const char *names[2];
	size_t count = 0;

	if (read_capabilities(host, call, args->name, names, &count) < 0)
		return -1;
	result->number = (int)count;
	return 0;
}

static int list_caps(struct pt_host *host, struct call *call)
{
	const struct rpc_name_max *args = call->args;
	const char *names[2];
	size_t count = 0;

	if (read_capabilities(host, call, args->name, names, &count) < 0)
		return -1;
	return answer_names(call, names, count, args->max);
}

/* ---- what only matters for devices that are defined in files ---- */

static int answer_state(struct pt_host *host, struct call *call, int number)
{
	const struct rpc_name *args = call->args;
	struct rpc_number *result = call->result;
	struct nodes nodes = {0};

	if (resolve_node(host, call, args->name, &nodes) < 0)
		return -1;
	nodes_free(&nodes);
	result->number = number;
	return 0;
}

static int is_active(struct pt_host *host, struct call *call)
{
	return answer_state(host, call, 1);
}

/* Neither persistent nor started by itself. */
static int is_not(struct pt_host *host, struct call *call)
{
	return answer_state(host, call, 0);
}

const struct handler handlers_nodedev[] = {
	{RPC_LIST_ALL_NODE_DEVICES, list_all, HANDLER_QUICK},
	{RPC_NODE_NUM_OF_DEVICES, num_of_devices, HANDLER_SLOW},
	{RPC_NODE_LIST_DEVICES, list_devices, HANDLER_SLOW},
	{RPC_NODE_DEVICE_LOOKUP_BY_NAME, lookup_by_name, HANDLER_QUICK},
	{RPC_NODE_DEVICE_GET_XML_DESC, get_xml, HANDLER_QUICK},
	{RPC_NODE_DEVICE_GET_PARENT, get_parent, HANDLER_QUICK},
	{RPC_NODE_DEVICE_NUM_OF_CAPS, num_of_caps, HANDLER_SLOW},
	{RPC_NODE_DEVICE_LIST_CAPS, list_caps, HANDLER_SLOW},
	{RPC_NODE_DEVICE_IS_ACTIVE, is_active, HANDLER_QUICK},
	{RPC_NODE_DEVICE_IS_PERSISTENT, is_not, HANDLER_QUICK},
	{RPC_NODE_DEVICE_GET_AUTOSTART, is_not, HANDLER_QUICK},
	{0},
};
