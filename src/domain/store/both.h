/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A change of a running guest and of its definition together, as long as it is under way: both or
 * neither, also when the daemon is killed meanwhile. The file is run/passthru/both/NAME.json, gone
 * with the guest when the host starts again.
 */
#ifndef DOMAIN_STORE_BOTH_H
#define DOMAIN_STORE_BOTH_H

#include "assign/state.h"
#include "base/auto.h"

struct store_both {
	bool is_attach;
	char *device; /* XML; NULL: it is named by @alias */
	char *alias;
	char *before; /* the definition, to be written back where the guest wasn't changed */
	char *after;  /* as long as it is this one */
};

void store_both_free(struct store_both *both); /* what it has, and zeroes it */

/* Before the definition is written. */
int store_write_both(struct pt_host *host, const char *name, const struct store_both *both,
		     struct pt_error *err);
/* -ENOENT: none is under way. */
int store_read_both(struct pt_host *host, const char *name, struct store_both *ret_both,
		    struct pt_error *err);
int store_remove_both(struct pt_host *host, const char *name, struct pt_error *err);

#endif
