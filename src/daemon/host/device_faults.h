/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Log hardware faults of guests' devices: DMA that the IOMMU blocked, bus errors, removed cards.
 * passthru watch shows the same for all devices.
 */
#ifndef DAEMON_HOST_DEVICE_FAULTS_H
#define DAEMON_HOST_DEVICE_FAULTS_H

#include "daemon/context.h"

struct device_faults;

int device_faults_new(const struct context *context, struct device_faults **ret_faults,
		      struct pt_error *err);
void device_faults_free(struct device_faults *faults); /* NULL is allowed */

#endif
