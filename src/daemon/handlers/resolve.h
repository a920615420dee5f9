/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Look up the devices that calls name, with the errors that clients expect. */
#ifndef DAEMON_HANDLERS_RESOLVE_H
#define DAEMON_HANDLERS_RESOLVE_H

#include "daemon/call.h"
#include "daemon/host/nodes.h"

/* Sets the fault of a name that nothing has; -1. */
int resolve_fail(struct call *call, const char *name);

/* 0 and the node, freed with nodes_free(), or -1 and the call's fault. */
int resolve_node(struct pt_host *host, struct call *call, const char *name,
		 struct nodes *ret_nodes);

/* The same for what only PCI functions can do. */
int resolve_pci(struct pt_host *host, struct call *call, const char *name,
		struct pt_address *ret_address);

#endif
