/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading /proc/PID/maps takes the lock of the process's memory, which a thread that hangs in a
 * driver's mmap() never releases; and asking for the device of a file may wait for a dead server.
 */
#include "pci/holders/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/text.h"

#define DEADLINE_MS 2000
/* A line of maps: numbers, and a path. */
#define MAPS_LINE (4096 + 128)

/* ---- in the helper: async-signal-safe ---- */

static void take_line(const struct batch_cursor *cursor, const char *line)
{
	if (cursor->job->has_mappings)
		batch_take_mapping(cursor, line);
	if (cursor->job->device_count)
		batch_compare_mapping(cursor, line);
}

static int read_maps(const struct batch_cursor *cursor, int process_fd)
{
	AUTO_CLOSE int fd = openat(process_fd, "maps", O_RDONLY | O_CLOEXEC);
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
			take_line(cursor, line);
			line = end + 1;
		}
		filled -= (size_t)(line - text);
		if (filled >= MAPS_LINE)
			return -EFBIG;
		memmove(text, line, filled);
	}
	return n < 0 ? -errno : 0;
}

static int read_process(struct pt_host *host, const struct batch_cursor *cursor)
{
	AUTO_CLOSE int fd = openat(host->root_fd, cursor->job->processes[cursor->process].path,
				   O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	if (!r && cursor->job->device_count)
		r = batch_compare_files(cursor, fd);
	return r ? r : read_maps(cursor, fd);
}

static int read_processes(struct pt_host *host, void *argument)
{
	struct batch_job *job = argument;
	struct batch_cursor cursor = {.job = job};

	for (; cursor.process < job->process_count; cursor.process++)
		job->processes[cursor.process].result = read_process(host, &cursor);
	return 0;
}

/* ---- the process that asks ---- */

static void miss(struct holder_scan *scan, const struct batch_job *job, const size_t *nodes,
		 void (*how)(struct holder_scan *scan, size_t target, const char *what),
		 const char *what)
{
	size_t i;

	for (i = 0; job->has_mappings && i < scan->target_count; i++)
		if (scan->targets[i].has_bars)
			how(scan, i, what);
	for (i = 0; job->has_mappings && i < scan->node_count; i++)
		how(scan, scan->nodes[i].target, what);
	for (i = 0; i < job->device_count; i++)
		how(scan, scan->nodes[nodes[i]].target, what);
}

/* None of it can be known: the process did not answer, and no other is asked. */
static void stop_at(struct holder_scan *scan, const struct batch_job *job, const size_t *nodes,
		    struct process *process, int result)
{
	const char *why = result == -ETIMEDOUT
				  ? "it hangs in the kernel, or a server doesn't answer"
			  : result < 0 ? strerror(-result)
				       : "too many devices";

	scan->is_stopped = true;
	miss(scan, job, nodes, holders_unseen,
	     holders_text(scan, "what %s (pid %d) has open or mapped (%s; try: kill -9 %d)",
			  holders_process_name(scan, process), process->pid, why, process->pid));
}

static void take_found(struct holder_scan *scan, const struct batch_job *job, const size_t *nodes,
		       unsigned int index, struct process *process)
{
	unsigned int i;

	for (i = 0; i < job->bar_count; i++)
		if (job->bars[i].process == index)
			holders_add_bar(scan, process, &job->bars[i].address, job->bars[i].bar);
	for (i = 0; i < job->node_size; i += (unsigned int)strlen(job->nodes + i + 1) + 2)
		if ((unsigned char)job->nodes[i] == index)
			holders_match_name(scan, process, job->nodes + i + 1);
	for (i = 0; i < job->device_count; i++)
		if (job->processes[index].found & UINT64_C(1) << i)
			batch_add_hidden(scan, process, &scan->nodes[nodes[i]]);
}

/* Almost none has. */
static bool has_found(const struct batch_job *job, unsigned int index)
{
	unsigned int i;

	for (i = 0; i < job->bar_count; i++)
		if (job->bars[i].process == index)
			return true;
	for (i = 0; i < job->node_size; i += (unsigned int)strlen(job->nodes + i + 1) + 2)
		if ((unsigned char)job->nodes[i] == index)
			return true;
	return job->processes[index].found;
}

static void take_result(struct holder_scan *scan, const struct batch_job *job, const size_t *nodes,
			unsigned int index, int pid)
{
	int r = job->processes[index].result;
	struct process process = {.pid = pid};
	AUTO_CLOSE int fd = -1;

	/* it has ended meanwhile: what it had until then was still found */
	if (r == -ENOENT || r == -ESRCH)
		r = 0;
	if (r == -EACCES || r == -EPERM) {
		miss(scan, job, nodes, holders_unprivileged,
		     "what other users' processes have open or mapped");
		return;
	}
	if (r == 0 && !job->is_full && !has_found(job, index))
		return;
	fd = openat(scan->host->root_fd, job->processes[index].path,
		    O_PATH | O_DIRECTORY | O_CLOEXEC);
	process.fd = fd;
	if (r < 0 || job->is_full)
		stop_at(scan, job, nodes, &process, r);
	else
		take_found(scan, job, nodes, index, &process);
}

static int run_job(struct pt_host *host, struct batch_job *job)
{
	size_t kept = host->kept_count;
	int r;

	/* one that hangs shall hold no lock: it changes nothing */
	host->kept_count = 0;
	r = helper_run(host, read_processes, job, sizeof(*job), DEADLINE_MS, NULL);
	host->kept_count = kept;
	return r;
}

/* Ask about @count processes; false where they have to be asked one by one. */
static bool ask(struct holder_scan *scan, const int *pids, unsigned int count)
{
	size_t from = 0, nodes[BATCH_DEVICES] = {0};
	bool has_mappings = scan->has_bars || scan->node_count;

	do {
		struct batch_job job = {.process_count = count, .has_mappings = has_mappings};
		unsigned int i;
		int r;

		batch_take_devices(scan, &job, &from, nodes);
		if (!job.has_mappings && !job.device_count)
			return true;
		for (i = 0; i < count; i++)
			(void)text_format(job.processes[i].path, sizeof(job.processes[i].path),
					  "proc/%d", pids[i]);
		r = run_job(scan->host, &job);
		if (count > 1 && (r < 0 || job.is_full))
			return false;
		for (i = 0; i < count && !scan->is_stopped; i++) {
			if (r < 0)
				job.processes[i].result = r;
			take_result(scan, &job, nodes, i, pids[i]);
		}
		has_mappings = false;
	} while (from < scan->node_count && !scan->is_stopped);
	return true;
}

void holders_read_batch(struct holder_scan *scan, const int *pids, unsigned int count)
{
	unsigned int i;

	if (!count || scan->is_stopped || ask(scan, pids, count))
		return;
	for (i = 0; i < count && !scan->is_stopped; i++)
		(void)ask(scan, pids + i, 1);
}
