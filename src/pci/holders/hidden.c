/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Filesystems that no mountinfo shows: unmounted with `umount -l` while files of them are open, or
 * mounted in a namespace that a chroot hides. Of many types the kernel tells nothing else: vfat,
 * exfat, iso9660, udf, squashfs … have no directory in /sys/fs. So the device of each file that a
 * process has open or mapped is compared, and of its directories.
 *
 * Asking for the device of a file may wait for a dead server, so a helper process does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/text.h"
#include "pci/helper.h"
#include "pci/holders/process.h"
#include "pci/holders/text.h"

#define FILES_DEADLINE_MS 2000
#define DEVICES_MAX	  64

/* What goes to the helper, and comes back. */
struct hidden_job {
	char process[24]; /* "proc/12" */
	unsigned int count;
	uint64_t found; /* a bit for each device */
	struct {
		unsigned int major;
		unsigned int minor;
	} devices[DEVICES_MAX];
};

_Static_assert(sizeof(struct hidden_job) <= HELPER_REPLY, "a helper's request has this room");

/* struct linux_dirent64, which the C library does not declare */
struct directory_entry {
	uint64_t inode;
	int64_t offset;
	uint16_t size;
	uint8_t type;
	char name[];
};

/* ---- in the helper: async-signal-safe ---- */

static void compare_device(struct hidden_job *job, unsigned long major, unsigned long minor)
{
	unsigned int i;

	for (i = 0; i < job->count; i++)
		if (job->devices[i].major == major && job->devices[i].minor == minor)
			job->found |= UINT64_C(1) << i;
}

static void compare_file(struct hidden_job *job, int dir_fd, const char *path)
{
	struct statx file;

	if (statx(dir_fd, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &file) == 0)
		compare_device(job, file.stx_dev_major, file.stx_dev_minor);
}

/* 7f0000000000-7f0000001000 r-xp 00000000 fe:01 12345     /usr/bin/cat */
static void compare_mapping(void *data, const char *line)
{
	const char *colon = strchr(line, ':'), *start = colon;
	char *end;
	unsigned long major;

	while (start && start > line && start[-1] != ' ')
		start--;
	if (!colon)
		return;
	major = strtoul(start, &end, 16);
	if (end == colon)
		compare_device(data, major, strtoul(colon + 1, NULL, 16));
}

/* Pipes, sockets and the like have no filesystem; these have one of the kernel's. */
static bool may_be_hidden(const char *target)
{
	static const char *const others[] = {"/dev/", "/proc/", "/sys/", "/memfd:"};
	size_t i;

	for (i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (!strncmp(target, others[i], strlen(others[i])))
			return false;
	return target[0] == '/';
}

static int compare_descriptors(struct hidden_job *job, int process_fd)
{
	AUTO_CLOSE int fd = openat(process_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_Alignas(struct directory_entry) char entries[4096];
	char target[16];
	ssize_t n, at, length;

	if (fd < 0)
		return -errno;
	while ((n = syscall(SYS_getdents64, fd, entries, sizeof(entries))) > 0)
		for (at = 0; at < n;) {
			const struct directory_entry *entry = (const void *)(entries + at);

			at += entry->size;
			length = readlinkat(fd, entry->name, target, sizeof(target) - 1);
			target[length > 0 ? length : 0] = '\0';
			if (may_be_hidden(target))
				compare_file(job, fd, entry->name);
		}
	return n < 0 ? -errno : 0;
}

static int compare_files(struct pt_host *host, void *argument)
{
	struct hidden_job *job = argument;
	AUTO_CLOSE int fd = openat(host->root_fd, job->process, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	compare_file(job, fd, "cwd");
	compare_file(job, fd, "root");
	r = compare_descriptors(job, fd);
	if (r == 0)
		r = holders_read_maps(fd, "maps", compare_mapping, job);
	return r == -ENOENT ? 0 : r;
}

/* ---- the process that asks ---- */

static bool is_hidden(const struct holder_node *node)
{
	return node->is_quiet && !node->is_settled;
}

static void add_hidden(struct holder_scan *scan, struct process *process, struct holder_node *node)
{
	holders_add(scan, node->target, PT_HOLDER_FILESYSTEM, 0,
		    holders_text(scan, "a filesystem without a mount point, used by %s (pid %d)",
				 holders_process_name(scan, process), process->pid),
		    node->through, holders_process_advice(scan, process));
}

/* The nodes from *@from on, as many as fit. */
static void take_nodes(struct holder_scan *scan, struct hidden_job *job, size_t *from,
		       size_t nodes[DEVICES_MAX])
{
	for (; *from < scan->node_count && job->count < DEVICES_MAX; (*from)++) {
		const struct holder_node *node = &scan->nodes[*from];

		if (!is_hidden(node))
			continue;
		nodes[job->count] = *from;
		job->devices[job->count].major = node->major;
		job->devices[job->count++].minor = node->minor;
	}
}

void holders_read_hidden(struct holder_scan *scan, struct process *process)
{
	struct pt_host *host = scan->host;
	size_t from = 0, kept = host->kept_count, nodes[DEVICES_MAX] = {0};
	unsigned int i;
	int r;

	do {
		struct hidden_job job = {.count = 0};

		take_nodes(scan, &job, &from, nodes);
		if (!job.count || scan->is_stopped)
			return;
		(void)text_format(job.process, sizeof(job.process), "proc/%d", process->pid);
		/* one that hangs shall hold no lock: it changes nothing */
		host->kept_count = 0;
		r = helper_run(host, compare_files, &job, sizeof(job), FILES_DEADLINE_MS, NULL);
		host->kept_count = kept;
		for (i = 0; r == 0 && i < job.count; i++)
			if (job.found & UINT64_C(1) << i)
				add_hidden(scan, process, &scan->nodes[nodes[i]]);
		/* those that other users keep to themselves are missed already */
		if (r == 0 || r == -ENOENT || r == -ESRCH || r == -EACCES || r == -EPERM)
			continue;
		scan->is_stopped = true;
		for (i = 0; i < job.count; i++)
			holders_unseen(
				scan, scan->nodes[nodes[i]].target,
				holders_text(scan, "the files of %s (pid %d) (%s; try: kill -9 %d)",
					     holders_process_name(scan, process), process->pid,
					     r == -ETIMEDOUT ? "their server doesn't answer"
							     : strerror(-r),
					     process->pid));
	} while (from < scan->node_count);
}

bool holders_may_be_quiet(struct holder_scan *scan, const struct holder_node *node)
{
	/* those that the kernel lists by their devices; see mounted_type() and read_bcachefs() */
	static const char *const told[] = {"ext2",  "ext3",   "ext4",  "xfs",	 "f2fs",    "erofs",
					   "btrfs", "nilfs2", "ntfs3", "zonefs", "bcachefs"};
	char database[16384], word[64];
	size_t i;

	if (!holders_read_file(scan, database, sizeof(database), "run/udev/data/b%u:%u",
			       node->major, node->minor))
		return true;
	if (!text_find_value(database, "E:ID_FS_USAGE", word, sizeof(word)) ||
	    strcmp(word, "filesystem") != 0 ||
	    !text_find_value(database, "E:ID_FS_TYPE", word, sizeof(word)))
		return false;
	for (i = 0; i < sizeof(told) / sizeof(*told); i++)
		if (!strcmp(word, told[i]))
			return false;
	return true;
}
