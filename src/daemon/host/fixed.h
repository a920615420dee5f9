/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What stays as it is of PCI functions (pci/nodedev.h), kept from one look to the next: so the
 * loop can describe them without asking the devices. Used by all threads.
 */
#ifndef DAEMON_HOST_FIXED_H
#define DAEMON_HOST_FIXED_H

#include "pci/nodedev.h"

struct fixed;

/* NULL: no memory. */
struct fixed *fixed_new(void);
void fixed_free(struct fixed *fixed);

/*
 * What was kept of that address, of whatever function was there; zeroed when nothing was. Its names
 * stay as long as @fixed.
 */
struct nodedev_fixed fixed_get(struct fixed *fixed, const struct pt_address *address);

/* Without memory nothing is cached. */
void fixed_put(struct fixed *fixed, const struct pt_address *address,
	       const struct nodedev_fixed *facts);

#endif
