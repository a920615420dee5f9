/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of passthru/nodedev.h, for who describes the same functions again and again. */
#ifndef PCI_NODEDEV_H
#define PCI_NODEDEV_H

#include <passthru/nodedev.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

/*
 * The facts that do not change while a function exists: those from its configuration space, and
 * its names. They are cached because reading configuration space resumes a suspended device, and
 * waits during a reset; looking up names takes longer than everything else. The function's
 * directory shows whether the function was removed and added again, or replaced.
 */
struct nodedev_fixed {
	uint64_t inode; /* 0: nothing is known */
	struct timespec made;
	uint8_t header_type;
	bool has_vpd;
	bool is_pcie;
	bool has_link;
	bool may_have_vfs;
	uint8_t port_number;
	struct pt_link link_max;
	/* NULL: unknown. Of the host, until it is asked for names again. */
	const char *product, *vendor;
};

/*
 * pt_nodedev_xml() that looks at what is @fixed instead of configuration space where it is
 * of this function, and fills it otherwise. -EAGAIN without @may_wait when the device itself
 * must be asked, which can take long; @err isn't set then.
 */
int nodedev_xml(struct pt_host *host, const struct pt_address *address, bool may_wait,
		struct nodedev_fixed *fixed, char **ret_xml, struct pt_error *err);

/* The capability "vpd", or nothing when there is none. */
void nodedev_write_vpd(struct pt_host *host, const struct pt_address *address, FILE *out);

#endif
