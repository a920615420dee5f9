/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks: a file, host device or NVMe namespace (-blockdev), and the guest's device before it. */
#include <string.h>

#include "base/text.h"
#include "domain/command_line/parts.h"
#include "domain/definition/device.h"
#include "domain/definition/alias.h"

/* What libvirt's cache modes are to QEMU (qemu(1), -drive cache=). */
static const struct {
	const char *mode;
	bool is_direct;
	bool has_no_flush;
	const char *write_cache;
} caches[] = {
	{"none", true, false, "on"},	       {"writeback", false, false, "on"},
	{"writethrough", false, false, "off"}, {"directsync", true, false, "off"},
	{"unsafe", false, true, "on"},
};

static void add_cache(struct command_line *line, struct json_object *object, const xmlNode *disk)
{
	const char *mode = node_get(disk, "driver@cache");

	for (size_t i = 0; mode && i < sizeof(caches) / sizeof(caches[0]); i++)
		if (strcmp(mode, caches[i].mode) == 0) {
			struct json_object *cache = line_object(line, "direct", NULL);

			props_add_bool(line, cache, "direct", caches[i].is_direct);
			props_add_bool(line, cache, "no-flush", caches[i].has_no_flush);
			props_add(line, object, "cache", cache);
		}
}

static void add_storage(struct command_line *line, const xmlNode *disk, bool is_read_only)
{
	struct json_object *object;
	struct definition_hostdev nvme;
	char address[PT_ADDRESS_TEXT];

	if (node_has(disk, "type", "nvme")) {
		object = line_object(line, "driver", "nvme");
		if (device_hostdev((xmlNode *)(uintptr_t)disk, &nvme, line->err) != 1)
			line_fail(line, EINVAL, disk,
				  "domain/devices/disk/source is not a valid address");
		else
			props_add_text(line, object, "device",
				       pt_address_format(&nvme.address, address));
		props_add_number_of(line, object, "namespace", disk, "source@namespace");
	} else if (node_has(disk, "type", "volume")) {
		/* the file that it is is known at the start (domain/resources/volume.h) */
		if (!line->is_for_show)
			line_fail(line, EOPNOTSUPP, disk,
				  "domain/devices/disk/source: its volume wasn't found");
		object = line_object(line, "driver", "file");
		props_add_text_of(line, object, "filename", disk, "source@volume");
	} else {
		bool is_block = node_has(disk, "type", "block");

		object = line_object(line, "driver", is_block ? "host_device" : "file");
		props_add_text_of(line, object, "filename", disk,
				  is_block ? "source@dev" : "source@file");
		props_add_text_of(line, object, "aio", disk, "driver@io");
	}
	props_add_format(line, object, "node-name", "%s-storage", line_alias(disk));
	props_add_bool(line, object, "auto-read-only", true);
	props_add_text_of(line, object, "discard", disk, "driver@discard");
	if (is_read_only)
		props_add_bool(line, object, "read-only", true);
	add_cache(line, object, disk);
	line_put(line, LINE_BLOCKDEV, object);
}

static void add_format(struct command_line *line, const xmlNode *disk, bool is_read_only)
{
	const char *type = node_get(disk, "driver@type");
	struct json_object *object = line_object(line, "driver", type ? type : "raw");

	props_add_format(line, object, "node-name", "%s-format", line_alias(disk));
	props_add_bool(line, object, "read-only", is_read_only);
	props_add_text_of(line, object, "discard", disk, "driver@discard");
	props_add_text_of(line, object, "detect-zeroes", disk, "driver@detect_zeroes");
	add_cache(line, object, disk);
	props_add_format(line, object, "file", "%s-storage", line_alias(disk));
	line_put(line, LINE_BLOCKDEV, object);
}

/* ---- the guest's side ---- */

static void add_queues(struct command_line *line, struct json_object *object, const xmlNode *disk)
{
	if (strcmp(disk_bus(disk), "virtio") != 0)
		return;
	line_virtio_driver(line, object, disk);
	props_add_number_of(line, object, "num-queues", disk, "driver@queues");
	props_add_number_of(line, object, "queue-size", disk, "driver@queue_size");
	if (node_get(disk, "driver@iothread"))
		props_add_format(line, object, "iothread", "iothread%s",
				 node_get(disk, "driver@iothread"));
}

/* The buses of the machine's SATA controller are ide.0 to ide.5, a disk each. */
static void add_sata(struct command_line *line, struct json_object *object, const xmlNode *disk)
{
	const char *controller = node_get(disk, "address@controller");
	const char *unit = node_get(disk, "address@unit");

	if (!controller || !unit)
		line_fail(line, EINVAL, disk, "domain/devices/disk/address is missing");
	else if (strcmp(controller, "0") == 0 && !node_is_i440fx(disk))
		props_add_format(line, object, "bus", "ide.%s", unit);
	else
		props_add_format(line, object, "bus", "sata%s.%s", controller, unit);
}

/* Of PIIX3: two buses of two. */
static void add_ide(struct command_line *line, struct json_object *object, const xmlNode *disk)
{
	if (!node_is_i440fx(disk))
		line_fail(
			line, EOPNOTSUPP, disk,
			"domain/devices/disk: IDE controllers are unsupported for this machine; use "
			"the bus sata");
	props_add_format(line, object, "bus", "ide.%s", node_get(disk, "address@bus"));
	props_add_number_of(line, object, "unit", disk, "address@unit");
}

static void add_scsi(struct command_line *line, struct json_object *object, const xmlNode *disk)
{
	const char *controller = node_get(disk, "address@controller");

	props_add_format(line, object, "bus", "scsi%s.0", controller ? controller : "0");
	props_add_int(line, object, "channel", 0);
	props_add_number_of(line, object, "scsi-id", disk, "address@target");
	props_add_number_of(line, object, "lun", disk, "address@unit");
	/* the guest's /dev/disk/by-id is made of it */
	if (node_get(disk, "serial"))
		props_add_text_of(line, object, "device_id", disk, "serial");
	else
		props_add_format(line, object, "device_id", "drive-%s", line_alias(disk));
}

static const struct {
	const char *bus;
	const char *disk;
	const char *cdrom; /* NULL: there is no such thing */
	void (*add)(struct command_line *line, struct json_object *object, const xmlNode *disk);
} buses[] = {
	{"virtio", "virtio-blk-pci", NULL, line_pci_address},
	{"sata", "ide-hd", "ide-cd", add_sata},
	{"scsi", "scsi-hd", "scsi-cd", add_scsi},
	{"ide", "ide-hd", "ide-cd", add_ide},
	{"usb", "usb-storage", NULL, NULL},
};

static void add_errors(struct command_line *line, struct json_object *object, const xmlNode *disk)
{
	const char *policy = node_get(disk, "driver@error_policy");
	const char *read_policy = node_get(disk, "driver@rerror_policy");

	props_add_text(line, object, "werror",
		       policy && strcmp(policy, "enospace") == 0 ? "enospc" : policy);
	if (!read_policy && policy && strcmp(policy, "enospace") != 0)
		read_policy = policy;
	props_add_text(line, object, "rerror", read_policy);
}

static void add_write_cache(struct command_line *line, struct json_object *object,
			    const xmlNode *disk)
{
	const char *mode = node_get(disk, "driver@cache");

	for (size_t i = 0; mode && i < sizeof(caches) / sizeof(caches[0]); i++)
		if (strcmp(mode, caches[i].mode) == 0)
			props_add_text(line, object, "write-cache", caches[i].write_cache);
}

/* How fast it turns (1: not at all, an SSD), and whether it looks as if it could be taken out. */
static void add_target(struct command_line *line, struct json_object *object, const xmlNode *disk)
{
	const char *bus = disk_bus(disk);

	if (node_get(disk, "target@rotation_rate") &&
	    ((strcmp(bus, "sata") != 0 && strcmp(bus, "scsi") != 0 && strcmp(bus, "ide") != 0) ||
	     node_has(disk, "device", "cdrom")))
		line_fail(
			line, EOPNOTSUPP, disk,
			"domain/devices/disk/target@rotation_rate needs a disk on the bus sata or "
			"scsi");
	if (node_get(disk, "target@removable") && strcmp(bus, "usb") != 0)
		line_fail(line, EOPNOTSUPP, disk,
			  "domain/devices/disk/target@removable needs the bus usb");
	props_add_number_of(line, object, "rotation_rate", disk, "target@rotation_rate");
	props_add_bool_of(line, object, "removable", disk, "target@removable");
}

static void disk_add_device(struct command_line *line, const xmlNode *disk, size_t bus,
			    bool is_cdrom)
{
	const char *driver = is_cdrom ? buses[bus].cdrom : buses[bus].disk;
	const char *wwn = node_get(disk, "wwn");
	struct json_object *object = line_device(line, driver, disk);

	if (buses[bus].add)
		buses[bus].add(line, object, disk);
	else
		line_usb_seat(line, object, disk);
	if (node_child(disk, "source"))
		props_add_format(line, object, "drive", "%s-format", line_alias(disk));
	add_queues(line, object, disk);
	line_boot_order(line, object, disk);
	props_add_text_of(line, object, "serial", disk, "serial");
	if (wwn && strcmp(buses[bus].bus, "sata") != 0 && strcmp(buses[bus].bus, "scsi") != 0 &&
	    strcmp(buses[bus].bus, "ide") != 0)
		line_fail(line, EOPNOTSUPP, disk,
			  "domain/devices/disk/wwn needs the bus sata or scsi");
	if (wwn)
		props_add_int(line, object, "wwn", strtoull(wwn, NULL, 16));
	props_add_number_of(line, object, "logical_block_size", disk, "blockio@logical_block_size");
	props_add_number_of(line, object, "physical_block_size", disk,
			    "blockio@physical_block_size");
	add_target(line, object, disk);
	if (node_child(disk, "shareable"))
		props_add_bool(line, object, "share-rw", true);
	add_errors(line, object, disk);
	if (!is_cdrom)
		add_write_cache(line, object, disk);
	line_put(line, LINE_DEVICE, object);
}

void line_disk(struct command_line *line, const xmlNode *node)
{
	bool is_cdrom = node_has(node, "device", "cdrom");
	bool is_read_only = is_cdrom || node_child(node, "readonly");
	const char *name = disk_bus(node);
	size_t bus = 0;

	while (bus < 4 && strcmp(name, buses[bus].bus) != 0)
		bus++;
	if (is_cdrom && !buses[bus].cdrom) {
		line_fail(line, EOPNOTSUPP, node,
			  "domain/devices/disk: a cdrom can't be on the bus %s; use sata or scsi",
			  name);
		return;
	}
	if (is_read_only && !is_cdrom && (strcmp(name, "sata") == 0 || strcmp(name, "ide") == 0))
		line_fail(
			line, EOPNOTSUPP, node,
			"domain/devices/disk/readonly: ATA has no read-only disks; use another bus");
	if (node_get(node, "driver@io") && strcmp(node_get(node, "driver@io"), "native") == 0 &&
	    !node_says(node, "driver@cache", "none") &&
	    !node_says(node, "driver@cache", "directsync"))
		line_fail(
			line, EOPNOTSUPP, node,
			"domain/devices/disk/driver@io='native' needs cache='none' or 'directsync'");
	if (node_child(node, "source")) {
		add_storage(line, node, is_read_only);
		add_format(line, node, is_read_only);
	}
	disk_add_device(line, node, bus, is_cdrom);
}
