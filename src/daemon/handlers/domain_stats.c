/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statistics of guests: from /proc if possible, so that no call waits for QEMU. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "daemon/handlers/handlers.h"
#include "daemon/handlers/domain_call.h"
#include "daemon/handlers/domain_fault.h"
#include "pci/host.h"

/* virDomainStatsTypes that are served */
#define STATS_STATE   (1u << 0)
#define STATS_CPU     (1u << 1)
#define STATS_BALLOON (1u << 2)
#define STATS_VCPU    (1u << 3)

/* virConnectGetAllDomainStatsFlags */
#define STATS_ACTIVE   (1u << 0)
#define STATS_INACTIVE (1u << 1)

#define MEMORY_ACTUAL 6
#define MEMORY_RSS    7

#define VALUES_MAX 16

/* ---- what the kernel knows of a process ---- */

struct usage {
	uint64_t user_ns;
	uint64_t system_ns;
	uint64_t rss_kib;
	uint64_t last_cpu;
};

/* proc(5), fields 14, 15, 24 and 39 of stat; they are counted from behind the name. */
static void read_usage(struct pt_host *host, const char *path, struct usage *usage)
{
	uint64_t fields[40] = {0}, tick_ns = 1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK);
	char text[1024], *at;
	int i;

	*usage = (struct usage){0};
	if (io_read_text_at(host->root_fd, path, text, sizeof(text)) < 0)
		return;
	at = strrchr(text, ')');
	for (i = 3; at && i < 40; i++) {
		at = strchr(at + 1, ' ');
		if (at)
			fields[i] = strtoull(at + 1, NULL, 10);
	}
	usage->user_ns = fields[14] * tick_ns;
	usage->system_ns = fields[15] * tick_ns;
	usage->rss_kib = fields[24] * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
	usage->last_cpu = fields[39];
}

static void read_guest_usage(struct pt_host *host, const struct guest *guest, struct usage *usage)
{
	char path[64];

	(void)text_format(path, sizeof(path), "proc/%d/stat", (int)guest->owner.pid);
	read_usage(host, path, usage);
}

/* ---- what is in a domain ---- */

struct facts {
	enum domain_state state;
	int reason;
	int64_t changed_ms;
	bool is_active;
	pid_t pid; /* of QEMU */
	uint64_t memory_kib, max_memory_kib;
	unsigned int vcpus;
	struct usage usage;
};

static void read_facts(struct pt_host *host, const struct domain *domain, struct facts *facts)
{
	const struct definition *def = domain->definition;
	struct guest *guest = domain->guest;

	*facts = (struct facts){.state = domain->state,
				.reason = domain->reason,
				.changed_ms = domain->changed_ms,
				.is_active = guest != NULL};
	if (guest) {
		(void)pthread_mutex_lock(&guest->lock);
		def = guest->live;
		facts->pid = guest->owner.pid;
		read_guest_usage(host, guest, &facts->usage);
	}
	if (def) {
		facts->memory_kib = definition_memory_now(def) / 1024;
		facts->max_memory_kib = definition_memory(def) / 1024;
		facts->vcpus = definition_vcpus(def);
	}
	if (guest)
		(void)pthread_mutex_unlock(&guest->lock);
}

static int facts_of(struct pt_host *host, struct call *call, struct facts *facts)
{
	const struct domain *domain = domain_lock_of(call, call->args);

	if (!domain)
		return -1;
	read_facts(host, domain, facts);
	guests_unlock(guests_of(call));
	return 0;
}

static int fail_inactive(struct call *call)
{
	return fault_set(&call->fault, FAULT_INVALID, FAULT_FROM_QEMU, "domain is not running");
}

/* ---- handlers ---- */

static int get_info(struct pt_host *host, struct call *call)
{
	struct rpc_domain_info *result = call->result;
	struct facts facts;

	if (facts_of(host, call, &facts) < 0)
		return -1;
	result->state = (unsigned char)facts.state;
	result->max_memory_kib = facts.max_memory_kib;
	result->memory_kib = facts.memory_kib;
	result->vcpus = (unsigned short)facts.vcpus;
	result->cpu_ns = facts.usage.user_ns + facts.usage.system_ns;
	return 0;
}

static int get_control(struct pt_host *host, struct call *call)
{
	struct facts facts;

	if (facts_of(host, call, &facts) < 0)
		return -1;
	return facts.is_active ? 0 : fail_inactive(call); /* zeroed, it says "ok" */
}

static int memory_stats(struct pt_host *host, struct call *call)
{
	const struct rpc_memory_stats_args *args = call->args;
	struct rpc_memory_stats *result = call->result;
	struct rpc_memory_stat stats[] = {{MEMORY_ACTUAL, 0}, {MEMORY_RSS, 0}};
	struct facts facts;
	u_int i;

	if (facts_of(host, call, &facts) < 0)
		return -1;
	if (!facts.is_active)
		return fail_inactive(call);
	stats[0].value = facts.memory_kib;
	stats[1].value = facts.usage.rss_kib;
	result->stats.stats_val = calloc(2, sizeof(stats[0]));
	if (!result->stats.stats_val)
		return call_fail_memory(call);
	for (i = 0; i < 2 && i < args->max; i++)
		result->stats.stats_val[result->stats.stats_len++] = stats[i];
	return 0;
}

static int scheduler_type(struct pt_host *host, struct call *call)
{
	struct rpc_scheduler_type *result = call->result;
	struct facts facts;

	if (facts_of(host, call, &facts) < 0)
		return -1;
	result->type = strdup("posix");
	return result->type ? 0 : call_fail_memory(call);
}

/* Zeroed: no parameters, no job. */
static int empty(struct pt_host *host, struct call *call)
{
	struct facts facts;

	return facts_of(host, call, &facts);
}

/* ---- virtual processors ---- */

/*
 * QEMU calls the threads of its processors so (-name debug-threads=on). It isn't asked: everybody
 * may call this, and a QEMU that doesn't answer would keep its guest's job from root.
 */
static bool parse_vcpu_thread(const char *name, unsigned int count, unsigned int *ret_number)
{
	return sscanf(name, "CPU %u/", ret_number) == 1 && *ret_number < count;
}

static void read_vcpu(struct pt_host *host, const char *folder, const char *thread,
		      struct rpc_vcpu *vcpus, unsigned int count)
{
	char path[128], name[64];
	unsigned int number;
	struct usage usage;

	if (text_format(path, sizeof(path), "%s/%s/comm", folder, thread) < 0 ||
	    io_read_text_at(host->root_fd, path, name, sizeof(name)) < 0 ||
	    !parse_vcpu_thread(name, count, &number))
		return;
	(void)text_format(path, sizeof(path), "%s/%s/stat", folder, thread);
	read_usage(host, path, &usage);
	vcpus[number].cpu_ns = usage.user_ns + usage.system_ns;
	vcpus[number].cpu = (int)usage.last_cpu;
}

static void read_vcpus(struct pt_host *host, pid_t pid, struct rpc_vcpu *vcpus, unsigned int count)
{
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	char folder[64];
	unsigned int i;

	for (i = 0; i < count; i++)
		vcpus[i] = (struct rpc_vcpu){.number = i, .state = 1};
	(void)text_format(folder, sizeof(folder), "proc/%d/task", (int)pid);
	(void)io_open_directory_at(host->root_fd, folder, &dir);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			read_vcpu(host, folder, entry->d_name, vcpus, count);
}

/* Only processors that the definition pins are pinned; all are reported in the same way. */
static int fill_maps(size_t count, int map_size, u_int *ret_size, char **ret_maps)
{
	size_t size = count * (size_t)map_size;

	*ret_maps = malloc(size + 1);
	if (!*ret_maps)
		return -1;
	memset(*ret_maps, 0xff, size);
	*ret_size = (u_int)size;
	return 0;
}

static int get_vcpus(struct pt_host *host, struct call *call)
{
	const struct rpc_vcpus_args *args = call->args;
	struct rpc_vcpus *result = call->result;
	struct facts facts;
	unsigned int count;

	if (args->max < 0 || args->max > RPC_VCPUS_MAX || args->map_size < 0 ||
	    (int64_t)args->max * args->map_size > RPC_CPU_MAPS_MAX)
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_QEMU, "maxinfo");
	if (facts_of(host, call, &facts) < 0)
		return -1;
	if (!facts.is_active)
		return fail_inactive(call);
	count = facts.vcpus < (unsigned int)args->max ? facts.vcpus : (unsigned int)args->max;
	result->vcpus.vcpus_val = calloc(count + 1, sizeof(struct rpc_vcpu));
	if (!result->vcpus.vcpus_val)
		return call_fail_memory(call);
	result->vcpus.vcpus_len = count;
	read_vcpus(host, facts.pid, result->vcpus.vcpus_val, count);
	return fill_maps(count, args->map_size, &result->maps.maps_len, &result->maps.maps_val) < 0
		       ? call_fail_memory(call)
		       : 0;
}

static int get_vcpu_pins(struct pt_host *host, struct call *call)
{
	const struct rpc_vcpu_pins_args *args = call->args;
	struct rpc_vcpu_pins *result = call->result;
	struct facts facts;

	if (args->max < 0 || args->map_size < 0 ||
	    (int64_t)args->max * args->map_size > RPC_CPU_MAPS_MAX)
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_QEMU, "ncpumaps");
	if (facts_of(host, call, &facts) < 0)
		return -1;
	result->count = (int)facts.vcpus < args->max ? (int)facts.vcpus : args->max;
	return fill_maps((size_t)result->count, args->map_size, &result->maps.maps_len,
			 &result->maps.maps_val) < 0
		       ? call_fail_memory(call)
		       : 0;
}

/* ---- all at once ---- */

static int stats_add(struct rpc_domain_stats *stats, const char *field, int type, uint64_t value)
{
	struct rpc_parameter *parameter = &stats->values.values_val[stats->values.values_len];

	parameter->field = strdup(field);
	if (!parameter->field)
		return -1;
	parameter->value.type = type;
	if (type == RPC_PARAMETER_INT)
		parameter->value.rpc_value_u.i = (int)value;
	else if (type == RPC_PARAMETER_UINT)
		parameter->value.rpc_value_u.u = (unsigned int)value;
	else
		parameter->value.rpc_value_u.ul = value;
	stats->values.values_len++;
	return 0;
}

static int fill_stats(struct pt_host *host, const struct domain *domain, unsigned int wanted,
		      struct rpc_domain_stats *stats)
{
	struct facts facts;
	int r = 0;

	read_facts(host, domain, &facts);
	stats->values.values_val = calloc(VALUES_MAX, sizeof(struct rpc_parameter));
	if (!stats->values.values_val)
		return -1;
	if (wanted & STATS_STATE) {
		r |= stats_add(stats, "state.state", RPC_PARAMETER_INT, (uint64_t)facts.state);
		r |= stats_add(stats, "state.reason", RPC_PARAMETER_INT, (uint64_t)facts.reason);
	}
	if ((wanted & STATS_CPU) && facts.is_active) {
		r |= stats_add(stats, "cpu.time", RPC_PARAMETER_ULONG,
			       facts.usage.user_ns + facts.usage.system_ns);
		r |= stats_add(stats, "cpu.user", RPC_PARAMETER_ULONG, facts.usage.user_ns);
		r |= stats_add(stats, "cpu.system", RPC_PARAMETER_ULONG, facts.usage.system_ns);
	}
	if (wanted & STATS_BALLOON) {
		r |= stats_add(stats, "balloon.current", RPC_PARAMETER_ULONG, facts.memory_kib);
		r |= stats_add(stats, "balloon.maximum", RPC_PARAMETER_ULONG, facts.max_memory_kib);
		if (facts.is_active)
			r |= stats_add(stats, "balloon.rss", RPC_PARAMETER_ULONG,
				       facts.usage.rss_kib);
	}
	if (wanted & STATS_VCPU) {
		r |= stats_add(stats, "vcpu.current", RPC_PARAMETER_UINT, facts.vcpus);
		r |= stats_add(stats, "vcpu.maximum", RPC_PARAMETER_UINT, facts.vcpus);
	}
	return r;
}

static bool stats_is_wanted(const struct rpc_all_domain_stats_args *args,
			    const struct domain *domain)
{
	u_int i;

	if ((args->flags & (STATS_ACTIVE | STATS_INACTIVE)) &&
	    !(args->flags & (domain->guest ? STATS_ACTIVE : STATS_INACTIVE)))
		return false;
	for (i = 0; i < args->domains.domains_len; i++)
		if (!memcmp(args->domains.domains_val[i].uuid, domain->uuid, sizeof(domain->uuid)))
			return true;
	return !args->domains.domains_len;
}

static int all_stats(struct pt_host *host, struct call *call)
{
	const struct rpc_all_domain_stats_args *args = call->args;
	struct rpc_all_domain_stats *result = call->result;
	struct guests *guests = guests_of(call);
	unsigned int wanted = args->stats ? args->stats : ~0u;
	const struct domain *domain;
	size_t count = 0;
	int r = 0;

	guests_lock(guests);
	for (domain = domain_first(guests); domain; domain = domain_next(domain))
		count++;
	result->domains.domains_val = calloc(count + 1, sizeof(struct rpc_domain_stats));
	for (domain = domain_first(guests); result->domains.domains_val && r == 0 && domain;
	     domain = domain_next(domain)) {
		struct rpc_domain_stats *stats;

		if (!stats_is_wanted(args, domain))
			continue;
		stats = &result->domains.domains_val[result->domains.domains_len];
		r = domain_describe(domain, &stats->domain);
		if (r < 0)
			break;
		result->domains.domains_len++;
		r = fill_stats(host, domain, wanted, stats);
	}
	guests_unlock(guests);
	return r < 0 || !result->domains.domains_val ? call_fail_memory(call) : 0;
}

const struct handler handlers_domain_stats[] = {
	{RPC_DOMAIN_GET_INFO, get_info, HANDLER_QUICK},
	{RPC_DOMAIN_GET_CONTROL_INFO, get_control, HANDLER_QUICK},
	{RPC_DOMAIN_MEMORY_STATS, memory_stats, HANDLER_QUICK},
	{RPC_DOMAIN_GET_SCHEDULER_TYPE, scheduler_type, HANDLER_QUICK},
	{RPC_DOMAIN_GET_SCHEDULER_PARAMETERS, empty, HANDLER_QUICK},
	{RPC_DOMAIN_GET_JOB_INFO, empty, HANDLER_QUICK},
	{RPC_DOMAIN_GET_JOB_STATS, empty, HANDLER_QUICK},
	{RPC_DOMAIN_GET_VCPUS, get_vcpus, HANDLER_SLOW},
	{RPC_DOMAIN_GET_VCPU_PIN_INFO, get_vcpu_pins, HANDLER_QUICK},
	{RPC_GET_ALL_DOMAIN_STATS, all_stats, HANDLER_QUICK},
	{0},
};
