/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Facts about the host. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "daemon/handlers/handlers.h"
#include "daemon/call.h"
#include "daemon/guests/emulators.h"
#include "daemon/host/domain_capabilities.h"
#include "daemon/handlers/domain_fault.h"
#include "daemon/host/facts.h"
#include "domain/definition/check.h"

/* A C string as the protocol sends arrays of char: an int each. */
static void copy_characters(int *to, size_t size, const char *text)
{
	size_t i;

	for (i = 0; i + 1 < size && text[i]; i++)
		to[i] = (unsigned char)text[i];
}

static int get_hostname(struct pt_host *host, struct call *call)
{
	struct utsname name = {0};

	(void)host;
	(void)uname(&name);
	return call_answer_text(call, strdup(name.nodename));
}

static int get_capabilities(struct pt_host *host, struct call *call)
{
	struct emulator emulator;
	struct pt_error err;
	char *xml;

	/* where it can't be asked, its machines stay unknown */
	if (emulators_get(call->context, host, EMULATOR, &emulator, &err) < 0)
		host_log(host, PT_LOG_DEBUG, "capabilities: %s", err.message);
	xml = capabilities_xml(host, &emulator);
	emulator_free(&emulator);
	return call_answer_text(call, xml);
}

/* What was asked for, or our own choice. */
static const char *choose(const rpc_optional_string wanted, const char *own)
{
	return wanted && **wanted ? *wanted : own;
}

/* Everybody may ask, so only the host's own emulator is run for an answer. */
static int answer_domain_capabilities(struct pt_host *host, struct call *call,
				      struct domain_kind *kind)
{
	struct emulator emulator = {0};
	const struct emulator_machine *machine;
	struct pt_error err;
	char *xml;

	if (strcmp(kind->emulator, EMULATOR) != 0 ||
	    emulators_get(call->context, host, EMULATOR, &emulator, &err) < 0)
		return call_answer_text(call, domain_capabilities_xml(host, kind));
	machine = emulator_find(&emulator, kind->machine);
	if (!machine) {
		emulator_free(&emulator);
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_QEMU,
				 "the machine '%.100s' is not supported by emulator '%s'",
				 kind->machine, kind->emulator);
	}
	kind->machine = machine->name;
	kind->vcpus_max = machine->cpus_max;
	xml = domain_capabilities_xml(host, kind);
	emulator_free(&emulator);
	return call_answer_text(call, xml);
}

static int get_domain_capabilities(struct pt_host *host, struct call *call)
{
	const struct rpc_domain_capabilities_args *args = call->args;
	bool has_kvm = faccessat(host->root_fd, "dev/kvm", F_OK, 0) == 0;
	const char *arch = choose(args->arch, "x86_64");
	const char *type = choose(args->type, has_kvm ? "kvm" : "qemu");
	struct domain_kind kind = {.emulator = choose(args->emulator, EMULATOR),
				   .machine = choose(args->machine, "q35"),
				   .is_kvm = !strcmp(type, "kvm")};

	if (fault_check_flags(call, args->flags, 0) < 0)
		return -1;
	if (strcmp(arch, "x86_64") != 0)
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_QEMU,
				 "unable to find any emulator to serve '%.100s' architecture",
				 arch);
	if (!definition_is_machine(kind.machine))
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_QEMU,
				 "the machine '%.100s' is not supported: only q35, pc and their "
				 "versions are",
				 kind.machine);
	if (kind.emulator[0] != '/')
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_QEMU,
				 "the emulator '%.200s' is not an absolute path", kind.emulator);
	if (strcmp(type, "qemu") != 0 && !(kind.is_kvm && has_kvm))
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_QEMU,
				 "the virttype '%.100s' is not supported on this host", type);
	return answer_domain_capabilities(host, call, &kind);
}

static int get_sysinfo(struct pt_host *host, struct call *call)
{
	const struct rpc_flags *args = call->args;
	char *xml;

	if (args->flags)
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_QEMU,
				 "unsupported flags (0x%x)", args->flags);
	xml = sysinfo_xml(host);
	if (xml && !*xml) {
		free(xml);
		return fault_set(&call->fault, FAULT_CONFIG_UNSUPPORTED, FAULT_FROM_QEMU,
				 "Host SMBIOS information is not available");
	}
	return call_answer_text(call, xml);
}

static int node_get_info(struct pt_host *host, struct call *call)
{
	struct rpc_node_info *result = call->result;
	struct utsname name = {0};
	struct cpus cpus;

	if (cpus_read(host, &cpus) < 0)
		return call_fail_memory(call);
	(void)uname(&name);
	copy_characters(result->model, sizeof(result->model) / sizeof(result->model[0]),
			name.machine);
	result->memory_kib = memory_read_kib(host, "proc/meminfo", "MemTotal");
	result->cpus = (int)cpus.count;
	result->mhz = (int)cpus.mhz;
	/* packages are counted for the whole machine here, so it is one node */
	result->nodes = 1;
	result->sockets = (int)cpus.packages;
	result->cores = (int)cpus.cores;
	result->threads = (int)cpus.threads;
	cpus_free(&cpus);
	return 0;
}

/* ---- memory ---- */

static int get_free_memory(struct pt_host *host, struct call *call)
{
	struct rpc_long *result = call->result;

	result->number = memory_read_kib(host, "proc/meminfo", "MemFree") * 1024;
	return 0;
}

static int get_cells_free_memory(struct pt_host *host, struct call *call)
{
	const struct rpc_cells_args *args = call->args;
	struct rpc_cells *result = call->result;
	unsigned int nodes[RPC_CELLS_MAX];
	size_t count = numa_nodes_read(host, nodes, RPC_CELLS_MAX), i;

	if (args->start < 0 || args->max < 0 || args->max > RPC_CELLS_MAX)
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_NONE,
				 "no cells %d and %d more", args->start, args->max);
	result->bytes.bytes_val = calloc((size_t)args->max + 1, sizeof(*result->bytes.bytes_val));
	if (!result->bytes.bytes_val)
		return call_fail_memory(call);
	for (i = 0; i < count && result->bytes.bytes_len < (u_int)args->max; i++) {
		char path[128];

		if (nodes[i] < (unsigned int)args->start)
			continue;
		(void)text_format(path, sizeof(path), "sys/devices/system/node/node%u/meminfo",
				  nodes[i]);
		result->bytes.bytes_val[result->bytes.bytes_len++] =
			memory_read_kib(host, path, "MemFree") * 1024;
	}
	return 0;
}

/* ---- statistics: asked twice, first with room for none, to learn how many there are ---- */

static int answer_statistics(struct call *call, int room, const struct rpc_statistic *values,
			     unsigned int count)
{
	struct rpc_statistics *result = call->result;
	unsigned int i;

	result->count = (int)count;
	if (room == 0)
		return 0;
	if (room < (int)count)
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_NONE,
				 "the host has %u values, not %d", count, room);
	result->values.values_val = calloc(count, sizeof(*values));
	if (!result->values.values_val)
		return call_fail_memory(call);
	for (i = 0; i < count; i++) {
		result->values.values_val[i].field = strdup(values[i].field);
		if (!result->values.values_val[i].field)
			return call_fail_memory(call);
		result->values.values_val[i].value = values[i].value;
		result->values.values_len++;
	}
	return 0;
}

static int get_memory_stats(struct pt_host *host, struct call *call)
{
	static const char *const keys[][2] = {{"total", "MemTotal"},
					      {"free", "MemFree"},
					      {"buffers", "Buffers"},
					      {"cached", "Cached"}};
	const struct rpc_statistics_args *args = call->args;
	struct rpc_statistic values[4];
	unsigned int i;

	if (args->second != -1)
		return fault_set(&call->fault, FAULT_NO_SUPPORT, FAULT_FROM_NONE,
				 "memory statistics of one cell");
	for (i = 0; i < 4; i++) {
		values[i].field = (char *)(uintptr_t)keys[i][0];
		values[i].value = memory_read_kib(host, "proc/meminfo", keys[i][1]);
	}
	return answer_statistics(call, args->first, values, 4);
}

static int get_cpu_stats(struct pt_host *host, struct call *call)
{
	static const char *const names[] = {"kernel", "user", "idle", "iowait"};
	const struct rpc_statistics_args *args = call->args;
	unsigned long long t[7] = {0}; /* user nice system idle iowait irq softirq (proc(5)) */
	AUTO_FREE char *text = NULL;
	struct rpc_statistic values[4];
	char key[32] = "cpu ";
	uint64_t tick = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
	const char *line;
	size_t size;
	unsigned int i;

	if (io_read_all_at(host->root_fd, "proc/stat", 1 << 20, &text, &size) < 0)
		return fault_set(&call->fault, FAULT_SYSTEM, FAULT_FROM_NONE,
				 "/proc/stat can't be read");
	if (args->first >= 0)
		(void)text_format(key, sizeof(key), "cpu%d ", args->first);
	line = strstr(text, key);
	if (!line || sscanf(line + strlen(key), "%llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1],
			    &t[2], &t[3], &t[4], &t[5], &t[6]) != 7)
		return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_NONE,
				 "no processor %d", args->first);
	for (i = 0; i < 4; i++)
		values[i].field = (char *)(uintptr_t)names[i];
	values[0].value = (t[2] + t[5] + t[6]) * tick;
	values[1].value = (t[0] + t[1]) * tick;
	values[2].value = t[3] * tick;
	values[3].value = t[4] * tick;
	return answer_statistics(call, args->second, values, 4);
}

static int get_cpu_map(struct pt_host *host, struct call *call)
{
	const struct rpc_cpu_map_args *args = call->args;
	struct rpc_cpu_map *result = call->result;
	struct cpus cpus;
	size_t i, size;

	if (cpus_read(host, &cpus) < 0)
		return call_fail_memory(call);
	size = (cpus.present + 7) / 8;
	if (size > RPC_CPU_MAP_MAX)
		size = RPC_CPU_MAP_MAX;
	if (args->is_map_wanted && size) {
		result->map.map_val = calloc(1, size);
		if (!result->map.map_val) {
			cpus_free(&cpus);
			return call_fail_memory(call);
		}
		result->map.map_len = (u_int)size;
		for (i = 0; i < cpus.count; i++)
			if (cpus.items[i].number / 8 < size)
				result->map.map_val[cpus.items[i].number / 8] |=
					(char)(1 << cpus.items[i].number % 8);
	}
	if (args->is_online_wanted)
		result->online = (unsigned int)cpus.count;
	result->count = (int)cpus.present;
	cpus_free(&cpus);
	return 0;
}

/* ---- QEMU ---- */

static int get_version(struct pt_host *host, struct call *call)
{
	struct rpc_long *result = call->result;
	struct emulator emulator;
	struct pt_error err;

	if (emulators_get(call->context, host, EMULATOR, &emulator, &err) < 0)
		return fault_set(&call->fault, FAULT_INTERNAL, FAULT_FROM_QEMU,
				 "Cannot find suitable emulator for x86_64: %s", err.message);
	result->number = emulator.version;
	emulator_free(&emulator);
	return 0;
}

const struct handler handlers_host[] = {
	{RPC_CONNECT_GET_VERSION, get_version, HANDLER_SLOW},
	{RPC_NODE_GET_INFO, node_get_info, HANDLER_QUICK},
	{RPC_CONNECT_GET_CAPABILITIES, get_capabilities, HANDLER_SLOW},
	{RPC_CONNECT_GET_DOMAIN_CAPABILITIES, get_domain_capabilities, HANDLER_SLOW},
	{RPC_CONNECT_GET_HOSTNAME, get_hostname, HANDLER_QUICK},
	{RPC_CONNECT_GET_SYSINFO, get_sysinfo, HANDLER_QUICK},
	{RPC_NODE_GET_FREE_MEMORY, get_free_memory, HANDLER_QUICK},
	{RPC_NODE_GET_CELLS_FREE_MEMORY, get_cells_free_memory, HANDLER_QUICK},
	{RPC_NODE_GET_MEMORY_STATS, get_memory_stats, HANDLER_QUICK},
	{RPC_NODE_GET_CPU_STATS, get_cpu_stats, HANDLER_QUICK},
	{RPC_NODE_GET_CPU_MAP, get_cpu_map, HANDLER_QUICK},
	{0},
};
