/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guests.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "kernel.h"

#define ENVIRONMENT_MAX 64

/* ---- processes ---- */

static pid_t fork_process(struct pt_host *host)
{
	const struct fake *fake = host->ops_context;
	char target[64], path[TREE_PATH];
	pid_t pid;

	while (tree_exists(tree_path(fake, path, "fake/qemu/faults/fork")))
		(void)usleep(10000);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		return 0;
	(void)snprintf(target, sizeof(target), "/proc/%ld", (long)pid);
	tree_path(fake, path, "proc/%ld", (long)pid);
	(void)unlink(path);
	if (symlink(target, path) < 0)
		tree_die("%s: %s", path, strerror(errno));
	return pid;
}

/* In the child: nothing that takes a lock. */
static int exec_program(struct pt_host *host, const char *named, char *const argv[],
			char *const environment[])
{
	const struct fake *fake = host->ops_context;
	char program[TREE_PATH], variable[TREE_PATH], *own[ENVIRONMENT_MAX + 2];
	size_t count = 0;

	(void)named;
	(void)snprintf(program, sizeof(program), "%s/fake/qemu/program", fake->root);
	(void)snprintf(variable, sizeof(variable), "FAKE_ROOT=%s", fake->root);
	for (; environment[count] && count < ENVIRONMENT_MAX; count++)
		own[count] = environment[count];
	own[count++] = variable;
	own[count] = NULL;
	execve(program, argv, own);
	return -errno;
}

/* Not everybody who runs the tests may lock memory. */
static int limit_locking(struct pt_host *host, pid_t pid, const struct rlimit *limit,
			 struct rlimit *ret_before)
{
	(void)host;
	(void)pid;
	(void)limit;
	if (ret_before)
		*ret_before = (struct rlimit){.rlim_cur = 0, .rlim_max = 0};
	return 0;
}

/* Not everybody who runs the tests may make a mount namespace. */
static int make_view(struct pt_host *host, const struct machine_view *view)
{
	(void)host;
	(void)view;
	return 0;
}

/* What was shown is to be read in fake/views. */
static int change_view(struct pt_host *host, pid_t pid, int pidfd,
		       const struct machine_view_change *change, struct pt_error *err)
{
	char path[TREE_PATH];
	FILE *file = fopen(tree_path(host->ops_context, path, "fake/views"), "ae");

	(void)pid;
	(void)pidfd;
	(void)err;
	for (size_t i = 0; file && i < change->mount_count; i++)
		(void)fprintf(file, "%s\n", change->mounts[i].path);
	if (file)
		(void)fclose(file);
	return 0;
}

/* ---- networks ---- */

static int open_tap(struct pt_host *host, struct machine_tap *tap, int64_t udev_until_ms,
		    int *ret_fds, struct pt_error *err)
{
	char path[TREE_PATH];

	(void)udev_until_ms;
	(void)err;
	/* one that stays, until it is removed */
	if (tap->link) {
		(void)text_copy(tap->name, sizeof(tap->name), "passthru0");
		(void)mkdir(tree_path(host->ops_context, path, "sys/class/net/%s", tap->name),
			    0755);
	}
	if (strchr(tap->name, '%'))
		(void)text_copy(tap->name, sizeof(tap->name), "vnet0");
	for (unsigned int i = 0; i < machine_tap_queues(tap); i++)
		ret_fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	return 0;
}

static int remove_macvtap(struct pt_host *host, const char *name)
{
	char path[TREE_PATH];

	(void)rmdir(tree_path(host->ops_context, path, "sys/class/net/%s", name));
	return 0;
}

static int open_vhost(struct pt_host *host)
{
	(void)host;
	return -ENOENT;
}

/* The first address is another guest's. */
static int open_vsock(struct pt_host *host, uint32_t cid)
{
	(void)host;
	return cid == 3 ? -EADDRINUSE : open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int read_vf(struct pt_host *host, const char *netdev, uint32_t index,
		   struct machine_vf *ret_vf, struct pt_error *err)
{
	char path[TREE_PATH], text[64];

	if (!tree_read(tree_path(host->ops_context, path, "fake/vfs/%s-%u", netdev, index), text,
		       sizeof(text)) ||
	    sscanf(text, "%17s %d", ret_vf->mac, &ret_vf->vlan) != 2)
		return pt_fail(err, PT_SYSTEM, ENODEV, "virtual function %u of %s: there is none",
			       index, netdev);
	return 0;
}

static int write_vf(struct pt_host *host, const char *netdev, uint32_t index, const char *mac,
		    int vlan, struct pt_error *err)
{
	struct machine_vf vf;
	char path[TREE_PATH];
	int r = read_vf(host, netdev, index, &vf, err);

	if (r < 0)
		return r;
	tree_write_text(host->ops_context,
			tree_path(host->ops_context, path, "fake/vfs/%s-%u", netdev, index), 0644,
			"%s %d\n", mac ? mac : vf.mac, vlan >= 0 ? vlan : vf.vlan);
	return 0;
}

static bool is_port_free(struct pt_host *host, const char *address, uint16_t port)
{
	(void)host;
	(void)address;
	(void)port;
	return true;
}

const struct machine_ops fake_machine_ops = {
	.fork = fork_process,
	.exec = exec_program,
	.limit_locking = limit_locking,
	.make_view = make_view,
	.change_view = change_view,
	.open_tap = open_tap,
	.remove_macvtap = remove_macvtap,
	.open_vhost = open_vhost,
	.open_vsock = open_vsock,
	.read_vf = read_vf,
	.write_vf = write_vf,
	.is_port_free = is_port_free,
};

/* ---- the tree ---- */

void fake_guests_begin(struct fake *fake)
{
	char path[TREE_PATH];
	AUTO_FREE char *data = NULL;
	size_t size;

	tree_make_directories(tree_path(fake, path, "fake/qemu/faults"));
	tree_make_directories(tree_path(fake, path, "fake/vfs"));
	tree_make_directories(tree_path(fake, path, "run"));
	if (io_read_all_at(AT_FDCWD, FAKE_QEMU, (size_t)64 << 20, &data, &size) < 0)
		tree_die("%s can't be read", FAKE_QEMU);
	tree_write_file(fake, tree_path(fake, path, "fake/qemu/program"), data, size, 0755);
	/* as the kernel makes it; and QEMU's user writes to the others */
	(void)chmod(tree_path(fake, path, "dev/vfio/vfio"), 0666);
	if (chmod(tree_path(fake, path, "fake/qemu"), 0777) < 0 ||
	    chmod(tree_path(fake, path, "fake/qemu/faults"), 0777) < 0 ||
	    chmod(fake->root, 0755) < 0)
		tree_die("%s: %s", path, strerror(errno));
	fake->host->machine = &fake_machine_ops;
}

/* Who runs the tree's program, whoever started it. */
void fake_guests_kill(struct fake *fake)
{
	char path[TREE_PATH], target[TREE_PATH], program[TREE_PATH];
	AUTO_DIR DIR *dir = opendir(tree_path(fake, path, "proc"));
	const struct dirent *entry;

	tree_path(fake, program, "fake/qemu/program");
	while (dir && (entry = readdir(dir))) {
		pid_t pid = (pid_t)atol(entry->d_name);
		ssize_t n;

		if (pid <= 0)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%ld/exe", (long)pid);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		if (strcmp(target, program) == 0)
			(void)kill(pid, SIGKILL);
	}
}

void fake_guests_fault(struct fake *fake, const char *command, const char *what)
{
	char path[TREE_PATH];

	tree_path(fake, path, "fake/qemu/faults/%s", command);
	if (what)
		tree_write_text(fake, path, 0644, "%s\n", what);
	else
		(void)unlink(path);
}

void fake_guests_devices(struct fake *fake, const char *guest, char *text, size_t size)
{
	char path[TREE_PATH];

	text[0] = '\0';
	(void)tree_read(tree_path(fake, path, "fake/qemu/%s.devices", guest), text, size);
}

void fake_guests_set_vf(struct fake *fake, const char *netdev, unsigned int index, const char *mac,
			int vlan)
{
	char path[TREE_PATH];

	tree_write_text(fake, tree_path(fake, path, "fake/vfs/%s-%u", netdev, index), 0644,
			"%s %d\n", mac, vlan);
}
