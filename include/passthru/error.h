/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PASSTHRU_ERROR_H
#define PASSTHRU_ERROR_H

/**
 * DOC: Errors
 *
 * Every function that can fail returns 0 or a negative errno and takes a
 * &struct pt_error as its last argument. The error is a value on the caller's
 * stack: nothing to free, valid until overwritten, and NULL is allowed where
 * only the return value matters. On success it is left alone.
 *
 * The message is one or more lines of plain text for the person at the
 * terminal: what failed, on which device, why, and the next thing to do.
 */

#ifdef __cplusplus
extern "C" {
#endif

/**
 * enum pt_reason - why something was refused or failed
 *
 * One table (pt_reason_name(), pt_reason_exit_status()) gives each reason its
 * name in JSON output and its exit status of the command line tool. Numbers
 * are part of the ABI: new reasons are added at the end.
 */
enum pt_reason {
	/** @PT_REASON_NONE: nothing failed */
	PT_REASON_NONE = 0,
	/** @PT_INVALID: the request itself is malformed (address, option, field) */
	PT_INVALID,
	/** @PT_NO_DEVICE: no such PCI function on this host */
	PT_NO_DEVICE,
	/** @PT_DEVICE_GONE: the function left the machine while it was worked on */
	PT_DEVICE_GONE,
	/** @PT_NO_IOMMU: the kernel has no IOMMU in use, so nothing can be isolated */
	PT_NO_IOMMU,
	/** @PT_NO_GROUP: there is an IOMMU, but it doesn't cover this function */
	PT_NO_GROUP,
	/** @PT_GROUP_NOT_VIABLE: another function of the IOMMU group is on a host driver */
	PT_GROUP_NOT_VIABLE,
	/** @PT_IN_USE: the host hangs on the device (see holders) */
	PT_IN_USE,
	/** @PT_CLAIMED: another owner (a guest, a run, a person) has the device */
	PT_CLAIMED,
	/** @PT_BUSY: another process is changing this device or its group now */
	PT_BUSY,
	/** @PT_QUARANTINED: the device failed its reset and is kept from everyone */
	PT_QUARANTINED,
	/** @PT_NO_VFIO: the kernel has no vfio-pci driver, as module or built in */
	PT_NO_VFIO,
	/** @PT_NOT_PERMITTED: not root, or the kernel's files are read-only here */
	PT_NOT_PERMITTED,
	/** @PT_DRIVER_REFUSED: the driver didn't take, or didn't let go of, the device */
	PT_DRIVER_REFUSED,
	/** @PT_DRIVER_STUCK: the driver's code has not returned by the deadline */
	PT_DRIVER_STUCK,
	/** @PT_RESET_UNAVAILABLE: the function can't be reset by itself */
	PT_RESET_UNAVAILABLE,
	/** @PT_RESET_FAILED: a reset was tried and the device didn't come back right */
	PT_RESET_FAILED,
	/** @PT_IDENTITY: another device sits where the named one was expected */
	PT_IDENTITY,
	/** @PT_STORAGE: the state directory can't be written (full, read-only) */
	PT_STORAGE,
	/** @PT_CORRUPT: a state or configuration file doesn't parse */
	PT_CORRUPT,
	/** @PT_UNSUITABLE: this kind of function can't be assigned (a bridge, say) */
	PT_UNSUITABLE,
	/** @PT_NO_GUEST: no such guest */
	PT_NO_GUEST,
	/** @PT_UNPLUG_REFUSED: the guest won't let go of the device */
	PT_UNPLUG_REFUSED,
	/** @PT_UNPLUG_PENDING: the guest hasn't let go of the device yet, and still may */
	PT_UNPLUG_PENDING,
	/** @PT_NO_MEMORY: allocation failed */
	PT_NO_MEMORY,
	/** @PT_SYSTEM: a system call failed in a way none of the above describes */
	PT_SYSTEM,
	/** @PT_REASON_COUNT: number of reasons, not one itself */
	PT_REASON_COUNT,
};

/**
 * struct pt_error - what went wrong
 * @reason: the class of the failure, for programs
 * @errnum: the errno behind it (positive), or 0
 * @message: for people; never empty after a failure
 */
struct pt_error {
	enum pt_reason reason;
	int errnum;
	char message[2048];
};

/**
 * pt_reason_name() - the reason's name as it stands in JSON output
 * @reason: any value
 *
 * Return: a static string such as "group-not-viable"; "unknown" for numbers
 * outside the enum.
 */
const char *pt_reason_name(enum pt_reason reason);

/**
 * pt_reason_exit_status() - the exit status passthru(1) ends with
 * @reason: any value
 *
 * Return: 0 for PT_REASON_NONE, otherwise the status listed in passthru(1).
 */
int pt_reason_exit_status(enum pt_reason reason);

#ifdef __cplusplus
}
#endif
#endif
