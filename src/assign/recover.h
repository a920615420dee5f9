/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ASSIGN_RECOVER_H
#define ASSIGN_RECOVER_H

#include <passthru/plan.h>

/*
 * Recover these devices before an operation on them: interrupted operations and dead owners.
 * Operations of living processes are not touched. Takes and drops the locks itself.
 */
int recover_devices(struct pt_host *host, const struct pt_address *devices, size_t count,
		    struct pt_error *err);

/* Under the locks: PT_BUSY when an interrupted operation still touches one of the devices. */
int recover_check(struct pt_host *host, const struct pt_address *devices, size_t count,
		  struct pt_error *err);

#endif
