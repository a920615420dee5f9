/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What only VFIO can tell or do: Documentation/driver-api/vfio.rst, <linux/vfio.h>. */
#ifndef PCI_VFIO_H
#define PCI_VFIO_H

#include <stdbool.h>
#include <stddef.h>

#include "pci/host.h"

/* More functions than this on one bus, with all below, and the answer is -E2BIG. */
#define VFIO_AFFECTED_MAX 128

/*
 * See struct host_ops. Both open the device through its VFIO group and make only
 * async-signal-safe calls. Opening a VFIO device resets it where it can be reset by itself, so do
 * not call this for a device that is still in use.
 *
 * -EBUSY: the group is open elsewhere (a guest has it). -ENODEV: no bus reset is possible.
 * -EPERM: no interrupt remapping, or the group is not viable. -EOPNOTSUPP: this kernel offers
 * VFIO through IOMMUFD only, without groups; not supported yet.
 */
int vfio_hot_reset_info(struct pt_host *host, const struct pt_address *address,
			struct pt_address *affected, size_t max, size_t *ret_count);
int vfio_hot_reset(struct pt_host *host, const struct pt_address *address);

#endif
