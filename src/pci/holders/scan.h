/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How holders are looked for, shared by the holders_*.c files.
 *
 * One scan answers for several functions at once: the files of the machine
 * (mounts, swaps, routes) are read once, and /proc is walked at most once,
 * and only when there is something to look for. A scan first collects what lies below
 * each function in sysfs, then asks who uses it:
 *
 *	walk.c     nodes, block devices and interfaces below a function
 *	block.c    partitions, dm, md, bcache, loop, filesystems, swap
 *	storage.c  who else has a block device: zpool, cache set
 *	export.c   targets of the kernel that export a device: NVMe, SCSI, RNBD, USB gadgets
 *	net.c      addresses, routes, bridges
 *	socket.c   packet and AF_XDP sockets
 *	console.c  framebuffers, the VT console, serial consoles
 *	process.c  guests, mounts of other namespaces
 *	descriptor.c  open nodes and BARs
 *	batch.c    what only a helper process may ask:
 *	mapping.c  mapped BARs and nodes
 *	hidden.c   filesystems without a mount point
 *	text.c     parsers of /proc, which touch nothing
 *
 * Everything may vanish while it is read; what vanished holds nothing.
 */
#ifndef PCI_HOLDERS_SCAN_H
#define PCI_HOLDERS_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <passthru/holders.h>

#include "base/arena.h"
#include "pci/host.h"

/* sysfs has no cycles; this bounds what a test tree or a broken one can do. */
#define HOLDERS_DEPTH_MAX 32
/* Tens of thousands of mounts are some MB of mountinfo. */
#define HOLDERS_FILE_MAX (32 * 1024 * 1024)
#define HOLDERS_PATH	 1024
/* BARs of a function: PCI has six. */
#define HOLDERS_BARS 6

struct pt_holders {
	struct pt_holder *items;
	size_t count;
	const char *unseen;   /* the first thing that could not be checked; NULL for none */
	bool is_unprivileged; /* root would have seen all of that */
	struct arena memory;
};

/* A function that is asked about: the one named, or a VF of it. Or a USB device. */
struct holder_target {
	struct pt_address address;  /* of no function for a USB device */
	const char *usb;	    /* its name in sys/bus/usb/devices; NULL: a function */
	struct pt_holders *holders; /* where findings go: a PF's, for its VFs too */
	const char *prefix;	    /* "" or "VF 0000:01:10.0", before each "through" */
	bool has_interface;
	bool is_interface_missing; /* a NIC's driver, but no interface that can be seen */
	bool has_bars;		   /* files that a process can map, to reach it without a node */
	bool may_lack_interface;   /* InfiniBand and other fabrics: IP over them is an option */
};

enum node_use {
	NODE_PLAIN,
	NODE_INPUT,
	NODE_VFIO,
};

/* A device node of the target: a process that has it open holds the target. */
struct holder_node {
	size_t target;
	enum node_use use;
	bool is_block;
	unsigned int major;
	unsigned int minor;
	const char
		*name; /* below /dev: "nvme0n1p1", "dri/card0"; how it is known without numbers */
	const char *through;	/* "nvme0n1p2 > dm-0 (vg0-root)"; char nodes: "/dev/dri/card0" */
	const char *filesystem; /* block: the kernel has this type mounted, unseen so far */
	bool is_quiet;	 /* block: its filesystem, if any, is one that only mountinfo shows */
	bool is_settled; /* block: known what uses it, so nothing else can have it mounted */
};

struct holder_block {
	size_t target;
	const char *name; /* the kernel's: "nvme0n1" */
	const char *note; /* "one of 2 paths", "" */
};

struct holder_interface {
	size_t target;
	const char *name;
};

struct holder_socket {
	size_t target;
	uint64_t inode;
	const char *what; /* "packet socket" */
	const char *through;
	uint32_t uid;
	bool is_found;
};

/* The share of a virtio-9p function, mounted by its tag. */
struct holder_share {
	size_t target;
	const char *tag;
};

struct holder_scan {
	struct pt_host *host;
	bool has_procfs;  /* the root's /proc is the kernel's: fds can be followed */
	bool has_missing; /* a target with is_interface_missing */
	bool has_bars;	  /* a target with has_bars */
	bool is_stopped;  /* a process did not answer what it has mapped: no other is asked */
	int error;	  /* the first failure that isn't something vanishing: -ENOMEM, -EMFILE */
	struct arena memory;
	struct holder_target *targets;
	size_t target_count;
	struct holder_node *nodes;
	size_t node_count;
	struct holder_block *blocks;
	size_t block_count;
	struct holder_interface *interfaces;
	size_t interface_count;
	struct holder_socket *sockets;
	size_t socket_count;
	struct holder_share *shares;
	size_t share_count;
	uint64_t *held; /* inode numbers of mount namespaces that a file or a mount keeps */
	size_t held_count;
};

/*
 * Text that lives until the scan ends. Control characters become '?', since the
 * names in it are anyone's. Never NULL: without memory it is "" and the scan fails.
 */
const char *holders_text(struct holder_scan *scan, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A word for a shell: quoted where it has to be. */
const char *holders_quote(struct holder_scan *scan, const char *word);
/* "a > b"; just b when a is "". */
const char *holders_chain(struct holder_scan *scan, const char *chain, const char *next);

void holders_free_scan(struct holder_scan *scan);

/*
 * A call failed with @r (a negative errno; others are nothing): what isn't there has no holder, but
 * without memory or descriptors the scan fails, for what was not looked at may be held.
 */
void holders_failed(struct holder_scan *scan, int r);

/* Room for one more at the end of an array; NULL (and the scan fails) without memory. */
void *holders_grow(struct holder_scan *scan, void *array, size_t *count, size_t size);
#define HOLDERS_APPEND(scan, array, count, ...)                                                    \
	do {                                                                                       \
		typeof(array) grown_ = holders_grow((scan), (array), &(count), sizeof(*(array)));  \
		if (grown_) {                                                                      \
			(array) = grown_;                                                          \
			(array)[(count) - 1] = (typeof(*(array)))__VA_ARGS__;                      \
		}                                                                                  \
	} while (0)

/* Add a holder; one that is known already (same kind, thing and pid) only gains a way through. */
void holders_add(struct holder_scan *scan, size_t target, enum pt_holder_kind kind, int pid,
		 const char *what, const char *through, const char *advice);
/*
 * @what, with the reason, could not be checked. A gap that root has, too, is worse than a gap of
 * an ordinary user, and is reported instead of it.
 */
void holders_unseen(struct holder_scan *scan, size_t target, const char *what);
void holders_unprivileged(struct holder_scan *scan, size_t target, const char *what);

/* Read a small file below the root into @buffer; false when it isn't there. */
bool holders_read_file(struct holder_scan *scan, char *buffer, size_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Last component of a link below the root; false when it isn't there. */
bool holders_read_link(struct holder_scan *scan, char *buffer, size_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
bool holders_exists(struct holder_scan *scan, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/*
 * Read a whole file of /proc; NULL when it isn't there, or too large, and then the answer
 * isn't complete. Freed by the caller.
 */
char *holders_read_proc(struct holder_scan *scan, const char *path);
/*
 * The names in a directory below the root without those that start with a dot,
 * sorted, NULL-terminated, living as long as the scan; empty when it isn't there.
 */
const char *const *holders_list(struct holder_scan *scan, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* An unmounted filesystem of this device may be in use, and the kernel wouldn't tell. */
bool holders_may_be_quiet(struct holder_scan *scan, const struct holder_node *node);

/* Add a node of the target; @name is relative to /dev. */
void holders_add_node(struct holder_scan *scan, const struct holder_node *node);

/* The parts of a scan, in this order. */
void holders_walk(struct holder_scan *scan, size_t target);
void holders_read_blocks(struct holder_scan *scan);
void holders_read_char_exports(struct holder_scan *scan);
void holders_read_networks(struct holder_scan *scan);
void holders_read_consoles(struct holder_scan *scan);
void holders_read_processes(struct holder_scan *scan);
/* what the process scan left unexplained: filesystems mounted out of sight, sockets without owner
 */
void holders_read_rest(struct holder_scan *scan);

#endif
