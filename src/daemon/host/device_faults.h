/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Log hardware faults of guests' devices: DMA that the IOMMU blocked, bus errors, removed cards.
 * passthru watch shows the same for all devices.
 */
#ifndef DAEMON_HOST_DEVICE_FAULTS_H
#define DAEMON_HOST_DEVICE_FAULTS_H

#include "daemon/context.h"

struct faults;

int faults_new(const struct context *context, struct faults **ret_faults, struct pt_error *err);
void faults_free(struct faults *faults); /* NULL is allowed */

#endif
