/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices into guests and out of them: running ones, their definitions, or both. */
#include <stdlib.h>

#include "base/auto.h"
#include "base/text.h"
#include "daemon/handlers/handlers.h"
#include "daemon/guests/domain_events.h"
#include "daemon/handlers/domain_call.h"
#include "daemon/handlers/domain_fault.h"
#include "daemon/log.h"
#include "domain/guest/hotplug.h"
#include "domain/definition/complete.h"
#include "domain/store/both.h"
#include "domain/store/devices.h"
#include "domain/definition/xml_node.h"

/* virDomainDeviceModifyFlags */
#define AFFECT_LIVE   1u
#define AFFECT_CONFIG 2u
#define AFFECT_ALL    (AFFECT_LIVE | AFFECT_CONFIG)

struct change {
	struct pt_host *host;
	struct call *call;
	struct domain *domain;
	unsigned int flags;
	const char *xml;   /* of the device; NULL when it is named by alias */
	const char *alias; /* NULL when it is given as XML */
	bool is_attach;
	/* the definition as it will be, and was */
	struct definition *config;
	char *text_before;
};

static int domain_devices_fail(const struct change *change, const struct pt_error *err)
{
	return fault_of_guest(change->host, change->call, err);
}

/* What "current" means, and whether there is what is to be changed. */
static int resolve_flags(struct change *change)
{
	struct domain *domain = change->domain;

	if (!(change->flags & AFFECT_ALL))
		change->flags |= domain->guest ? AFFECT_LIVE : AFFECT_CONFIG;
	if ((change->flags & AFFECT_LIVE) && !domain->guest)
		return fault_set(&change->call->fault, FAULT_INVALID, FAULT_FROM_QEMU,
				 "domain is not running");
	if (!(change->flags & AFFECT_CONFIG))
		return 0;
	return domain_check_defined(change->call, domain,
				    "transient domains do not have any persistent config");
}

/* ---- the definition ---- */

/* @text is that of @definition. */
static int domain_devices_write_text(const struct change *change,
				     const struct definition *definition, const char *text,
				     struct pt_error *err)
{
	int r = store_record_devices(change->host, definition, change->domain->definition, err);

	return r < 0 ? r : store_write_definition(change->host, change->domain->name, text, err);
}

/* So that a later daemon makes it both or neither, if this one is killed. */
static int note_both(const struct change *change, const char *after, struct pt_error *err)
{
	const struct store_both both = {.is_attach = change->is_attach,
					.device = (char *)(uintptr_t)change->xml,
					.alias = (char *)(uintptr_t)change->alias,
					.before = change->text_before,
					.after = (char *)(uintptr_t)after};

	return change->flags & AFFECT_LIVE
		       ? store_write_both(change->host, change->domain->name, &both, err)
		       : 0;
}

static void forget_both(const struct change *change)
{
	struct pt_error err;

	if ((change->flags & AFFECT_LIVE) &&
	    store_remove_both(change->host, change->domain->name, &err) < 0)
		log_message(PT_LOG_WARNING, "guest %s: %s", change->domain->name, err.message);
}

/*
 * Write the changed definition before the running guest is changed: a file is easy to restore, a
 * device is not.
 */
static int write_config(struct change *change)
{
	AUTO_FREE char *text = NULL;
	struct pt_error err;
	int r = definition_format(change->domain->definition, DEFINITION_SECURE,
				  &change->text_before, &err);

	if (!r)
		r = definition_format(change->config, DEFINITION_SECURE, &text, &err);
	if (!r)
		r = note_both(change, text, &err);
	if (!r)
		r = domain_devices_write_text(change, change->config, text, &err);
	if (r < 0)
		forget_both(change);
	return r < 0 ? domain_devices_fail(change, &err) : 0;
}

static void keep_config(struct change *change)
{
	struct definition *before;

	if (!change->config)
		return;
	guests_lock(change->domain->guests);
	before = domain_set_definition(change->domain, change->config);
	change->config = before;
	guests_unlock(change->domain->guests);
	forget_both(change);
	domain_event_lifecycle(change->domain, DOMAIN_EVENT_DEFINED, DOMAIN_EVENT_DEFINED_UPDATED);
}

static void restore_config(const struct change *change)
{
	struct pt_error err;

	if (change->text_before && domain_devices_write_text(change, change->domain->definition,
							     change->text_before, &err) < 0)
		log_message(PT_LOG_WARNING, "guest %s: can't restore its definition: %s",
			    change->domain->name, err.message);
	else if (change->text_before)
		forget_both(change);
}

/* ---- attach ---- */

static int add_to_config(struct change *change)
{
	AUTO(auto_definition) struct definition *device = NULL;
	struct pt_error err;
	xmlNode *node;
	int r;

	if (!(change->flags & AFFECT_CONFIG))
		return 0;
	change->config = definition_copy(change->domain->definition);
	if (!change->config)
		return call_fail_memory(change->call);
	r = definition_parse_device(change->xml, 0, &device, &err);
	if (!r)
		r = definition_add_device(change->config, device, &node, &err);
	if (!r)
		r = definition_complete(change->config, &err);
	if (!r)
		r = command_line_check(change->config, &err);
	return r < 0 ? domain_devices_fail(change, &err) : 0;
}

static int attach_live(struct change *change)
{
	AUTO(auto_definition) struct definition *device = NULL;
	struct pt_error err;
	const char *alias;
	int r;

	if (!(change->flags & AFFECT_LIVE))
		return 0;
	r = definition_parse_device(change->xml, 0, &device, &err);
	if (!r)
		r = hotplug_attach(change->host, change->domain->guest, device, &err);
	if (r < 0) {
		log_message(PT_LOG_NOTICE,
			    "guest %s: attaching a device failed: "
			    "%s",
			    change->domain->name, err.message);
		return domain_devices_fail(change, &err);
	}
	alias = node_get(definition_root(device), "alias@name");
	log_message(PT_LOG_NOTICE, "guest %s: %s attached", change->domain->name, alias);
	domain_event_device(change->domain, DEVICE_EVENT_ADDED, alias ? alias : "");
	return 0;
}

static int do_attach(struct change *change)
{
	change->is_attach = true;
	if (add_to_config(change) < 0 || (change->config && write_config(change) < 0))
		return -1;
	if (attach_live(change) < 0) {
		restore_config(change);
		return -1;
	}
	keep_config(change);
	return 0;
}

/* ---- detach ---- */

static int domain_devices_find(const struct change *change, const struct definition *def,
			       xmlNode **ret_node)
{
	AUTO(auto_definition) struct definition *device = NULL;
	struct pt_error err;
	int r;

	if (change->alias) {
		*ret_node = definition_find_alias(def, change->alias);
		if (*ret_node)
			return 0;
		return fault_set(&change->call->fault, FAULT_DEVICE_MISSING, FAULT_FROM_QEMU,
				 "no device found with alias %.100s", change->alias);
	}
	r = definition_parse_device(change->xml, 0, &device, &err);
	if (!r)
		r = definition_find_device(def, device, ret_node, &err);
	return r < 0 ? domain_devices_fail(change, &err) : 0;
}

static int remove_from_config(struct change *change)
{
	xmlNode *node = NULL;

	if (!(change->flags & AFFECT_CONFIG))
		return 0;
	change->config = definition_copy(change->domain->definition);
	if (!change->config)
		return call_fail_memory(change->call);
	if (domain_devices_find(change, change->config, &node) < 0)
		return -1;
	definition_remove_device(change->config, node);
	return 0;
}

/* -1 if the guest still has the device; later failures are logged, but the device was released. */
static int detach_live(struct change *change, const char *alias, bool *ret_is_out)
{
	struct domain *domain = change->domain;
	struct pt_error err;
	int r = unplug_device(change->host, domain->guest, alias, domain->guests->unplug_ms, &err);

	*ret_is_out = !definition_find_alias(domain->guest->live, alias);
	if (r < 0)
		log_message(PT_LOG_NOTICE, "guest %s: detaching %s failed: %s", domain->name, alias,
			    err.message);
	else
		log_message(PT_LOG_NOTICE, "guest %s released %s", domain->name, alias);
	if (*ret_is_out)
		domain_event_device(domain, DEVICE_EVENT_REMOVED, alias);
	return r < 0 ? domain_devices_fail(change, &err) : 0;
}

static int do_detach(struct change *change)
{
	char alias[STORE_ALIAS] = "";
	bool is_out = true;
	int r = 0;

	if (change->flags & AFFECT_LIVE) {
		xmlNode *node = NULL;
		const char *name;

		if (domain_devices_find(change, change->domain->guest->live, &node) < 0)
			return -1;
		name = node_get(node, "alias@name");
		if (!name || !text_copy(alias, sizeof(alias), name))
			return fault_set(&change->call->fault, FAULT_INTERNAL, FAULT_FROM_QEMU,
					 "the device has no alias");
	}
	if (remove_from_config(change) < 0 || (change->config && write_config(change) < 0))
		return -1;
	if (*alias)
		r = detach_live(change, alias, &is_out);
	if (is_out)
		keep_config(change);
	else
		restore_config(change);
	return r;
}

/* ---- handlers ---- */

static int domain_devices_run(struct pt_host *host, struct call *call, const rpc_domain *wanted,
			      struct change *change, int (*work)(struct change *change))
{
	int r;

	change->host = host;
	change->call = call;
	if (fault_check_flags(call, change->flags, AFFECT_ALL) < 0)
		return -1;
	change->domain = domain_job_of(call, wanted, false, NULL);
	if (!change->domain)
		return -1;
	r = resolve_flags(change);
	if (r == 0)
		r = work(change);
	domain_job_done(change->domain);
	definition_free(change->config);
	free(change->text_before);
	return r;
}

static int attach(struct pt_host *host, struct call *call)
{
	const struct rpc_domain_text_args *args = call->args;
	struct change change = {.xml = args->text, .flags = AFFECT_LIVE};

	return domain_devices_run(host, call, &args->domain, &change, do_attach);
}

static int attach_flags(struct pt_host *host, struct call *call)
{
	const struct rpc_domain_text_flags_args *args = call->args;
	struct change change = {.xml = args->text, .flags = args->flags};

	return domain_devices_run(host, call, &args->domain, &change, do_attach);
}

static int detach(struct pt_host *host, struct call *call)
{
	const struct rpc_domain_text_args *args = call->args;
	struct change change = {.xml = args->text, .flags = AFFECT_LIVE};

	return domain_devices_run(host, call, &args->domain, &change, do_detach);
}

static int detach_flags(struct pt_host *host, struct call *call)
{
	const struct rpc_domain_text_flags_args *args = call->args;
	struct change change = {.xml = args->text, .flags = args->flags};

	return domain_devices_run(host, call, &args->domain, &change, do_detach);
}

static int detach_alias(struct pt_host *host, struct call *call)
{
	const struct rpc_domain_text_flags_args *args = call->args;
	struct change change = {.alias = args->text, .flags = args->flags};

	return domain_devices_run(host, call, &args->domain, &change, do_detach);
}

const struct handler handlers_domain_devices[] = {
	{RPC_DOMAIN_ATTACH_DEVICE, attach, HANDLER_GUEST},
	{RPC_DOMAIN_ATTACH_DEVICE_FLAGS, attach_flags, HANDLER_GUEST},
	{RPC_DOMAIN_DETACH_DEVICE, detach, HANDLER_GUEST},
	{RPC_DOMAIN_DETACH_DEVICE_FLAGS, detach_flags, HANDLER_GUEST},
	{RPC_DOMAIN_DETACH_DEVICE_ALIAS, detach_alias, HANDLER_GUEST},
	{0},
};
