/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices on the guest's USB buses, and those of the host there. */
#include <string.h>

#include "base/text.h"
#include "domain/command_line/parts.h"
#include "domain/definition/device.h"
#include "domain/definition/host_usb.h"

/* ---- where they sit ---- */

static uint64_t usb_bus(const xmlNode *device)
{
	uint64_t bus;

	return node_number(node_child(device, "address"), "bus", 255, &bus) == 0 ? bus : 0;
}

static const xmlNode *usb_controller(const struct command_line *line, uint64_t bus)
{
	const xmlNode *at = node_child(line->devices, "controller");
	uint64_t index;

	for (; at; at = node_next(at, "controller"))
		if (node_has(at, "type", "usb") && !node_child(at, "master") &&
		    node_number(at, "index", 255, &index) == 0 && index == bus)
			break;
	return at;
}

/* How many QEMU's controllers have: hw/usb/hcd-*.c. */
static uint64_t count_ports(const xmlNode *controller)
{
	static const struct {
		const char *model;
		uint64_t ports;
	} models[] = {{"piix3-uhci", 2}, {"piix4-uhci", 2}, {"ehci", 6},
		      {"ich9-ehci1", 6}, {"pci-ohci", 3},   {"qemu-xhci", 4}};
	uint64_t ports;

	if (node_number(controller, "ports", 15, &ports) == 0)
		return ports;
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		if (node_has(controller, "model", models[i].model))
			return models[i].ports;
	return 4;
}

/*
 * QEMU chooses the first free port for each device that says none, and then one that was said
 * further down may be taken; so, where one is said, the others get what is left of the bus. 0: QEMU
 * chooses (a hub, when none is left).
 */
static uint64_t choose_port(const struct command_line *line, const xmlNode *node, uint64_t bus)
{
	const uint64_t ports = count_ports(usb_controller(line, bus));
	bool is_said[16] = {false}, is_any = false;
	uint64_t port, before = 0;

	for (const xmlNode *at = node_child(line->devices, NULL); at; at = node_next(at, NULL)) {
		if (!device_is_on_usb(at) || usb_bus(at) != bus)
			continue;
		if (node_number(node_child(at, "address"), "port", 15, &port) == 0)
			is_any = is_said[port] = true;
	}
	for (const xmlNode *at = node_child(line->devices, NULL); at != node;
	     at = node_next(at, NULL))
		before +=
			device_is_on_usb(at) && usb_bus(at) == bus && !node_get(at, "address@port");
	for (port = 1; is_any && port <= ports; port++)
		if (!is_said[port] && before-- == 0)
			return port;
	return 0;
}

/* QEMU names a bus after the id of its controller. */
void line_usb_bus(struct command_line *line, struct json_object *object, const char *key,
		  uint64_t index)
{
	const xmlNode *controller = usb_controller(line, index);

	props_add_format(line, object, key, "%s.0", controller ? line_alias(controller) : "usb");
}

void line_usb_seat(struct command_line *line, struct json_object *object, const xmlNode *node)
{
	uint64_t bus = usb_bus(node), port;

	if (!usb_controller(line, bus))
		line_fail(line, EINVAL, node,
			  "domain/devices/%s: the guest has no USB controller with index %llu; add "
			  "<controller type='usb' index='%llu' model='qemu-xhci'/>",
			  (const char *)node->name, (unsigned long long)bus,
			  (unsigned long long)bus);
	line_usb_bus(line, object, "bus", bus);
	if (node_get(node, "address@port")) {
		props_add_text_of(line, object, "port", node, "address@port");
		return;
	}
	/* what runs already has seats that only QEMU knows */
	port = line->commands ? 0 : choose_port(line, node, bus);
	if (port)
		props_add_format(line, object, "port", "%llu", (unsigned long long)port);
}

/* ---- the host's ---- */

/* QEMU resets it when it gets it, and whenever the guest wants that. */
static void add_guest_reset(struct command_line *line, struct json_object *object,
			    const xmlNode *node)
{
	const char *reset = node_get(node, "source@guestReset");

	if (!reset)
		return;
	props_add_bool(line, object, "guest-reset", strcmp(reset, "off") != 0);
	if (strcmp(reset, "off") != 0)
		props_add_bool(line, object, "guest-resets-all", strcmp(reset, "all") == 0);
}

void line_host_usb(struct command_line *line, const xmlNode *node)
{
	struct json_object *object;
	char path[HOST_USB_NODE];

	/* the host hasn't got it, and the guest can do without */
	if (node_says(node, "source@missing", "yes"))
		return;
	object = line_device(line, "usb-host", node);
	if (host_usb_node(node, path))
		props_add_text(line, object, "hostdevice", path);
	else if (!line->is_for_show)
		line_fail(line, EINVAL, node,
			  "domain/devices/hostdev: no USB device was chosen for it");
	add_guest_reset(line, object, node);
	line_usb_seat(line, object, node);
	line_boot_order(line, object, node);
	line_put(line, LINE_DEVICE, object);
}
