/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The block stack, shared by block.c (what is built on a device) and storage.c. */
#ifndef PCI_HOLDERS_BLOCK_H
#define PCI_HOLDERS_BLOCK_H

#include "pci/holders/scan.h"
#include "pci/holders/text.h"

struct block_mount {
	struct mount_line line;
	const char *source_block; /* kernel name of its source; NULL: none, or not needed */
};

/* A device or file in use by its path: a swap area, a loop device, the disk behind a zram. */
struct block_user {
	const char *name; /* "loop0", "zram0"; NULL for swap */
	const char *path;
	const char *block;		 /* kernel name, when @path is a device */
	const struct block_mount *mount; /* where it is, when @path is a file */
};

struct block_scan {
	struct holder_scan *scan;
	struct block_mount *mounts;
	size_t mount_count;
	struct block_user *swaps;
	size_t swap_count;
	struct block_user *loops;
	size_t loop_count;
	struct holder_block *seen;
	size_t seen_count;
	const char *const *btrfs;     /* UUIDs of mounted btrfs */
	const char *const *shrinkers; /* debugfs's names of them */
	const char *const *pools;     /* names of imported zpools */
};

/* One block device on the way up from the function. */
struct block_place {
	size_t target;
	const char *name;   /* the kernel's */
	const char *note;   /* see struct holder_block */
	const char *before; /* the chain that leads to it */
	const char *chain;  /* that chain and this device */
	unsigned int major;
	unsigned int minor;
	unsigned int depth;
	bool is_layer; /* built on another device, not the function's own */
};

/* Look at a block device and what is built on it; true when anything uses it. */
bool holders_expand_block(struct block_scan *blocks, const struct block_place *place);

/* Kernel name of the block device at a path below /dev; NULL when it is none. */
const char *holders_block_of_path(struct holder_scan *scan, const char *path);

/* Targets of the kernel that export a node; true if there are any. */
bool holders_read_exports(struct holder_scan *scan, const struct holder_node *node);

/* A mount as a holder. */
void holders_add_mount(struct holder_scan *scan, size_t target, const char *point,
		       const char *through);

/* Holders of the device without a link in sysfs; true if there are any. */
bool holders_read_storage(struct block_scan *blocks, const struct block_place *place,
			  struct holder_node *node);

#endif
