/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Access of guests to the machine, besides files and PCI devices. Files are reached through the
 * host's root directory, devices through its ops (pci/host.h), everything else through these
 * operations. Tests set another struct machine_ops in pt_host.machine.
 *
 * Processes are real in tests, too: tests only replace the creation and the executed program.
 * Signals, limits and processors use the kernel directly.
 */
#ifndef DOMAIN_MACHINE_MACHINE_H
#define DOMAIN_MACHINE_MACHINE_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/error.h"
#include "pci/host.h"

/* A tap to create or open, and its settings: Documentation/networking/tuntap.rst. */
struct machine_tap {
	char name[IFNAMSIZ]; /* "vnet%d" lets the kernel choose; the name it has afterwards */
	unsigned int queues; /* descriptors of it, a queue each; 0: one */
	bool is_set_up;	     /* the other settings are made elsewhere */
	unsigned int mtu;    /* 0: as it is */
	bool has_mac;
	unsigned char mac[6];
	const char *bridge; /* to put it on; NULL: none */
	/*
	 * A macvtap on this interface instead, with @mode "vepa", "bridge" or "private"; NULL: a
	 * tap. It stays when its descriptor is closed, until remove_macvtap(). @is_set_up, @bridge
	 * and what udev may do don't apply: Documentation/networking/macvlan (iproute2,
	 * ip-link(8)).
	 */
	const char *link;
	const char *mode;
};

/* The settings of a virtual function (rtnetlink, IFLA_VF_MAC and IFLA_VF_VLAN). */
struct machine_vf {
	char mac[18];
	int vlan; /* 0: none */
};

/* What a new mount namespace has of the host's. */
struct machine_place {
	const char *path; /* absolute; what isn't there is left out, a link becomes the same link */
	bool is_shallow;  /* without what is mounted below */
};

struct machine_view {
	const struct machine_place *places;
	size_t place_count;
};

/*
 * A change of one, in this order. Paths are absolute, and without links on the way. Directories
 * that are missing are made, but not below what is mounted.
 */
struct machine_mount {
	const char *path;
	int fd; /* the file or directory of the host's to put there, O_PATH or not */
	bool is_directory;
};

struct machine_link {
	const char *path;
	const char *target; /* NULL: a directory */
};

struct machine_view_change {
	const char *const *unmounts;
	size_t unmount_count;
	const struct machine_link *links;
	size_t link_count;
	const struct machine_mount *mounts;
	size_t mount_count;
};

/* Bytes of a label of SELinux's, with its NUL. */
#define MACHINE_LABEL 256

struct machine_ops {
	/* fork(2): the child's pid, 0 in the child, or a negative errno. */
	pid_t (*fork)(struct pt_host *host);
	/* execve(2), in such a child, so async-signal-safe. Returns a negative errno, or not. */
	int (*exec)(struct pt_host *host, const char *program, char *const argv[],
		    char *const environment[]);
	/*
	 * prlimit(2) of RLIMIT_MEMLOCK, also between fork() and exec(): 0 or a negative errno.
	 * Raising it takes CAP_SYS_RESOURCE.
	 */
	int (*limit_locking)(struct pt_host *host, pid_t pid, const struct rlimit *limit,
			     struct rlimit *ret_before);
	/*
	 * In such a child: it gets a mount namespace with an empty root directory, its own tmpfs
	 * that only root changes, and with @view's places; pt_host's root directory is that one
	 * then. Async-signal-safe; 0 or a negative errno. Takes CAP_SYS_ADMIN and CAP_MKNOD.
	 */
	int (*make_view)(struct pt_host *host, const struct machine_view *view);
	/*
	 * In the mount namespace that make_view() made for that process, from outside:
	 * CAP_SYS_CHROOT, too. One that it made itself, or the host's, is refused (PT_SYSTEM), for
	 * there the same would be done to the host's files. PT_SYSTEM names the path; what was done
	 * before that stays.
	 */
	int (*change_view)(struct pt_host *host, pid_t pid, int pidfd,
			   const struct machine_view_change *change, struct pt_error *err);
	/*
	 * As many descriptors as it has queues. PT_SYSTEM with what can't be done. udev is waited
	 * for until then (monotonic).
	 */
	int (*open_tap)(struct pt_host *host, struct machine_tap *tap, int64_t udev_until_ms,
			int *ret_fds, struct pt_error *err);
	/* 0 also when there is none; other kinds of interfaces aren't touched (-EPERM). */
	int (*remove_macvtap)(struct pt_host *host, const char *name);
	/* The kernel's half of virtio-net; a negative errno. */
	int (*open_vhost)(struct pt_host *host);
	/* That of virtio-vsock, by this address: -EADDRINUSE when another guest has it. */
	int (*open_vsock)(struct pt_host *host, uint32_t cid);
	/* Of virtual function @index of the interface @netdev. */
	int (*read_vf)(struct pt_host *host, const char *netdev, uint32_t index,
		       struct machine_vf *ret_vf, struct pt_error *err);
	/* NULL and -1 for what stays. */
	int (*write_vf)(struct pt_host *host, const char *netdev, uint32_t index, const char *mac,
			int vlan, struct pt_error *err);
	/* Is the port free there now? A name instead of an address means all addresses. */
	bool (*is_port_free)(struct pt_host *host, const char *address, uint16_t port);
	/* SELinux's label of an open file, O_PATH or not: 0 or a negative errno. */
	int (*read_label)(struct pt_host *host, int fd, char *label, size_t size);
	int (*write_label)(struct pt_host *host, int fd, const char *label);
	/* What /sys/fs/selinux/access answers; -EINVAL for labels that the policy doesn't know. */
	int (*ask_policy)(struct pt_host *host, const char *question, char *answer, size_t size);
};

static inline unsigned int machine_tap_queues(const struct machine_tap *tap)
{
	return tap->queues > 1 ? tap->queues : 1;
}

/* A host's: the kernel's own unless a test has put others there. */
const struct machine_ops *machine_of(const struct pt_host *host);

/* The kernel's own: macvtap.c, selinux.c, tap.c, vf.c and view.c. */
int machine_open_macvtap(struct pt_host *host, struct machine_tap *tap, int *ret_fds,
			 struct pt_error *err);
int machine_remove_macvtap(struct pt_host *host, const char *name);
int machine_read_label(struct pt_host *host, int fd, char *label, size_t size);
int machine_write_label(struct pt_host *host, int fd, const char *label);
int machine_ask_policy(struct pt_host *host, const char *question, char *answer, size_t size);
int machine_make_view(struct pt_host *host, const struct machine_view *view);
int machine_change_view(struct pt_host *host, pid_t pid, int pidfd,
			const struct machine_view_change *change, struct pt_error *err);
int machine_open_tap(struct pt_host *host, struct machine_tap *tap, int64_t udev_until_ms,
		     int *ret_fds, struct pt_error *err);
int machine_read_vf(struct pt_host *host, const char *netdev, uint32_t index,
		    struct machine_vf *ret_vf, struct pt_error *err);
int machine_write_vf(struct pt_host *host, const char *netdev, uint32_t index, const char *mac,
		     int vlan, struct pt_error *err);

#endif
