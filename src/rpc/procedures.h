/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The procedures that are served, each with the types of what comes in and what goes
 * out. Which function answers is the daemon's matter (daemon/handlers/handlers.h).
 */
#ifndef RPC_PROCEDURES_H
#define RPC_PROCEDURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rpc/xdr.h>

#include "rpc/protocol.h"

struct rpc_procedure {
	int32_t number;
	const char *name; /* the function of libvirt's API, as in its messages */
	xdrproc_t args;	  /* NULL: none */
	size_t args_size; /* of the plain struct */
	xdrproc_t result; /* NULL: none */
	size_t result_size;
	bool is_change; /* refused on a read-only connection */
};

/* NULL for a number that isn't served. */
const struct rpc_procedure *rpc_procedure_find(int32_t number);

/* All of them, by number; NULL past the end. */
const struct rpc_procedure *rpc_procedure_at(size_t index);

/*
 * Decode all of @bytes into a new plain struct, *ret_args, freed with rpc_free(); NULL
 * where the procedure takes none. -EBADMSG when they are something else, or too long for
 * the protocol's limits, or -ENOMEM.
 */
int rpc_decode(xdrproc_t type, size_t struct_size, const void *bytes, size_t size, void **ret_args);

/* A plain struct made by rpc_decode(), or made with malloc() and filled with such pieces. */
void rpc_free(xdrproc_t type, void *data);

#endif
