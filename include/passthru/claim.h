/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PASSTHRU_CLAIM_H
#define PASSTHRU_CLAIM_H

#include <sys/types.h>

#include <passthru/device.h>
#include <passthru/state.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: Claims
 *
 * A claim is what passthru must remember about a device because the kernel
 * doesn't: who has it, on whose behalf, and what to put back. One file a
 * claim under /run/passthru/claims, written whole. Claims mean nothing after
 * a reboot, and /run is empty then.
 */

/**
 * enum pt_owner_kind - on whose behalf a device was taken
 * @PT_OWNER_MANUAL: a person detached it; stays until reattached
 * @PT_OWNER_PROCESS: passthru run; ends with the process
 * @PT_OWNER_DOMAIN: a guest of passthrud
 */
enum pt_owner_kind { PT_OWNER_MANUAL, PT_OWNER_PROCESS, PT_OWNER_DOMAIN };

/**
 * struct pt_owner - who
 * @kind: the sort of owner
 * @name: the guest's name, the command's name, or "" for manual
 * @pid: the process that lives as long as the claim should; 0 for manual
 * @start_time: the process's start in clock ticks after boot (proc(5), field
 *	22 of stat): with @pid it names a process even when pids are reused
 */
struct pt_owner {
	enum pt_owner_kind kind;
	char name[64];
	pid_t pid;
	uint64_t start_time;
};

/**
 * enum pt_claim_state - where the device is on its way
 * @PT_CLAIM_HELD: with its owner
 * @PT_CLAIM_CHANGING: an operation is under way, or was interrupted
 * @PT_CLAIM_STUCK: a driver's code didn't return by the deadline
 * @PT_CLAIM_QUARANTINED: failed its reset; kept from guests and host drivers
 */
enum pt_claim_state {
	PT_CLAIM_HELD,
	PT_CLAIM_CHANGING,
	PT_CLAIM_STUCK,
	PT_CLAIM_QUARANTINED,
};

/**
 * struct pt_claim - one device's claim
 * @address: the device
 * @state: see &enum pt_claim_state
 * @owner: who has it
 * @is_kept: the device was detached by hand before its owner came, and stays
 *	detached when the owner leaves
 * @driver: the driver it was given to, "vfio-pci"
 * @driver_before: the driver to give it back to, "" for none
 * @override_before: the driver_override to put back, "" for none
 * @vendor_id: what the device was when claimed
 * @device_id: see @vendor_id
 * @since: seconds since the epoch
 * @why: the reason given with force, or of the state; "" for none
 */
struct pt_claim {
	struct pt_address address;
	enum pt_claim_state state;
	struct pt_owner owner;
	bool is_kept;
	char driver[64];
	char driver_before[64];
	char override_before[64];
	uint16_t vendor_id;
	uint16_t device_id;
	int64_t since;
	char why[256];
};

struct pt_claims;

/**
 * pt_claims_read() - all claims on this host
 * @host: the host
 * @ret_claims: freed by the caller with pt_claims_free(); empty when there are none
 * @err: PT_NOT_PERMITTED or PT_STORAGE when the directory can't be read
 *
 * Changes nothing, takes no lock. Needs root to see the files. A file that can't be read keeps
 * nobody from the others: see pt_claims_unreadable_at().
 *
 * Return: 0 or a negative errno.
 */
int pt_claims_read(struct pt_host *host, struct pt_claims **ret_claims, struct pt_error *err);

/**
 * pt_claims_free() - forget them
 * @claims: NULL is allowed
 */
void pt_claims_free(struct pt_claims *claims);

/**
 * pt_claims_count() - how many
 * @claims: what pt_claims_read() gave
 *
 * Return: the number.
 */
size_t pt_claims_count(const struct pt_claims *claims);

/**
 * pt_claims_at() - one of them, in address order
 * @claims: what pt_claims_read() gave
 * @index: below pt_claims_count()
 *
 * Return: the claim, owned by @claims; NULL past the end.
 */
const struct pt_claim *pt_claims_at(const struct pt_claims *claims, size_t index);

/**
 * pt_claims_find() - the claim on a device
 * @claims: what pt_claims_read() gave
 * @address: which device
 *
 * Return: the claim, or NULL.
 */
const struct pt_claim *pt_claims_find(const struct pt_claims *claims,
				      const struct pt_address *address);

/**
 * pt_claims_unreadable_count() - how many files could not be read
 * @claims: what pt_claims_read() gave
 *
 * Return: the number of claims, and of journals of operations under way.
 */
size_t pt_claims_unreadable_count(const struct pt_claims *claims);

/**
 * pt_claims_unreadable_at() - one of the files that could not be read
 * @claims: what pt_claims_read() gave
 * @index: below pt_claims_unreadable_count()
 *
 * Whose the device is isn't known, so plans for it are refused with PT_CORRUPT, and so is handing
 * out another function of its IOMMU group. A journal's devices aren't known either.
 *
 * Return: the file, owned by @claims; NULL past the end.
 */
const struct pt_unreadable *pt_claims_unreadable_at(const struct pt_claims *claims, size_t index);

/**
 * pt_claim_state_name() - the state as it stands in JSON output
 * @state: any value
 *
 * Return: a static string, "held" …
 */
const char *pt_claim_state_name(enum pt_claim_state state);

/**
 * pt_owner_of_process() - describe a process as an owner
 * @host: the host
 * @pid: the process, of this host
 * @name: what to call it, cut to fit
 * @ret_owner: its kind is PT_OWNER_PROCESS
 * @err: PT_INVALID when there is no such process
 *
 * Return: 0 or a negative errno.
 */
int pt_owner_of_process(struct pt_host *host, pid_t pid, const char *name,
			struct pt_owner *ret_owner, struct pt_error *err);

/**
 * pt_owner_is_alive() - is the owning process still there?
 * @host: the host
 * @owner: a claim's owner
 *
 * Compares pid and start time; one that has ended and was not waited for yet is
 * dead. Always true for a manual owner. In a container the processes of the host
 * can't be seen and seem dead; recovery leaves their devices alone there.
 *
 * Return: true while it lives, or when that can't be told.
 */
bool pt_owner_is_alive(struct pt_host *host, const struct pt_owner *owner);

#ifdef __cplusplus
}
#endif
#endif
