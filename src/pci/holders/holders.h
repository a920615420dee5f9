/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The holders of a function; the public part is in passthru/holders.h. */
#ifndef PCI_HOLDERS_HOLDERS_H
#define PCI_HOLDERS_HOLDERS_H

#include <stdbool.h>

#include <passthru/holders.h>

#include "base/error.h"
#include "pci/host.h"

/*
 * pt_holders_read() for several functions in one scan. ret_holders has room for
 * @count lists, freed by the caller one by one. All or none.
 */
int holders_read_many(struct pt_host *host, const struct pt_address *addresses, size_t count,
		      struct pt_holders **ret_holders, struct pt_error *err);

/*
 * False in a container, where a process that isn't to be seen may still live. (A pid means another
 * process there, too.)
 */
bool holders_see_all_processes(struct pt_host *host);

#endif
