/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PCI_RESET_H
#define PCI_RESET_H

#include <passthru/reset.h>

#include "pci/host.h"

/* The kernel itself gives a device up to 60 s after FLR (pci_dev_wait()). */
#define RESET_DEADLINE_MS 90000

/*
 * Reset @address as @reset says, then check that configuration space answers and
 * that ids, header and BARs are what they were. For PT_RESET_BUS with more
 * than this function all affected must be on VFIO drivers; the caller has
 * seen to it that they are ours. PT_RESET_UNAVAILABLE, PT_RESET_FAILED, PT_DRIVER_STUCK.
 */
int reset_apply(struct pt_host *host, const struct pt_address *address,
		const struct pt_reset *reset, struct pt_error *err);

/*
 * Wait until configuration space answers and matches @vendor_id and @device_id.
 * PT_RESET_FAILED with what was read instead.
 */
int reset_verify(struct pt_host *host, const struct pt_address *address, uint16_t vendor_id,
		 uint16_t device_id, struct pt_error *err);

#endif
