/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bring a device to a driver, whatever ids the drivers match: driver_override names the wanted
 * driver for the moment of the probe ("only the matching driver will bind",
 * Documentation/ABI/testing/sysfs-bus-pci), and gets its final value afterwards. Without it, the
 * kernel chooses among all drivers that match, and never one without ids (pci-stub,
 * uio_pci_generic). Both functions are idempotent: an interrupted call is simply repeated.
 */
#ifndef ASSIGN_BIND_H
#define ASSIGN_BIND_H

#include "pci/binding.h"

/* Bring @address to @to: its driver ("" for none) and its driver_override. */
int bind_driver(struct pt_host *host, const struct pt_address *address, const struct binding *to,
		struct pt_error *err);

/*
 * Bring @address to a host driver, first to the kernel's choice. If that is a VFIO driver, which
 * takes the device by its id (vfio-pci.ids=), to a driver that modules.alias names. Having no
 * driver is a success if none matches. driver_override is @override afterwards.
 */
int bind_host_driver(struct pt_host *host, const struct pt_address *address, const char *override,
		     struct pt_error *err);

#endif
