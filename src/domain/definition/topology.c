/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/topology.h"

#include <string.h>

#include "domain/definition/device.h"
#include "domain/definition/alias.h"
#include "domain/definition/xml_node.h"

/*
 * pcie.0 of q35: slot 0 is the host bridge, 0x1f the LPC bridge, SATA and SMBus. Where our own
 * choice begins: slot 1 is for the video device, as everywhere.
 */
enum { FIRST_SLOT = 2, LAST_SLOT = 0x1a, LPC_SLOT = 0x1f, SATA_FUNCTION = 2 };

/* pci.0 of pc: slot 0 is the host bridge, 1 PIIX3 with IDE, USB and power management. */
enum { PIIX_SLOT = 1, IDE_FUNCTION = 1, UHCI_FUNCTION = 2, VIDEO_SLOT = 2, PCI_FIRST_SLOT = 3 };

/* ---- what goes where ---- */

/* Fixed places, as libvirt chooses them; guests' drivers have come to expect some. */
static const struct {
	const char *name;
	const char *attribute;
	const char *value;
	enum placement placement;
	struct pt_address preferred; /* on bus 0; slot 0: none */
} places[] = {
	{"hostdev", "@type", "usb", PLACE_NOWHERE, {0}},
	{"hostdev", NULL, NULL, PLACE_PORT, {0}},
	{"interface", "@type", "hostdev", PLACE_PORT, {0}},
	{"interface", "model@type", "e1000", PLACE_ROOT, {0}},
	{"interface", "model@type", "rtl8139", PLACE_ROOT, {0}},
	{"interface", NULL, NULL, PLACE_PORT, {0}},
	{"controller", "@model", "pcie-root-port", PLACE_ROOT, {0}},
	{"controller", "@model", "pcie-expander-bus", PLACE_ROOT, {0}},
	{"controller", "@model", "pcie-switch-downstream-port", PLACE_SWITCH, {0}},
	{"controller", "@model", "pcie-switch-upstream-port", PLACE_PORT, {0}},
	{"controller", "@model", "pcie-to-pci-bridge", PLACE_PORT, {0}},
	{"controller", "@model", "dmi-to-pci-bridge", PLACE_ROOT, {.device = 0x1e}},
	{"controller", "@model", "pci-bridge", PLACE_PCI, {0}},
	{"controller", "@type", "scsi", PLACE_PORT, {0}},
	{"controller", "@type", "virtio-serial", PLACE_PORT, {0}},
	{"controller", "@model", "ich9-ehci1", PLACE_ROOT, {.device = 0x1d, .function = 7}},
	{"controller", "@model", "ich9-uhci1", PLACE_ROOT, {.device = 0x1d, .function = 0}},
	{"controller", "@model", "ich9-uhci2", PLACE_ROOT, {.device = 0x1d, .function = 1}},
	{"controller", "@model", "ich9-uhci3", PLACE_ROOT, {.device = 0x1d, .function = 2}},
	{"controller", "@model", "piix3-uhci", PLACE_ROOT, {0}},
	{"controller", "@model", "piix4-uhci", PLACE_ROOT, {0}},
	{"controller", "@model", "ehci", PLACE_ROOT, {0}},
	{"controller", "@model", "pci-ohci", PLACE_ROOT, {0}},
	{"controller", "@model", "qemu-xhci", PLACE_PORT, {0}},
	{"controller", "@model", "nec-xhci", PLACE_PORT, {0}},
	{"sound", "@model", "ich9", PLACE_ROOT, {.device = 0x1b}},
	{"sound", "@model", "usb", PLACE_NOWHERE, {0}},
	{"sound", "@model", "virtio", PLACE_PORT, {0}},
	{"sound", NULL, NULL, PLACE_ROOT, {0}},
	{"watchdog", "@model", "i6300esb", PLACE_ROOT, {0}},
	{"memballoon", "@model", "virtio", PLACE_PORT, {0}},
	{"rng", NULL, NULL, PLACE_PORT, {0}},
	{"shmem", NULL, NULL, PLACE_ROOT, {0}},
	{"input", "@bus", "virtio", PLACE_PORT, {0}},
	{"iommu", "@model", "virtio", PLACE_ROOT, {0}},
	{"panic", "@model", "pvpanic", PLACE_ROOT, {0}},
	{"vsock", NULL, NULL, PLACE_PORT, {0}},
	{"filesystem", NULL, NULL, PLACE_PORT, {0}},
};

bool device_is_primary_video(const xmlNode *video)
{
	const xmlNode *first = node_child(video->parent, "video");

	for (const xmlNode *at = first; at; at = node_next(at, "video"))
		if (node_says(at, "model@primary", "yes"))
			return at == video;
	return !first || first == video;
}

static enum placement video_placement(const xmlNode *video)
{
	if (node_says(video, "model@type", "none") || node_says(video, "model@type", "ramfb"))
		return PLACE_NOWHERE;
	return node_says(video, "model@type", "virtio") && !device_is_primary_video(video)
		       ? PLACE_PORT
		       : PLACE_ROOT;
}

/* ret_preferred: where on bus 0 it would like to be; slot 0 for anywhere. */
static enum placement find_place(const xmlNode *device, struct pt_address *ret_preferred)
{
	*ret_preferred = (struct pt_address){0};
	if (node_is(device, "video")) {
		ret_preferred->device = device_is_primary_video(device) ? 1 : 0;
		return video_placement(device);
	}
	if (node_is(device, "disk"))
		return strcmp(disk_bus(device), "virtio") == 0 ? PLACE_PORT : PLACE_NOWHERE;
	if (node_is(device, "controller") && node_has(device, "type", "ide"))
		return PLACE_NOWHERE; /* part of PIIX3 */
	if (node_is(device, "controller") && node_has(device, "type", "sata") &&
	    node_is_i440fx(device))
		return PLACE_ROOT;
	/* the first SATA controller is part of the machine */
	if (node_is(device, "controller") && node_has(device, "type", "sata")) {
		ret_preferred->device = node_has(device, "index", "0") ? LPC_SLOT : 0;
		ret_preferred->function = node_has(device, "index", "0") ? SATA_FUNCTION : 0;
		return PLACE_ROOT;
	}
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (node_is(device, places[i].name) &&
		    (!places[i].attribute ||
		     node_says(device, places[i].attribute, places[i].value))) {
			*ret_preferred = places[i].preferred;
			return places[i].placement;
		}
	return PLACE_NOWHERE;
}

enum placement device_placement(const xmlNode *device)
{
	struct pt_address preferred;

	return find_place(device, &preferred);
}

int device_set_address(xmlNode *device, const struct pt_address *address, bool is_multifunction)
{
	xmlNode *node;

	/* one that says nothing */
	node_remove(node_child(device, "address"));
	node = node_add(device, "address", NULL);
	if (!node || node_set(node, "type", "pci") < 0 ||
	    node_set_format(node, "domain", "0x%04x", address->domain) < 0 ||
	    node_set_format(node, "bus", "0x%02x", address->bus) < 0 ||
	    node_set_format(node, "slot", "0x%02x", address->device) < 0 ||
	    node_set_format(node, "function", "0x%x", address->function) < 0 ||
	    (is_multifunction && node_set(node, "multifunction", "on") < 0))
		return -ENOMEM;
	return 0;
}

/* ---- reading ---- */

static enum bus_kind kind_of(const xmlNode *controller)
{
	static const struct {
		const char *model;
		enum bus_kind kind;
	} kinds[] = {
		{"pcie-root", BUS_ROOT},
		{"pci-root", BUS_PCI_ROOT},
		{"pcie-root-port", BUS_PORT},
		{"pcie-switch-downstream-port", BUS_PORT},
		{"pcie-switch-upstream-port", BUS_UPSTREAM},
		{"pcie-to-pci-bridge", BUS_BRIDGE},
		{"pci-bridge", BUS_BRIDGE},
		{"dmi-to-pci-bridge", BUS_DMI},
		{"pcie-expander-bus", BUS_EXPANDER},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (node_has(controller, "model", kinds[i].model))
			return kinds[i].kind;
	return BUS_NONE;
}

static int read_controllers(struct topology *topology, struct pt_error *err)
{
	bool is_pc = node_is_i440fx(topology->devices);

	for (xmlNode *at = node_child(topology->devices, "controller"); at;
	     at = node_next(at, "controller")) {
		struct pt_address address;
		enum bus_kind kind;
		uint64_t index;

		if (!node_has(at, "type", "pci") || node_number(at, "index", 255, &index) < 0)
			continue;
		kind = kind_of(at);
		if ((kind == BUS_ROOT || kind == BUS_PCI_ROOT) != (index == 0))
			return pt_fail(
				err, PT_INVALID, EINVAL,
				"domain/devices/controller: the pcie-root or pci-root, and no "
				"other PCI controller, must have index 0 (line %ld)",
				xmlGetLineNo(at));
		if (node_is_i440fx(at) != (kind == BUS_PCI_ROOT || (kind == BUS_BRIDGE && is_pc)))
			return pt_fail(
				err, PT_INVALID, EINVAL,
				"domain/devices/controller@model='%s' can't be in the machine "
				"%s (line %ld)",
				node_attribute(at, "model"), is_pc ? "pc" : "q35",
				xmlGetLineNo(at));
		topology->buses[index].kind = kind;
		topology->buses[index].is_placed = index == 0 || device_guest_address(at, &address);
		topology->buses[index].has_hotplug =
			kind == BUS_PORT && !node_says(at, "target@hotplug", "off");
	}
	return 0;
}

static bool may_sit(const struct topology *topology, const xmlNode *device,
		    const struct pt_address *address)
{
	const struct bus *bus = &topology->buses[address->bus];

	switch (bus->kind) {
	case BUS_ROOT:
		if (address->device == LPC_SLOT)
			return node_has(device, "type", "sata") &&
			       address->function == SATA_FUNCTION;
		return address->device > 0;
	case BUS_PCI_ROOT:
		return address->device != 0 && (address->device != PIIX_SLOT || address->function);
	case BUS_PORT:
		return address->device == 0;
	case BUS_BRIDGE:
		return address->device > 0;
	case BUS_DMI:
		return true;
	case BUS_UPSTREAM:
		return device_placement(device) == PLACE_SWITCH;
	case BUS_EXPANDER:
		return node_has(device, "model", "pcie-root-port") ||
		       node_has(device, "model", "dmi-to-pci-bridge");
	default:
		return false;
	}
}

static int fail_seat(const xmlNode *device, const struct pt_address *address, struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT];

	return pt_fail(
		err, PT_INVALID, EINVAL,
		"domain/devices/%s: a device of this kind can't be at %s in the guest (line %ld); "
		"omit the address to let passthrud choose one",
		(const char *)device->name, pt_address_format(address, text), xmlGetLineNo(device));
}

/* Buses up to those that addresses speak of. */
static int add_missing_buses(struct topology *topology, struct pt_error *err)
{
	bool is_pc = node_is_i440fx(topology->devices);
	unsigned int last = 0;

	for (const xmlNode *at = node_child(topology->devices, NULL); at;
	     at = node_next(at, NULL)) {
		struct pt_address address;

		if (device_guest_address(at, &address) && address.bus > last)
			last = address.bus;
	}
	for (unsigned int bus = 1; bus <= last; bus++) {
		xmlNode *port;

		if (topology->buses[bus].kind != BUS_NONE)
			continue;
		port = node_add(topology->devices, "controller", NULL);
		if (!port || node_set(port, "type", "pci") < 0 ||
		    node_set_format(port, "index", "%u", bus) < 0 ||
		    node_set(port, "model", is_pc ? "pci-bridge" : "pcie-root-port") < 0)
			return pt_fail_memory(err);
		topology->buses[bus].kind = is_pc ? BUS_BRIDGE : BUS_PORT;
		topology->buses[bus].has_hotplug = !is_pc;
	}
	return 0;
}

/* What is behind an expander is near its memory: devices go there only by their addresses. */
static void keep_for_addresses(struct topology *topology)
{
	for (const xmlNode *at = node_child(topology->devices, "controller"); at;
	     at = node_next(at, "controller")) {
		struct pt_address address;
		uint64_t index;

		if (!node_has(at, "type", "pci") || node_number(at, "index", 255, &index) < 0 ||
		    !device_guest_address(at, &address) ||
		    topology->buses[address.bus].kind != BUS_EXPANDER)
			continue;
		topology->buses[index].has_hotplug = false;
		topology->buses[index].is_placed = false;
	}
}

int topology_read(struct topology *topology, xmlNode *devices, bool may_add, struct pt_error *err)
{
	int r;

	*topology = (struct topology){.devices = devices};
	r = read_controllers(topology, err);
	if (r == 0 && may_add)
		r = add_missing_buses(topology, err);
	if (r < 0)
		return r;
	keep_for_addresses(topology);
	for (const xmlNode *at = node_child(devices, NULL); at; at = node_next(at, NULL)) {
		struct pt_address address;

		if (!device_guest_address(at, &address))
			continue;
		if (address.domain || !may_sit(topology, at, &address))
			return fail_seat(at, &address, err);
		topology->buses[address.bus].used[address.device] |=
			(uint8_t)(1u << address.function);
	}
	return 0;
}

/* ---- placing ---- */

static bool is_free(const struct topology *topology, const struct pt_address *address)
{
	return !(topology->buses[address->bus].used[address->device] & 1u << address->function);
}

/* Where root ports share a slot: its function 0 has to say so (PCI Local Bus 3.0, 6.2.1). */
static xmlNode *root_port_at(const struct topology *topology, unsigned int slot)
{
	for (xmlNode *at = node_child(topology->devices, "controller"); at;
	     at = node_next(at, "controller")) {
		struct pt_address address;

		if (node_has(at, "model", "pcie-root-port") && device_guest_address(at, &address) &&
		    address.bus == 0 && address.device == slot && address.function == 0)
			return at;
	}
	return NULL;
}

/* The next function of a slot that root ports share, or a new slot. */
static int find_port_seat(const struct topology *topology, struct pt_address *ret_address)
{
	const struct bus *root = &topology->buses[0];

	for (unsigned int slot = FIRST_SLOT; slot <= LAST_SLOT; slot++) {
		unsigned int function = 0;

		while (function < 8 && root->used[slot] & 1u << function)
			function++;
		if (function == 8)
			continue;
		if (function > 0 &&
		    !node_says(root_port_at(topology, slot), "address@multifunction", "on"))
			continue;
		*ret_address =
			(struct pt_address){.device = (uint8_t)slot, .function = (uint8_t)function};
		return 0;
	}
	return -EBUSY;
}

static int find_root_seat(const struct topology *topology, const struct pt_address *preferred,
			  struct pt_address *ret_address)
{
	if (preferred->device && is_free(topology, preferred)) {
		*ret_address = *preferred;
		return 0;
	}
	/* from above, so that root ports go on below in one piece */
	for (unsigned int slot = LAST_SLOT; slot > 0; slot--)
		if (!topology->buses[0].used[slot]) {
			*ret_address = (struct pt_address){.device = (uint8_t)slot};
			return 0;
		}
	return -EBUSY;
}

/* Behind the first port with nothing behind it; a new one when all are taken. */
static int find_behind_port(struct topology *topology, struct pt_address *ret_address,
			    struct pt_error *err)
{
	for (int round = 0; round < 2; round++) {
		for (unsigned int bus = 1; bus < BUSES; bus++)
			if (topology->buses[bus].kind == BUS_PORT &&
			    topology->buses[bus].is_placed && !topology->buses[bus].used[0]) {
				*ret_address = (struct pt_address){.bus = (uint8_t)bus};
				return 0;
			}
		if (topology_add_port(topology, err) < 0)
			break;
	}
	return -EBUSY;
}

/* The first free slot on a bus of this kind or the other one. */
static int find_slot(const struct topology *topology, enum bus_kind kind, enum bus_kind other,
		     struct pt_address *ret_address)
{
	for (unsigned int bus = 1; bus < BUSES; bus++)
		for (unsigned int slot = topology->buses[bus].kind == BUS_BRIDGE; slot < SLOTS;
		     slot++)
			if ((topology->buses[bus].kind == kind ||
			     topology->buses[bus].kind == other) &&
			    topology->buses[bus].is_placed && !topology->buses[bus].used[slot]) {
				*ret_address = (struct pt_address){.bus = (uint8_t)bus,
								   .device = (uint8_t)slot};
				return 0;
			}
	return -EBUSY;
}

/* What a root port shows of itself; QEMU wants chassis and slot numbers unique. */
static int set_port_target(xmlNode *port, const struct pt_address *address)
{
	xmlNode *target = node_child(port, "target");
	uint64_t index = 0;

	if (!node_child(port, "model")) {
		xmlNode *model = node_add(port, "model", NULL);

		if (!model || node_set(model, "name", "pcie-root-port") < 0)
			return -ENOMEM;
	}
	if (!target)
		target = node_add(port, "target", NULL);
	(void)node_number(port, "index", 255, &index);
	if (!target ||
	    (!node_attribute(target, "chassis") &&
	     node_set_format(target, "chassis", "%u", (unsigned int)index) < 0) ||
	    (!node_attribute(target, "port") &&
	     node_set_format(target, "port", "0x%x",
			     (unsigned int)address->device << 3 | address->function) < 0))
		return -ENOMEM;
	return 0;
}

unsigned int topology_free_slot(const struct topology *topology)
{
	unsigned int slot = PCI_FIRST_SLOT;

	while (slot < SLOTS && topology->buses[0].used[slot])
		slot++;
	return slot < SLOTS && topology->buses[0].kind == BUS_PCI_ROOT ? slot : 0;
}

/* On machine pc: what firmware and drivers expect where, and the others in turn. */
static int find_pci_seat(const struct topology *topology, const xmlNode *device,
			 const struct pt_address *preferred, struct pt_address *ret_address)
{
	struct pt_address wanted = *preferred;

	if (node_is(device, "video"))
		wanted.device = preferred->device ? VIDEO_SLOT : 0;
	else if (node_has(device, "model", "piix3-uhci"))
		wanted = (struct pt_address){.device = PIIX_SLOT, .function = UHCI_FUNCTION};
	if (wanted.device && is_free(topology, &wanted)) {
		*ret_address = wanted;
		return 0;
	}
	*ret_address = (struct pt_address){.device = (uint8_t)topology_free_slot(topology)};
	return ret_address->device ? 0 : -EBUSY;
}

int topology_place(struct topology *topology, xmlNode *device, struct pt_error *err)
{
	struct pt_address address = {0}, preferred;
	enum placement placement = find_place(device, &preferred);
	bool is_port = node_has(device, "model", "pcie-root-port");
	uint64_t index;
	int r;

	if (placement == PLACE_NOWHERE || device_guest_address(device, &address)) {
		if (is_port && set_port_target(device, &address) < 0)
			return pt_fail_memory(err);
		return 0;
	}
	if (topology->buses[0].kind == BUS_PCI_ROOT)
		r = find_pci_seat(topology, device, &preferred, &address);
	else if (is_port)
		r = find_port_seat(topology, &address);
	else if (placement == PLACE_ROOT)
		r = find_root_seat(topology, &preferred, &address);
	else if (placement == PLACE_SWITCH)
		r = find_slot(topology, BUS_UPSTREAM, BUS_UPSTREAM, &address);
	else if (placement == PLACE_PCI)
		r = find_slot(topology, BUS_DMI, BUS_BRIDGE, &address);
	else
		r = find_behind_port(topology, &address, err);
	if (r < 0)
		return pt_fail(err, PT_INVALID, EBUSY,
			       "No more available PCI slots: no slot is left for domain/devices/%s "
			       "(line %ld)",
			       (const char *)device->name, xmlGetLineNo(device));
	topology->buses[address.bus].used[address.device] |= (uint8_t)(1u << address.function);
	if (is_port && set_port_target(device, &address) < 0)
		return pt_fail_memory(err);
	/* several functions in one slot: root ports, and the USB 2 controllers of ICH9 */
	r = device_set_address(device, &address,
			       address.function == 0 && (is_port || address.device == 0x1d));
	if (r == 0 && node_has(device, "type", "pci") &&
	    node_number(device, "index", 255, &index) == 0)
		topology->buses[index].is_placed = true;
	return r < 0 ? pt_fail_memory(err) : 0;
}

int topology_add_port(struct topology *topology, struct pt_error *err)
{
	xmlNode *port, *last = NULL;
	unsigned int index = 1;
	int r;

	while (index < BUSES && topology->buses[index].kind != BUS_NONE)
		index++;
	if (index == BUSES)
		return pt_fail(err, PT_INVALID, EBUSY, "No more available PCI slots");
	for (xmlNode *at = node_child(topology->devices, "controller"); at;
	     at = node_next(at, "controller"))
		last = at;
	port = node_add(topology->devices, "controller", NULL);
	if (!port || node_set(port, "type", "pci") < 0 ||
	    node_set_format(port, "index", "%u", index) < 0 ||
	    node_set(port, "model", "pcie-root-port") < 0)
		return pt_fail_memory(err);
	if (last)
		(void)xmlAddNextSibling(last, port);
	topology->buses[index].kind = BUS_PORT;
	topology->buses[index].has_hotplug = true;
	r = topology_place(topology, port, err);
	if (r < 0) {
		topology->buses[index] = (struct bus){0};
		node_remove(port);
	}
	return r;
}

unsigned int topology_free_port(const struct topology *topology)
{
	for (unsigned int bus = 1; bus < BUSES; bus++)
		if (topology->buses[bus].has_hotplug && !topology->buses[bus].used[0])
			return bus;
	return 0;
}

unsigned int topology_count_free(const struct topology *topology)
{
	unsigned int count = 0;

	for (unsigned int bus = 1; bus < BUSES; bus++)
		count += topology->buses[bus].has_hotplug && !topology->buses[bus].used[0];
	return count;
}

bool topology_is_empty_port(const xmlNode *devices, const xmlNode *controller)
{
	const xmlNode *at = node_child(devices, NULL);
	struct pt_address address;
	uint64_t bus;

	if (!node_has(controller, "model", "pcie-root-port") ||
	    node_number(controller, "index", 255, &bus) < 0)
		return false;
	while (at && !(device_guest_address(at, &address) && address.bus == bus))
		at = node_next(at, NULL);
	return !at;
}
