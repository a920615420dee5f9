/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Controllers, the host's PCI devices, and where on the guest's PCI buses things sit. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "domain/command_line/parts.h"
#include "domain/definition/device.h"
#include "domain/definition/topology.h"

/* ---- addresses ---- */

static const xmlNode *find_controller(const struct command_line *line, const char *type,
				      unsigned int index)
{
	const xmlNode *at = node_child(line->devices, "controller");

	for (; at; at = node_next(at, "controller")) {
		uint64_t number;

		if (node_has(at, "type", type) && node_number(at, "index", 255, &number) == 0 &&
		    number == index)
			return at;
	}
	return NULL;
}

void line_pci_address(struct command_line *line, struct json_object *object, const xmlNode *node)
{
	struct pt_address address;
	const xmlNode *bus;

	if (!device_guest_address(node, &address)) {
		line_fail(line, EINVAL, node,
			  "domain/devices/%s has no address in the guest: the definition is "
			  "incomplete",
			  (const char *)node->name);
		return;
	}
	bus = find_controller(line, "pci", address.bus);
	if (!bus)
		line_fail(line, EINVAL, node, "domain/devices/%s: the guest has no PCI bus %u",
			  (const char *)node->name, address.bus);
	props_add_text(line, object, "bus", line_alias(bus));
	if (node_says(node, "address@multifunction", "on"))
		props_add_bool(line, object, "multifunction", true);
	if (address.function)
		props_add_format(line, object, "addr", "0x%x.0x%x", address.device,
				 address.function);
	else
		props_add_format(line, object, "addr", "0x%x", address.device);
}

/* What <os><boot dev=…> calls a device of its kind; NULL: nothing that is booted from. */
static const char *boot_kind(const xmlNode *node)
{
	if (node_is(node, "disk"))
		return node_has(node, "device", "cdrom") ? "cdrom" : "hd";
	return node_is(node, "interface") ? "network" : NULL;
}

/*
 * The place of its kind in <os>, for the first device of the kind: firmware reads the list that
 * QEMU makes of bootindex, and OVMF nothing else. 0: none.
 */
static unsigned int boot_place(const struct command_line *line, const xmlNode *node)
{
	const xmlNode *boot = node_find(line->root, "os/boot"), *at;
	const char *kind = boot_kind(node);
	unsigned int place = 1;

	if (!kind)
		return 0;
	for (at = node_child(line->devices, NULL); at && at != node; at = node_next(at, NULL))
		if (text_equal(boot_kind(at), kind))
			return 0;
	for (; boot; boot = node_next(boot, "boot"), place++)
		if (node_has(boot, "dev", kind))
			return place;
	return 0;
}

void line_boot_order(struct command_line *line, struct json_object *object, const xmlNode *node)
{
	unsigned int place = boot_place(line, node);

	props_add_number_of(line, object, "bootindex", node, "boot@order");
	if (place)
		props_add_int(line, object, "bootindex", place);
}

/* ---- controllers ---- */

static const struct {
	const char *model;
	const char *driver;
} drivers[] = {
	{"pcie-root-port", "pcie-root-port"},
	{"pcie-switch-upstream-port", "x3130-upstream"},
	{"pcie-switch-downstream-port", "xio3130-downstream"},
	{"pcie-to-pci-bridge", "pcie-pci-bridge"},
	{"dmi-to-pci-bridge", "i82801b11-bridge"},
	{"pci-bridge", "pci-bridge"},
	{"pcie-expander-bus", "pxb-pcie"},
	{"qemu-xhci", "qemu-xhci"},
	{"piix3-uhci", "piix3-usb-uhci"},
	{"piix4-uhci", "piix4-usb-uhci"},
	{"ehci", "usb-ehci"},
	{"pci-ohci", "pci-ohci"},
	{"nec-xhci", "nec-usb-xhci"},
	{"ich9-ehci1", "ich9-usb-ehci1"},
	{"ich9-uhci1", "ich9-usb-uhci1"},
	{"ich9-uhci2", "ich9-usb-uhci2"},
	{"ich9-uhci3", "ich9-usb-uhci3"},
	{"virtio-scsi", "virtio-scsi-pci"},
	{"auto", "virtio-scsi-pci"},
};

static const char *controller_driver(const xmlNode *controller)
{
	const char *model = node_attribute(controller, "model");
	const char *name = node_get(controller, "model@name");

	/* the same kind of bridge, by another maker: table_devices.c has those that there are */
	if (name)
		return name;

	if (node_has(controller, "type", "virtio-serial"))
		return "virtio-serial-pci";
	if (node_has(controller, "type", "sata"))
		return "ich9-ahci";
	if (!model)
		return node_has(controller, "type", "scsi") ? "virtio-scsi-pci" : "qemu-xhci";
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (strcmp(model, drivers[i].model) == 0)
			return drivers[i].driver;
	return NULL;
}

static void add_usb(struct command_line *line, struct json_object *object, const xmlNode *node)
{
	uint64_t index = 0;

	if (node_get(node, "@ports")) {
		props_add_number_of(line, object, "p2", node, "@ports");
		props_add_number_of(line, object, "p3", node, "@ports");
	}
	if (!node_child(node, "master"))
		return;
	/* a companion has the bus of its USB 2 controller, which has the same index */
	(void)node_number(node, "index", 255, &index);
	line_usb_bus(line, object, "masterbus", index);
	props_add_number_of(line, object, "firstport", node, "master@startport");
}

static void add_expander(struct command_line *line, struct json_object *object, const xmlNode *node)
{
	const char *text = node_get(node, "target/node");
	const xmlNode *cell = node_find(line->root, "cpu/numa/cell");
	uint64_t wanted = 0;

	props_add_number_of(line, object, "bus_nr", node, "target@busNr");
	if (!text)
		return;
	(void)text_parse_number(text, 10, 127, &wanted);
	for (uint64_t i = 0; cell && i < wanted; i++)
		cell = node_next(cell, "cell");
	if (!cell)
		line_fail(line, EINVAL, node,
			  "domain/devices/controller/target/node: the guest has no NUMA cell %s "
			  "(domain/cpu/numa/cell)",
			  text);
	props_add_int(line, object, "numa_node", wanted);
}

static void add_controller(struct command_line *line, const xmlNode *node)
{
	const char *driver = controller_driver(node);
	struct json_object *object;

	if (!driver) {
		line_fail(line, EOPNOTSUPP, node,
			  "domain/devices/controller@model='%s' isn't supported",
			  node_get(node, "@model"));
		return;
	}
	object = line_device(line, driver, node);
	if (node_has(node, "model", "pci-bridge")) {
		if (node_get(node, "target@chassisNr"))
			props_add_number_of(line, object, "chassis_nr", node, "target@chassisNr");
		else
			props_add_number_of(line, object, "chassis_nr", node, "@index");
	} else if (node_has(node, "model", "pcie-expander-bus")) {
		add_expander(line, object, node);
	} else if (node_has(node, "type", "pci")) {
		props_add_number_of(line, object, "port", node, "target@port");
		props_add_number_of(line, object, "chassis", node, "target@chassis");
		props_add_bool_of(line, object, "hotplug", node, "target@hotplug");
		if (line->files->window.port && topology_is_empty_port(line->devices, node))
			props_add_int(line, object, "pref64-reserve", line->files->window.port);
	} else if (node_has(node, "type", "usb")) {
		add_usb(line, object, node);
	} else if (node_has(node, "type", "scsi")) {
		line_virtio_driver(line, object, node);
		props_add_number_of(line, object, "num_queues", node, "driver@queues");
		if (node_get(node, "driver@iothread"))
			props_add_format(line, object, "iothread", "iothread%s",
					 node_get(node, "driver@iothread"));
	} else if (node_has(node, "type", "virtio-serial")) {
		props_add_number_of(line, object, "max_ports", node, "@ports");
		props_add_number_of(line, object, "vectors", node, "@vectors");
	}
	line_pci_address(line, object, node);
	line_put(line, LINE_DEVICE, object);
}

/* Part of the machine, or none at all. */
static bool is_built_in(const xmlNode *controller)
{
	return node_has(controller, "model", "pcie-root") ||
	       node_has(controller, "model", "pci-root") || node_has(controller, "model", "none") ||
	       node_has(controller, "type", "ide") ||
	       (node_has(controller, "type", "sata") && node_has(controller, "index", "0") &&
		!node_is_i440fx(controller));
}

/* How many buses are between this one and the root; a bus has to be there before what sits on it.
 */
static int depth_of(const struct command_line *line, const xmlNode *controller)
{
	struct pt_address address;
	int depth = 0;

	while (controller && depth < BUSES && device_guest_address(controller, &address) &&
	       address.bus > 0) {
		controller = find_controller(line, "pci", address.bus);
		depth++;
	}
	return depth;
}

void line_controllers(struct command_line *line)
{
	int deepest = 0;

	for (int depth = 0; depth <= deepest; depth++)
		for (const xmlNode *at = node_child(line->devices, "controller"); at;
		     at = node_next(at, "controller")) {
			int own = is_built_in(at) ? -1 : depth_of(line, at);

			if (own == BUSES)
				line_fail(line, EINVAL, at,
					  "domain/devices/controller: the PCI buses form a loop");
			else if (own > deepest)
				deepest = own;
			if (own == depth)
				add_controller(line, at);
		}
}

/* ---- hostdevs ---- */

static void add_rom(struct command_line *line, struct json_object *object, const xmlNode *node)
{
	const xmlNode *rom = node_child(node, "rom");
	const char *bar = node_attribute(rom, "bar");

	if (bar)
		props_add_int(line, object, "rombar", strcmp(bar, "on") == 0);
	if (node_has(rom, "enabled", "no"))
		props_add_text(line, object, "romfile", "");
	else
		props_add_text_of(line, object, "romfile", node, "rom@file");
}

/* A standby's pair: the guest fails over to it while the hostdev is unplugged (virtio 1.2, 5.1.3).
 */
static void add_teaming(struct command_line *line, struct json_object *object, const xmlNode *node)
{
	if (!node_says(node, "teaming@type", "transient"))
		return;
	if (!node_get(node, "teaming@persistent"))
		line_fail(line, EINVAL, node, "domain/devices/%s/teaming@persistent is missing",
			  (const char *)node->name);
	props_add_text_of(line, object, "failover_pair_id", node, "teaming@persistent");
}

void line_hostdev(struct command_line *line, const xmlNode *node)
{
	struct definition_hostdev hostdev;
	char address[PT_ADDRESS_TEXT];
	struct json_object *object;

	if (node_has(node, "type", "usb")) {
		line_host_usb(line, node);
		return;
	}
	if (device_hostdev((xmlNode *)(uintptr_t)node, &hostdev, line->err) != 1) {
		line_fail(line, EINVAL, node,
			  "domain/devices/hostdev/source is not a valid "
			  "address");
		return;
	}
	object = line_device(line, "vfio-pci", node);
	props_add_text(line, object, "host", pt_address_format(&hostdev.address, address));
	line_boot_order(line, object, node);
	add_teaming(line, object, node);
	line_pci_address(line, object, node);
	add_rom(line, object, node);
	line_put(line, LINE_DEVICE, object);
}
