/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PASSTHRU_ERROR_H
#define PASSTHRU_ERROR_H

/**
 * DOC: Errors
 *
 * Every function that can fail returns 0 or a negative errno and takes a &struct pt_error as its
 * last argument. The error is a value on the caller's stack: nothing to free, valid until
 * overwritten, and NULL is allowed where only the return value matters. On success it is not
 * changed.
 *
 * The message is one or more lines of plain text for people: what failed, on which device, why,
 * and the next command.
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
	/** @PT_NO_DEVICE: the host has no such PCI function */
	PT_NO_DEVICE,
	/** @PT_DEVICE_GONE: the function was removed during the operation */
	PT_DEVICE_GONE,
	/** @PT_NO_IOMMU: the kernel uses no IOMMU, so no device can be isolated */
	PT_NO_IOMMU,
	/** @PT_NO_GROUP: no IOMMU covers this function */
	PT_NO_GROUP,
	/** @PT_GROUP_NOT_VIABLE: another function of the IOMMU group is bound to a host driver */
	PT_GROUP_NOT_VIABLE,
	/** @PT_IN_USE: the host uses the device (see holders) */
	PT_IN_USE,
	/** @PT_CLAIMED: the device has another owner (a guest, a command, a manual detach) */
	PT_CLAIMED,
	/** @PT_BUSY: another request is changing this device or its group */
	PT_BUSY,
	/** @PT_QUARANTINED: the device failed its reset and is in quarantine */
	PT_QUARANTINED,
	/** @PT_NO_VFIO: the kernel has no vfio-pci driver, as module or built in */
	PT_NO_VFIO,
	/** @PT_NOT_PERMITTED: not root, or /sys is read-only here */
	PT_NOT_PERMITTED,
	/** @PT_DRIVER_REFUSED: the driver refused to bind or unbind the device */
	PT_DRIVER_REFUSED,
	/** @PT_DRIVER_STUCK: the driver has not returned by the deadline */
	PT_DRIVER_STUCK,
	/** @PT_RESET_UNAVAILABLE: the function can't be reset alone */
	PT_RESET_UNAVAILABLE,
	/**
	 * @PT_RESET_FAILED: after a reset the device does not respond, or is not the same as before
	 */
	PT_RESET_FAILED,
	/** @PT_IDENTITY: another device is at the address of the expected one */
	PT_IDENTITY,
	/** @PT_STORAGE: the state directory can't be written (full, read-only) */
	PT_STORAGE,
	/** @PT_CORRUPT: a state or configuration file is unreadable */
	PT_CORRUPT,
	/** @PT_UNSUITABLE: this kind of function can't be assigned (for example a bridge) */
	PT_UNSUITABLE,
	/** @PT_NO_GUEST: the guest does not exist */
	PT_NO_GUEST,
	/** @PT_UNPLUG_REFUSED: the guest refused to release the device */
	PT_UNPLUG_REFUSED,
	/** @PT_UNPLUG_PENDING: the guest has not released the device yet, but still may */
	PT_UNPLUG_PENDING,
	/** @PT_NO_MEMORY: allocation failed */
	PT_NO_MEMORY,
	/** @PT_SYSTEM: a system call failed for a reason not listed above */
	PT_SYSTEM,
	/** @PT_REASON_COUNT: number of reasons, not a reason */
	PT_REASON_COUNT,
};

/**
 * struct pt_error - a failure
 * @reason: the class of the failure, for programs
 * @errnum: the errno of the failure (positive), or 0
 * @message: for people; never empty after a failure
 */
struct pt_error {
	enum pt_reason reason;
	int errnum;
	char message[2048];
};

/**
 * pt_reason_name() - the name of a reason in JSON output
 * @reason: any value
 *
 * Return: a static string such as "group-not-viable"; "unknown" for numbers
 * outside the enum.
 */
const char *pt_reason_name(enum pt_reason reason);

/**
 * pt_reason_exit_status() - the exit status of passthru(1) for a reason
 * @reason: any value
 *
 * Return: 0 for PT_REASON_NONE, otherwise the status listed in passthru(1).
 */
int pt_reason_exit_status(enum pt_reason reason);

#ifdef __cplusplus
}
#endif
#endif
