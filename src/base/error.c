/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/*
 * Exit statuses start at 10, so that they are told apart from the shell's, from
 * those of "something went wrong" (1) and "bad usage" (2), and mostly from QEMU's.
 */
static const struct {
	const char *name;
	int exit_status;
} reasons[PT_REASON_COUNT] = {
	[PT_REASON_NONE] = {"none", 0},
	[PT_INVALID] = {"invalid", 2},
	[PT_NO_DEVICE] = {"no-device", 10},
	[PT_DEVICE_GONE] = {"device-gone", 11},
	[PT_NO_IOMMU] = {"no-iommu", 12},
	[PT_NO_GROUP] = {"no-group", 13},
	[PT_GROUP_NOT_VIABLE] = {"group-not-viable", 14},
	[PT_IN_USE] = {"in-use", 15},
	[PT_CLAIMED] = {"claimed", 16},
	[PT_BUSY] = {"busy", 17},
	[PT_QUARANTINED] = {"quarantined", 18},
	[PT_NO_VFIO] = {"no-vfio", 19},
	[PT_NOT_PERMITTED] = {"not-permitted", 20},
	[PT_DRIVER_REFUSED] = {"driver-refused", 21},
	[PT_DRIVER_STUCK] = {"driver-stuck", 22},
	[PT_RESET_UNAVAILABLE] = {"reset-unavailable", 23},
	[PT_RESET_FAILED] = {"reset-failed", 24},
	[PT_IDENTITY] = {"identity-mismatch", 25},
	[PT_STORAGE] = {"storage", 26},
	[PT_CORRUPT] = {"corrupt", 27},
	[PT_UNSUITABLE] = {"unsuitable", 28},
	[PT_NO_GUEST] = {"no-guest", 29},
	[PT_UNPLUG_REFUSED] = {"unplug-refused", 30},
	[PT_UNPLUG_PENDING] = {"unplug-pending", 31},
	[PT_NO_MEMORY] = {"no-memory", 1},
	[PT_SYSTEM] = {"system", 1},
};

const char *pt_reason_name(enum pt_reason reason)
{
	if ((unsigned int)reason >= PT_REASON_COUNT)
		return "unknown";
	return reasons[reason].name;
}

int pt_reason_exit_status(enum pt_reason reason)
{
	if ((unsigned int)reason >= PT_REASON_COUNT)
		return 1;
	return reasons[reason].exit_status;
}

/*
 * Words at @at in the message, which end with the message's room between two characters. What they
 * quote may come from anywhere, and the message goes to terminals, logs, JSON and XDR strings.
 */
static void put(struct pt_error *err, size_t at, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

static void put(struct pt_error *err, size_t at, const char *format, va_list args)
{
	(void)text_vformat(err->message + at, sizeof(err->message) - at, format, args);
	text_clean_lines(err->message + at);
}

void pt_error_set(struct pt_error *err, enum pt_reason reason, int errnum, const char *format, ...)
{
	va_list args;

	if (!err)
		return;
	err->reason = reason;
	err->errnum = errnum;
	va_start(args, format);
	put(err, 0, format, args);
	va_end(args);
}

void pt_error_prefix(struct pt_error *err, const char *format, ...)
{
	char old[sizeof(err->message)];
	va_list args;
	size_t len;

	if (!err)
		return;
	memcpy(old, err->message, sizeof(old));
	va_start(args, format);
	put(err, 0, format, args);
	va_end(args);
	len = strlen(err->message);
	(void)text_copy(err->message + len, sizeof(err->message) - len, old);
}

void pt_error_append(struct pt_error *err, const char *format, ...)
{
	va_list args;

	if (!err)
		return;
	va_start(args, format);
	put(err, strnlen(err->message, sizeof(err->message) - 1), format, args);
	va_end(args);
}
