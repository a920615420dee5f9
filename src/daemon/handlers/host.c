/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Facts about the host. */
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "daemon/handlers/handlers.h"
#include "daemon/call.h"
#include "daemon/host/domain_capabilities.h"
#include "daemon/handlers/domain_fault.h"
#include "daemon/host/facts.h"

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
	return call_answer_text(call, capabilities_xml(host));
}

/* What was asked for, or our own choice. */
static const char *choose(const rpc_optional_string wanted, const char *own)
{
	return wanted && **wanted ? *wanted : own;
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
	if (strcmp(kind.machine, "q35") != 0 && strncmp(kind.machine, "pc-q35-", 7) != 0 &&
	    strcmp(kind.machine, "pc") != 0 && strncmp(kind.machine, "pc-i440fx-", 10) != 0)
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
	return call_answer_text(call, domain_capabilities_xml(host, &kind));
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

/* The first line that a command prints, "" when it can't be run. */
static void first_line(char *const argv[], char *line, size_t size)
{
	static char *environment[] = {"LC_ALL=C", "PATH=/usr/local/bin:/usr/bin:/bin", NULL};
	posix_spawn_file_actions_t actions;
	AUTO_FILE FILE *out = NULL;
	int pipe_fds[2], status;
	pid_t pid;

	*line = '\0';
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return;
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 1);
	if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, environment) != 0)
		pid = -1;
	(void)posix_spawn_file_actions_destroy(&actions);
	close(pipe_fds[1]);
	out = fdopen(pipe_fds[0], "r");
	if (!out)
		close(pipe_fds[0]);
	else if (pid > 0 && !fgets(line, (int)size, out))
		*line = '\0';
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
}

/* Its version, 0 when it can't be run. */
static uint64_t ask_version(char *program)
{
	char *argv[] = {program, (char *)(uintptr_t)"--version", NULL};
	unsigned int major, minor, micro = 0;
	char line[256];

	first_line(argv, line, sizeof(line));
	if (sscanf(line, "QEMU emulator version %u.%u.%u", &major, &minor, &micro) < 2)
		return 0;
	return major * 1000000ull + minor * 1000ull + micro;
}

/*
 * Everybody may ask, and each answer is a process of root's: so QEMU is asked once, and again when
 * its file is another one, for it can be upgraded under a running daemon. One that can't be run is
 * tried again after a while.
 */
#define ASK_AGAIN_MS 10000

static uint64_t read_version(const char *name)
{
	static const char *const folders[] = {"/usr/local/bin", "/usr/bin", "/bin"};
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct stat asked;
	static int64_t asked_ms;
	static uint64_t version;
	char program[128];
	struct stat now = {0};
	bool is_same;
	uint64_t answer;
	size_t i;

	for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		(void)text_format(program, sizeof(program), "%s/%s", folders[i], name);
		if (stat(program, &now) == 0 && access(program, X_OK) == 0)
			break;
	}
	if (i == sizeof(folders) / sizeof(folders[0]))
		return 0;
	(void)pthread_mutex_lock(&lock);
	is_same = (version || clock_now_ms() - asked_ms < ASK_AGAIN_MS) &&
		  now.st_dev == asked.st_dev && now.st_ino == asked.st_ino &&
		  now.st_size == asked.st_size && now.st_ctim.tv_sec == asked.st_ctim.tv_sec &&
		  now.st_ctim.tv_nsec == asked.st_ctim.tv_nsec;
	answer = version;
	(void)pthread_mutex_unlock(&lock);
	if (is_same)
		return answer;
	answer = ask_version(program);
	(void)pthread_mutex_lock(&lock);
	asked = now;
	asked_ms = clock_now_ms();
	version = answer;
	(void)pthread_mutex_unlock(&lock);
	return answer;
}

static int get_version(struct pt_host *host, struct call *call)
{
	struct rpc_long *result = call->result;
	struct utsname name = {0};
	char program[96];

	(void)host;
	(void)uname(&name);
	(void)text_format(program, sizeof(program), "qemu-system-%s", name.machine);
	result->number = read_version(program);
	if (!result->number)
		return fault_set(&call->fault, FAULT_INTERNAL, FAULT_FROM_QEMU,
				 "Cannot find suitable emulator for %s: %s can't be run",
				 name.machine, program);
	return 0;
}

const struct handler handlers_host[] = {
	{RPC_CONNECT_GET_VERSION, get_version, HANDLER_SLOW},
	{RPC_NODE_GET_INFO, node_get_info, HANDLER_QUICK},
	{RPC_CONNECT_GET_CAPABILITIES, get_capabilities, HANDLER_QUICK},
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
