/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looking at guests: what needs no more than memory. */
#include <stdlib.h>
#include <string.h>

#include "daemon/handlers/handlers.h"
#include "daemon/handlers/domain_call.h"
#include "daemon/handlers/domain_fault.h"

/* virConnectListAllDomainsFlags */
enum {
	LIST_ACTIVE = 1u << 0,
	LIST_INACTIVE = 1u << 1,
	LIST_PERSISTENT = 1u << 2,
	LIST_TRANSIENT = 1u << 3,
	LIST_RUNNING = 1u << 4,
	LIST_PAUSED = 1u << 5,
	LIST_SHUTOFF = 1u << 6,
	LIST_OTHER = 1u << 7,
	LIST_SAVED = 1u << 8,
	LIST_NOT_SAVED = 1u << 9,
	LIST_AUTOSTART = 1u << 10,
	LIST_NO_AUTOSTART = 1u << 11,
	LIST_SNAPSHOTS = 1u << 12,
	LIST_NO_SNAPSHOTS = 1u << 13,
	LIST_CHECKPOINTS = 1u << 14,
	LIST_NO_CHECKPOINTS = 1u << 15,
};

#define LIST_ALL_FLAGS ((1u << 16) - 1)

/* virDomainXMLFlags */
#define XML_SECURE     1u
#define XML_INACTIVE   2u
#define XML_UPDATE_CPU 4u
#define XML_MIGRATABLE 8u

/* ---- lists ---- */

/* One bit of each pair or group: what this domain is. */
static unsigned int list_bits(const struct domain *domain)
{
	unsigned int bits = LIST_NOT_SAVED | LIST_NO_SNAPSHOTS | LIST_NO_CHECKPOINTS;

	bits |= domain->guest ? LIST_ACTIVE : LIST_INACTIVE;
	bits |= domain->definition || domain->unreadable ? LIST_PERSISTENT : LIST_TRANSIENT;
	bits |= domain->is_autostart ? LIST_AUTOSTART : LIST_NO_AUTOSTART;
	bits |= domain->state == DOMAIN_RUNNING	  ? LIST_RUNNING
		: domain->state == DOMAIN_PAUSED  ? LIST_PAUSED
		: domain->state == DOMAIN_SHUTOFF ? LIST_SHUTOFF
						  : LIST_OTHER;
	return bits;
}

static bool domain_is_listed(const struct domain *domain, unsigned int flags)
{
	static const unsigned int groups[] = {
		LIST_ACTIVE | LIST_INACTIVE,
		LIST_PERSISTENT | LIST_TRANSIENT,
		LIST_RUNNING | LIST_PAUSED | LIST_SHUTOFF | LIST_OTHER,
		LIST_SAVED | LIST_NOT_SAVED,
		LIST_AUTOSTART | LIST_NO_AUTOSTART,
		LIST_SNAPSHOTS | LIST_NO_SNAPSHOTS,
		LIST_CHECKPOINTS | LIST_NO_CHECKPOINTS,
	};
	unsigned int bits = list_bits(domain);
	size_t i;

	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if ((flags & groups[i]) && !(flags & groups[i] & bits))
			return false;
	return true;
}

static unsigned int count(const struct guests *guests, unsigned int flags)
{
	const struct domain *domain;
	unsigned int n = 0;

	for (domain = domain_first(guests); domain; domain = domain_next(domain))
		n += domain_is_listed(domain, flags);
	return n;
}

static int list_all(struct pt_host *host, struct call *call)
{
	const struct rpc_list_args *args = call->args;
	struct guests *guests = guests_of(call);
	struct rpc_domain_list *result = call->result;
	const struct domain *domain;
	int r = 0;

	(void)host;
	if (fault_check_flags(call, args->flags, LIST_ALL_FLAGS) < 0)
		return -1;
	guests_lock(guests);
	result->count = count(guests, args->flags);
	if (args->is_list_wanted && result->count) {
		result->domains.domains_val = calloc(result->count, sizeof(rpc_domain));
		r = result->domains.domains_val ? 0 : -1;
	}
	for (domain = domain_first(guests); r == 0 && args->is_list_wanted && domain;
	     domain = domain_next(domain)) {
		if (!domain_is_listed(domain, args->flags))
			continue;
		r = domain_describe(domain,
				    &result->domains.domains_val[result->domains.domains_len]);
		if (r == 0)
			result->domains.domains_len++;
	}
	guests_unlock(guests);
	return r < 0 ? call_fail_memory(call) : 0;
}

static int num_of(struct call *call, unsigned int flags)
{
	struct rpc_number *result = call->result;

	guests_lock(guests_of(call));
	result->number = (int)count(guests_of(call), flags);
	guests_unlock(guests_of(call));
	return 0;
}

static int num_of_domains(struct pt_host *host, struct call *call)
{
	(void)host;
	return num_of(call, LIST_ACTIVE);
}

static int num_of_defined(struct pt_host *host, struct call *call)
{
	(void)host;
	return num_of(call, LIST_INACTIVE);
}

static int list_ids(struct pt_host *host, struct call *call)
{
	const struct rpc_number *args = call->args;
	struct guests *guests = guests_of(call);
	struct rpc_domain_ids *result = call->result;
	const struct domain *domain;

	(void)host;
	if (args->number < 0 || args->number > RPC_DOMAINS_MAX)
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_QEMU, "maxids");
	result->ids.ids_val = calloc((size_t)args->number + 1, sizeof(int));
	if (!result->ids.ids_val)
		return call_fail_memory(call);
	guests_lock(guests);
	for (domain = domain_first(guests); domain; domain = domain_next(domain))
		if (domain->guest && result->ids.ids_len < (u_int)args->number)
			result->ids.ids_val[result->ids.ids_len++] = domain->guest->id;
	guests_unlock(guests);
	return 0;
}

static int list_defined(struct pt_host *host, struct call *call)
{
	const struct rpc_number *args = call->args;
	struct guests *guests = guests_of(call);
	struct rpc_names *result = call->result;
	const struct domain *domain;
	int r = 0;

	(void)host;
	if (args->number < 0 || args->number > RPC_DOMAINS_MAX)
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_QEMU, "maxnames");
	result->names.names_val = calloc((size_t)args->number + 1, sizeof(rpc_string));
	if (!result->names.names_val)
		return call_fail_memory(call);
	guests_lock(guests);
	for (domain = domain_first(guests); r == 0 && domain; domain = domain_next(domain)) {
		if (domain->guest || result->names.names_len >= (u_int)args->number)
			continue;
		result->names.names_val[result->names.names_len] = strdup(domain->name);
		r = result->names.names_val[result->names.names_len] ? 0 : -1;
		if (r == 0)
			result->names.names_len++;
	}
	guests_unlock(guests);
	return r < 0 ? call_fail_memory(call) : 0;
}

/* ---- looking up ---- */

static int answer_found(struct call *call, const struct domain *domain)
{
	int r = domain ? domain_describe(domain, call->result) : 0;

	guests_unlock(guests_of(call));
	return r < 0 ? call_fail_memory(call) : 0;
}

static int lookup_by_id(struct pt_host *host, struct call *call)
{
	int id = ((const struct rpc_number *)call->args)->number;
	const struct domain *domain;

	(void)host;
	guests_lock(guests_of(call));
	domain = domain_find_id(guests_of(call), id);
	if (answer_found(call, domain) < 0)
		return -1;
	return domain ? 0
		      : fault_set(&call->fault, FAULT_NO_DOMAIN, FAULT_FROM_QEMU,
				  "no domain with matching id %d", id);
}

static int lookup_by_name(struct pt_host *host, struct call *call)
{
	const char *name = ((const struct rpc_text *)call->args)->text;
	const struct domain *domain;

	(void)host;
	guests_lock(guests_of(call));
	domain = domain_find_name(guests_of(call), name);
	if (answer_found(call, domain) < 0)
		return -1;
	return domain ? 0
		      : fault_set(&call->fault, FAULT_NO_DOMAIN, FAULT_FROM_QEMU,
				  "no domain with matching name '%.200s'", name);
}

static int lookup_by_uuid(struct pt_host *host, struct call *call)
{
	const unsigned char *uuid =
		(const unsigned char *)((const struct rpc_named_uuid *)call->args)->uuid;
	const struct domain *domain;
	char text[UUID_TEXT];

	(void)host;
	guests_lock(guests_of(call));
	domain = domain_find_uuid(guests_of(call), uuid);
	if (answer_found(call, domain) < 0)
		return -1;
	return domain ? 0
		      : fault_set(&call->fault, FAULT_NO_DOMAIN, FAULT_FROM_QEMU,
				  "no domain with matching uuid '%s'", uuid_format(uuid, text));
}

/* ---- one domain ---- */

static const struct domain *look(struct call *call)
{
	/* the domain comes first in the arguments of all these */
	return domain_lock_of(call, call->args);
}

static int answer_number(struct call *call, int number)
{
	((struct rpc_number *)call->result)->number = number;
	guests_unlock(guests_of(call));
	return 0;
}

static int is_active(struct pt_host *host, struct call *call)
{
	const struct domain *domain = look(call);

	(void)host;
	return domain ? answer_number(call, domain->guest != NULL) : -1;
}

static int is_persistent(struct pt_host *host, struct call *call)
{
	const struct domain *domain = look(call);

	(void)host;
	return domain ? answer_number(call, domain->definition || domain->unreadable) : -1;
}

static int get_autostart(struct pt_host *host, struct call *call)
{
	const struct domain *domain = look(call);

	(void)host;
	return domain ? answer_number(call, domain->is_autostart) : -1;
}

/* There is none of it: autostart once, saved images, snapshots, updates. */
static int zero(struct pt_host *host, struct call *call)
{
	const struct domain *domain = look(call);

	(void)host;
	return domain ? answer_number(call, 0) : -1;
}

static int none(struct pt_host *host, struct call *call)
{
	const struct domain *domain = look(call);

	(void)host;
	if (!domain)
		return -1;
	guests_unlock(guests_of(call));
	return 0;
}

static int get_messages(struct pt_host *host, struct call *call)
{
	struct rpc_domain_messages *result = call->result;
	const struct domain *domain = look(call);
	bool has_memory = true;

	(void)host;
	if (!domain)
		return -1;
	if (domain->unreadable) {
		result->messages.messages_val = calloc(1, sizeof(rpc_string));
		has_memory = result->messages.messages_val &&
			     (result->messages.messages_val[0] = strdup(domain->unreadable));
		result->messages.messages_len = has_memory;
	}
	guests_unlock(guests_of(call));
	return has_memory ? 0 : call_fail_memory(call);
}

static int get_os_type(struct pt_host *host, struct call *call)
{
	const struct domain *domain = look(call);

	(void)host;
	if (!domain)
		return -1;
	guests_unlock(guests_of(call));
	return call_answer_text(call, strdup("hvm"));
}

static int get_state(struct pt_host *host, struct call *call)
{
	struct rpc_domain_state *result = call->result;
	const struct domain *domain = look(call);

	(void)host;
	if (!domain)
		return -1;
	result->state = (int)domain->state;
	result->reason = domain->reason;
	guests_unlock(guests_of(call));
	return 0;
}

/* The document that a running guest has, or else its persistent one. */
static const struct definition *current(const struct domain *domain)
{
	return domain->guest ? domain->guest->live : domain->definition;
}

static int get_max_memory(struct pt_host *host, struct call *call)
{
	const struct domain *domain = look(call);

	(void)host;
	if (!domain)
		return -1;
	if (domain->guest)
		(void)pthread_mutex_lock(&domain->guest->lock);
	((struct rpc_long *)call->result)->number =
		current(domain) ? definition_memory(current(domain)) / 1024 : 0;
	if (domain->guest)
		(void)pthread_mutex_unlock(&domain->guest->lock);
	guests_unlock(guests_of(call));
	return 0;
}

static int get_vcpus_number(struct pt_host *host, struct call *call)
{
	const struct domain *domain = look(call);
	int number;

	(void)host;
	if (!domain)
		return -1;
	if (domain->guest)
		(void)pthread_mutex_lock(&domain->guest->lock);
	number = current(domain) ? (int)definition_vcpus(current(domain)) : 0;
	if (domain->guest)
		(void)pthread_mutex_unlock(&domain->guest->lock);
	return answer_number(call, number);
}

static int format_live(const struct domain *domain, bool is_live, unsigned int flags,
		       char **ret_text, struct pt_error *err)
{
	struct guest *guest = domain->guest;
	int r;

	(void)pthread_mutex_lock(&guest->lock);
	r = definition_format(guest->live, flags | (is_live ? DEFINITION_LIVE : 0), ret_text, err);
	(void)pthread_mutex_unlock(&guest->lock);
	return r;
}

static int get_xml(struct pt_host *host, struct call *call)
{
	const struct rpc_domain_flags_args *args = call->args;
	unsigned int flags = args->flags & XML_SECURE ? DEFINITION_SECURE : 0;
	const struct domain *domain;
	struct pt_error err;
	char *text = NULL;
	int r;

	if (fault_check_flags(call, args->flags,
			      XML_SECURE | XML_INACTIVE | XML_UPDATE_CPU | XML_MIGRATABLE) < 0)
		return -1;
	if (call->client && call->client->is_readonly && flags)
		return fault_set(&call->fault, FAULT_DENIED, FAULT_FROM_QEMU,
				 "virDomainGetXMLDesc with secure flag");
	domain = look(call);
	if (!domain)
		return -1;
	if (domain->guest && !(args->flags & XML_INACTIVE))
		r = format_live(domain, true, flags, &text, &err);
	else if (domain->definition)
		r = definition_format(domain->definition, flags, &text, &err);
	else if (domain->guest)
		r = format_live(domain, false, flags, &text, &err);
	else
		r = pt_fail(&err, PT_SYSTEM, ENOENT, "domain %s %s%s", domain->name,
			    domain->unreadable ? "is unusable: " : "is gone",
			    domain->unreadable ? domain->unreadable : "");
	guests_unlock(guests_of(call));
	return r < 0 ? fault_of_guest(host, call, &err) : call_answer_text(call, text);
}

const struct handler handlers_domain[] = {
	{RPC_LIST_ALL_DOMAINS, list_all, HANDLER_QUICK},
	{RPC_LIST_DOMAINS, list_ids, HANDLER_QUICK},
	{RPC_LIST_DEFINED_DOMAINS, list_defined, HANDLER_QUICK},
	{RPC_NUM_OF_DOMAINS, num_of_domains, HANDLER_QUICK},
	{RPC_NUM_OF_DEFINED_DOMAINS, num_of_defined, HANDLER_QUICK},
	{RPC_DOMAIN_LOOKUP_BY_ID, lookup_by_id, HANDLER_QUICK},
	{RPC_DOMAIN_LOOKUP_BY_NAME, lookup_by_name, HANDLER_QUICK},
	{RPC_DOMAIN_LOOKUP_BY_UUID, lookup_by_uuid, HANDLER_QUICK},
	{RPC_DOMAIN_IS_ACTIVE, is_active, HANDLER_QUICK},
	{RPC_DOMAIN_IS_PERSISTENT, is_persistent, HANDLER_QUICK},
	{RPC_DOMAIN_IS_UPDATED, zero, HANDLER_QUICK},
	{RPC_DOMAIN_GET_AUTOSTART, get_autostart, HANDLER_QUICK},
	{RPC_DOMAIN_GET_AUTOSTART_ONCE, zero, HANDLER_QUICK},
	{RPC_DOMAIN_HAS_MANAGED_SAVE_IMAGE, zero, HANDLER_QUICK},
	{RPC_DOMAIN_SNAPSHOT_NUM, zero, HANDLER_QUICK},
	{RPC_DOMAIN_LIST_ALL_SNAPSHOTS, none, HANDLER_QUICK},
	{RPC_DOMAIN_GET_MESSAGES, get_messages, HANDLER_QUICK},
	{RPC_DOMAIN_GET_OS_TYPE, get_os_type, HANDLER_QUICK},
	{RPC_DOMAIN_GET_STATE, get_state, HANDLER_QUICK},
	{RPC_DOMAIN_GET_MAX_MEMORY, get_max_memory, HANDLER_QUICK},
	{RPC_DOMAIN_GET_MAX_VCPUS, get_vcpus_number, HANDLER_QUICK},
	{RPC_DOMAIN_GET_VCPUS_FLAGS, get_vcpus_number, HANDLER_QUICK},
	{RPC_DOMAIN_GET_XML_DESC, get_xml, HANDLER_QUICK},
	{0},
};
