/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Filesystems that no mountinfo shows: unmounted with `umount -l` while files of them are open, or
 * mounted in a namespace that a chroot hides. Of many types the kernel tells nothing else: vfat,
 * exfat, iso9660, udf, squashfs … have no directory in /sys/fs. So the device of each file that a
 * process has open or mapped is compared, and of its directories.
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
#include "pci/holders/batch.h"
#include "pci/holders/text.h"

/* struct linux_dirent64, which the C library does not declare */
struct directory_entry {
	uint64_t inode;
	int64_t offset;
	uint16_t size;
	uint8_t type;
	char name[];
};

/* ---- in the helper: async-signal-safe ---- */

static void compare_device(const struct batch_cursor *cursor, unsigned long major,
			   unsigned long minor)
{
	struct batch_job *job = cursor->job;
	unsigned int i;

	for (i = 0; i < job->device_count; i++)
		if (job->devices[i].major == major && job->devices[i].minor == minor)
			job->processes[cursor->process].found |= UINT64_C(1) << i;
}

static void compare_file(const struct batch_cursor *cursor, int dir_fd, const char *path)
{
	struct statx file;

	if (statx(dir_fd, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &file) == 0)
		compare_device(cursor, file.stx_dev_major, file.stx_dev_minor);
}

/* 7f0000000000-7f0000001000 r-xp 00000000 fe:01 12345     /usr/bin/cat */
void batch_compare_mapping(const struct batch_cursor *cursor, const char *line)
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
		compare_device(cursor, major, strtoul(colon + 1, NULL, 16));
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

static int compare_descriptors(const struct batch_cursor *cursor, int process_fd)
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
				compare_file(cursor, fd, entry->name);
		}
	return n < 0 ? -errno : 0;
}

int batch_compare_files(const struct batch_cursor *cursor, int process_fd)
{
	compare_file(cursor, process_fd, "cwd");
	compare_file(cursor, process_fd, "root");
	return compare_descriptors(cursor, process_fd);
}

/* ---- the process that asks ---- */

static bool is_hidden(const struct holder_node *node)
{
	return node->is_quiet && !node->is_settled;
}

void batch_add_hidden(struct holder_scan *scan, struct process *process,
		      const struct holder_node *node)
{
	holders_add(scan, node->target, PT_HOLDER_FILESYSTEM, 0,
		    holders_text(scan, "a filesystem without a mount point, used by %s (pid %d)",
				 holders_process_name(scan, process), process->pid),
		    node->through, holders_process_advice(scan, process));
}

void batch_take_devices(const struct holder_scan *scan, struct batch_job *job, size_t *from,
			size_t nodes[BATCH_DEVICES])
{
	for (; *from < scan->node_count && job->device_count < BATCH_DEVICES; (*from)++) {
		const struct holder_node *node = &scan->nodes[*from];

		if (!is_hidden(node))
			continue;
		nodes[job->device_count] = *from;
		job->devices[job->device_count].major = node->major;
		job->devices[job->device_count++].minor = node->minor;
	}
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
