/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of a snapshot; what it tells is in passthru/device.h and group.h. */
#ifndef PCI_SNAPSHOT_H
#define PCI_SNAPSHOT_H

#include <passthru/device.h>
#include <passthru/group.h>

#include "base/arena.h"

struct pt_snapshot {
	struct pt_function *functions; /* in address order */
	size_t count;
	struct pt_group *groups; /* by number */
	size_t group_count;
	const struct pt_function **members; /* of all groups, one after the other */
	struct arena strings;
};

/*
 * Read only the functions that an operation on @addresses can affect: these functions, the others
 * of their IOMMU groups, all below the bridge (or root bus) above each of them, and the bridges
 * above. Groups are complete for the named functions, and may be partial for the others. It costs
 * one system call per function of the host instead of five. Named functions may be missing.
 */
int snapshot_read_around(struct pt_host *host, const struct pt_address *addresses, size_t count,
			 struct pt_snapshot **ret_snapshot, struct pt_error *err);

/* Fill groups and members from the functions. 0 or -ENOMEM. */
int snapshot_form_groups(struct pt_snapshot *snapshot);

#endif
