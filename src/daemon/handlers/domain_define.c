/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Defining and undefining guests. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "daemon/handlers/handlers.h"
#include "daemon/guests/domain_events.h"
#include "daemon/guests/emulators.h"
#include "daemon/guests/end.h"
#include "daemon/guests/start.h"
#include "daemon/handlers/domain_call.h"
#include "daemon/handlers/domain_fault.h"
#include "daemon/log.h"
#include "domain/command_line/command_line.h"
#include "domain/definition/firmware.h"
#include "domain/definition/complete.h"
#include "domain/store/devices.h"
#include "domain/resources/tpm.h"
#include "domain/resources/volume.h"

#define DEFINE_VALIDATE 1u

/* virDomainUndefineFlagsValues: what the others are about there is none of */
#define UNDEFINE_FLAGS_ALL  0x1ffu
#define UNDEFINE_NVRAM	    0x4u
#define UNDEFINE_KEEP_NVRAM 0x8u
#define UNDEFINE_TPM	    0x20u
#define UNDEFINE_KEEP_TPM   0x40u

#define NATIVE_FORMAT "qemu-argv"

/* ---- define ---- */

/* Checked, with all that it needs to be started as it is. */
static int define_parse(struct pt_host *host, struct call *call, const char *xml,
			struct definition **ret_definition)
{
	AUTO(auto_definition) struct definition *definition = NULL;
	struct pt_error err;
	int r = definition_parse(xml, 0, &definition, &err);

	if (!r)
		r = store_check_name(definition_name(definition), &err);
	if (!r)
		r = definition_complete(definition, &err);
	if (!r)
		r = definition_choose_firmware(host, definition, &err);
	if (!r)
		r = emulators_pin_machine(guests_of(call)->parts.emulators, host, definition, &err);
	if (!r)
		r = command_line_check(definition, &err);
	if (r < 0)
		return fault_of_guest(host, call, &err);
	*ret_definition = TAKE_POINTER(definition);
	return 0;
}

/* The domain that has this name and UUID, or a new one; with the lock held. */
static struct domain *find_or_add(struct call *call, const struct definition *definition)
{
	struct guests *guests = guests_of(call);
	const char *name = definition_name(definition);
	unsigned char uuid[16];
	struct domain *by_uuid, *by_name;
	char text[UUID_TEXT];

	definition_uuid_bytes(definition, uuid);
	by_uuid = domain_find_uuid(guests, uuid);
	by_name = domain_find_name(guests, name);
	if (by_uuid && by_uuid != by_name) {
		(void)fault_set(&call->fault, FAULT_FAILED, FAULT_FROM_DOMAIN,
				"domain '%s' is already defined with uuid %s", by_uuid->name,
				uuid_format(uuid, text));
		return NULL;
	}
	/* the UUID of an unreadable definition is unknown, unless its guest runs */
	if (by_name && by_name != by_uuid &&
	    (!by_name->unreadable || by_name->definition || by_name->guest)) {
		(void)fault_set(&call->fault, FAULT_FAILED, FAULT_FROM_DOMAIN,
				"domain '%s' already exists with uuid %s", name,
				uuid_format(by_name->uuid, text));
		return NULL;
	}
	if (!by_name)
		by_name = domain_add(guests, name, uuid);
	if (!by_name)
		(void)call_fail_memory(call);
	else
		(void)domain_ref(by_name);
	return by_name;
}

/*
 * Returns the domain with its job, so that no other call changes it; otherwise NULL and the
 * fault. If the domain was removed while waiting for its job, the check is repeated.
 */
static struct domain *define_begin(struct call *call, const struct definition *definition,
				   bool may_replace_unreadable)
{
	struct guests *guests = guests_of(call);
	struct domain *domain;
	int r;

	do {
		guests_lock(guests);
		domain = find_or_add(call, definition);
		guests_unlock(guests);
		if (!domain)
			return NULL;
		r = may_replace_unreadable && !domain->may_run
			    ? 0
			    : domain_check_readable(call, domain);
		if (!r)
			r = domain_begin_job(domain, call->procedure->name, DOMAIN_JOB_MS);
		if (r == -ETIMEDOUT)
			(void)domain_fail_busy(call, domain);
		if (r < 0)
			domain_release(domain);
	} while (r == -ESTALE);
	return r < 0 ? NULL : domain;
}

static void define_finish(struct domain *domain)
{
	guests_lock(domain->guests);
	domain_drop_if_unused(domain);
	guests_unlock(domain->guests);
	domain_job_done(domain);
}

static int write_definition(struct pt_host *host, struct domain *domain,
			    const struct definition *definition, struct pt_error *err)
{
	AUTO_FREE char *xml = NULL;
	int r = definition_format(definition, DEFINITION_SECURE, &xml, err);

	if (!r)
		r = store_record_devices(host, definition, NULL, err);
	return r < 0 ? r : store_write_definition(host, domain->name, xml, err);
}

/* A definition that was stored before machines were pinned is told which one it has now. */
static void tell_machine(const char *name, const struct definition *before,
			 const struct definition *now)
{
	const char *old = before ? definition_get(before, "os/type@machine") : NULL;
	const char *machine = definition_get(now, "os/type@machine");

	if (before && machine && !text_equal(old, machine))
		log_message(PT_LOG_NOTICE, "guest %s: its machine was %s and is %s from now on",
			    name, old ? old : "q35", machine);
}

static int define(struct pt_host *host, struct call *call, const char *xml)
{
	AUTO(auto_definition) struct definition *definition = NULL;
	struct definition *before;
	struct domain *domain;
	struct pt_error err;
	int r;

	if (define_parse(host, call, xml, &definition) < 0)
		return -1;
	domain = define_begin(call, definition, true);
	if (!domain)
		return -1;
	r = write_definition(host, domain, definition, &err);
	if (r < 0) {
		(void)fault_of_guest(host, call, &err);
	} else {
		guests_lock(domain->guests);
		if (domain->unreadable)
			domain_set_readable(domain, definition);
		before = domain_set_definition(domain, definition);
		definition = before; /* freed with the scope */
		r = domain_describe(domain, call->result);
		guests_unlock(domain->guests);
		log_message(PT_LOG_NOTICE, "guest %s defined", domain->name);
		tell_machine(domain->name, before, domain->definition);
		domain_event_lifecycle(domain, DOMAIN_EVENT_DEFINED,
				       before ? DOMAIN_EVENT_DEFINED_UPDATED
					      : DOMAIN_EVENT_DEFINED_ADDED);
	}
	define_finish(domain);
	return r < 0 ? -1 : 0;
}

static int define_xml(struct pt_host *host, struct call *call)
{
	return define(host, call, ((const struct rpc_text *)call->args)->text);
}

static int define_xml_flags(struct pt_host *host, struct call *call)
{
	const struct rpc_text_flags *args = call->args;

	if (fault_check_flags(call, args->flags, DEFINE_VALIDATE) < 0)
		return -1;
	return define(host, call, args->text);
}

/* ---- undefine ---- */

/*
 * The firmware's variables contain boot entries and keys: the user must decide to keep or remove
 * them.
 */
static int undefine_files(struct pt_host *host, struct call *call, const struct domain *domain,
			  unsigned int flags)
{
	bool has_nvram = definition_has_nvram(host, domain->definition);
	struct pt_error err;
	int r = 0;

	if ((flags & UNDEFINE_NVRAM) && (flags & UNDEFINE_KEEP_NVRAM))
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_QEMU,
				 "flags to remove the nvram and to keep it are mutually exclusive");
	if ((flags & UNDEFINE_TPM) && (flags & UNDEFINE_KEEP_TPM))
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_QEMU,
				 "flags to remove the TPM's state and to keep it are mutually "
				 "exclusive");
	if (has_nvram && !(flags & (UNDEFINE_NVRAM | UNDEFINE_KEEP_NVRAM)))
		return fault_set(&call->fault, FAULT_INVALID, FAULT_FROM_QEMU,
				 "cannot undefine domain with nvram: %s (--nvram removes it, "
				 "--keep-nvram leaves it)",
				 definition_get(domain->definition, "os/nvram"));
	if (has_nvram && (flags & UNDEFINE_NVRAM))
		r = definition_remove_nvram(host, domain->definition, &err);
	if (!r)
		r = store_remove_definition(host, domain->name, &err);
	return r < 0 ? fault_of_guest(host, call, &err) : 0;
}

/*
 * What the TPM keeps goes with the guest, as it does in libvirt, unless the definition or the call
 * says otherwise. That of a running guest is in use: it is for its end to see, by what the live
 * definition says.
 */
static void undefine_tpm(struct pt_host *host, const struct domain *domain, unsigned int flags)
{
	static const char kept[] = "devices/tpm/backend@persistent_state";
	struct guest *guest = domain->guest;
	struct pt_error err;
	int r = 0;

	if (guest && tpm_is_wanted(guest->live) && (flags & (UNDEFINE_TPM | UNDEFINE_KEEP_TPM))) {
		(void)pthread_mutex_lock(&guest->lock);
		r = definition_set(guest->live, kept, flags & UNDEFINE_TPM ? "no" : "yes", &err);
		if (!r)
			r = guest_save(host, guest, &err);
		(void)pthread_mutex_unlock(&guest->lock);
	} else if (!guest && !(flags & UNDEFINE_KEEP_TPM) &&
		   (flags & UNDEFINE_TPM || !tpm_is_kept(domain->definition))) {
		r = tpm_remove_state(host, domain->definition, &err);
	}
	if (!guest)
		domain_forget_user(host, domain->definition);
	/* the guest is undefined all the same */
	if (r < 0)
		log_message(PT_LOG_WARNING, "guest %s: %s", domain->name, err.message);
}

static int undefine_with(struct pt_host *host, struct call *call, const rpc_domain *wanted,
			 unsigned int flags)
{
	struct domain *domain = domain_job_of(call, wanted, false, NULL);
	int r;

	if (!domain)
		return -1;
	if (domain_check_defined(call, domain, "cannot undefine transient domain") < 0) {
		domain_job_done(domain);
		return -1;
	}
	r = undefine_files(host, call, domain, flags);
	if (r == 0) {
		undefine_tpm(host, domain, flags);
		guests_lock(domain->guests);
		definition_free(domain_set_definition(domain, NULL));
		domain->is_autostart = false;
		guests_unlock(domain->guests);
		log_message(PT_LOG_NOTICE, "guest %s undefined", domain->name);
		domain_event_lifecycle(domain, DOMAIN_EVENT_UNDEFINED, 0);
	}
	define_finish(domain);
	return r < 0 ? -1 : 0;
}

static int undefine(struct pt_host *host, struct call *call)
{
	return undefine_with(host, call, call->args, 0);
}

static int undefine_flags(struct pt_host *host, struct call *call)
{
	const struct rpc_domain_flags_args *args = call->args;

	if (fault_check_flags(call, args->flags, UNDEFINE_FLAGS_ALL) < 0)
		return -1;
	return undefine_with(host, call, &args->domain, args->flags);
}

static int set_autostart(struct pt_host *host, struct call *call)
{
	const struct rpc_domain_number_args *args = call->args;
	struct domain *domain = domain_job_of(call, &args->domain, false, NULL);
	struct pt_error err;
	int r;

	if (!domain)
		return -1;
	if (domain_check_defined(call, domain, "cannot set autostart for transient domain") < 0) {
		domain_job_done(domain);
		return -1;
	}
	r = store_set_autostart(host, domain->name, args->number != 0, &err);
	if (r < 0) {
		(void)fault_of_guest(host, call, &err);
	} else {
		guests_lock(domain->guests);
		domain->is_autostart = args->number != 0;
		guests_unlock(domain->guests);
	}
	domain_job_done(domain);
	return r < 0 ? -1 : 0;
}

/* ---- a guest that is gone when it ends ---- */

static int create_xml(struct pt_host *host, struct call *call)
{
	const struct rpc_text_flags *args = call->args;
	AUTO(auto_definition) struct definition *definition = NULL;
	struct domain *domain;
	struct pt_error err;
	int r;

	if (fault_check_flags(call, args->flags, DOMAIN_START_FLAGS) < 0 ||
	    define_parse(host, call, args->text, &definition) < 0)
		return -1;
	domain = define_begin(call, definition, false);
	if (!domain)
		return -1;
	if (domain->guest) {
		r = fault_set(&call->fault, FAULT_FAILED, FAULT_FROM_DOMAIN,
			      "domain '%s' is already active", domain->name);
	} else {
		r = domain_start(host, domain, definition, args->flags & DOMAIN_START_PAUSED, &err);
		if (r < 0)
			(void)fault_of_guest(host, call, &err);
	}
	if (r == 0) {
		guests_lock(domain->guests);
		r = domain_describe(domain, call->result);
		guests_unlock(domain->guests);
	}
	define_finish(domain);
	return r < 0 ? -1 : 0;
}

/* ---- as QEMU's command line ---- */

static int to_native(struct pt_host *host, struct call *call)
{
	static const struct command_line_files files = {.commands.fd = -1, .events.fd = -1};
	const struct rpc_to_native_args *args = call->args;
	AUTO(auto_definition) struct definition *definition = NULL;
	AUTO(auto_definition) struct definition *live = NULL;
	AUTO(auto_command_line) char **argv = NULL;
	struct pt_error err;
	char *text = NULL;
	int r;

	if (strcmp(args->format, NATIVE_FORMAT) != 0)
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_QEMU,
				 "unsupported config type %.100s", args->format);
	if (fault_check_flags(call, args->flags, 0) < 0 ||
	    define_parse(host, call, args->xml, &definition) < 0)
		return -1;
	r = definition_make_live(definition, 1, &live, &err);
	if (!r)
		r = volumes_settle(host, live, &err);
	if (!r)
		r = command_line_build(live, &files, &argv, &err);
	if (!r)
		r = command_line_format(argv, &text, &err);
	return r < 0 ? fault_of_guest(host, call, &err) : call_answer_text(call, text);
}

const struct handler handlers_domain_define[] = {
	{RPC_DOMAIN_DEFINE_XML, define_xml, HANDLER_SLOW},
	{RPC_DOMAIN_DEFINE_XML_FLAGS, define_xml_flags, HANDLER_SLOW},
	{RPC_DOMAIN_UNDEFINE, undefine, HANDLER_GUEST},
	{RPC_DOMAIN_UNDEFINE_FLAGS, undefine_flags, HANDLER_GUEST},
	{RPC_DOMAIN_SET_AUTOSTART, set_autostart, HANDLER_GUEST},
	{RPC_DOMAIN_CREATE_XML, create_xml, HANDLER_SLOW},
	{RPC_DOMAIN_XML_TO_NATIVE, to_native, HANDLER_SLOW},
	{0},
};
