/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What there is none of here: networks, storage pools, interfaces, secrets,
 * packet filters. virt-manager asks for all of them, and an empty list is the truth.
 */
#include "daemon/handlers/handlers.h"
#include "daemon/call.h"

/* Zeroed, a result of any of these says "none". */
static int none(struct pt_host *host, struct call *call)
{
	(void)host;
	(void)call;
	return 0;
}

static int network_by_name(struct pt_host *host, struct call *call)
{
	(void)host;
	return fault_set(&call->fault, FAULT_NO_NETWORK, FAULT_FROM_NETWORK,
			 "no network with matching name '%.200s'",
			 ((const struct rpc_text *)call->args)->text);
}

static int pool_by_name(struct pt_host *host, struct call *call)
{
	(void)host;
	return fault_set(&call->fault, FAULT_NO_STORAGE_POOL, FAULT_FROM_STORAGE,
			 "no storage pool with matching name '%.200s'",
			 ((const struct rpc_text *)call->args)->text);
}

const struct handler handlers_empty[] = {
	{RPC_LIST_DEFINED_NETWORKS, none, HANDLER_QUICK},
	{RPC_LIST_NETWORKS, none, HANDLER_QUICK},
	{RPC_NUM_OF_DEFINED_NETWORKS, none, HANDLER_QUICK},
	{RPC_NUM_OF_NETWORKS, none, HANDLER_QUICK},
	{RPC_LIST_ALL_NETWORKS, none, HANDLER_QUICK},
	{RPC_NETWORK_LOOKUP_BY_NAME, network_by_name, HANDLER_QUICK},
	{RPC_NUM_OF_STORAGE_POOLS, none, HANDLER_QUICK},
	{RPC_LIST_STORAGE_POOLS, none, HANDLER_QUICK},
	{RPC_NUM_OF_DEFINED_STORAGE_POOLS, none, HANDLER_QUICK},
	{RPC_LIST_DEFINED_STORAGE_POOLS, none, HANDLER_QUICK},
	{RPC_LIST_ALL_STORAGE_POOLS, none, HANDLER_QUICK},
	{RPC_STORAGE_POOL_LOOKUP_BY_NAME, pool_by_name, HANDLER_QUICK},
	{RPC_NUM_OF_INTERFACES, none, HANDLER_QUICK},
	{RPC_LIST_INTERFACES, none, HANDLER_QUICK},
	{RPC_NUM_OF_DEFINED_INTERFACES, none, HANDLER_QUICK},
	{RPC_LIST_DEFINED_INTERFACES, none, HANDLER_QUICK},
	{RPC_LIST_ALL_INTERFACES, none, HANDLER_QUICK},
	{RPC_NUM_OF_SECRETS, none, HANDLER_QUICK},
	{RPC_LIST_SECRETS, none, HANDLER_QUICK},
	{RPC_LIST_ALL_SECRETS, none, HANDLER_QUICK},
	{RPC_NUM_OF_NWFILTERS, none, HANDLER_QUICK},
	{RPC_LIST_NWFILTERS, none, HANDLER_QUICK},
	{RPC_LIST_ALL_NWFILTERS, none, HANDLER_QUICK},
	{RPC_LIST_ALL_NWFILTER_BINDINGS, none, HANDLER_QUICK},
	{0},
};
