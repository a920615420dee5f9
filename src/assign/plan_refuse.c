/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All refusals of a request, not only the first, so that one call shows everything that must be
 * done.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assign/claim.h"
#include "assign/owner.h"
#include "assign/plan.h"
#include "base/auto.h"
#include "base/text.h"
#include "pci/holders/holders.h"

static int refuse_missing(struct pt_plan *plan, const struct device_facts *device)
{
	char text[PT_ADDRESS_TEXT];

	return plan_add_refusal(plan, PT_NO_DEVICE, &device->address,
				"this host has no PCI function %s. To see all devices:\n"
				"  passthru list",
				pt_address_format(&device->address, text));
}

static int refuse_unassignable(struct pt_plan *plan, const struct facts *facts,
			       const struct device_facts *device)
{
	char text[PT_ADDRESS_TEXT];

	pt_address_format(&device->address, text);
	if (pt_function_kind(device->function) == PT_BRIDGE)
		return plan_add_refusal(plan, PT_UNSUITABLE, &device->address,
					"%s is a bridge, and bridges stay with the host. Assign "
					"the devices below it. To see them:\n"
					"  passthru tree",
					text);
	if (plan->request.verb != PT_DETACH && plan->request.verb != PT_TAKE)
		return 0;
	if (!facts->has_iommu)
		return plan_add_refusal(plan, PT_NO_IOMMU, &device->address,
					"%s can't be isolated, because the kernel uses no IOMMU: "
					"enable VT-d or AMD-Vi in the firmware setup; on Intel, "
					"also boot with intel_iommu=on",
					text);
	if (device->function->iommu_group < 0)
		return plan_add_refusal(
			plan, PT_NO_GROUP, &device->address,
			"%s can't be isolated, because it is in no IOMMU group: no IOMMU covers "
			"it. To see the groups:\n"
			"  passthru tree",
			text);
	return 0;
}

/*
 * An unreadable claim: the owner of @other and the state to restore are unknown, so requests that
 * concern this owner are refused for @device.
 */
static int refuse_unreadable(struct pt_plan *plan, const struct facts *facts,
			     const struct device_facts *device, const struct pt_address *other,
			     const char *relation)
{
	const struct pt_unreadable *file = claims_find_unreadable(facts->claims, other);
	char text[PT_ADDRESS_TEXT], other_text[PT_ADDRESS_TEXT];

	if (!file)
		return 0;
	return plan_add_refusal(
		plan, PT_CORRUPT, &device->address,
		"%s%s%s: the owner of %s is unknown, because %s is unreadable (%s): %s",
		pt_address_format(&device->address, text), relation,
		*relation ? pt_address_format(other, other_text) : "", *relation ? "that" : "it",
		file->path, file->why, file->next);
}

/* The claim on the device itself, and on VFs of a PF. */
static int refuse_claimed(struct pt_plan *plan, const struct facts *facts,
			  const struct device_facts *device)
{
	const struct pt_claim *claim = &device->claim;
	const struct pt_request *request = &plan->request;
	char text[PT_ADDRESS_TEXT], owner[128];
	bool is_ours;

	(void)facts;
	if (!device->has_claim) {
		if (request->verb == PT_GIVE_BACK)
			return plan_add_refusal(plan, PT_INVALID, &device->address,
						"%s is not claimed: there is nothing to return",
						pt_address_format(&device->address, text));
		return 0;
	}
	pt_address_format(&device->address, text);
	owner_format(&claim->owner, owner);
	if (claim->state == PT_CLAIM_QUARANTINED && request->verb != PT_RESET &&
	    !request->is_quarantine_lifted)
		return plan_add_refusal(
			plan, PT_QUARANTINED, &device->address,
			"%s is in quarantine (%s). Reset it, or return it to the host as it is:\n"
			"  passthru reset %s\n"
			"  passthru release --quarantine %s",
			text, claim->why, text, text);
	if (claim->state == PT_CLAIM_STUCK)
		return plan_add_refusal(
			plan, PT_DRIVER_STUCK, &device->address,
			"%s is stuck (%s). passthru recover resumes when the driver returns; if it "
			"never returns, reboot the host",
			text, claim->why);
	/* a manually detached device has no other owner that could return it */
	if (claim->owner.kind == PT_OWNER_MANUAL && request->verb != PT_GIVE_BACK)
		return 0;
	is_ours = owner_is_same(&claim->owner, &request->owner);
	if (request->verb == PT_GIVE_BACK && is_ours)
		return 0;
	return plan_add_refusal(plan, PT_CLAIMED, &device->address, "%s is in use by %s: %s", text,
				owner,
				device->is_owner_alive ? "stop it first, or choose another device"
						       : "this owner has ended without returning "
							 "it. Run:\n"
							 "  passthru recover");
}

static int refuse_unreadable_vfs(struct pt_plan *plan, const struct facts *facts,
				 const struct device_facts *device)
{
	const struct pt_unreadable *file;
	size_t i;
	int r = 0;

	for (i = 0; !r && (file = pt_claims_unreadable_at(facts->claims, i)); i++) {
		const struct pt_function *vf =
			file->has_address ? pt_snapshot_find(facts->snapshot, &file->address)
					  : NULL;

		if (vf && vf->is_vf && pt_address_compare(&vf->physfn, &device->address) == 0)
			r = refuse_unreadable(plan, facts, device, &file->address,
					      " is the physical function of ");
	}
	return r;
}

/* Virtual functions that were disabled and enabled again are new devices, with old claims. */
static bool is_stale(const struct pt_claim *claim, const struct pt_function *vf)
{
	return pt_claim_is_over(claim, vf->driver) ||
	       (claim->owner.kind == PT_OWNER_MANUAL && claim->state == PT_CLAIM_HELD &&
		!vf->driver);
}

static int refuse_vf_claims(struct pt_plan *plan, const struct facts *facts,
			    const struct device_facts *device)
{
	size_t i;
	int r = refuse_unreadable_vfs(plan, facts, device);

	for (i = 0; !r && i < pt_claims_count(facts->claims); i++) {
		const struct pt_claim *claim = pt_claims_at(facts->claims, i);
		const struct pt_function *vf = pt_snapshot_find(facts->snapshot, &claim->address);
		char text[PT_ADDRESS_TEXT], vf_text[PT_ADDRESS_TEXT], owner[128];

		if (!vf || !vf->is_vf || pt_address_compare(&vf->physfn, &device->address) != 0 ||
		    is_stale(claim, vf))
			continue;
		r = plan_add_refusal(
			plan, PT_CLAIMED, &device->address,
			"%s is the physical function of %s, which is claimed by %s: return the "
			"virtual function first",
			pt_address_format(&device->address, text),
			pt_address_format(&claim->address, vf_text),
			owner_format(&claim->owner, owner));
	}
	return r;
}

/* ---- holders ---- */

static int plan_refuse_held(struct pt_plan *plan, const struct device_facts *device)
{
	bool is_return = plan->request.verb == PT_REATTACH || plan->request.verb == PT_GIVE_BACK;
	const char *verb = plan->request.verb == PT_RESET ? "reset"
			   : is_return			  ? "given back"
							  : "taken";
	AUTO_FREE char *list = NULL;
	char text[PT_ADDRESS_TEXT];
	size_t i, size, count = 0;
	bool is_guest = false;
	FILE *out = open_memstream(&list, &size);

	if (!out)
		return -ENOMEM;
	for (i = 0; device->holders && i < pt_holders_count(device->holders); i++) {
		const struct pt_holder *holder = pt_holders_at(device->holders, i);

		/*
		 * a return to the host driver affects only processes that have the device open
		 * through VFIO
		 */
		if (is_return && holder->kind != PT_HOLDER_GUEST)
			continue;
		is_guest |= holder->kind == PT_HOLDER_GUEST;
		/* --force overrides other holders; with a VFIO user the unbind would hang */
		if (plan->request.is_forced && holder->kind != PT_HOLDER_GUEST)
			continue;
		holder_print(out, holder);
		count++;
	}
	if (fclose(out) != 0)
		return -ENOMEM;
	if (!count)
		return 0;
	return plan_add_refusal(plan, PT_IN_USE, &device->address,
				"%s is in use and can't be %s:%s\n%s",
				pt_address_format(&device->address, text), verb, list,
				is_guest ? "Stop the user of the device first."
					 : "Stop using it as shown, or override with --force "
					   "--reason TEXT (unsaved data is lost).");
}

/*
 * Some holders could not be checked. An ordinary user only gets a notice, because root makes the
 * plan again, with all holders, when it applies the request. Holders that are invisible to root
 * are refused like known ones, so less visibility never makes a plan possible. A return to the
 * host takes nothing from the host, and is not refused.
 */
static int refuse_unseen(struct pt_plan *plan, const struct facts *facts,
			 const struct device_facts *device)
{
	bool is_return = plan->request.verb == PT_REATTACH || plan->request.verb == PT_GIVE_BACK;
	const char *unseen = device->holders ? pt_holders_unseen(device->holders) : NULL;
	char text[PT_ADDRESS_TEXT];

	if (!unseen)
		return 0;
	pt_address_format(&device->address, text);
	if (!facts->is_root && pt_holders_is_unprivileged(device->holders))
		return plan_add_notice(plan,
				       "%s may have more users than shown here: only root can see "
				       "%s. Run this command as root to see all users.",
				       text, unseen);
	if (is_return || plan->request.is_forced)
		return plan_add_notice(plan,
				       "%s may have more users than shown here: this process can't "
				       "see %s",
				       text, unseen);
	return plan_add_refusal(
		plan, PT_IN_USE, &device->address,
		"%s may be in use: this process can't see %s. Run passthru on the host itself, "
		"outside of containers; or check that nothing uses the device, and override with "
		"--force --reason TEXT.",
		text, unseen);
}

/* ---- what must go together ---- */

/* "0000:05:02.0 (e1000), 0000:05:03.0 (e1000)": members that block, and as words for a command. */
static int list_blockers(const struct pt_plan *plan, const struct pt_group *group, char **ret_list,
			 char **ret_addresses)
{
	size_t i, size, addresses_size;
	FILE *out = open_memstream(ret_list, &size);
	FILE *addresses = open_memstream(ret_addresses, &addresses_size);
	bool is_first = true;

	if (!out || !addresses)
		return -ENOMEM;
	for (i = 0; i < group->count; i++) {
		const struct pt_function *member = group->members[i];
		char text[PT_ADDRESS_TEXT];

		if (!pt_function_blocks_group(member) || plan_has_device(plan, &member->address))
			continue;
		pt_address_format(&member->address, text);
		(void)fprintf(out, "%s%s (%s)", is_first ? "" : ", ", text, member->driver);
		(void)fprintf(addresses, " %s", text);
		is_first = false;
	}
	if (fclose(out) != 0 || fclose(addresses) != 0)
		return -ENOMEM;
	return 0;
}

static int refuse_group(struct pt_plan *plan, const struct facts *facts,
			const struct device_facts *device)
{
	const struct pt_group *group =
		pt_snapshot_group(facts->snapshot, device->function->iommu_group);
	AUTO_FREE char *list = NULL;
	AUTO_FREE char *addresses = NULL;
	char text[PT_ADDRESS_TEXT];

	if (!group || list_blockers(plan, group, &list, &addresses) < 0)
		return group ? -ENOMEM : 0;
	if (!*list)
		return 0;
	pt_address_format(&device->address, text);
	/* people detach a group one by one; only its assignment must wait for all devices */
	if (plan->request.verb == PT_DETACH)
		return plan_add_notice(
			plan,
			"%s shares IOMMU group %d with %s. No guest can use it until those are "
			"detached too:\n"
			"  passthru detach%s",
			text, group->number, list, addresses);
	return plan_add_refusal(
		plan, PT_GROUP_NOT_VIABLE, &device->address,
		"%s shares IOMMU group %d with %s. All devices of an IOMMU group go to the same "
		"guest. Add them to the command, or detach them first:\n"
		"  passthru detach%s",
		text, group->number, list, addresses);
}

/*
 * Members that are no PCI functions can't be assigned: their drivers must be unbound. As with
 * functions, detaching one by one is permitted.
 */
static int refuse_group_others(struct pt_plan *plan, const struct device_facts *device)
{
	AUTO_FREE char *list = NULL;
	AUTO_FREE char *commands = NULL;
	char text[PT_ADDRESS_TEXT];
	size_t i, size, commands_size, count = 0;
	FILE *out = open_memstream(&list, &size);
	FILE *advice = open_memstream(&commands, &commands_size);

	for (i = 0; out && advice && i < device->other_count; i++) {
		const struct pt_group_other *other = &device->others[i];

		if (!other->is_blocking)
			continue;
		(void)fprintf(out, "%s%s (%s)", count++ ? ", " : "", other->name, other->driver);
		(void)fprintf(advice, "\n  echo %s > /sys/bus/%s/drivers/%s/unbind", other->name,
			      *other->bus ? other->bus : "platform", other->driver);
	}
	if ((out && fclose(out) != 0) | (advice && fclose(advice) != 0) || !out || !advice)
		return -ENOMEM;
	if (!count)
		return 0;
	pt_address_format(&device->address, text);
	if (plan->request.verb == PT_DETACH)
		return plan_add_notice(
			plan,
			"%s shares IOMMU group %d with %s of the host, not on PCI. No "
			"guest can use it until those are unbound:%s",
			text, device->function->iommu_group, list, commands);
	return plan_add_refusal(plan, PT_GROUP_NOT_VIABLE, &device->address,
				"%s shares IOMMU group %d with %s of the host, not on PCI. VFIO "
				"refuses the group while a driver uses one of its devices. Unbind "
				"them first, if the host can do without them:%s",
				text, device->function->iommu_group, list, commands);
}

/* A member that another guest has: VFIO would refuse the second user of the group, late. */
static int refuse_group_claims(struct pt_plan *plan, const struct facts *facts,
			       const struct device_facts *device)
{
	const struct pt_group *group =
		pt_snapshot_group(facts->snapshot, device->function->iommu_group);
	size_t i;
	int r = 0;

	for (i = 0; !r && group && i < group->count; i++) {
		const struct pt_address *address = &group->members[i]->address;
		const struct pt_claim *claim = pt_claims_find(facts->claims, address);
		char text[PT_ADDRESS_TEXT], other[PT_ADDRESS_TEXT], owner[128];

		if (!plan_has_device(plan, address))
			r = refuse_unreadable(plan, facts, device, address,
					      " shares its IOMMU group with ");
		if (!claim || claim->owner.kind == PT_OWNER_MANUAL ||
		    plan_has_device(plan, address) || r)
			continue;
		r = plan_add_refusal(
			plan, PT_CLAIMED, &device->address,
			"%s shares IOMMU group %d with %s, which is in use by %s. All devices of "
			"an IOMMU group go to the same guest.",
			pt_address_format(&device->address, text), group->number,
			pt_address_format(address, other), owner_format(&claim->owner, owner));
	}
	return r;
}

/* Functions that a bus reset affects in addition to those in the request. */
static int refuse_reset_set(struct pt_plan *plan, const struct facts *facts,
			    const struct device_facts *device)
{
	const struct pt_reset *reset = device->reset;
	AUTO_FREE char *addresses = NULL;
	char text[PT_ADDRESS_TEXT];
	size_t i, size;
	FILE *out = open_memstream(&addresses, &size);

	if (!out)
		return -ENOMEM;
	for (i = 0; i < reset->affected_count; i++) {
		const struct pt_function *other =
			pt_snapshot_find(facts->snapshot, &reset->affected[i]);
		char name[PT_ADDRESS_TEXT];

		if (!other || pt_function_kind(other) == PT_BRIDGE ||
		    plan_has_device(plan, &other->address))
			continue;
		(void)fprintf(out, " %s", pt_address_format(&other->address, name));
	}
	if (fclose(out) != 0)
		return -ENOMEM;
	if (!*addresses)
		return 0;
	return plan_add_refusal(
		plan, PT_RESET_UNAVAILABLE, &device->address,
		"%s can't be reset alone: a bus reset also resets%s. Add them to the command: they "
		"must be assigned together.",
		pt_address_format(&device->address, text), addresses);
}

static int refuse_reset(struct pt_plan *plan, const struct facts *facts,
			const struct device_facts *device)
{
	const struct pt_reset *reset = device->reset;
	char text[PT_ADDRESS_TEXT];

	pt_address_format(&device->address, text);
	if (reset->scope == PT_RESET_BUS && plan->request.verb == PT_RESET &&
	    !pt_driver_is_vfio(device->binding.driver))
		return plan_add_refusal(
			plan, PT_RESET_UNAVAILABLE, &device->address,
			"%s can't be reset alone, and a bus reset needs VFIO: detach all devices "
			"on its bus first, then reset them together",
			text);
	if (reset->scope == PT_RESET_BUS)
		return refuse_reset_set(plan, facts, device);
	if (reset->scope == PT_RESET_FUNCTION)
		return 0;
	if (plan->request.verb == PT_TAKE && plan->request.is_unreset_allowed)
		return plan_add_notice(plan,
				       "%s has no reset: its data and state stay in it for the "
				       "next user",
				       text);
	if (reset->is_disabled)
		return plan_add_refusal(
			plan, PT_RESET_UNAVAILABLE, &device->address,
			"%s can't be reset: the reset is switched off, for it or for another "
			"function of its bus (reset_method is empty)%s. To allow it:\n"
			"  echo default > /sys/bus/pci/devices/%s/reset_method",
			text,
			plan->request.verb == PT_TAKE
				? ". Data of one guest could reach the next; accept that with "
				  "--no-reset"
				: "",
			text);
	return plan_add_refusal(
		plan, PT_RESET_UNAVAILABLE, &device->address,
		"%s can't be reset: the kernel has no reset method for it, and devices on a root "
		"bus have no bus reset%s",
		text,
		plan->request.verb == PT_TAKE
			? ". Data of one guest could reach the next; accept that with --no-reset."
			: "");
}

static int notice_persisted(struct pt_plan *plan, const struct device_facts *device)
{
	char text[PT_ADDRESS_TEXT];

	pt_address_format(&device->address, text);
	return plan_add_notice(
		plan,
		"%s is persisted: from the next boot on it is kept from the host again. To end "
		"that:\n"
		"  passthru unpersist %s",
		text, text);
}

int plan_refuse(struct pt_plan *plan, const struct facts *facts, const struct device_facts *device)
{
	bool is_taking = plan->request.verb == PT_DETACH || plan->request.verb == PT_TAKE;
	size_t before = plan->refusal_count;
	int r = refuse_unreadable(plan, facts, device, &device->address, "");

	if (r || plan->refusal_count > before)
		return r;
	if (!device->function && !is_taking && plan->request.verb != PT_RESET &&
	    device->has_claim) {
		char text[PT_ADDRESS_TEXT];

		return plan_add_notice(plan,
				       "%s was removed from the machine: its claim is "
				       "deleted",
				       pt_address_format(&device->address, text));
	}
	if (!device->function)
		return refuse_missing(plan, device);
	r = refuse_unassignable(plan, facts, device);
	if (r || plan->refusal_count > before)
		return r; /* other refusals are irrelevant then */
	r = refuse_claimed(plan, facts, device);
	if (!r && device->is_persisted)
		r = notice_persisted(plan, device);
	if (!r)
		r = plan_refuse_held(plan, device);
	if (!r)
		r = refuse_unseen(plan, facts, device);
	if (!r && is_taking)
		r = refuse_vf_claims(plan, facts, device);
	if (!r && is_taking)
		r = refuse_group(plan, facts, device);
	if (!r && is_taking)
		r = refuse_group_others(plan, device);
	if (!r && plan->request.verb == PT_TAKE)
		r = refuse_group_claims(plan, facts, device);
	if (!r && (plan->request.verb == PT_TAKE || plan->request.verb == PT_RESET))
		r = refuse_reset(plan, facts, device);
	return r;
}
