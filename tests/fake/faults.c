/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What goes wrong in the fake kernel, and the lock of a device. */
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Attributes whose readers take the device's lock in Linux 6.12. */
static const char *const locked_attributes[] = {"driver_override", "sriov_numvfs"};

int fault_errno(const char *name)
{
	static const struct {
		const char *name;
		int errnum;
	} table[] = {
		{"EACCES", EACCES},	  {"EAGAIN", EAGAIN}, {"EBUSY", EBUSY},
		{"ETIMEDOUT", ETIMEDOUT}, {"EINVAL", EINVAL}, {"EIO", EIO},
		{"ENODEV", ENODEV},	  {"ENOENT", ENOENT}, {"ENOMEM", ENOMEM},
		{"ENOSPC", ENOSPC},	  {"ENOTTY", ENOTTY}, {"EPERM", EPERM},
		{"EROFS", EROFS},	  {"ERANGE", ERANGE}, {"EKEYREJECTED", EKEYREJECTED},
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!strcmp(name, table[i].name))
			return table[i].errnum;
	return 0;
}

static void pause_ms(long ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	nanosleep(&time, NULL);
}

/* Wait a little; end with the tree, so that no test leaves a process behind. */
void fault_wait(const struct fake *fake)
{
	char path[TREE_PATH];

	if (!tree_exists(tree_path(fake, path, "fake/tree")))
		_exit(0);
	pause_ms(5);
}

int device_lock(const struct fake *fake, const struct function *function)
{
	char path[TREE_PATH];
	int fd = tree_lock(fake, function->name);

	/* a driver that crashed took the lock with it */
	while (tree_exists(tree_path(fake, path, "fake/crashed/%s", function->name)))
		fault_wait(fake);
	return fd;
}

/* A pipe nobody writes to: who opens it to read waits, as for the device's lock. */
static void block_readers(const struct fake *fake, const struct function *function)
{
	char path[TREE_PATH], away[TREE_PATH];
	size_t i;

	for (i = 0; i < sizeof(locked_attributes) / sizeof(locked_attributes[0]); i++) {
		function_path(function, path, locked_attributes[i]);
		tree_path(fake, away, "fake/blocked/%s.%s", function->name, locked_attributes[i]);
		if (tree_exists(path) && rename(path, away) == 0 && mkfifo(path, 0644) < 0)
			tree_die("%s: %s", path, strerror(errno));
	}
}

static void unblock_readers(const struct fake *fake, const struct function *function)
{
	char path[TREE_PATH], away[TREE_PATH], text[256];
	size_t i;
	int fd;

	for (i = 0; i < sizeof(locked_attributes) / sizeof(locked_attributes[0]); i++) {
		function_path(function, path, locked_attributes[i]);
		tree_path(fake, away, "fake/blocked/%s.%s", function->name, locked_attributes[i]);
		if (!tree_read(away, text, sizeof(text)))
			continue;
		fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		if (rename(away, path) < 0)
			tree_die("%s: %s", path, strerror(errno));
		if (fd >= 0) {
			(void)dprintf(fd, "%s\n", text);
			close(fd);
		}
	}
}

void device_hang(const struct fake *fake, const struct function *function, const char *path,
		 const char *while_it_reads)
{
	char text[FAULT_SIZE];

	if (!tree_exists(path))
		return;
	block_readers(fake, function);
	while (tree_read(path, text, sizeof(text)) && !strcmp(text, while_it_reads))
		fault_wait(fake);
	unblock_readers(fake, function);
}

static _Noreturn void crash(const struct fake *fake, const struct function *function)
{
	char path[TREE_PATH];

	block_readers(fake, function);
	tree_write_text(fake, tree_path(fake, path, "fake/crashed/%s", function->name), 0600, "\n");
	(void)kill(getpid(), SIGKILL);
	_exit(1);
}

/* The fault's text, without "once"; "" for none. */
static void take_fault(const char *path, char what[FAULT_SIZE])
{
	if (!tree_read(path, what, FAULT_SIZE)) {
		*what = '\0';
		return;
	}
	if (!strncmp(what, "once ", 5)) {
		(void)unlink(path);
		memmove(what, what + 5, FAULT_SIZE - 5);
	}
}

bool fault_is_slow(const struct fake *fake, const struct function *function, const char *operation)
{
	char path[TREE_PATH], what[FAULT_SIZE], *p = what;

	tree_path(fake, path, "fake/faults/%s/%s", function->name, operation);
	if (!tree_read(path, what, sizeof(what)))
		return false;
	if (!strncmp(p, "once ", 5))
		p += 5;
	return !strncmp(p, "hang", 4) || !strncmp(p, "delay", 5) || !strncmp(p, "crash", 5);
}

int fault_strike(const struct fake *fake, const struct function *function, const char *operation,
		 char what[FAULT_SIZE])
{
	char path[TREE_PATH];
	int errnum;

	tree_path(fake, path, "fake/faults/%s/%s", function->name, operation);
	take_fault(path, what);
	errnum = fault_errno(what);
	if (errnum)
		return -errnum;
	if (!strcmp(what, "hang")) {
		device_hang(fake, function, path, "hang");
		*what = '\0';
	} else if (!strncmp(what, "delay ", 6)) {
		pause_ms(atol(what + 6));
		*what = '\0';
	} else if (!strncmp(what, "after ", 6)) {
		while (!tree_exists(tree_path(fake, path, "fake/resets/%s", what + 6)))
			fault_wait(fake);
		*what = '\0';
	} else if (!strcmp(what, "crash")) {
		crash(fake, function);
	} else if (!strcmp(what, "gone")) {
		/* it can't be told to go a second time */
		(void)unlink(path);
		function_vanish(fake, function);
		return -ENODEV;
	}
	return 0;
}
