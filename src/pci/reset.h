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
 * checked that they have the same owner. If the kernel would reset more functions than @reset
 * contains, nothing is reset. PT_RESET_UNAVAILABLE, PT_RESET_FAILED, PT_DRIVER_STUCK,
 * PT_DEVICE_GONE, PT_NOT_PERMITTED.
 *
 * On a host driver the kernel calls that driver's reset_prepare and reset_done, if it has them;
 * whether the driver survives depends on the driver, and the caller decides. The kernel resumes a
 * suspended function first. A reset that reports success and did nothing can't be detected.
 */
int reset_apply(struct pt_host *host, const struct pt_address *address,
		const struct pt_reset *reset, struct pt_error *err);
/* With a deadline of one's own. */
int reset_apply_within(struct pt_host *host, const struct pt_address *address,
		       const struct pt_reset *reset, unsigned int deadline_ms,
		       struct pt_error *err);

/*
 * Wait until configuration space answers and matches @vendor_id and @device_id.
 * PT_RESET_FAILED with what was read instead.
 */
int reset_verify(struct pt_host *host, const struct pt_address *address, uint16_t vendor_id,
		 uint16_t device_id, struct pt_error *err);

#endif
