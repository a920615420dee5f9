/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The block stack: from the disks of a function up through partitions and the
 * "holders" links that the kernel keeps for dm, md and others, through loop devices on
 * files of a filesystem, to mounts and swap.
 */
#include "pci/holders/block.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/text.h"

/* ---- names ---- */

const char *holders_block_of_path(struct holder_scan *scan, const char *path)
{
	char name[256];
	struct stat st;
	unsigned int i;

	if (strncmp(path, "/dev/", 5) != 0 || !text_copy(name, sizeof(name), path + 5))
		return NULL;
	/* the kernel's own name, or a link of udev's to it: mapper/x, vg/lv, disk/by-uuid/… */
	for (i = 0; i < 4; i++) {
		char kernel[256], *p;

		(void)text_copy(kernel, sizeof(kernel), name);
		for (p = kernel; (p = strchr(p, '/'));)
			*p = '!';
		if (*kernel && kernel[0] != '.' &&
		    holders_exists(scan, "sys/class/block/%s", kernel))
			return holders_text(scan, "%s", kernel);
		if (!holders_read_link(scan, kernel, sizeof(kernel), "dev/%s", name))
			break;
		(void)text_copy(name, sizeof(name), kernel);
	}
	/* or a node under another name */
	if (!scan->has_procfs || fstatat(scan->host->root_fd, path + 1, &st, 0) < 0 ||
	    !S_ISBLK(st.st_mode) ||
	    !holders_read_link(scan, name, sizeof(name), "sys/dev/block/%u:%u", major(st.st_rdev),
			       minor(st.st_rdev)))
		return NULL;
	return holders_text(scan, "%s", name);
}

/* "dm-0 (vg0-root)", "md0 (raid1)" */
static const char *label(struct holder_scan *scan, const struct block_place *place)
{
	char text[512];

	if (holders_read_file(scan, text, sizeof(text), "sys/class/block/%s/dm/name",
			      place->name) ||
	    holders_read_file(scan, text, sizeof(text), "sys/class/block/%s/md/level",
			      place->name) ||
	    holders_read_file(scan, text, sizeof(text), "sys/class/block/%s/loop/backing_file",
			      place->name))
		return *text ? holders_text(scan, "%s (%s)", place->name, text) : place->name;
	return *place->note ? holders_text(scan, "%s (%s)", place->name, place->note) : place->name;
}

/* The volume group of "my--vg-root": '-' divides, "--" is a '-' of the name. */
static const char *volume_group(struct holder_scan *scan, const char *dm_name)
{
	char group[256];
	size_t i, to = 0;

	for (i = 0; dm_name[i] && to < sizeof(group) - 1; i++) {
		if (dm_name[i] == '-') {
			i++;
			if (dm_name[i] != '-')
				break;
		}
		group[to++] = dm_name[i];
	}
	group[to] = '\0';
	return holders_quote(scan, holders_text(scan, "%s", group));
}

/* What takes a layer apart that nothing uses. */
static const char *layer_advice(struct holder_scan *scan, const char *name)
{
	char text[512], uuid[512];

	if (holders_read_file(scan, text, sizeof(text), "sys/class/block/%s/dm/name", name)) {
		const char *quoted = holders_quote(scan, holders_text(scan, "%s", text));

		if (!holders_read_file(scan, uuid, sizeof(uuid), "sys/class/block/%s/dm/uuid",
				       name))
			*uuid = '\0';
		if (!strncmp(uuid, "LVM-", 4))
			return holders_text(scan, "vgchange -an %s", volume_group(scan, text));
		if (!strncmp(uuid, "CRYPT-", 6))
			return holders_text(scan, "cryptsetup close %s", quoted);
		if (!strncmp(uuid, "mpath-", 6))
			return holders_text(scan, "multipath -f %s", quoted);
		return holders_text(scan, "dmsetup remove %s", quoted);
	}
	if (holders_exists(scan, "sys/class/block/%s/md", name))
		return holders_text(scan, "mdadm --stop /dev/%s", name);
	if (!strncmp(name, "bcache", 6))
		return holders_text(scan, "echo 1 > /sys/block/%s/bcache/stop", name);
	if (!strncmp(name, "loop", 4))
		return holders_text(scan, "losetup -d /dev/%s", name);
	if (!strncmp(name, "zram", 4))
		return holders_text(scan, "zramctl --reset /dev/%s", name);
	return "";
}

/* ---- what is mounted and in use on this machine, read once a scan ---- */

static void read_mounts(struct block_scan *blocks, char *text)
{
	struct mount_line line;

	while (text && mount_next(&text, &line)) {
		const char *source = NULL;

		/* btrfs and others have no device number of their own, so the source must tell */
		if (line.major == 0 && line.source[0] == '/')
			source = holders_block_of_path(blocks->scan, line.source);
		HOLDERS_APPEND(blocks->scan, blocks->mounts, blocks->mount_count,
			       {.line = line, .source_block = source});
	}
}

/* The mount that a file lies on: the deepest mount point above it, the last one made there. */
static const struct block_mount *mount_of_path(const struct block_scan *blocks, const char *path)
{
	const struct block_mount *best = NULL;
	size_t i, best_length = 0;

	for (i = 0; i < blocks->mount_count; i++) {
		const char *point = blocks->mounts[i].line.point;
		size_t length = strcmp(point, "/") != 0 ? strlen(point) : 0;

		if (strncmp(path, point, length) != 0 || path[length] != '/')
			continue;
		if (!best || length >= best_length) {
			best = &blocks->mounts[i];
			best_length = length;
		}
	}
	return best;
}

static struct block_user user_of_path(struct block_scan *blocks, const char *name, const char *path)
{
	struct block_user user = {.name = name, .path = path};

	user.block = holders_block_of_path(blocks->scan, path);
	if (!user.block)
		user.mount = mount_of_path(blocks, path);
	return user;
}

static void read_swaps(struct block_scan *blocks, char *text)
{
	const char *path;

	while (text && swap_next(&text, &path))
		HOLDERS_APPEND(blocks->scan, blocks->swaps, blocks->swap_count,
			       user_of_path(blocks, NULL, path));
}

static void read_loops(struct block_scan *blocks)
{
	struct holder_scan *scan = blocks->scan;
	const char *const *name;
	char path[4096];

	for (name = holders_list(scan, "sys/class/block"); *name; name++) {
		bool is_used = false;

		if (!strncmp(*name, "loop", 4))
			is_used = holders_read_file(scan, path, sizeof(path),
						    "sys/class/block/%s/loop/backing_file", *name);
		else if (!strncmp(*name, "zram", 4))
			is_used = holders_read_file(scan, path, sizeof(path),
						    "sys/class/block/%s/backing_dev", *name);
		if (is_used && path[0] == '/')
			HOLDERS_APPEND(scan, blocks->loops, blocks->loop_count,
				       user_of_path(blocks, *name, holders_text(scan, "%s", path)));
	}
}

/* ---- going up ---- */

static bool was_seen(struct block_scan *blocks, const struct block_place *place)
{
	size_t i;

	for (i = 0; i < blocks->seen_count; i++)
		if (blocks->seen[i].target == place->target &&
		    !strcmp(blocks->seen[i].name, place->name))
			return true;
	HOLDERS_APPEND(blocks->scan, blocks->seen, blocks->seen_count,
		       {.target = place->target, .name = place->name});
	return false;
}

/*
 * "sb-vfat:sda1-42": every mounted filesystem has a shrinker, which a kernel with
 * CONFIG_SHRINKER_DEBUG shows (Linux 6.0: shrinker_debugfs_rename()).
 */
static const char *shrinker_type(struct block_scan *blocks, const char *name)
{
	const char *const *entry;
	size_t length = strlen(name);

	for (entry = blocks->shrinkers; *entry; entry++) {
		const char *type = *entry + 3, *device = strchr(*entry, ':');

		if (!strncmp(*entry, "sb-", 3) && device && !strncmp(device + 1, name, length) &&
		    device[1 + length] == '-')
			return holders_text(blocks->scan, "%.*s", (int)(device - type), type);
	}
	return NULL;
}

/* The type of the filesystem that the kernel has mounted from a device, in any namespace. */
static const char *mounted_type(struct block_scan *blocks, const char *name, const char **ret_uuid)
{
	static const char *const types[] = {"ext4", "xfs", "f2fs", "erofs", "nilfs2", "zonefs"};
	const char *const *uuid;
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (holders_exists(blocks->scan, "sys/fs/%s/%s", types[i], name))
			return types[i];
	if (holders_exists(blocks->scan, "proc/fs/ntfs3/%s", name))
		return "ntfs3";
	for (uuid = blocks->btrfs; *uuid; uuid++) {
		if (!holders_exists(blocks->scan, "sys/fs/btrfs/%s/devices/%s", *uuid, name))
			continue;
		*ret_uuid = *uuid;
		return "btrfs";
	}
	return shrinker_type(blocks, name);
}

/* "/dev/sda:/dev/sdb" and "rw,logdev=/dev/sdc": a device among others in a text. */
static bool names_block(struct holder_scan *scan, const char *text, const char *key,
			const char *dividers, const char *name)
{
	while (*text) {
		size_t length = strcspn(text, dividers), skip = strlen(key);

		if (length > skip && !strncmp(text, key, skip)) {
			const char *block = holders_block_of_path(
				scan,
				holders_text(scan, "%.*s", (int)(length - skip), text + skip));

			if (block && !strcmp(block, name))
				return true;
		}
		text += length;
		text += *text != '\0';
	}
	return false;
}

static bool is_mount_on(struct block_scan *blocks, const struct block_mount *mount,
			const struct block_place *place, const char *uuid)
{
	const struct mount_line *line = &mount->line;
	struct holder_scan *scan = blocks->scan;

	if (line->major)
		return (line->major == place->major && line->minor == place->minor) ||
		       (!strcmp(line->type, "xfs") &&
			(names_block(scan, line->options, "logdev=", ",", place->name) ||
			 names_block(scan, line->options, "rtdev=", ",", place->name)));
	if (mount->source_block && !strcmp(mount->source_block, place->name))
		return true;
	if (mount->source_block && uuid && !strcmp(line->type, "btrfs"))
		return holders_exists(scan, "sys/fs/btrfs/%s/devices/%s", uuid,
				      mount->source_block);
	return !strcmp(line->type, "bcachefs") &&
	       names_block(scan, line->source, "", ":", place->name);
}

void holders_add_mount(struct holder_scan *scan, size_t target, const char *point,
		       const char *through)
{
	const char *what = holders_text(scan, "%s", point);

	/* nothing frees the device that the host itself runs from */
	holders_add(scan, target, PT_HOLDER_FILESYSTEM, 0, what, through,
		    strcmp(point, "/") != 0
			    ? holders_text(scan, "umount %s", holders_quote(scan, what))
			    : "");
}

static void add_swap(struct block_scan *blocks, const struct block_place *place,
		     const struct block_user *swap)
{
	struct holder_scan *scan = blocks->scan;
	const char *what = holders_text(scan, "%s", swap->path);

	holders_add(scan, place->target, PT_HOLDER_SWAP, 0, what, place->chain,
		    holders_text(scan, "swapoff %s", holders_quote(scan, what)));
}

static void expand_loop(struct block_scan *blocks, const struct block_place *place,
			const struct block_user *loop)
{
	(void)holders_expand_block(blocks, &(struct block_place){.target = place->target,
								 .name = loop->name,
								 .note = "",
								 .before = place->chain,
								 .depth = place->depth + 1,
								 .is_layer = true});
}

/* Swap and loop devices: on the device itself, or on a file of the filesystem @mount of it. */
static bool add_users(struct block_scan *blocks, const struct block_place *place,
		      const struct block_mount *mount)
{
	bool is_used = false;
	size_t i;

	for (i = 0; i < blocks->swap_count; i++) {
		const struct block_user *swap = &blocks->swaps[i];

		if (mount ? swap->mount != mount : !text_equal(swap->block, place->name))
			continue;
		add_swap(blocks, place, swap);
		is_used = true;
	}
	for (i = 0; i < blocks->loop_count; i++) {
		const struct block_user *loop = &blocks->loops[i];

		if (mount ? loop->mount != mount : !text_equal(loop->block, place->name))
			continue;
		expand_loop(blocks, place, loop);
		is_used = true;
	}
	return is_used;
}

static bool add_mounts(struct block_scan *blocks, const struct block_place *place,
		       struct holder_node *node)
{
	const char *uuid = NULL;
	bool is_mounted = false;
	size_t i;

	node->filesystem = mounted_type(blocks, place->name, &uuid);
	for (i = 0; i < blocks->mount_count; i++) {
		const struct block_mount *mount = &blocks->mounts[i];

		if (!is_mount_on(blocks, mount, place, uuid))
			continue;
		is_mounted = true;
		holders_add_mount(blocks->scan, place->target, mount->line.point, place->chain);
		(void)add_users(blocks, place, mount);
	}
	return is_mounted;
}

static bool expand_uppers(struct block_scan *blocks, const struct block_place *place)
{
	const char *const *names =
		holders_list(blocks->scan, "sys/class/block/%s/holders", place->name);
	struct block_place upper = {.target = place->target,
				    .note = "",
				    .before = place->chain,
				    .depth = place->depth + 1,
				    .is_layer = true};
	size_t i;

	for (i = 0; names[i]; i++) {
		upper.name = names[i];
		(void)holders_expand_block(blocks, &upper);
	}
	return i > 0;
}

static bool expand_partitions(struct block_scan *blocks, const struct block_place *place)
{
	const char *const *name = holders_list(blocks->scan, "sys/class/block/%s", place->name);
	/* "nvme0n1p2" says by itself that it is on nvme0n1 */
	struct block_place partition = {.target = place->target,
					.note = place->note,
					.before = place->before,
					.depth = place->depth + 1};
	size_t length = strlen(place->name);
	bool is_used = false;

	for (; *name; name++) {
		if (strncmp(*name, place->name, length) != 0 ||
		    !holders_exists(blocks->scan, "sys/class/block/%s/%s/partition", place->name,
				    *name))
			continue;
		partition.name = *name;
		is_used |= holders_expand_block(blocks, &partition);
	}
	return is_used;
}

bool holders_expand_block(struct block_scan *blocks, const struct block_place *from)
{
	struct holder_scan *scan = blocks->scan;
	struct block_place place = *from;
	struct holder_node node = {.target = place.target, .is_block = true, .name = place.name};
	const char *text;
	char numbers[32];
	bool is_used;

	if (was_seen(blocks, &place) || scan->error)
		return true;
	if (place.depth > HOLDERS_DEPTH_MAX) {
		holders_unseen(scan, place.target, "all devices stacked on it (too many levels)");
		return true;
	}
	/* found below the function, and not there: hidden, or it has just gone */
	if (!holders_read_file(scan, numbers, sizeof(numbers), "sys/class/block/%s/dev",
			       place.name) ||
	    sscanf(numbers, "%u:%u", &place.major, &place.minor) != 2) {
		holders_unseen(scan, place.target,
			       holders_text(scan, "/sys/class/block/%s (check: findmnt -R /sys)",
					    place.name));
		return false;
	}
	text = label(scan, &place);
	place.chain = holders_chain(scan, place.before, text);
	node.major = place.major;
	node.minor = place.minor;
	node.through = place.chain;
	is_used = add_mounts(blocks, &place, &node);
	is_used |= holders_read_storage(blocks, &place, &node);
	is_used |= add_users(blocks, &place, NULL);
	is_used |= expand_uppers(blocks, &place);
	is_used |= expand_partitions(blocks, &place);
	/* a filesystem without a mount is mounted out of sight: process.c looks for it */
	node.is_settled = is_used;
	node.is_quiet = !is_used && !node.filesystem && holders_may_be_quiet(scan, &node);
	is_used |= node.filesystem != NULL;
	holders_add_node(scan, &node);
	if (!is_used && place.is_layer)
		holders_add(scan, place.target, PT_HOLDER_STORAGE, 0, text, place.before,
			    layer_advice(scan, place.name));
	return is_used || place.is_layer;
}

/*
 * A filesystem that a virtio device shares by its tag (9p, virtiofs). Nothing but a mount
 * shows that it is in use, and that can be out of sight.
 */
static void add_share(struct block_scan *blocks, const struct holder_share *share)
{
	struct holder_scan *scan = blocks->scan;
	bool is_mounted = false;
	size_t i;

	for (i = 0; i < blocks->mount_count; i++) {
		const struct mount_line *line = &blocks->mounts[i].line;

		if ((strcmp(line->type, "9p") != 0 && strcmp(line->type, "virtiofs") != 0) ||
		    strcmp(line->source, share->tag) != 0)
			continue;
		is_mounted = true;
		holders_add_mount(scan, share->target, line->point,
				  scan->targets[share->target].prefix);
	}
	if (!is_mounted)
		holders_unseen(scan, share->target,
			       holders_text(scan, "whether its share %s is mounted", share->tag));
}

void holders_read_blocks(struct holder_scan *scan)
{
	struct block_scan blocks = {.scan = scan};
	AUTO_FREE char *mounts = NULL, *swaps = NULL;
	size_t i;

	if (!scan->block_count && !scan->share_count)
		return;
	/* process 1 sees the host's mounts also when this process has some of its own */
	mounts = holders_read_proc(scan, "proc/1/mountinfo");
	if (!mounts)
		mounts = holders_read_proc(scan, "proc/self/mountinfo");
	swaps = holders_read_proc(scan, "proc/swaps");
	blocks.btrfs = holders_list(scan, "sys/fs/btrfs");
	blocks.shrinkers = holders_list(scan, "sys/kernel/debug/shrinker");
	blocks.pools = holders_list(scan, "proc/spl/kstat/zfs");
	read_mounts(&blocks, mounts);
	read_swaps(&blocks, swaps);
	read_loops(&blocks);
	for (i = 0; i < scan->target_count; i++)
		if (!mounts)
			holders_unseen(scan, i, "the mounts of this machine (/proc/1/mountinfo)");
	for (i = 0; i < scan->block_count; i++) {
		const struct holder_block *block = &scan->blocks[i];

		(void)holders_expand_block(
			&blocks,
			&(struct block_place){.target = block->target,
					      .name = block->name,
					      .note = block->note,
					      .before = scan->targets[block->target].prefix});
	}
	for (i = 0; i < scan->share_count; i++)
		add_share(&blocks, &scan->shares[i]);
	free(blocks.mounts);
	free(blocks.swaps);
	free(blocks.loops);
	free(blocks.seen);
}
