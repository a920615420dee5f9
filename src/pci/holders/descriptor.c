/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a process has open. No open file is asked anything that a dead server could keep from
 * being answered.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/kcmp.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/holders/process.h"

static void match_numbers(struct holder_scan *scan, struct process *process, bool is_block,
			  unsigned int major, unsigned int minor)
{
	size_t i;

	for (i = 0; i < scan->node_count; i++)
		if (scan->nodes[i].major == major && scan->nodes[i].minor == minor &&
		    scan->nodes[i].is_block == is_block)
			holders_add_user(scan, process, &scan->nodes[i]);
}

void holders_match_name(struct holder_scan *scan, struct process *process, const char *path)
{
	size_t i;

	for (i = 0; i < scan->node_count; i++)
		if (!strncmp(path, "/dev/", 5) && !strcmp(path + 5, scan->nodes[i].name))
			holders_add_user(scan, process, &scan->nodes[i]);
}

static void match_socket(struct holder_scan *scan, struct process *process, const char *target)
{
	unsigned long long inode;
	size_t i;

	if (!scan->socket_count || sscanf(target, "socket:[%llu]", &inode) != 1)
		return;
	for (i = 0; i < scan->socket_count; i++) {
		struct holder_socket *socket = &scan->sockets[i];

		if (socket->inode != inode)
			continue;
		socket->is_found = true;
		holders_add(scan, socket->target, PT_HOLDER_SOCKET, 0,
			    holders_text(scan, "%s of %s (pid %d)", socket->what,
					 holders_process_name(scan, process), process->pid),
			    socket->through, holders_process_advice(scan, process));
	}
}

/*
 * Can this path be one of our nodes? Asking what a path really is may block where a dead server
 * is behind it, so only paths below /dev are asked about, and those that end like a node of ours: a
 * container's or a chroot's /dev has something before it. What most descriptors are is left out.
 */
static bool may_be_node(struct holder_scan *scan, const char *target)
{
	static const char *const others[] = {"null", "pts/",   "shm/", "urandom",
					     "zero", "random", "ptmx", "tty"};
	size_t i, length = strlen(target);

	if (!strncmp(target, "/dev/", 5)) {
		for (i = 0; i < sizeof(others) / sizeof(*others); i++) {
			size_t size = strlen(others[i]);

			if (!strncmp(target + 5, others[i], size) &&
			    (others[i][size - 1] == '/' || !target[5 + size]))
				return false;
		}
		return true;
	}
	if (!strstr(target, "/dev/"))
		return false;
	for (i = 0; i < scan->node_count; i++) {
		size_t size = strlen(scan->nodes[i].name);

		if (length > size + 5 && !strcmp(target + length - size, scan->nodes[i].name) &&
		    !strncmp(target + length - size - 5, "/dev/", 5))
			return true;
	}
	return false;
}

/*
 * Opened with O_PATH, a node is only named: its driver never hears of it. udev does so with each
 * node whose owner and mode it sets. (proc_pid_fdinfo(5); the flags are octal.)
 */
static bool is_name_only(const struct process *process, const char *table, const char *fd_name)
{
	char path[64], text[512];
	const char *flags;

	(void)text_format(path, sizeof(path), "%sfdinfo/%s", table, fd_name);
	if (io_read_text_at(process->fd, path, text, sizeof(text)) <= 0)
		return false;
	flags = strstr(text, "flags:");
	return flags && strtoul(flags + strlen("flags:"), NULL, 8) & O_PATH;
}

/*
 * A file that is registered with an io_uring stays open without a descriptor; fdinfo lists them:
 * "UserFiles:\t1" and "    0: /dev/nvme0n1", of older kernels just "    0: nvme0n1".
 */
static void look_at_ring(struct holder_scan *scan, struct process *process, const char *table,
			 const char *fd_name)
{
	AUTO_FREE char *text = NULL;
	char path[64], name[256];
	char *line;
	size_t i;
	int r;

	if (!scan->node_count)
		return;
	(void)text_format(path, sizeof(path), "%sfdinfo/%s", table, fd_name);
	r = io_read_all_at(process->fd, path, HOLDERS_FILE_MAX, &text, NULL);
	holders_failed(scan, r);
	if (r < 0)
		return;
	line = strstr(text, "UserFiles:");
	line = line ? strchr(line, '\n') : NULL;
	while (line && sscanf(line, " %*u: %255s", name) == 1) {
		for (i = 0; i < scan->node_count; i++)
			if (name[0] == '/' ? !strncmp(name, "/dev/", 5) &&
						     !strcmp(name + 5, scan->nodes[i].name)
					   : !strcmp(name, text_base(scan->nodes[i].name)))
				holders_add_user(scan, process, &scan->nodes[i]);
		line = strchr(line + 1, '\n');
	}
}

static void look_at_file(struct holder_scan *scan, struct process *process, const char *table,
			 int dir_fd, const char *name)
{
	char target[512];
	struct statx node;
	struct pt_address address;
	unsigned int bar;
	ssize_t length = dir_fd < 0 ? -1 : readlinkat(dir_fd, name, target, sizeof(target) - 1);

	if (length <= 0)
		return;
	target[length] = '\0';
	if (scan->has_bars && holders_parse_bar(target, &address, &bar)) {
		holders_add_bar(scan, process, &address, bar);
		return;
	}
	if (target[0] == 's') {
		match_socket(scan, process, target);
		return;
	}
	if (target[0] == 'm') {
		holders_keep_namespace(scan, target);
		return;
	}
	if (!strcmp(target, "anon_inode:[io_uring]")) {
		look_at_ring(scan, process, table, name);
		return;
	}
	if (!may_be_node(scan, target))
		return;
	if (!scan->has_procfs) {
		holders_match_name(scan, process, target);
		return;
	}
	if (statx(dir_fd, name, AT_STATX_DONT_SYNC, STATX_TYPE, &node) < 0 ||
	    !(S_ISBLK(node.stx_mode) || S_ISCHR(node.stx_mode)) ||
	    is_name_only(process, table, name))
		return;
	match_numbers(scan, process, S_ISBLK(node.stx_mode), node.stx_rdev_major,
		      node.stx_rdev_minor);
}

/* @table: "", or "task/12/" of a thread that has its own. */
static int read_table(struct holder_scan *scan, struct process *process, const char *table)
{
	char path[64];
	AUTO_DIR DIR *dir = NULL;
	struct dirent *entry;
	int r;

	(void)text_format(path, sizeof(path), "%sfd", table);
	r = io_open_directory_at(process->fd, path, &dir);
	if (r < 0)
		return r;
	for (errno = 0; !scan->error && (entry = readdir(dir)); errno = 0)
		if (entry->d_name[0] != '.')
			look_at_file(scan, process, table, dirfd(dir), entry->d_name);
	return -errno;
}

/*
 * Threads share the table of their process, unless they have called unshare(CLONE_FILES).
 * /proc/PID/fd is that of the first thread, which may have ended before the others.
 */
static void read_threads(struct holder_scan *scan, struct process *process)
{
	AUTO_DIR DIR *dir = NULL;
	struct dirent *entry;
	struct stat st;
	char table[64];
	int r;

	/* two links, and one for each thread */
	if (scan->has_procfs && (fstatat(process->fd, "task", &st, 0) < 0 || st.st_nlink <= 3))
		return;
	r = io_open_directory_at(process->fd, "task", &dir);
	holders_failed(scan, r);
	if (r < 0)
		return;
	while (!scan->error && (entry = readdir(dir))) {
		int tid = atoi(entry->d_name);

		if (tid <= 0 || tid == process->pid ||
		    (scan->has_procfs &&
		     syscall(SYS_kcmp, process->pid, tid, KCMP_FILES, 0, 0) == 0))
			continue;
		(void)text_format(table, sizeof(table), "task/%d/", tid);
		holders_failed(scan, read_table(scan, process, table));
	}
}

int holders_read_descriptors(struct holder_scan *scan, struct process *process)
{
	int r = read_table(scan, process, "");

	if (r == 0)
		read_threads(scan, process);
	return r;
}
