/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/nodes.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <libudev.h>
#include <limits.h>
#include <passthru/nodedev.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"

#define EXTRA 256 /* the part of a name after subsystem and entry */

/*
 * Where entries of each kind are, and what tells the kinds of one folder apart: the first
 * row whose prefix, and the character it must hold or must not, match.
 */
static const struct source {
	enum node_kind kind;
	const char *word;
	unsigned int flag; /* of virConnectListAllNodeDevices */
	const char *subsystem;
	const char *folder;
	const char *prefix;
	char holds, lacks;
} sources[NODE_KIND_COUNT] = {
	{NODE_SYSTEM, "system", 1 << 0, NULL, NULL, "", 0, 0},
	{NODE_PCI, "pci", 1 << 1, "pci", "sys/bus/pci/devices", "", ':', 0},
	{NODE_USB_DEVICE, "usb_device", 1 << 2, "usb", "sys/bus/usb/devices", "", 0, ':'},
	{NODE_USB_INTERFACE, "usb", 1 << 3, "usb", "sys/bus/usb/devices", "", ':', 0},
	{NODE_NET, "net", 1 << 4, "net", "sys/class/net", "", 0, 0},
	{NODE_SCSI_HOST, "scsi_host", 1 << 5, "scsi", "sys/bus/scsi/devices", "host", 0, ':'},
	{NODE_SCSI_TARGET, "scsi_target", 1 << 6, "scsi", "sys/bus/scsi/devices", "target", ':', 0},
	{NODE_SCSI, "scsi", 1 << 7, "scsi", "sys/bus/scsi/devices", "", ':', 't'},
	{NODE_STORAGE, "storage", 1 << 8, "block", "sys/class/block", "", 0, 0},
	{NODE_SCSI_GENERIC, "scsi_generic", 1 << 11, "scsi_generic", "sys/class/scsi_generic", "",
	 0, 0},
	{NODE_DRM, "drm", 1 << 12, "drm", "sys/class/drm", "", 0, '-'},
};

const char *node_kind_word(enum node_kind kind)
{
	return sources[kind].word;
}

unsigned int nodes_of_word(const char *word)
{
	unsigned int i;

	for (i = 0; i < NODE_KIND_COUNT; i++)
		if (!strcmp(sources[i].word, word))
			return 1u << i;
	return 0;
}

unsigned int nodes_of_flags(unsigned int flags)
{
	unsigned int i, kinds = 0;

	for (i = 0; i < NODE_KIND_COUNT; i++)
		if (sources[i].flag & flags)
			kinds |= 1u << i;
	return kinds;
}

static bool is_entry_of(const struct source *source, const char *entry)
{
	return !strncmp(entry, source->prefix, strlen(source->prefix)) &&
	       (!source->holds || strchr(entry, source->holds)) &&
	       (!source->lacks || !strchr(entry, source->lacks));
}

/* ---- what udev and sysfs tell ---- */

void node_property(const char *path, const char *key, char *value, size_t size)
{
	struct udev *udev = udev_new();
	struct udev_device *device = udev ? udev_device_new_from_syspath(udev, path) : NULL;
	const char *found = device ? udev_device_get_property_value(device, key) : NULL;

	(void)text_copy(value, size, found ? found : "");
	udev_device_unref(device);
	udev_unref(udev);
}

void node_read_text(struct pt_host *host, const char *path, const char *name, char *value,
		    size_t size)
{
	char file[PATH_MAX];

	if (text_format(file, sizeof(file), "%s/%s", path + 1, name) < 0 ||
	    io_read_text_at(host->root_fd, file, value, size) < 0)
		*value = '\0';
}

static bool has_attribute(struct pt_host *host, const char *path, const char *name)
{
	char file[PATH_MAX];

	return text_format(file, sizeof(file), "%s/%s", path + 1, name) >= 0 &&
	       faccessat(host->root_fd, file, F_OK, 0) == 0;
}

void node_drive_type(struct pt_host *host, const struct node *node, char *value, size_t size)
{
	static const char *const disks[] = {"vd", "nvme", "pmem", "mmcblk"};
	static const char *const layers[] = {"loop", "ram", "zram", "dm-", "md", "nbd"};
	char type[64] = "";
	size_t i;

	*value = '\0';
	for (i = 0; i < sizeof(layers) / sizeof(layers[0]); i++)
		if (!strncmp(node->entry, layers[i], strlen(layers[i])))
			return;
	for (i = 0; i < sizeof(disks) / sizeof(disks[0]); i++)
		if (!strncmp(node->entry, disks[i], strlen(disks[i]))) {
			(void)text_copy(value, size, "disk");
			return;
		}
	if (host->is_this_machine)
		node_property(node->path, "ID_TYPE", type, sizeof(type));
	if (!strcmp(type, "cd") || (!*type && !strncmp(node->entry, "sr", 2)))
		(void)text_copy(value, size, "cdrom");
	else if (!strcmp(type, "disk") || !strcmp(type, "floppy"))
		(void)text_copy(value, size, type);
	else if (!*type && !strncmp(node->entry, "sd", 2))
		(void)text_copy(value, size, "disk");
}

/* ---- one node ---- */

/* What comes after subsystem and entry; false when it is no node after all. */
static bool read_extra(struct pt_host *host, const struct node *node, char extra[EXTRA])
{
	char type[32];

	*extra = '\0';
	switch (node->kind) {
	case NODE_NET:
		node_read_text(host, node->path, "address", extra, EXTRA);
		break;
	case NODE_STORAGE:
		/* "hidden": one path of many to a disk (NVMe multipath), without a node in /dev */
		node_read_text(host, node->path, "hidden", type, sizeof(type));
		if (has_attribute(host, node->path, "partition") || !strcmp(type, "1"))
			return false;
		node_drive_type(host, node, type, sizeof(type));
		if (!*type)
			return false;
		if (host->is_this_machine)
			node_property(node->path, "ID_SERIAL", extra, EXTRA);
		break;
	case NODE_DRM:
		return !strncmp(node->entry, "card", 4) || !strncmp(node->entry, "renderD", 7);
	default:
		break;
	}
	return true;
}

static char *make_name(struct arena *arena, const char *subsystem, const char *entry,
		       const char *extra)
{
	char name[NAME_MAX + EXTRA + 64], *c;

	if (text_format(name, sizeof(name), *extra ? "%s_%s_%s" : "%s_%s", subsystem, entry,
			extra) < 0)
		return NULL;
	for (c = name; *c; c++)
		if (!isalnum((unsigned char)*c))
			*c = '_';
	return arena_copy(arena, name, strlen(name));
}

/* Names begin with subsystem and entry, so most entries need no reading to be ruled out. */
static bool may_be_name(const char *subsystem, const char *entry, const char *name)
{
	size_t len = strlen(subsystem);

	if (strncmp(name, subsystem, len) != 0 || name[len] != '_')
		return false;
	for (name += len + 1; *entry; entry++, name++)
		if (*name != (isalnum((unsigned char)*entry) ? *entry : '_'))
			return false;
	return true;
}

/*
 * Entries of bus and class folders are links "../../devices/…", so their text is the path
 * without asking the kernel to follow it.
 */
static char *read_path(struct pt_host *host, struct arena *arena, const char *folder,
		       const char *entry)
{
	char link[PATH_MAX], target[PATH_MAX], path[PATH_MAX];
	const char *below = target;
	ssize_t len;

	if (text_format(link, sizeof(link), "%s/%s", folder, entry) < 0)
		return NULL;
	len = readlinkat(host->root_fd, link, target, sizeof(target) - 1);
	if (len < 0)
		return NULL;
	target[len] = '\0';
	while (!strncmp(below, "../", 3))
		below += 3;
	if (text_format(path, sizeof(path), "/sys/%s", below) < 0)
		return NULL;
	return arena_copy(arena, path, strlen(path));
}

/* Room for one more, zeroed; count it once it is whole. NULL: no memory. */
static struct node *next_node(struct nodes *nodes)
{
	if (nodes->count == nodes->room) {
		size_t room = nodes->room ? nodes->room * 2 : 32;
		struct node *items = reallocarray(nodes->items, room, sizeof(*items));

		if (!items)
			return NULL;
		nodes->items = items;
		nodes->room = room;
	}
	nodes->items[nodes->count] = (struct node){0};
	return &nodes->items[nodes->count];
}

struct finder {
	struct pt_host *host;
	bool has_paths;
	struct nodes *nodes;
	const char *wanted; /* the one name looked for; NULL: all */
};

/* Add the entry of a folder. 0 also when it is no node; -ENOMEM. */
static int add_entry(struct finder *finder, const struct source *source, const char *entry)
{
	struct nodes *nodes = finder->nodes;
	struct node *node;
	char extra[EXTRA] = "";

	if (finder->wanted && !may_be_name(source->subsystem, entry, finder->wanted))
		return 0;
	node = next_node(nodes);
	if (!node)
		return -ENOMEM;
	node->kind = source->kind;
	node->entry = arena_copy(&nodes->strings, entry, strlen(entry));
	if (!node->entry)
		return -ENOMEM;
	if (source->kind != NODE_PCI || finder->has_paths) {
		node->path = read_path(finder->host, &nodes->strings, source->folder, entry);
		if (!node->path || !read_extra(finder->host, node, extra))
			return 0;
	}
	node->name = make_name(&nodes->strings, source->subsystem, entry, extra);
	if (!node->name)
		return -ENOMEM;
	nodes->count++;
	return 0;
}

static int add_system(struct nodes *nodes)
{
	struct node *node = next_node(nodes);

	if (!node)
		return -ENOMEM;
	node->kind = NODE_SYSTEM;
	node->name = "computer";
	node->entry = "";
	nodes->count++;
	return 0;
}

/* ---- all of them ---- */

static int compare_versions(const struct dirent **a, const struct dirent **b)
{
	return strverscmp((*a)->d_name, (*b)->d_name);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int read_folder(struct finder *finder, const struct source *source)
{
	struct dirent **entries = NULL;
	int count = scandirat(finder->host->root_fd, source->folder, &entries, is_visible,
			      compare_versions);
	int i, r = 0;

	if (count < 0) /* a kernel without such a bus or class */
		return errno == ENOMEM ? -ENOMEM : 0;
	for (i = 0; i < count; i++) {
		if (r == 0 && is_entry_of(source, entries[i]->d_name))
			r = add_entry(finder, source, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return r;
}

static int read_kinds(struct finder *finder, unsigned int kinds)
{
	unsigned int i;
	int r = 0;

	for (i = 0; r == 0 && i < NODE_KIND_COUNT; i++) {
		if (!(kinds & (1u << i)))
			continue;
		r = sources[i].folder ? read_folder(finder, &sources[i])
				      : add_system(finder->nodes);
	}
	return r;
}

int nodes_read(struct pt_host *host, unsigned int kinds, bool has_paths, struct nodes *ret_nodes)
{
	struct nodes nodes = {0};
	struct finder finder = {host, has_paths, &nodes, NULL};
	int r = read_kinds(&finder, kinds);

	if (r < 0) {
		nodes_free(&nodes);
		return r;
	}
	*ret_nodes = nodes;
	return 0;
}

void nodes_free(struct nodes *nodes)
{
	free(nodes->items);
	arena_free(&nodes->strings);
	*nodes = (struct nodes){0};
}

/* ---- one by name ---- */

/* Leave only the node of that name. */
static int pick(struct nodes *nodes, const char *name)
{
	size_t i;

	for (i = 0; i < nodes->count; i++) {
		if (strcmp(nodes->items[i].name, name) != 0)
			continue;
		nodes->items[0] = nodes->items[i];
		nodes->count = 1;
		return 0;
	}
	nodes_free(nodes);
	return -ENOENT;
}

/* Kinds whose subsystem a name begins with. */
static unsigned int kinds_of_name(const char *name)
{
	unsigned int i, kinds = 0;

	for (i = 0; i < NODE_KIND_COUNT; i++) {
		const char *subsystem = sources[i].subsystem;
		size_t len = subsystem ? strlen(subsystem) : 0;

		if (i == NODE_PCI)
			continue;
		if (subsystem ? !strncmp(name, subsystem, len) && name[len] == '_'
			      : !strcmp(name, "computer"))
			kinds |= 1u << i;
	}
	return kinds;
}

bool node_is_pci_name(const char *name, struct pt_address *ret_address)
{
	char own[PT_NODEDEV_NAME];
	struct pt_address address;

	if (pt_address_parse(name, &address, NULL) < 0 ||
	    strcmp(pt_nodedev_name(&address, own), name) != 0)
		return false;
	*ret_address = address;
	return true;
}

int node_of_name(struct pt_host *host, const char *name, struct nodes *ret_nodes)
{
	struct nodes nodes = {0};
	struct finder finder = {host, true, &nodes, name};
	char entry[PT_ADDRESS_TEXT];
	struct pt_address address;
	int r;

	if (node_is_pci_name(name, &address)) {
		r = add_entry(&finder, &sources[NODE_PCI], pt_address_format(&address, entry));
	} else {
		r = read_kinds(&finder, kinds_of_name(name));
	}
	if (r == 0)
		r = pick(&nodes, name);
	if (r < 0) {
		nodes_free(&nodes);
		return r;
	}
	*ret_nodes = nodes;
	return 0;
}

/* ---- by path ---- */

/* The subsystem a folder below /sys belongs to; false when it is no device's. */
static bool read_subsystem(struct pt_host *host, const char *path, char *subsystem, size_t size)
{
	char link[PATH_MAX];

	return text_format(link, sizeof(link), "%s/subsystem", path + 1) >= 0 &&
	       io_read_link_word_at(host->root_fd, link, subsystem, size) == 0;
}

int node_of_path(struct pt_host *host, const char *path, struct nodes *ret_nodes)
{
	struct nodes nodes = {0};
	struct finder finder = {host, true, &nodes, NULL};
	const char *entry = strrchr(path, '/');
	char subsystem[64];
	unsigned int i;
	int r = -ENOENT;

	if (!entry || !read_subsystem(host, path, subsystem, sizeof(subsystem)))
		return -ENOENT;
	for (i = 0; i < NODE_KIND_COUNT; i++) {
		if (!sources[i].subsystem || strcmp(sources[i].subsystem, subsystem) != 0 ||
		    !is_entry_of(&sources[i], entry + 1))
			continue;
		r = add_entry(&finder, &sources[i], entry + 1);
		if (r == 0 && !nodes.count)
			r = -ENOENT;
		break;
	}
	if (r < 0) {
		nodes_free(&nodes);
		return r;
	}
	*ret_nodes = nodes;
	return 0;
}

char *node_parent(struct pt_host *host, const char *path)
{
	char above[PATH_MAX], subsystem[64], *slash;

	if (!text_copy(above, sizeof(above), path))
		return strdup("computer");
	while ((slash = strrchr(above, '/')) && slash > above) {
		struct pt_address address;
		const char *entry;

		*slash = '\0';
		entry = strrchr(above, '/');
		if (!entry++)
			break;
		if (pt_address_parse(entry, &address, NULL) == 0) {
			char *name = malloc(PT_NODEDEV_NAME);

			return name ? pt_nodedev_name(&address, name) : NULL;
		}
		if (!read_subsystem(host, above, subsystem, sizeof(subsystem)))
			continue;
		/* kinds whose names need no more; nothing hangs on the others */
		if (!strcmp(subsystem, "usb") || !strcmp(subsystem, "scsi")) {
			struct arena arena = {0};
			char *name = make_name(&arena, subsystem, entry, ""), *copy;

			copy = name ? strdup(name) : NULL;
			arena_free(&arena);
			return copy;
		}
	}
	return strdup("computer");
}
