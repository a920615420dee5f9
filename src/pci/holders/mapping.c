/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a process has mapped: BARs of a function through sysfs, and nodes. A mapping outlives its
 * descriptor: libpciaccess, flashrom, mstflint and DPDK map the BARs and close the file.
 *
 * Reading /proc/PID/maps takes the lock of the process's memory, which a thread that hangs in a
 * driver's mmap() never releases. So a helper process reads it, with a deadline.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/text.h"
#include "pci/helper.h"
#include "pci/holders/process.h"

#define MAPS_DEADLINE_MS 2000
/* A line of maps: numbers, and a path. */
#define MAPS_LINE (4096 + 128)
/* BARs of one process; a DPDK with more of them has one that is the target's, or the scan fails. */
#define MAPPED_MAX 120

struct mapped_bar {
	struct pt_address address;
	unsigned int bar;
};

/* What goes to the helper, and comes back. */
struct mapping_job {
	char path[32]; /* of the process's maps */
	unsigned int count;
	bool is_full; /* there are more */
	struct mapped_bar bars[MAPPED_MAX];
	unsigned int size;
	char nodes[512]; /* paths below /dev, each with its NUL */
};

_Static_assert(sizeof(struct mapping_job) <= HELPER_REPLY, "a helper's request has this room");

bool holders_parse_bar(const char *path, struct pt_address *ret_address, unsigned int *ret_bar)
{
	static const char base[] = "/resource";
	const char *end = strrchr(path, '/'), *start = end;
	char address[PT_ADDRESS_TEXT];
	size_t size = strlen(base), length;

	if (!end || strncmp(end, base, size) != 0 || end[size] < '0' ||
	    end[size] >= '0' + HOLDERS_BARS ||
	    (end[size + 1] && end[size + 1] != '_' && end[size + 1] != ' '))
		return false;
	while (start > path && start[-1] != '/')
		start--;
	length = (size_t)(end - start);
	if (length >= sizeof(address))
		return false;
	memcpy(address, start, length);
	address[length] = '\0';
	if (pt_address_parse(address, ret_address, NULL) < 0)
		return false;
	*ret_bar = (unsigned int)(end[size] - '0');
	return true;
}

void holders_add_bar(struct holder_scan *scan, struct process *process,
		     const struct pt_address *address, unsigned int bar)
{
	size_t i;

	for (i = 0; i < scan->target_count; i++)
		if (pt_address_compare(&scan->targets[i].address, address) == 0)
			holders_add(scan, i, PT_HOLDER_PROCESS, process->pid,
				    holders_text(scan, "%s (pid %d)",
						 holders_process_name(scan, process), process->pid),
				    holders_chain(scan, scan->targets[i].prefix,
						  holders_text(scan, "BAR %u (resource%u in sysfs)",
							       bar, bar)),
				    holders_process_advice(scan, process));
}

static void take_node(struct mapping_job *job, const char *path)
{
	size_t size = strlen(path) + 1;
	unsigned int i;

	if (!strncmp(path, "/dev/shm/", 9) || !strncmp(path, "/dev/zero", 9))
		return;
	for (i = 0; i < job->size; i += (unsigned int)strlen(job->nodes + i) + 1)
		if (!strcmp(job->nodes + i, path))
			return;
	if (size > sizeof(job->nodes) - job->size) {
		job->is_full = true;
		return;
	}
	memcpy(job->nodes + job->size, path, size);
	job->size += (unsigned int)size;
}

/* 7f0000000000-7f0000001000 rw-s 00000000 00:15 12345     /sys/devices/…/resource0 */
static void take_mapping(void *data, const char *line)
{
	struct mapping_job *job = data;
	const char *path = strchr(line, '/');
	struct mapped_bar found = {.bar = 0};
	unsigned int i;

	if (!path)
		return;
	if (!strncmp(path, "/dev/", 5))
		take_node(job, path);
	if (!holders_parse_bar(path, &found.address, &found.bar))
		return;
	for (i = 0; i < job->count; i++)
		if (pt_address_compare(&job->bars[i].address, &found.address) == 0 &&
		    job->bars[i].bar == found.bar)
			return;
	if (job->count == MAPPED_MAX)
		job->is_full = true;
	else
		job->bars[job->count++] = found;
}

int holders_read_maps(int root_fd, const char *path, void (*take)(void *data, const char *line),
		      void *data)
{
	AUTO_CLOSE int fd = openat(root_fd, path, O_RDONLY | O_CLOEXEC);
	char text[4 * MAPS_LINE];
	size_t filled = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, text + filled, sizeof(text) - 1 - filled)) > 0) {
		char *line = text, *end;

		filled += (size_t)n;
		text[filled] = '\0';
		while ((end = memchr(line, '\n', filled - (size_t)(line - text)))) {
			*end = '\0';
			take(data, line);
			line = end + 1;
		}
		filled -= (size_t)(line - text);
		if (filled >= MAPS_LINE)
			return -EFBIG;
		memmove(text, line, filled);
	}
	return n < 0 ? -errno : 0;
}

/* In the helper: async-signal-safe. */
static int read_mappings(struct pt_host *host, void *argument)
{
	struct mapping_job *job = argument;

	return holders_read_maps(host->root_fd, job->path, take_mapping, job);
}

static void miss_mappings(struct holder_scan *scan,
			  void (*miss)(struct holder_scan *scan, size_t target, const char *what),
			  const char *what)
{
	size_t i;

	for (i = 0; i < scan->target_count; i++)
		if (scan->targets[i].has_bars)
			miss(scan, i, what);
	for (i = 0; i < scan->node_count; i++)
		miss(scan, scan->nodes[i].target, what);
}

void holders_read_mappings(struct holder_scan *scan, struct process *process)
{
	struct pt_host *host = scan->host;
	struct mapping_job job = {.count = 0};
	size_t kept = host->kept_count;
	unsigned int i;
	int r;

	if ((!scan->has_bars && !scan->node_count) || scan->is_stopped ||
	    faccessat(process->fd, "maps", F_OK, 0) < 0)
		return;
	(void)text_format(job.path, sizeof(job.path), "proc/%d/maps", process->pid);
	/* one that hangs shall hold no lock: it changes nothing */
	host->kept_count = 0;
	r = helper_run(host, read_mappings, &job, sizeof(job), MAPS_DEADLINE_MS, NULL);
	host->kept_count = kept;
	/* it has ended meanwhile */
	if (r == -ENOENT || r == -ESRCH)
		return;
	if (r == -EACCES || r == -EPERM) {
		miss_mappings(scan, holders_unprivileged,
			      "what other users' processes have mapped");
		return;
	}
	if (r < 0 || job.is_full) {
		scan->is_stopped = true;
		miss_mappings(scan, holders_unseen,
			      holders_text(scan,
					   "what %s (pid %d) has mapped (%s; try: kill -9 %d)",
					   holders_process_name(scan, process), process->pid,
					   r == -ETIMEDOUT ? "it hangs in the kernel"
					   : r < 0	   ? strerror(-r)
							   : "too many devices",
					   process->pid));
		return;
	}
	for (i = 0; i < job.count; i++)
		holders_add_bar(scan, process, &job.bars[i].address, job.bars[i].bar);
	for (i = 0; i < job.size; i += (unsigned int)strlen(job.nodes + i) + 1)
		holders_match_name(scan, process, job.nodes + i);
}
