/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Detaching, resetting and giving back node devices. All of it goes through plans; a person
 * is the owner, as with the command, so what virsh detached passthru can give back.
 */
#include <passthru/plan.h>
#include <passthru/reset.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/text.h"
#include "daemon/handlers/handlers.h"
#include "daemon/call.h"
#include "daemon/log.h"
#include "daemon/handlers/resolve.h"

AUTO_DEFINE(plan, struct pt_plan *, pt_plan_free)
AUTO_DEFINE(claims, struct pt_claims *, pt_claims_free)
AUTO_DEFINE(snapshot, struct pt_snapshot *, pt_snapshot_free)

/* What libvirt calls the driver that we choose by device. */
#define DRIVER_VFIO "vfio"

/* Who has it, as libvirt says it. */
static int fault_claimed(struct pt_host *host, struct call *call, const struct pt_address *address,
			 const struct pt_error *err)
{
	AUTO(auto_claims) struct pt_claims *claims = NULL;
	const struct pt_claim *claim = NULL;
	char text[PT_ADDRESS_TEXT];

	pt_address_format(address, text);
	if (pt_claims_read(host, &claims, NULL) == 0)
		claim = pt_claims_find(claims, address);
	if (call->procedure->number == RPC_NODE_DEVICE_RESET)
		return fault_set(&call->fault, FAULT_INTERNAL, FAULT_FROM_NONE,
				 "Not resetting active device %s: %s", text, err->message);
	if (claim && claim->owner.kind == PT_OWNER_DOMAIN)
		return fault_set(&call->fault, FAULT_INVALID, FAULT_FROM_NONE,
				 "PCI device %s is in use by driver QEMU, domain %s: %s", text,
				 claim->owner.name, err->message);
	if (claim && claim->owner.kind == PT_OWNER_PROCESS)
		return fault_set(&call->fault, FAULT_INVALID, FAULT_FROM_NONE,
				 "PCI device %s is in use by driver %s, process %s (pid %d): %s",
				 text, claim->driver, claim->owner.name, (int)claim->owner.pid,
				 err->message);
	return fault_set_reason(&call->fault, err, address);
}

static int fault_in_use(struct pt_host *host, struct call *call, const struct pt_address *address,
			const struct pt_error *err)
{
	AUTO(auto_snapshot) struct pt_snapshot *snapshot = NULL;
	const struct pt_function *function = NULL;
	char text[PT_ADDRESS_TEXT];

	if (pt_snapshot_read(host, &snapshot, NULL) == 0)
		function = pt_snapshot_find(snapshot, address);
	if (!function || !function->driver)
		return fault_set_reason(&call->fault, err, address);
	pt_address_format(address, text);
	if (call->procedure->number == RPC_NODE_DEVICE_RESET)
		return fault_set(&call->fault, FAULT_INTERNAL, FAULT_FROM_NONE,
				 "Not resetting active device %s: %s", text, err->message);
	return fault_set(&call->fault, FAULT_INVALID, FAULT_FROM_NONE,
			 "PCI device %s is in use by driver %s: %s", text, function->driver,
			 err->message);
}

static int nodedev_change_fail(struct pt_host *host, struct call *call,
			       const struct pt_address *address, const struct pt_error *err)
{
	switch (err->reason) {
	case PT_CLAIMED:
		return fault_claimed(host, call, address, err);
	case PT_IN_USE:
		return fault_in_use(host, call, address, err);
	default:
		return fault_set_reason(&call->fault, err, address);
	}
}

static int nodedev_change_apply(struct pt_host *host, struct call *call,
				const struct pt_address *address, enum pt_verb verb,
				const char *driver)
{
	struct pt_request request = {
		.verb = verb, .devices = address, .count = 1, .driver = driver};
	char text[PT_ADDRESS_TEXT];
	struct pt_error err;

	log_message(PT_LOG_INFO, "%s of %s started", call->procedure->name,
		    pt_address_format(address, text));
	if (pt_request_apply(host, &request, &err) < 0) {
		log_message(PT_LOG_NOTICE, "%s of %s failed: %s", call->procedure->name, text,
			    err.message);
		return nodedev_change_fail(host, call, address, &err);
	}
	log_message(PT_LOG_NOTICE, "%s of %s done", call->procedure->name, text);
	return 0;
}

/* ---- handlers ---- */

static int dettach(struct pt_host *host, struct call *call)
{
	const struct rpc_name *args = call->args;
	struct pt_address address;

	if (resolve_pci(host, call, args->name, &address) < 0)
		return -1;
	return nodedev_change_apply(host, call, &address, PT_DETACH, NULL);
}

static int detach_flags(struct pt_host *host, struct call *call)
{
	const struct rpc_detach_args *args = call->args;
	const char *driver = args->driver ? *args->driver : NULL;
	struct pt_address address;

	if (args->flags)
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_NODEDEV,
				 "unsupported flags (0x%x)", args->flags);
	if (resolve_pci(host, call, args->name, &address) < 0)
		return -1;
	if (driver && !strcmp(driver, DRIVER_VFIO))
		driver = NULL;
	return nodedev_change_apply(host, call, &address, PT_DETACH, driver);
}

static int reattach(struct pt_host *host, struct call *call)
{
	const struct rpc_name *args = call->args;
	struct pt_address address;

	if (resolve_pci(host, call, args->name, &address) < 0)
		return -1;
	return nodedev_change_apply(host, call, &address, PT_REATTACH, NULL);
}

/* All refusals of a plan for some reasons, a line each; false when there are none. */
static bool collect_refusals(const struct pt_plan *plan, bool is_group_only, struct pt_error *err)
{
	bool is_first = true;
	size_t i;

	for (i = 0; i < pt_plan_refusal_count(plan); i++) {
		const struct pt_refusal *refusal = pt_plan_refusal_at(plan, i);

		if (is_group_only && refusal->reason != PT_GROUP_NOT_VIABLE &&
		    refusal->reason != PT_CLAIMED)
			continue;
		if (is_first)
			(void)pt_fail(err, refusal->reason, EBUSY, "%s", refusal->message);
		else
			pt_error_append(err, "\n%s", refusal->message);
		is_first = false;
	}
	return !is_first;
}

/*
 * People reset a node device to learn whether a guest can have it: libvirt's guide says that
 * a reset which fails means that other devices must go along. So a device whose group
 * isn't free fails too, although the reset itself would work.
 */
static int check_assignable(struct pt_host *host, struct call *call,
			    const struct pt_address *address)
{
	struct pt_request request = {.verb = PT_RESET, .devices = address, .count = 1};
	AUTO(auto_plan) struct pt_plan *reset = NULL;
	AUTO(auto_plan) struct pt_plan *take = NULL;
	struct pt_error err = {.reason = PT_SYSTEM};
	char text[PT_ADDRESS_TEXT];

	if (pt_plan_make(host, &request, &reset, &err) < 0)
		return nodedev_change_fail(host, call, address, &err);
	if (collect_refusals(reset, false, &err))
		return nodedev_change_fail(host, call, address, &err);
	request.verb = PT_TAKE;
	request.is_unreset_allowed = true;
	request.owner = (struct pt_owner){.kind = PT_OWNER_MANUAL};
	if (pt_plan_make(host, &request, &take, &err) < 0)
		return nodedev_change_fail(host, call, address, &err);
	if (!collect_refusals(take, true, &err))
		return 0;
	return fault_set(&call->fault, FAULT_INTERNAL, FAULT_FROM_NONE,
			 "Unable to reset PCI device %s: %s", pt_address_format(address, text),
			 err.message);
}

static int reset(struct pt_host *host, struct call *call)
{
	const struct rpc_name *args = call->args;
	struct pt_address address;

	if (resolve_pci(host, call, args->name, &address) < 0 ||
	    check_assignable(host, call, &address) < 0)
		return -1;
	return nodedev_change_apply(host, call, &address, PT_RESET, NULL);
}

const struct handler handlers_nodedev_change[] = {
	{RPC_NODE_DEVICE_DETTACH, dettach, HANDLER_SLOW},
	{RPC_NODE_DEVICE_DETACH_FLAGS, detach_flags, HANDLER_SLOW},
	{RPC_NODE_DEVICE_RE_ATTACH, reattach, HANDLER_SLOW},
	{RPC_NODE_DEVICE_RESET, reset, HANDLER_SLOW},
	{0},
};
