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

/* What a uevent file of a PCI function tells. @driver points into the text. */
struct uevent {
	const char *driver;
	size_t driver_len;
	uint32_t class_code;
	uint16_t vendor_id;
	uint16_t device_id;
	uint16_t subsystem_vendor_id;
	uint16_t subsystem_device_id;
};

/*
 * Read KEY=VALUE lines from any bytes. Unknown keys are passed over; false when
 * PCI_CLASS or PCI_ID is missing or malformed, with the fields that could be read.
 */
bool uevent_parse(const char *text, size_t len, struct uevent *ret_uevent);

/* Fill groups and members from the functions. 0 or -ENOMEM. */
int snapshot_form_groups(struct pt_snapshot *snapshot);

#endif
