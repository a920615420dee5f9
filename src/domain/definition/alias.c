/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/alias.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "domain/definition/device.h"
#include "domain/definition/xml_node.h"

/* ---- disks ---- */

int disk_index(const char *target)
{
	int index = 0;

	if (!target || strlen(target) < 3 || target[1] != 'd')
		return -EINVAL;
	for (const char *at = target + 2; *at; at++) {
		if (*at < 'a' || *at > 'z' || index > 1000)
			return -EINVAL;
		index = index * 26 + (*at - 'a' + 1);
	}
	return index - 1;
}

const char *disk_bus(const xmlNode *disk)
{
	const char *bus = node_get(disk, "target@bus"), *dev = node_get(disk, "target@dev");

	if (bus)
		return bus;
	if (dev && dev[0] == 'h' && node_is_i440fx(disk))
		return "ide";
	return dev && dev[0] == 'v' ? "virtio" : "sata";
}

/* ---- aliases ---- */

/* libvirt's names, which tests and people look for. */
static const struct {
	const char *device;
	const char *path; /* with this value; NULL: any */
	const char *value;
	const char *prefix;
} prefixes[] = {
	{"hostdev", NULL, NULL, "hostdev"},
	{"interface", "@type", "hostdev", "hostdev"},
	{"interface", NULL, NULL, "net"},
	{"controller", "@type", "scsi", "scsi"},
	{"controller", "@type", "virtio-serial", "virtio-serial"},
	{"controller", "@type", "sata", "sata"},
	{"controller", "@type", "usb", "usb"},
	{"serial", NULL, NULL, "serial"},
	{"console", "target@type", "virtio", "console"},
	{"console", NULL, NULL, "serial"},
	{"channel", NULL, NULL, "channel"},
	{"input", NULL, NULL, "input"},
	{"video", NULL, NULL, "video"},
	{"sound", NULL, NULL, "sound"},
	{"watchdog", NULL, NULL, "watchdog"},
	{"memballoon", NULL, NULL, "balloon"},
	{"rng", NULL, NULL, "rng"},
	{"shmem", NULL, NULL, "shmem"},
	{"iommu", NULL, NULL, "iommu"},
	{"tpm", NULL, NULL, "tpm"},
	{"panic", NULL, NULL, "panic"},
	{"redirdev", NULL, NULL, "redir"},
	{"vsock", NULL, NULL, "vsock"},
	{"filesystem", NULL, NULL, "fs"},
};

static bool is_taken(const xmlNode *devices, const xmlNode *device, const char *alias)
{
	for (const xmlNode *at = node_child(devices, NULL); at; at = node_next(at, NULL))
		if (at != device && node_says(at, "alias@name", alias))
			return true;
	return false;
}

/*
 * For the lowest number from @first on that no device has: one pass over the devices marks those
 * that they have. A pass for each number that is tried would take hours for what a definition may
 * hold.
 */
struct numbers {
	uint64_t first;
	size_t count;  /* one more than there are devices */
	bool *is_used; /* freed with free() */
};

static int numbers_begin(struct numbers *numbers, const xmlNode *devices, uint64_t first)
{
	numbers->first = first;
	numbers->count = xmlChildElementCount((xmlNode *)(uintptr_t)devices) + 1;
	numbers->is_used = calloc(numbers->count, sizeof(*numbers->is_used));
	return numbers->is_used ? 0 : -ENOMEM;
}

static void numbers_mark(struct numbers *numbers, uint64_t number)
{
	if (number >= numbers->first && number - numbers->first < numbers->count)
		numbers->is_used[number - numbers->first] = true;
}

static uint64_t numbers_end(struct numbers *numbers)
{
	size_t i = 0;

	while (numbers->is_used[i])
		i++;
	free(numbers->is_used);
	return numbers->first + i;
}

/* "input", and the lowest number that no other device's alias has. */
static int number_alias(const xmlNode *devices, const xmlNode *device, const char *prefix,
			char *buffer, size_t size)
{
	const size_t len = strlen(prefix);
	struct numbers numbers;

	if (numbers_begin(&numbers, devices, 0) < 0)
		return -ENOMEM;
	for (const xmlNode *at = node_child(devices, NULL); at; at = node_next(at, NULL)) {
		const char *alias = at == device ? NULL : node_get(at, "alias@name");
		uint64_t number;

		/* "input01" isn't in the way */
		if (alias && strncmp(alias, prefix, len) == 0 &&
		    (alias[len] != '0' || !alias[len + 1]) &&
		    text_parse_number(alias + len, 10, UINT32_MAX, &number) == 0)
			numbers_mark(&numbers, number);
	}
	return text_format(buffer, size, "%s%u", prefix, (unsigned int)numbers_end(&numbers));
}

static int add_alias(xmlNode *device, const char *name)
{
	xmlNode *alias = node_add(device, "alias", NULL), *address = node_child(device, "address");

	if (alias && address)
		(void)xmlAddPrevSibling(address, alias); /* where libvirt writes it */
	return alias ? node_set(alias, "name", name) : -ENOMEM;
}

/* "virtio-disk0", "sata0-0-1", "scsi0-0-0-1". */
static void disk_alias(const xmlNode *disk, char *buffer, size_t size)
{
	const char *bus = disk_bus(disk);
	int index = disk_index(node_get(disk, "target@dev"));

	if (node_says(disk, "address@type", "drive") && strcmp(bus, "ide") == 0)
		(void)text_format(buffer, size, "ide0-%s-%s", node_get(disk, "address@bus"),
				  node_get(disk, "address@unit"));
	else if (node_says(disk, "address@type", "drive"))
		(void)text_format(
			buffer, size, "%s%s-0-%s%s%s", bus, node_get(disk, "address@controller"),
			strcmp(bus, "scsi") == 0 ? node_get(disk, "address@target") : "",
			strcmp(bus, "scsi") == 0 ? "-" : "", node_get(disk, "address@unit"));
	else
		(void)text_format(buffer, size, "%s-disk%d", bus, index < 0 ? 0 : index);
}

/* Controllers that are named by their index, since others' bus= says it. */
static bool controller_alias(const xmlNode *controller, char *buffer, size_t size)
{
	const char *type = node_attribute(controller, "type");
	const char *index = node_attribute(controller, "index");
	bool is_first = text_equal(index, "0");

	if (!node_is(controller, "controller") || !type || !index)
		return false;
	if (strcmp(type, "pci") == 0)
		(void)text_format(buffer, size, "%s.%s",
				  node_has(controller, "model", "pcie-root") ? "pcie" : "pci",
				  index);
	else if (strcmp(type, "ide") == 0 ||
		 (strcmp(type, "sata") == 0 && is_first && !node_is_i440fx(controller)))
		(void)text_copy(buffer, size, "ide"); /* the machine's own, as QEMU calls it */
	else if (strcmp(type, "usb") == 0 && is_first && !node_child(controller, "master"))
		(void)text_copy(buffer, size, "usb");
	else if (strcmp(type, "usb") == 0)
		return false;
	else
		(void)text_format(buffer, size, "%s%s", type, index);
	return true;
}

static int add_serial_alias(const xmlNode *devices, xmlNode *console, struct pt_error *err)
{
	xmlNode *serial = node_child(devices, "serial");
	int r = device_set_alias(devices, serial, err);

	if (r == 0 && add_alias(console, node_get(serial, "alias@name")) < 0)
		r = pt_fail_memory(err);
	return r;
}

int device_set_alias(const xmlNode *devices, xmlNode *device, struct pt_error *err)
{
	const char *prefix = (const char *)device->name;
	char alias[96];

	/* what QEMU has no device for, or doesn't get one for */
	if (node_child(device, "alias") || node_is(device, "emulator") ||
	    node_is(device, "graphics") || node_is(device, "audio") ||
	    node_has(device, "model", "none"))
		return 0;
	/* the first console is the first serial port, and has its name */
	if (node_is(device, "console") && !node_says(device, "target@type", "virtio") &&
	    node_child(devices, "serial"))
		return add_serial_alias(devices, device, err);
	if (node_is(device, "disk"))
		disk_alias(device, alias, sizeof(alias));
	else if (!controller_alias(device, alias, sizeof(alias)))
		alias[0] = '\0';
	if (alias[0] && !is_taken(devices, device, alias))
		return add_alias(device, alias) < 0 ? pt_fail_memory(err) : 0;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (node_is(device, prefixes[i].device) &&
		    (!prefixes[i].path || node_says(device, prefixes[i].path, prefixes[i].value))) {
			prefix = prefixes[i].prefix;
			break;
		}
	if (number_alias(devices, device, prefix, alias, sizeof(alias)) < 0 ||
	    add_alias(device, alias) < 0)
		return pt_fail_memory(err);
	return 0;
}

/* ---- seats ---- */

/* The number at @path, below @limit; @limit where there is none. */
static uint64_t number_at(const xmlNode *node, const char *path, uint64_t limit)
{
	const char *text = node_get(node, path);
	uint64_t number;

	return text && text_parse_number(text, 10, limit - 1, &number) == 0 ? number : limit;
}

enum { CONTROLLERS_MAX = 256, PORTS_MAX = 512 }; /* as in table_devices.c */

static int set_drive(const xmlNode *devices, xmlNode *disk, struct pt_error *err)
{
	/* IDE has two buses of two */
	const bool is_ide = strcmp(disk_bus(disk), "ide") == 0;
	const unsigned int units = is_ide ? 4 : strcmp(disk_bus(disk), "sata") == 0 ? 6 : 16384;
	int index = disk_index(node_get(disk, "target@dev"));
	struct numbers numbers;
	xmlNode *address;
	uint64_t seat;

	if (numbers_begin(&numbers, devices, index < 0 ? 0 : (uint64_t)index) < 0)
		return pt_fail_memory(err);
	for (const xmlNode *at = node_child(devices, "disk"); at; at = node_next(at, "disk")) {
		uint64_t controller = number_at(at, "address@controller", CONTROLLERS_MAX);
		uint64_t unit = number_at(at, "address@unit", units);

		if (is_ide && unit < units)
			unit += number_at(at, "address@bus", 2) * 2;
		if (at != disk && strcmp(disk_bus(at), disk_bus(disk)) == 0 &&
		    controller < CONTROLLERS_MAX && unit < units)
			numbers_mark(&numbers, controller * units + unit);
	}
	seat = numbers_end(&numbers);
	if (seat / units >= (is_ide ? 1 : CONTROLLERS_MAX))
		return pt_fail(
			err, PT_INVALID, EBUSY,
			"domain/devices/disk/target@dev: '%.32s' is too far behind the first "
			"disk of its bus for an address (line %ld); choose an earlier name, "
			"such as sda",
			node_get(disk, "target@dev"), xmlGetLineNo(disk));
	address = node_add(disk, "address", NULL);
	if (!address || node_set(address, "type", "drive") < 0 ||
	    node_set_format(address, "controller", "%u", (unsigned int)(seat / units)) < 0 ||
	    node_set_format(address, "bus", "%u", is_ide ? (unsigned int)(seat / 2) : 0) < 0 ||
	    node_set(address, "target", "0") < 0 ||
	    node_set_format(address, "unit", "%u",
			    (unsigned int)(is_ide ? seat % 2 : seat % units)) < 0)
		return pt_fail_memory(err);
	return 0;
}

/* Port 0 of a virtio-serial is for a console only, and the guest's kernel counts from 1. */
static int set_port(const xmlNode *devices, xmlNode *device, struct pt_error *err)
{
	struct numbers numbers;
	xmlNode *address;
	uint64_t port;

	if (numbers_begin(&numbers, devices, 1) < 0)
		return pt_fail_memory(err);
	for (const xmlNode *at = node_child(devices, NULL); at; at = node_next(at, NULL))
		if (at != device && number_at(at, "address@controller", CONTROLLERS_MAX) == 0)
			numbers_mark(&numbers, number_at(at, "address@port", PORTS_MAX));
	port = numbers_end(&numbers);
	if (port >= PORTS_MAX)
		return pt_fail(err, PT_INVALID, EBUSY,
			       "domain/devices/%s: the virtio-serial controller has no port left "
			       "(line %ld); remove another channel or console",
			       (const char *)device->name, xmlGetLineNo(device));
	address = node_add(device, "address", NULL);
	if (!address || node_set(address, "type", "virtio-serial") < 0 ||
	    node_set(address, "controller", "0") < 0 || node_set(address, "bus", "0") < 0 ||
	    node_set_format(address, "port", "%u", (unsigned int)port) < 0)
		return pt_fail_memory(err);
	return 0;
}

int device_set_seat(const xmlNode *devices, xmlNode *device, struct pt_error *err)
{
	if (node_child(device, "address"))
		return 0;
	if (node_is(device, "disk") &&
	    (strcmp(disk_bus(device), "sata") == 0 || strcmp(disk_bus(device), "scsi") == 0 ||
	     strcmp(disk_bus(device), "ide") == 0))
		return set_drive(devices, device, err);
	if ((node_is(device, "channel") || node_is(device, "console")) &&
	    node_says(device, "target@type", "virtio"))
		return set_port(devices, device, err);
	return 0;
}
