/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Users of a block device that leave no "holders" link: ZFS, bcache's cache
 * devices, bcachefs, external journals. Targets that export the device: export.c.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "pci/holders/block.h"

static void add_storage(struct block_scan *blocks, const struct block_place *place,
			const char *what, const char *advice)
{
	holders_add(blocks->scan, place->target, PT_HOLDER_STORAGE, 0, what, place->chain, advice);
}

/* Mounts of a pool's datasets: "tank", "tank/home". */
static void add_datasets(struct block_scan *blocks, const struct block_place *place,
			 const char *pool)
{
	const char *chain = holders_chain(blocks->scan, place->chain,
					  holders_text(blocks->scan, "zpool %s", pool));
	size_t i, length = strlen(pool);

	for (i = 0; i < blocks->mount_count; i++) {
		const struct mount_line *line = &blocks->mounts[i].line;

		if (!strcmp(line->type, "zfs") && !strncmp(line->source, pool, length) &&
		    (line->source[length] == '/' || !line->source[length]))
			holders_add_mount(blocks->scan, place->target, line->point, chain);
	}
}

/*
 * The kernel doesn't tell which devices a pool is made of. udev's database tells of each
 * device whether it holds part of a pool, and the pool's name; the kernel, whether a
 * pool of that name is imported. Without udev's word it stays unknown.
 */
static bool read_zpool(struct block_scan *blocks, const struct block_place *place)
{
	struct holder_scan *scan = blocks->scan;
	char database[16384], type[64], pool[256];
	bool has_pools = false;
	size_t i;

	for (i = 0; blocks->pools[i] && !has_pools; i++)
		has_pools = holders_exists(scan, "proc/spl/kstat/zfs/%s/state", blocks->pools[i]);
	if (!has_pools)
		return false;
	if (!holders_read_file(scan, database, sizeof(database), "run/udev/data/b%u:%u",
			       place->major, place->minor)) {
		holders_unseen(scan, place->target,
			       "its storage pool (udev's database has no entry)");
		return false;
	}
	if (!text_find_value(database, "E:ID_FS_TYPE", type, sizeof(type)) ||
	    strcmp(type, "zfs_member") != 0 ||
	    !text_find_value(database, "E:ID_FS_LABEL", pool, sizeof(pool)) || strchr(pool, '/') ||
	    !holders_exists(scan, "proc/spl/kstat/zfs/%s/state", pool))
		return false;
	add_datasets(blocks, place, pool);
	add_storage(blocks, place, holders_text(scan, "zpool %s", pool),
		    holders_text(scan, "zpool export %s",
				 holders_quote(scan, holders_text(scan, "%s", pool))));
	return true;
}

/* A device that caches others: what is built on those goes through it. */
static bool read_bcache(struct block_scan *blocks, const struct block_place *place)
{
	struct holder_scan *scan = blocks->scan;
	struct block_place upper = {
		.target = place->target, .note = "", .depth = place->depth + 1, .is_layer = true};
	const char *const *name;
	char set[64], device[64];
	bool has_devices = false;

	if (!holders_read_link(scan, set, sizeof(set), "sys/class/block/%s/bcache/set",
			       place->name))
		return false;
	upper.before =
		holders_chain(scan, place->chain, holders_text(scan, "bcache cache set %s", set));
	for (name = holders_list(scan, "sys/fs/bcache/%s", set); *name; name++) {
		if (strncmp(*name, "bdev", 4) != 0 ||
		    !holders_read_link(scan, device, sizeof(device), "sys/fs/bcache/%s/%s/dev", set,
				       *name))
			continue;
		upper.name = holders_text(scan, "%s", device);
		(void)holders_expand_block(blocks, &upper);
		has_devices = true;
	}
	if (!has_devices)
		add_storage(blocks, place, holders_text(scan, "bcache cache set %s", set),
			    holders_text(scan, "echo 1 > /sys/fs/bcache/%s/stop", set));
	return true;
}

static bool read_journal(struct block_scan *blocks, const struct block_place *place)
{
	/* a journal inside its filesystem is "NAME-INODE" here */
	if (!holders_exists(blocks->scan, "proc/fs/jbd2/%s", place->name))
		return false;
	add_storage(blocks, place, "the journal of a filesystem on another device",
		    "unmount that filesystem");
	return true;
}

/* bcachefs lists its devices by number; the link tells which they are. */
static void read_bcachefs(struct block_scan *blocks, const struct block_place *place,
			  struct holder_node *node)
{
	struct holder_scan *scan = blocks->scan;
	const char *const *uuid, *const *member;
	char device[256];

	for (uuid = holders_list(scan, "sys/fs/bcachefs"); *uuid; uuid++)
		for (member = holders_list(scan, "sys/fs/bcachefs/%s", *uuid); *member; member++)
			if (!strncmp(*member, "dev-", 4) &&
			    holders_read_link(scan, device, sizeof(device),
					      "sys/fs/bcachefs/%s/%s/block", *uuid, *member) &&
			    !strcmp(device, place->name))
				node->filesystem = "bcachefs";
}

bool holders_read_storage(struct block_scan *blocks, const struct block_place *place,
			  struct holder_node *node)
{
	bool is_used = read_zpool(blocks, place);

	is_used |= read_bcache(blocks, place);
	is_used |= read_journal(blocks, place);
	is_used |= holders_read_exports(blocks->scan, node);
	read_bcachefs(blocks, place, node);
	return is_used;
}
