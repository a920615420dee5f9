/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The door to a machine. Everything below src/pci and src/assign reaches the
 * kernel through a pt_host: reads relative to root_fd, changes through ops.
 * Tests stand in the door: another root, and ops that act like a kernel.
 */
#ifndef PCI_HOST_H
#define PCI_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <passthru/address.h>
#include <passthru/host.h>

struct machine_ops;
struct pt_host;

#define HOST_MESSAGE 512

/*
 * The operations that change a machine. Each returns 0 or a negative errno, like the system call
 * that it replaces.
 */
struct host_ops {
	/* One write(2) to the file at @path, relative to the root ("sys/bus/pci/…"). Can hang. */
	int (*write)(struct pt_host *host, const char *path, const char *data, size_t size);
	/*
	 * Load a module with its dependencies; 0 also when it is loaded or built in. On failure
	 * @message is what the one who loads modules said about it, "" for nothing. Runs in a
	 * helper process, thus without malloc. Can hang.
	 */
	int (*load_module)(struct pt_host *host, const char *name, char message[HOST_MESSAGE]);
	/*
	 * VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: the functions that a hot reset of @address affects,
	 * at most @max of them (-E2BIG); @address must be on a VFIO driver. Like the next one it
	 * runs in a helper process, thus without malloc. Can hang.
	 */
	int (*hot_reset_info)(struct pt_host *host, const struct pt_address *address,
			      struct pt_address *affected, size_t max, size_t *ret_count);
	/* VFIO_DEVICE_PCI_HOT_RESET: reset the bus of @address; all affected are on VFIO drivers.
	 */
	int (*hot_reset)(struct pt_host *host, const struct pt_address *address);
};

/* helper.c's: the process that waits for the next request; pid 0 for none. */
struct host_helper {
	pid_t pid;
	pid_t owner; /* who started it: not a child that has inherited this host */
	int fd;
};

#define HOST_LEFT_HELPERS 8

struct pt_host {
	int root_fd;
	/* The same as a path to put another behind: "" for this machine's. For addresses of unix
	 * sockets alone, which nothing else can name. */
	char *root;
	/* Not a test's tree or another machine's files: system calls tell the same as files. */
	bool is_this_machine;
	const struct host_ops *ops;
	void *ops_context;
	pt_log_fn log;
	void *log_context;
	/* src/domain's (domain/machine/machine.h): NULL for the machine's own */
	const struct machine_ops *machine;
	/* src/assign's: a pt_progress_fn (passthru/plan.h) */
	void (*progress)(void);
	void *progress_context;
	/* src/assign's: all locks of the operation under way (lock.h) */
	const void *locks;
	/*
	 * Those of them that the work at hand needs. Helper processes (helper.h) keep them open: a
	 * lock is free only when no write under it is still going on in the kernel,
	 * also when the process that took it has died.
	 */
	const int *kept_fds;
	size_t kept_count;
	struct host_helper helper;
	/* helper.c's too: past their deadline and not reaped yet, 0 for none */
	pid_t left_helpers[HOST_LEFT_HELPERS];
	/* opened on first use by names.c and modules.c */
	void *hwdb;
	void *modules;
};

void host_log(struct pt_host *host, enum pt_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
