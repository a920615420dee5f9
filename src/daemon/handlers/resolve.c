/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/handlers/resolve.h"

int resolve_fail(struct call *call, const char *name)
{
	return fault_set(&call->fault, FAULT_NO_NODE_DEVICE, FAULT_FROM_NODEDEV,
			 "no node device with matching name '%.200s'", name);
}

int resolve_node(struct pt_host *host, struct call *call, const char *name, struct nodes *ret_nodes)
{
	int r = node_of_name(host, name, ret_nodes);

	if (r == -ENOMEM)
		return call_fail_memory(call);
	if (r < 0)
		return resolve_fail(call, name);
	return 0;
}

int resolve_pci(struct pt_host *host, struct call *call, const char *name,
		struct pt_address *ret_address)
{
	struct nodes nodes;
	int r = 0;

	if (resolve_node(host, call, name, &nodes) < 0)
		return -1;
	if (nodes.items[0].kind != NODE_PCI ||
	    pt_address_parse(nodes.items[0].entry, ret_address, NULL) < 0)
		r = fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_DOMAIN,
			      "device %.200s is not a PCI device", name);
	nodes_free(&nodes);
	return r;
}
