/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's devices of a guest: claimed, reset, handed over, given back. */
#include <passthru/group.h>
#include <passthru/plan.h>
#include <stdlib.h>
#include <string.h>

#include "assign/auto.h"
#include "assign/claim.h"
#include "assign/lock.h"
#include "assign/owner.h"
#include "assign/recover.h"
#include "base/clock.h"
#include "base/text.h"
#include "domain/guest/guest.h"
#include "domain/store/devices.h"
#include "pci/auto.h"

/* How long to retry the return of devices that another request is changing. */
#define GIVE_BACK_TRIES	  50
#define GIVE_BACK_WAIT_MS 200

int guest_check_unmanaged(struct pt_host *host, const struct definition_hostdev *hostdevs,
			  size_t count, struct pt_error *err)
{
	AUTO(auto_snapshot) struct pt_snapshot *snapshot = NULL;
	size_t i = 0;
	int result = 0, r;

	while (i < count && hostdevs[i].is_managed)
		i++;
	if (i == count)
		return 0; /* the usual case, without a look at every function there is */
	r = pt_snapshot_read(host, &snapshot, err);
	for (; r == 0 && i < count; i++) {
		const struct pt_function *function =
			pt_snapshot_find(snapshot, &hostdevs[i].address);
		char text[PT_ADDRESS_TEXT];

		if (hostdevs[i].is_managed || !function ||
		    (function->driver && pt_driver_is_vfio(function->driver)))
			continue;
		pt_address_format(&hostdevs[i].address, text);
		if (result == 0)
			result = pt_fail(err, PT_IN_USE, EBUSY,
					 "Unmanaged PCI device %s must be "
					 "manually detached from the host",
					 text);
		else
			pt_error_append(err,
					"\nUnmanaged PCI device %s must be manually detached from "
					"the host",
					text);
	}
	return r < 0 ? r : result;
}

/* One driver for a request: a plan is made for all of the devices together. */
static int choose_driver(const struct definition_hostdev *hostdevs, size_t count,
			 const char **ret_driver, struct pt_error *err)
{
	size_t i;

	for (i = 1; i < count; i++)
		if (!text_equal(hostdevs[i].driver, hostdevs[0].driver))
			return pt_fail(err, PT_INVALID, EOPNOTSUPP,
				       "host devices with different <driver model=…> in one guest "
				       "are not supported");
	*ret_driver = count ? hostdevs[0].driver : NULL;
	return 0;
}

int guest_take(struct pt_host *host, const struct pt_owner *owner, const struct confine_user *user,
	       const struct definition_hostdev *hostdevs, size_t count, struct pt_error *err)
{
	struct pt_address devices[LOCK_MAX];
	struct pt_request request = {
		.verb = PT_TAKE, .devices = devices, .count = count, .owner = *owner};
	size_t i;
	int r;

	if (!count)
		return 0;
	if (count > LOCK_MAX)
		return pt_fail(err, PT_INVALID, EOPNOTSUPP,
			       "a guest can have at most %d host devices", LOCK_MAX);
	for (i = 0; i < count; i++)
		devices[i] = hostdevs[i].address;
	r = choose_driver(hostdevs, count, &request.driver, err);
	if (!r)
		r = guest_check_unmanaged(host, hostdevs, count, err);
	if (!r)
		r = store_check_devices(host, owner->name, hostdevs, count, err);
	if (!r)
		r = pt_request_apply(host, &request, err);
	if (r < 0)
		return r;
	r = confine_give_nodes(host, devices, count, user, err);
	if (r < 0)
		(void)guest_give_back_devices(host, owner, devices, count, NULL);
	return r;
}

/* ---- giving back ---- */

/* Devices that @owner has, but for those that wait for a person's decision. */
static int list_devices(struct pt_host *host, const struct pt_owner *owner,
			struct pt_address devices[LOCK_MAX], size_t *ret_count,
			struct pt_error *err)
{
	AUTO(auto_claims) struct pt_claims *claims = NULL;
	size_t i, count = 0;
	int r = pt_claims_read(host, &claims, err);

	for (i = 0; r == 0 && i < pt_claims_count(claims); i++) {
		const struct pt_claim *claim = pt_claims_at(claims, i);

		if (owner_is_same(&claim->owner, owner) && claim->state != PT_CLAIM_QUARANTINED &&
		    claim->state != PT_CLAIM_STUCK && count < LOCK_MAX)
			devices[count++] = claim->address;
	}
	*ret_count = count;
	return r;
}

int guest_give_back_devices(struct pt_host *host, const struct pt_owner *owner,
			    const struct pt_address *devices, size_t count, struct pt_error *err)
{
	struct pt_request request = {
		.verb = PT_GIVE_BACK, .devices = devices, .count = count, .owner = *owner};
	int r = pt_request_apply(host, &request, err);

	confine_take_nodes(host, devices, count);
	return r;
}

/* Its devices with unreadable claims: no list contains them, so they are reported here. */
static int check_unreadable(struct pt_host *host, const struct pt_owner *owner,
			    const struct definition *live, struct pt_error *err)
{
	AUTO(auto_claims) struct pt_claims *claims = NULL;
	AUTO_FREE struct definition_hostdev *hostdevs = NULL;
	size_t count = 0, i;
	int result = 0, r = definition_hostdevs(live, &hostdevs, &count, err);

	if (!r)
		r = pt_claims_read(host, &claims, err);
	for (i = 0; !r && i < count; i++) {
		const struct pt_address *address = &hostdevs[i].address;
		const struct pt_unreadable *file = claims_find_unreadable(claims, address);
		char text[PT_ADDRESS_TEXT];

		if (!file)
			continue;
		confine_take_nodes(host, address, 1);
		pt_address_format(address, text);
		if (!result)
			result = pt_fail(err, PT_CORRUPT, EBADMSG,
					 "guest %s has ended, but its device %s was not returned "
					 "to the host: %s: %s: %s",
					 owner->name, text, file->path, file->why, file->next);
		else
			pt_error_append(err,
					"\n"
					"Its device %s was not returned either: %s: %s",
					text, file->path, file->why);
	}
	return r < 0 ? r : result;
}

/*
 * Its process has ended, so recovery handles its claims; but recovery skips devices with an
 * operation in progress, and here it must finish.
 */
int guest_give_back(struct pt_host *host, const struct pt_owner *owner,
		    const struct definition *live, struct pt_error *err)
{
	struct pt_address devices[LOCK_MAX], before[LOCK_MAX];
	size_t count = 0, count_before = 0;
	int tries, r = list_devices(host, owner, before, &count_before, err);

	memcpy(devices, before, sizeof(devices));
	count = count_before;
	for (tries = 0; r == 0 && count && tries < GIVE_BACK_TRIES; tries++) {
		if (tries)
			clock_sleep_ms(GIVE_BACK_WAIT_MS);
		r = recover_devices(host, devices, count, err);
		if (r == 0)
			r = list_devices(host, owner, devices, &count, err);
	}
	confine_take_nodes(host, before, count_before);
	if (live) {
		int unread = check_unreadable(host, owner, live, r < 0 ? NULL : err);

		r = r < 0 ? r : unread;
	}
	if (r == 0 && count)
		return pt_fail(err, PT_BUSY, EBUSY,
			       "%zu devices of guest %s are being changed by another request. To "
			       "return them to the host afterwards:\n"
			       "  passthru recover",
			       count, owner->name);
	return r;
}

/* DEVICE_DELETED comes before QEMU has closed the device: the maximum time between the two. */
#define CLOSING_MS	5000
#define CLOSING_STEP_MS 20

static size_t keep_unused(const struct guest *guest, struct pt_address devices[LOCK_MAX],
			  size_t count)
{
	size_t i, kept = 0;

	for (i = 0; i < count; i++)
		if (!definition_find_hostdev(guest->live, &devices[i]))
			devices[kept++] = devices[i];
	return kept;
}

/* Does a process have one of them open? Each try to give them back would be an entry in the log. */
static bool are_in_use(struct pt_host *host, const struct guest *guest,
		       const struct pt_address *devices, size_t count)
{
	const struct pt_request request = {
		.verb = PT_GIVE_BACK, .devices = devices, .count = count, .owner = guest->owner};
	AUTO(auto_plan) struct pt_plan *plan = NULL;
	bool found = false;

	if (pt_plan_make(host, &request, &plan, NULL) < 0)
		return false;
	for (size_t i = 0; i < pt_plan_refusal_count(plan); i++)
		found |= pt_plan_refusal_at(plan, i)->reason == PT_IN_USE;
	return found;
}

static void wait_until_closed(struct pt_host *host, const struct guest *guest,
			      const struct pt_address *devices, size_t count)
{
	for (int waited_ms = 0; waited_ms < CLOSING_MS; waited_ms += CLOSING_STEP_MS) {
		clock_sleep_ms(CLOSING_STEP_MS);
		if (!are_in_use(host, guest, devices, count))
			return;
	}
}

int guest_give_back_unused(struct pt_host *host, struct guest *guest, struct pt_error *err)
{
	struct pt_address devices[LOCK_MAX];
	struct pt_error failure = {.reason = PT_REASON_NONE};
	size_t count = 0;
	int r = list_devices(host, &guest->owner, devices, &count, err);

	if (r < 0)
		return r;
	count = keep_unused(guest, devices, count);
	if (!count)
		return 0;
	r = guest_give_back_devices(host, &guest->owner, devices, count, &failure);
	if (r < 0 && failure.reason == PT_IN_USE) {
		wait_until_closed(host, guest, devices, count);
		r = guest_give_back_devices(host, &guest->owner, devices, count, &failure);
	}
	if (r < 0 && err)
		*err = failure;
	return r;
}
