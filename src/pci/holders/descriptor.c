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
#include <unistd.h>

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

void holders_match_name(struct holder_scan *scan, struct process *process, const char *target)
{
	size_t i;

	for (i = 0; i < scan->node_count; i++)
		if (!strncmp(target, "/dev/", 5) && !strcmp(target + 5, scan->nodes[i].name))
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
static bool is_name_only(const struct process *process, const char *fd_name)
{
	char path[32], text[512];
	const char *flags;

	(void)text_format(path, sizeof(path), "fdinfo/%s", fd_name);
	if (io_read_text_at(process->fd, path, text, sizeof(text)) <= 0)
		return false;
	flags = strstr(text, "flags:");
	return flags && strtoul(flags + strlen("flags:"), NULL, 8) & O_PATH;
}

static void look_at_file(struct holder_scan *scan, struct process *process, int dir_fd,
			 const char *name)
{
	char target[512];
	struct statx node;
	struct pt_address address;
	unsigned int bar;
	ssize_t length = readlinkat(dir_fd, name, target, sizeof(target) - 1);

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
	if (!may_be_node(scan, target))
		return;
	if (!scan->has_procfs) {
		holders_match_name(scan, process, target);
		return;
	}
	if (statx(dir_fd, name, AT_STATX_DONT_SYNC, STATX_TYPE, &node) < 0 ||
	    !(S_ISBLK(node.stx_mode) || S_ISCHR(node.stx_mode)) || is_name_only(process, name))
		return;
	match_numbers(scan, process, S_ISBLK(node.stx_mode), node.stx_rdev_major,
		      node.stx_rdev_minor);
}

int holders_read_descriptors(struct holder_scan *scan, struct process *process)
{
	int fd = openat(process->fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_DIR DIR *dir = NULL;
	struct dirent *entry;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	for (errno = 0; !scan->error && (entry = readdir(dir)); errno = 0)
		if (entry->d_name[0] != '.')
			look_at_file(scan, process, fd, entry->d_name);
	return -errno;
}
