/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What only VFIO can tell or do: Documentation/driver-api/vfio.rst, <linux/vfio.h>. */
#ifndef PCI_VFIO_H
#define PCI_VFIO_H

#include <stdbool.h>
#include <stddef.h>

#include "pci/host.h"

/* See struct host_ops. -EBUSY: the group is open elsewhere (a guest has it). */
int vfio_hot_reset_info(struct pt_host *host, const struct pt_address *address,
			struct pt_address **ret_affected, size_t *ret_count);
int vfio_hot_reset(struct pt_host *host, const struct pt_address *address);

#endif
