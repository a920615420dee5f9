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
 * A claim records facts about a device that the kernel does not know: its owner, and the state to
 * restore. There is one file per claim under /run/passthru/claims, written as a whole. A reboot
 * makes claims meaningless, and empties /run.
 */

/**
 * enum pt_owner_kind - the kind of a device's owner
 * @PT_OWNER_MANUAL: the device was detached manually; the claim ends when it is reattached
 * @PT_OWNER_PROCESS: passthru run; the claim ends with the process
 * @PT_OWNER_DOMAIN: a guest of passthrud
 */
enum pt_owner_kind { PT_OWNER_MANUAL, PT_OWNER_PROCESS, PT_OWNER_DOMAIN };

/**
 * struct pt_owner - the owner of a device
 * @kind: the kind of owner
 * @name: the guest's name, the command's name, or "" for manual
 * @pid: the process whose lifetime is that of the claim; 0 for manual
 * @start_time: the process's start in clock ticks after boot (proc(5), field 22 of stat):
 *	together with @pid it identifies a process even if pids are reused
 */
struct pt_owner {
	enum pt_owner_kind kind;
	char name[64];
	pid_t pid;
	uint64_t start_time;
};

/**
 * enum pt_claim_state - the state of a claim
 * @PT_CLAIM_HELD: the owner has the device
 * @PT_CLAIM_CHANGING: an operation is in progress, or was interrupted
 * @PT_CLAIM_STUCK: a driver did not return by the deadline
 * @PT_CLAIM_QUARANTINED: the device failed its reset; no guest and no host driver gets it
 */
enum pt_claim_state {
	PT_CLAIM_HELD,
	PT_CLAIM_CHANGING,
	PT_CLAIM_STUCK,
	PT_CLAIM_QUARANTINED,
};

/**
 * struct pt_claim - the claim on a device
 * @address: the device
 * @state: see &enum pt_claim_state
 * @owner: the owner
 * @is_kept: the device was detached manually before its owner claimed it, and stays detached when
 *	the owner ends
 * @driver: the driver that it was bound to for its owner, for example "vfio-pci"; the driver that
 *it has now is in the snapshot
 * @driver_before: the driver to restore, "" for none
 * @override_before: the driver_override to restore, "" for none
 * @vendor_id: the device's id when it was claimed
 * @device_id: see @vendor_id
 * @since: seconds since the epoch
 * @why: the reason of a forced request, or of the state; "" for none
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
 * Changes nothing, takes no lock, and needs no privilege. An unreadable file does not affect the
 * others: see pt_claims_unreadable_at().
 *
 * Return: 0 or a negative errno.
 */
int pt_claims_read(struct pt_host *host, struct pt_claims **ret_claims, struct pt_error *err);

/**
 * pt_claim_is_over() - whether a manual claim has ended without passthru
 * @claim: the claim
 * @driver: the driver that the device has now; NULL or "" for none
 *
 * Another program (libvirt, driverctl, a remove and rescan, new virtual functions) returned the
 * device to a host driver. The next request and pt_recover() ignore and delete such a claim.
 *
 * Return: true if it is over.
 */
bool pt_claim_is_over(const struct pt_claim *claim, const char *driver);

/**
 * pt_claims_free() - free claims
 * @claims: NULL is allowed
 */
void pt_claims_free(struct pt_claims *claims);

/**
 * pt_claims_count() - the number of claims
 * @claims: the result of pt_claims_read()
 *
 * Return: the number.
 */
size_t pt_claims_count(const struct pt_claims *claims);

/**
 * pt_claims_at() - one claim, in address order
 * @claims: the result of pt_claims_read()
 * @index: below pt_claims_count()
 *
 * Return: the claim, owned by @claims; NULL past the end.
 */
const struct pt_claim *pt_claims_at(const struct pt_claims *claims, size_t index);

/**
 * pt_claims_find() - the claim on a device
 * @claims: the result of pt_claims_read()
 * @address: which device
 *
 * Return: the claim, or NULL.
 */
const struct pt_claim *pt_claims_find(const struct pt_claims *claims,
				      const struct pt_address *address);

/**
 * pt_claims_unreadable_count() - the number of unreadable files
 * @claims: the result of pt_claims_read()
 *
 * Return: the number of unreadable claims, and of unreadable journals.
 */
size_t pt_claims_unreadable_count(const struct pt_claims *claims);

/**
 * pt_claims_unreadable_at() - one unreadable file
 * @claims: the result of pt_claims_read()
 * @index: below pt_claims_unreadable_count()
 *
 * The owner of its device is unknown, so plans for the device are refused with PT_CORRUPT, and so
 * is the assignment of another function of its IOMMU group. The devices of an unreadable journal
 * are unknown, too.
 *
 * Return: the file, owned by @claims; NULL past the end.
 */
const struct pt_unreadable *pt_claims_unreadable_at(const struct pt_claims *claims, size_t index);

/**
 * pt_claim_state_name() - the name of a state in JSON output
 * @state: any value
 *
 * Return: a static string, "held" …
 */
const char *pt_claim_state_name(enum pt_claim_state state);

/**
 * pt_owner_of_process() - describe a process as an owner
 * @host: the host
 * @pid: the process, of this host
 * @name: its name, truncated to fit
 * @ret_owner: its kind is PT_OWNER_PROCESS
 * @err: PT_INVALID if the process does not exist
 *
 * Return: 0 or a negative errno.
 */
int pt_owner_of_process(struct pt_host *host, pid_t pid, const char *name,
			struct pt_owner *ret_owner, struct pt_error *err);

/**
 * pt_owner_is_alive() - is the owner's process alive?
 * @host: the host
 * @owner: a claim's owner
 *
 * Compares pid and start time; a zombie process is dead. Always true for a manual owner. In a
 * container the processes of the host are invisible and seem dead; recovery does not touch their
 * devices there.
 *
 * Return: true if it is alive, or if that is unknown.
 */
bool pt_owner_is_alive(struct pt_host *host, const struct pt_owner *owner);

#ifdef __cplusplus
}
#endif
#endif
