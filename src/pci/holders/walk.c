/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What lies below a function in sysfs. Everything a driver makes of a device is
 * a directory below the device's, with a uevent file that names the node in /dev
 * or the interface. What doesn't lie there is looked for by name: the heads of NVMe
 * multipath, the group's VFIO node, nodes of a driver that keeps out of sysfs.
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
#include "pci/holders/scan.h"
#include "pci/holders/text.h"
#include "pci/sysfs.h"

/* Directories of attributes, never of devices; some have thousands of entries. */
static const char *const skipped[] = {
	"counters", "gid_attrs", "gids",     "holders",	   "hw_counters", "integrity",
	"iosched",  "mq",	 "msi_irqs", "pkeys",	   "ports",	  "power",
	"queue",    "queues",	 "slaves",   "statistics", "trace",	  "wakeup",
};

static bool is_skipped(const char *name)
{
	size_t i;

	if (name[0] == '.')
		return true;
	for (i = 0; i < sizeof(skipped) / sizeof(*skipped); i++)
		if (!strcmp(name, skipped[i]))
			return true;
	return false;
}

static bool holders_read_number(const char *uevent, const char *key, unsigned int *ret_value)
{
	char text[16];
	uint64_t value;

	if (!text_find_value(uevent, key, text, sizeof(text)) ||
	    text_parse_number(text, 10, UINT32_MAX, &value) < 0)
		return false;
	*ret_value = (unsigned int)value;
	return true;
}

/* A char node below the function, as its uevent tells. */
static void add_char(struct holder_scan *scan, size_t target, const char *subsystem,
		     const char *uevent)
{
	struct holder_node node = {.target = target};
	char name[256];

	if (!holders_read_number(uevent, "MAJOR", &node.major) ||
	    !holders_read_number(uevent, "MINOR", &node.minor))
		return;
	if (!text_find_value(uevent, "DEVNAME", name, sizeof(name)))
		return;
	if (!strcmp(subsystem, "input"))
		node.use = NODE_INPUT;
	else if (!strcmp(subsystem, "vfio-dev"))
		node.use = NODE_VFIO;
	node.name = holders_text(scan, "%s", name);
	node.through = holders_chain(scan, scan->targets[target].prefix,
				     holders_text(scan, "/dev/%s", name));
	holders_add_node(scan, &node);
}

static void add_block(struct holder_scan *scan, size_t target, const char *name, const char *note)
{
	HOLDERS_APPEND(scan, scan->blocks, scan->block_count,
		       {.target = target, .name = holders_text(scan, "%s", name), .note = note});
}

/* How many controllers lead to a namespace. */
static unsigned int count_paths(struct holder_scan *scan, unsigned int subsystem, unsigned int head)
{
	const char *const *name =
		holders_list(scan, "sys/class/nvme-subsystem/nvme-subsys%u", subsystem);
	unsigned int controller, count = 0;

	for (; *name; name++)
		if (sscanf(*name, "nvme%u", &controller) == 1 &&
		    holders_exists(scan, "sys/class/nvme-subsystem/nvme-subsys%u/%s/nvme%uc%un%u",
				   subsystem, *name, subsystem, controller, head))
			count++;
	return count;
}

/*
 * nvme0c1n2 is the way to namespace 2 of subsystem 0 through controller 1: a hidden
 * disk, whose users see nvme0n2, a virtual device that may have other ways too.
 */
static void add_multipath(struct holder_scan *scan, size_t target, const char *path_name)
{
	unsigned int subsystem, controller, head, count;
	char name[64], uevent[1024];
	int end = 0;

	if (sscanf(path_name, "nvme%uc%un%u%n", &subsystem, &controller, &head, &end) != 3 ||
	    path_name[end])
		return;
	(void)text_format(name, sizeof(name), "nvme%un%u", subsystem, head);
	count = count_paths(scan, subsystem, head);
	add_block(scan, target, name,
		  count > 1 ? holders_text(scan, "one of %u paths", count) : "");
	if (holders_read_file(scan, uevent, sizeof(uevent), "sys/class/nvme-generic/ng%un%u/uevent",
			      subsystem, head))
		add_char(scan, target, "nvme-generic", uevent);
}

/* A USB device that usbip-host gives to another machine: no node of it is open here. */
static void add_usbip(struct holder_scan *scan, size_t target, int fd, const char *name)
{
	char driver[64];

	if (io_read_link_word_at(fd, "driver", driver, sizeof(driver)) < 0 ||
	    strcmp(driver, "usbip-host") != 0)
		return;
	holders_add(scan, target, PT_HOLDER_STORAGE, 0,
		    holders_text(scan, "USB device %s, exported by usbip-host", name),
		    scan->targets[target].prefix,
		    holders_text(scan, "usbip unbind -b %s", holders_quote(scan, name)));
}

static void classify(struct holder_scan *scan, size_t target, int fd, const char *name,
		     const char *uevent)
{
	char base[64], word[256];

	if (io_read_link_word_at(fd, "subsystem", base, sizeof(base)) < 0)
		return;
	if (!strcmp(base, "block")) {
		if (text_find_value(uevent, "MAJOR", word, sizeof(word)))
			add_block(scan, target, name, "");
		else
			add_multipath(scan, target, name);
		return;
	}
	if (!strcmp(base, "net")) {
		scan->targets[target].has_interface = true;
		HOLDERS_APPEND(scan, scan->interfaces, scan->interface_count,
			       {.target = target, .name = holders_text(scan, "%s", name)});
		return;
	}
	if (!strcmp(base, "usb"))
		add_usbip(scan, target, fd, text_base(name));
	if (!strcmp(base, "infiniband"))
		scan->targets[target].has_interface = true;
	if (!strcmp(base, "virtio") && io_read_text_at(fd, "mount_tag", word, sizeof(word)) > 0)
		HOLDERS_APPEND(scan, scan->shares, scan->share_count,
			       {.target = target, .tag = holders_text(scan, "%s", word)});
	/* what has an input device or a serial port open is told by its driver that it is gone */
	if (!scan->targets[target].usb || !strcmp(base, "usb"))
		add_char(scan, target, base, uevent);
}

static void add_vfio(struct holder_scan *scan, size_t target, const char *name, const char *through)
{
	struct holder_node node = {.target = target, .use = NODE_VFIO, .through = through};
	const char *base = strrchr(name, '/');
	char numbers[32];

	if (!holders_read_file(scan, numbers, sizeof(numbers), "sys/class/%s/%s/dev",
			       !strncmp(name, "vfio/devices/", 13) ? "vfio-dev" : "vfio",
			       base + 1) ||
	    sscanf(numbers, "%u:%u", &node.major, &node.minor) != 2)
		return;
	node.name = name;
	holders_add_node(scan, &node);
}

/*
 * A mediated device below the function has an IOMMU group of its own, which guests open: emulated,
 * without an IOMMU (drivers/vfio/group.c: VFIO_EMULATED_IOMMU). Its parent's driver can't be
 * unbound until they close it.
 */
static void add_nested_group(struct holder_scan *scan, size_t target, int fd, const char *name)
{
	char link[256];
	const char *group, *through;
	ssize_t length = readlinkat(fd, "iommu_group", link, sizeof(link) - 1);

	if (length <= 0)
		return;
	link[length] = '\0';
	group = text_base(link);
	through = holders_chain(scan, scan->targets[target].prefix,
				holders_text(scan, "%s > IOMMU group %s", name, group));
	add_vfio(scan, target, holders_text(scan, "vfio/%s", group), through);
	add_vfio(scan, target, holders_text(scan, "vfio/noiommu-%s", group), through);
}

static bool is_directory(int fd, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* @depth 0: the function itself, which is reached through a link, as nothing below it is. */
static void walk(struct holder_scan *scan, size_t target, int parent_fd, const char *path,
		 unsigned int depth)
{
	bool is_device = depth || scan->targets[target].usb;
	AUTO_DIR DIR *dir = NULL;
	struct dirent *entry;
	char uevent[4096];
	ssize_t length;
	int fd, r = depth ? io_open_own_directory_at(parent_fd, path, &dir)
			  : io_open_directory_at(parent_fd, path, &dir);

	holders_failed(scan, r);
	if (r < 0)
		return;
	fd = dirfd(dir);
	if (fd < 0)
		return;
	length = is_device ? io_read_text_at(fd, "uevent", uevent, sizeof(uevent)) : -ENOENT;
	holders_failed(scan, (int)length);
	if (length >= 0) {
		classify(scan, target, fd, path, uevent);
		add_nested_group(scan, target, fd, path);
	}
	if (depth == HOLDERS_DEPTH_MAX) {
		holders_unseen(scan, target, "everything below it in sysfs (too many levels)");
		return;
	}
	while (!scan->error && (entry = readdir(dir)))
		if (!is_skipped(entry->d_name) && is_directory(fd, entry))
			walk(scan, target, fd, entry->d_name, depth + 1);
}

/*
 * A process that has any member of the group open has the group. Groups have a node while a
 * member is on a VFIO driver; since Linux 6.6 each member can have one too.
 */
static void add_group(struct holder_scan *scan, size_t target)
{
	const struct pt_address *address = &scan->targets[target].address;
	const char *through, *const *member, *const *name;
	char group[32], device[PT_ADDRESS_TEXT];

	if (sysfs_read_link(scan->host, address, "iommu_group", group, sizeof(group)) < 0)
		return;
	pt_address_format(address, device);
	through = holders_chain(scan, scan->targets[target].prefix,
				holders_text(scan, "IOMMU group %s", group));
	add_vfio(scan, target, holders_text(scan, "vfio/%s", group), through);
	add_vfio(scan, target, holders_text(scan, "vfio/noiommu-%s", group), through);
	for (member = holders_list(scan, "sys/kernel/iommu_groups/%s/devices", group); *member;
	     member++) {
		/* its own node was found below it */
		if (!strcmp(*member, device))
			continue;
		name = holders_list(scan, "sys/kernel/iommu_groups/%s/devices/%s/vfio-dev", group,
				    *member);
		for (; *name; name++)
			add_vfio(scan, target, holders_text(scan, "vfio/devices/%s", *name),
				 through);
	}
}

/* NVIDIA's own driver registers its nodes outside sysfs, and tells which is whose in /proc. */
static void add_nvidia(struct holder_scan *scan, size_t target)
{
	const struct holder_target *t = &scan->targets[target];
	char text[4096], address[PT_ADDRESS_TEXT];
	struct holder_node node = {.target = target, .major = 195};
	const char *line;

	if (!holders_read_file(scan, text, sizeof(text), "proc/driver/nvidia/gpus/%s/information",
			       pt_address_format(&t->address, address)))
		return;
	line = strstr(text, "Device Minor:");
	if (!line || sscanf(line, "Device Minor: %u", &node.minor) != 1)
		return;
	node.name = holders_text(scan, "nvidia%u", node.minor);
	node.through = holders_chain(scan, t->prefix, holders_text(scan, "/dev/%s", node.name));
	holders_add_node(scan, &node);
}

/* libpciaccess, flashrom, mstflint, DPDK and others map the BARs of a function through sysfs. */
static void find_bars(struct holder_scan *scan, size_t target)
{
	char device[PT_ADDRESS_TEXT];
	unsigned int i;

	pt_address_format(&scan->targets[target].address, device);
	for (i = 0; i < HOLDERS_BARS && !scan->targets[target].has_bars; i++)
		scan->targets[target].has_bars =
			holders_exists(scan, "sys/bus/pci/devices/%s/resource%u", device, i);
	scan->has_bars |= scan->targets[target].has_bars;
}

void holders_walk(struct holder_scan *scan, size_t target)
{
	const char *usb = scan->targets[target].usb;
	char path[SYSFS_PATH];

	if (usb) {
		walk(scan, target, scan->host->root_fd,
		     holders_text(scan, "sys/bus/usb/devices/%s", usb), 0);
		return;
	}
	if (sysfs_device_path(path, &scan->targets[target].address, "") < 0)
		return;
	walk(scan, target, scan->host->root_fd, path, 0);
	add_group(scan, target);
	add_nvidia(scan, target);
	find_bars(scan, target);
}
