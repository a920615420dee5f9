/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/device.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "domain/definition/check.h"
#include "domain/definition/host_usb.h"
#include "domain/definition/xml_node.h"

/* ---- hostdevs ---- */

int device_address(const xmlNode *address, struct pt_address *ret_address)
{
	static const struct {
		const char *name;
		uint64_t max;
	} parts[] = {{"domain", UINT32_MAX}, {"bus", 0xff}, {"slot", 31}, {"function", 7}};
	uint64_t values[4] = {0};

	for (size_t i = 0; i < 4; i++) {
		int r = node_number(address, parts[i].name, parts[i].max, &values[i]);

		if (r < 0 && r != -ENOENT)
			return r;
	}
	*ret_address = (struct pt_address){
		.domain = (uint32_t)values[0],
		.bus = (uint8_t)values[1],
		.device = (uint8_t)values[2],
		.function = (uint8_t)values[3],
	};
	return 0;
}

bool device_guest_address(const xmlNode *device, struct pt_address *ret_address)
{
	const xmlNode *address = node_child(device, "address");

	/* the host bridge is at 0000:00:00.0: to others this says nothing */
	return node_has(address, "type", "pci") && device_address(address, ret_address) == 0 &&
	       (ret_address->domain || ret_address->bus || ret_address->device ||
		ret_address->function);
}

bool device_is_on_usb(const xmlNode *device)
{
	return node_has(device, "bus", "usb") || node_says(device, "target@bus", "usb") ||
	       (node_is(device, "sound") && node_has(device, "model", "usb")) ||
	       (node_is(device, "hostdev") && node_has(device, "type", "usb"));
}

static const struct {
	enum definition_hostdev_kind kind;
	const char *name;
	const char *type;
} hostdev_kinds[] = {
	{HOSTDEV_PCI, "hostdev", "pci"},
	{HOSTDEV_INTERFACE, "interface", "hostdev"},
	{HOSTDEV_NVME, "disk", "nvme"},
};

int device_hostdev(xmlNode *device, struct definition_hostdev *ret_hostdev, struct pt_error *err)
{
	struct definition_hostdev hostdev = {.node = device, .vlan = -1};
	uint64_t vlan;
	size_t i;

	for (i = 0; i < 3; i++)
		if (node_is(device, hostdev_kinds[i].name) &&
		    node_has(device, "type", hostdev_kinds[i].type))
			break;
	if (i == 3)
		return 0;
	hostdev.kind = hostdev_kinds[i].kind;
	if (device_address(node_find(device, "source/address"), &hostdev.address) < 0)
		return pt_fail(err, PT_INVALID, EINVAL,
			       "domain/devices/%s/source/address is not a valid address (line %ld)",
			       hostdev_kinds[i].name, xmlGetLineNo(device));
	hostdev.alias = node_get(device, "alias@name");
	hostdev.driver = node_get(device, "driver@model");
	hostdev.mac = node_get(device, "mac@address");
	hostdev.is_managed =
		node_has(device, "managed", "yes") || node_says(device, "source@managed", "yes");
	if (node_number(node_find(device, "vlan/tag"), "id", 4095, &vlan) == 0)
		hostdev.vlan = (int)vlan;
	*ret_hostdev = hostdev;
	return 1;
}

xmlNode *definition_first_device(const struct definition *def)
{
	xmlNode *root = definition_root(def);

	return node_is(root, "domain") ? node_child(node_child(root, "devices"), NULL) : root;
}

int definition_hostdevs(const struct definition *def, struct definition_hostdev **ret_hostdevs,
			size_t *ret_count, struct pt_error *err)
{
	AUTO_FREE struct definition_hostdev *found = NULL;
	xmlNode *devices = node_child(definition_root(def), "devices");
	size_t room = devices ? xmlChildElementCount(devices) : 1, count = 0;

	found = calloc(room + 1, sizeof(*found));
	if (!found)
		return pt_fail_memory(err);
	for (xmlNode *at = definition_first_device(def); at; at = node_next(at, NULL)) {
		int r = device_hostdev(at, &found[count], err);

		if (r < 0)
			return r;
		count += (size_t)r;
	}
	*ret_hostdevs = TAKE_POINTER(found);
	*ret_count = count;
	return 0;
}

/* ---- finding ---- */

xmlNode *definition_find_alias(const struct definition *def, const char *alias)
{
	for (xmlNode *at = definition_first_device(def); at; at = node_next(at, NULL))
		if (node_says(at, "alias@name", alias))
			return at;
	return NULL;
}

xmlNode *definition_find_hostdev(const struct definition *def, const struct pt_address *address)
{
	for (xmlNode *at = definition_first_device(def); at; at = node_next(at, NULL)) {
		struct definition_hostdev hostdev;

		if (device_hostdev(at, &hostdev, NULL) == 1 &&
		    pt_address_compare(&hostdev.address, address) == 0)
			return at;
	}
	return NULL;
}

/* Both have the value at @path, and it is the same. */
static bool same(const xmlNode *a, const xmlNode *b, const char *path)
{
	const char *one = node_get(a, path), *other = node_get(b, path);

	return one && other && strcasecmp(one, other) == 0;
}

static bool same_name(const xmlNode *a, const xmlNode *b)
{
	return strcmp((const char *)a->name, (const char *)b->name) == 0;
}

static bool same_address(const xmlNode *a, const xmlNode *b)
{
	const xmlNode *one = node_child(a, "address"), *other = node_child(b, "address");
	struct pt_address first, second;

	if (!node_has(one, "type", "pci") || !node_has(other, "type", "pci") ||
	    device_address(one, &first) < 0 || device_address(other, &second) < 0)
		return false;
	return pt_address_compare(&first, &second) == 0;
}

/* What tells a device from others of its name. */
static const struct {
	const char *name, *path, *what;
} own_names[] = {
	{"disk", "target@dev", "target"},
	{"audio", "@id", "id"},
	{"shmem", "@name", "name"},
	{"filesystem", "target@dir", "target"},
	{"controller", "@index", "type and index"},
};

bool node_is_i440fx(const xmlNode *node)
{
	const xmlNode *root = node && node->doc ? xmlDocGetRootElement(node->doc) : NULL;
	return root && machine_is_i440fx(node_get(root, "os/type@machine"));
}

bool machine_is_i440fx(const char *machine)
{
	return machine && strncmp(machine, "pc", 2) == 0 && strncmp(machine, "pc-q35", 6) != 0;
}

bool device_is_sound(const xmlNode *device)
{
	return node_is(device, "audio") && !node_has(device, "type", "none") &&
	       !node_has(device, "type", "spice");
}

struct device_identity device_identity(const xmlNode *device)
{
	struct device_identity identity = {
		.node = device,
		.alias = node_get(device, "alias@name"),
		.boot = node_get(device, "boot@order"),
	};
	struct definition_hostdev hostdev;

	if (device_hostdev((xmlNode *)(uintptr_t)device, &hostdev, NULL) == 1) {
		identity.has_source = true;
		identity.source = hostdev.address;
		/* two namespaces of one drive are two disks */
		if (hostdev.kind == HOSTDEV_NVME)
			identity.space = node_get(device, "source@namespace");
		identity.is_nvme = hostdev.kind == HOSTDEV_NVME;
	}
	identity.is_usb = device_host_usb((xmlNode *)(uintptr_t)device, &identity.usb, NULL) == 1;
	identity.has_address = device_guest_address(device, &identity.address);
	for (size_t i = 0; i < sizeof(own_names) / sizeof(own_names[0]); i++)
		if (node_is(device, own_names[i].name)) {
			identity.what = own_names[i].what;
			identity.own = node_get(device, own_names[i].path);
		}
	if (node_is(device, "controller")) {
		identity.type = node_attribute(device, "type");
		/* companions share the index of the controller that they are of */
		identity.own = node_child(device, "master") ? NULL : identity.own;
	}
	return identity;
}

static bool same_text(const char *one, const char *other)
{
	return one && other && strcasecmp(one, other) == 0;
}

static bool same_source(const struct device_identity *a, const struct device_identity *b)
{
	if (a->is_usb && b->is_usb)
		return host_usb_is_same(&a->usb, &b->usb);
	return a->has_source && b->has_source && pt_address_compare(&a->source, &b->source) == 0 &&
	       !(a->is_nvme && b->is_nvme && !same_text(a->space, b->space));
}

bool device_is_second_name(const xmlNode *console)
{
	return node_is(console, "console") && !node_says(console, "target@type", "virtio") &&
	       node_child(console->parent, "serial");
}

bool device_has_unnamed_socket(const xmlNode *device)
{
	return node_has(device, "type", "unix") && !node_get(device, "source@path") &&
	       !node_says(device, "source@mode", "connect") && !device_is_second_name(device);
}

size_t device_count_outputs(const xmlNode *device)
{
	if ((!node_is(device, "serial") && !node_is(device, "console") &&
	     !node_is(device, "channel")) ||
	    device_is_second_name(device))
		return 0;
	return (size_t)(node_has(device, "type", "file") && node_get(device, "source@path")) +
	       (size_t)(node_get(device, "log@file") != NULL);
}

static bool is_console_of(const xmlNode *console, const xmlNode *serial)
{
	return node_is(console, "console") && node_is(serial, "serial");
}

const char *device_conflict(const struct device_identity *a, const struct device_identity *b)
{
	if (same_source(a, b))
		return "source address";
	/* the first console is the first serial port, by another name */
	if (same_text(a->alias, b->alias) && !is_console_of(a->node, b->node) &&
	    !is_console_of(b->node, a->node))
		return "alias";
	if (same_text(a->boot, b->boot))
		return "boot order";
	if (a->has_address && b->has_address && pt_address_compare(&a->address, &b->address) == 0)
		return "address in the guest";
	/* "what" is the same string only for devices of one name */
	if (a->what == b->what && same_text(a->own, b->own) &&
	    (!a->type || same_text(a->type, b->type)))
		return a->what;
	return NULL;
}

/*
 * Does @device, given to be found, mean @at? Each of what it says of itself has to be so;
 * something must tell it apart.
 */
static bool is_meant(const xmlNode *device, const xmlNode *at)
{
	static const char *const tells[] = {
		"@type",       "@model",	   "alias@name",    "mac@address", "target@dev",
		"target@name", "target@port",	   "source@bridge", "source@file", "source@dev",
		"source@path", "source@namespace", "@index",	    "@name",	   "backend@model",
		"@bus",	       "source@network",   "target@dir",
	};
	struct definition_hostdev wanted, found;
	struct host_usb usb, other;

	if (!same_name(device, at))
		return false;
	/* a running guest has the file that a volume is: the target tells */
	if (node_is(device, "disk") && node_get(device, "target@dev") &&
	    (node_has(device, "type", "volume") || node_has(at, "type", "volume")))
		return same(device, at, "target@dev");
	for (size_t i = 0; i < sizeof(tells) / sizeof(tells[0]); i++)
		if (node_get(device, tells[i]) && !same(device, at, tells[i]))
			return false;
	if (device_hostdev((xmlNode *)(uintptr_t)device, &wanted, NULL) == 1 &&
	    (device_hostdev((xmlNode *)(uintptr_t)at, &found, NULL) != 1 ||
	     pt_address_compare(&wanted.address, &found.address) != 0))
		return false;
	if (device_host_usb((xmlNode *)(uintptr_t)device, &usb, NULL) == 1 &&
	    (device_host_usb((xmlNode *)(uintptr_t)at, &other, NULL) != 1 ||
	     !host_usb_is_same(&usb, &other)))
		return false;
	return !node_has(node_child(device, "address"), "type", "pci") || same_address(device, at);
}

int definition_find_device(const struct definition *def, const struct definition *device,
			   xmlNode **ret_node, struct pt_error *err)
{
	xmlNode *root = definition_root(device), *found = NULL;
	char address[PT_ADDRESS_TEXT], words[HOST_USB_WORDS];
	struct definition_hostdev hostdev;
	struct host_usb usb;

	for (xmlNode *at = definition_first_device(def); at; at = node_next(at, NULL)) {
		if (!is_meant(root, at))
			continue;
		if (found)
			return pt_fail(err, PT_INVALID, EINVAL,
				       "guest %s has more than one such %s; select one by its "
				       "alias",
				       definition_name(def), (const char *)root->name);
		found = at;
	}
	if (found) {
		*ret_node = found;
		return 0;
	}
	if (device_hostdev(root, &hostdev, NULL) == 1)
		return pt_fail(err, PT_INVALID, ENOENT, "host pci device %s not found in guest %s",
			       pt_address_format(&hostdev.address, address), definition_name(def));
	if (device_host_usb(root, &usb, NULL) == 1)
		return pt_fail(err, PT_INVALID, ENOENT, "host usb device %s not found in guest %s",
			       host_usb_words(&usb, words), definition_name(def));
	return pt_fail(err, PT_INVALID, ENOENT, "guest %s has no such %s", definition_name(def),
		       (const char *)root->name);
}

/* ---- changing ---- */

int definition_add_device(struct definition *def, const struct definition *device,
			  xmlNode **ret_node, struct pt_error *err)
{
	xmlNode *root = definition_root(device), *devices, *last = NULL, *copy;
	struct device_identity identity;
	int r;

	devices = node_child(definition_root(def), "devices");
	if (!devices)
		devices = node_add(definition_root(def), "devices", NULL);
	if (!devices)
		return pt_fail_memory(err);
	r = definition_check_count(devices, 1, err);
	if (r < 0)
		return r;
	identity = device_identity(root);
	for (xmlNode *at = node_child(devices, NULL); at; at = node_next(at, NULL)) {
		const struct device_identity other = device_identity(at);
		const char *what = device_conflict(&other, &identity);

		if (what && strcmp(what, "source address") == 0)
			return pt_fail(err, PT_INVALID, EEXIST,
				       "Hostdev already exists in the domain "
				       "configuration");
		if (what)
			return pt_fail(err, PT_INVALID, EEXIST,
				       "guest %s has a %s with the same %s already",
				       definition_name(def), (const char *)at->name, what);
		if (same_name(at, root))
			last = at;
	}
	copy = xmlDocCopyNode(root, devices->doc, 1);
	if (!copy)
		return pt_fail_memory(err);
	if (last)
		(void)xmlAddNextSibling(last, copy);
	else
		(void)xmlAddChild(devices, copy);
	if (ret_node)
		*ret_node = copy;
	return 0;
}

void definition_remove_device(struct definition *def, xmlNode *node)
{
	(void)def;
	node_remove(node);
}
