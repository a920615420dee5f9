/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/complete.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "domain/definition/alias.h"
#include "domain/definition/check.h"
#include "domain/definition/defaults.h"
#include "domain/definition/expander.h"
#include "domain/definition/device.h"
#include "domain/definition/mac.h"
#include "domain/definition/topology.h"
#include "domain/definition/xml_node.h"

AUTO_DEFINE(topology, struct topology *, free)

static int read_topology(const struct definition *def, bool may_add, struct topology **ret_topology,
			 struct pt_error *err)
{
	AUTO(auto_topology) struct topology *topology = calloc(1, sizeof(*topology));
	int r;

	if (!topology)
		return pt_fail_memory(err);
	r = topology_read(topology, node_child(definition_root(def), "devices"), may_add, err);
	if (r < 0)
		return r;
	*ret_topology = TAKE_POINTER(topology);
	return 0;
}

/* ---- controllers ---- */

/* A controller of @type and @index that the definition hasn't got. */
static int need_controller(xmlNode *devices, const char *type, const char *model,
			   unsigned int index, struct pt_error *err)
{
	xmlNode *made;

	for (xmlNode *at = node_child(devices, "controller"); at;
	     at = node_next(at, "controller")) {
		uint64_t number;

		if (node_has(at, "type", type) && node_number(at, "index", 255, &number) == 0 &&
		    number == index)
			return 0;
	}
	made = node_add(devices, "controller", NULL);
	if (!made || node_set(made, "type", type) < 0 ||
	    node_set_format(made, "index", "%u", index) < 0 ||
	    (model && node_set(made, "model", model) < 0))
		return pt_fail_memory(err);
	return 0;
}

/* The lowest index from @index on that no controller of @type has. */
static unsigned int free_index(xmlNode *devices, const char *type, unsigned int index)
{
	bool is_used[256] = {false};

	for (const xmlNode *at = node_child(devices, "controller"); at;
	     at = node_next(at, "controller")) {
		uint64_t number;

		if (node_has(at, "type", type) && node_number(at, "index", 255, &number) == 0)
			is_used[number] = true;
	}
	while (index < sizeof(is_used) && is_used[index])
		index++;
	return index;
}

static int number_controllers(xmlNode *devices, struct pt_error *err)
{
	for (xmlNode *at = node_child(devices, "controller"); at;
	     at = node_next(at, "controller")) {
		/* of PCI the first is the root, whether it is written down or not */
		unsigned int index = node_has(at, "type", "pci") &&
				     !node_has(at, "model", "pcie-root") &&
				     !node_has(at, "model", "pci-root");

		if (node_attribute(at, "index"))
			continue;
		index = free_index(devices, node_attribute(at, "type"), index);
		if (index > 255)
			return pt_fail(err, PT_INVALID, EBUSY,
				       "domain/devices/controller: 256 of a type are as many as "
				       "there can be (line %ld)",
				       xmlGetLineNo(at));
		if (node_set_format(at, "index", "%u", index) < 0)
			return pt_fail_memory(err);
	}
	return 0;
}

static unsigned int seat_controller(const xmlNode *device)
{
	uint64_t number;

	return node_number(node_child(device, "address"), "controller", 255, &number) == 0
		       ? (unsigned int)number
		       : 0;
}

/*
 * The controller of @device: sata, scsi, virtio-serial and usb controllers are added automatically.
 */
static int need_for(xmlNode *devices, const xmlNode *device, struct pt_error *err)
{
	bool is_disk = node_is(device, "disk");

	if (device_is_on_usb(device))
		return need_controller(devices, "usb",
				       node_is_i440fx(device) ? "piix3-uhci" : "qemu-xhci", 0, err);
	if (is_disk && strcmp(disk_bus(device), "ide") == 0)
		return need_controller(devices, "ide", NULL, 0, err);
	if (is_disk && strcmp(disk_bus(device), "sata") == 0)
		return need_controller(devices, "sata", NULL, seat_controller(device), err);
	if (is_disk && strcmp(disk_bus(device), "scsi") == 0)
		return need_controller(devices, "scsi", "virtio-scsi", seat_controller(device),
				       err);
	if ((node_is(device, "channel") || node_is(device, "console")) &&
	    node_says(device, "target@type", "virtio"))
		return need_controller(devices, "virtio-serial", NULL, seat_controller(device),
				       err);
	return 0;
}

static int add_controllers(xmlNode *devices, struct pt_error *err)
{
	int r = number_controllers(devices, err);

	if (r == 0)
		r = need_controller(devices, "pci",
				    node_is_i440fx(devices) ? "pci-root" : "pcie-root", 0, err);
	for (xmlNode *at = node_child(devices, NULL); at && r == 0; at = node_next(at, NULL)) {
		r = device_set_seat(devices, at, err);
		if (r == 0)
			r = need_for(devices, at, err);
	}
	return r;
}

/* ---- completing ---- */

/* Sound that is heard nowhere in particular: by SPICE where there is that, as libvirt has it. */
static int add_audio(xmlNode *devices, struct pt_error *err)
{
	const xmlNode *graphics = node_child(devices, "graphics");
	xmlNode *sound = node_child(devices, "sound"), *made;

	if (!sound || node_child(devices, "audio"))
		return 0;
	while (graphics && !node_has(graphics, "type", "spice"))
		graphics = node_next(graphics, "graphics");
	made = node_add(devices, "audio", NULL);
	if (!made || node_set(made, "id", "1") < 0 ||
	    node_set(made, "type", graphics ? "spice" : "none") < 0)
		return pt_fail_memory(err);
	for (xmlNode *next = sound; next; next = node_next(next, "sound"))
		sound = next;
	(void)xmlAddNextSibling(sound, made);
	return 0;
}

/*
 * Expanders and root ports first: those share slots, and others go behind them; then what makes
 * more buses, those that are nearer to the root before those behind them.
 */
static int place_all(struct topology *topology, struct pt_error *err)
{
	static const char *const first[] = {"pcie-expander-bus",
					    "pcie-root-port",
					    "pcie-switch-upstream-port",
					    "pcie-switch-downstream-port",
					    "dmi-to-pci-bridge",
					    "pcie-to-pci-bridge",
					    "pci-bridge"};
	const size_t rounds = sizeof(first) / sizeof(first[0]);
	int r = 0;

	for (size_t round = 0; round <= rounds && r == 0; round++)
		for (xmlNode *at = node_child(topology->devices, NULL); at && r == 0;
		     at = node_next(at, NULL))
			if (round == rounds || node_has(at, "model", first[round]))
				r = topology_place(topology, at, err);
	return r;
}

int definition_complete(struct definition *def, struct pt_error *err)
{
	AUTO(auto_topology) struct topology *topology = NULL;
	xmlNode *devices = node_child(definition_root(def), "devices");
	int r;

	if (!devices)
		devices = node_add(definition_root(def), "devices", NULL);
	if (!devices)
		return pt_fail_memory(err);
	r = definition_set_defaults(def, err);
	if (r == 0)
		r = definition_complete_macs(def, err);
	if (r == 0)
		r = add_audio(devices, err);
	if (r == 0)
		r = add_controllers(devices, err);
	if (r == 0)
		r = read_topology(def, true, &topology, err);
	if (r == 0)
		r = place_all(topology, err);
	/* a machine that is full without them starts all the same */
	while (r == 0 && !node_is_i440fx(devices) &&
	       topology_count_free(topology) < DEFINITION_FREE_PORTS)
		if (topology_add_port(topology, NULL) < 0)
			break;
	if (r == 0)
		r = expanders_number(devices, err);
	return r < 0 ? r : definition_check_count(devices, 0, err);
}

int definition_make_live(const struct definition *def, int id, struct definition **ret_live,
			 struct pt_error *err)
{
	AUTO(auto_definition) struct definition *live = definition_copy(def);
	xmlNode *devices;
	int r;

	if (!live)
		return pt_fail_memory(err);
	r = definition_complete(live, err);
	if (r == 0)
		r = definition_set_id(live, id, err);
	devices = node_child(definition_root(live), "devices");
	for (xmlNode *at = node_child(devices, NULL); at && r == 0; at = node_next(at, NULL))
		r = device_set_alias(devices, at, err);
	if (r < 0)
		return r;
	*ret_live = TAKE_POINTER(live);
	return 0;
}

/* ---- hotplug ---- */

static int check_seat(const struct topology *topology, const struct pt_address *address,
		      struct pt_error *err)
{
	const struct bus *bus = &topology->buses[address->bus];
	char text[PT_ADDRESS_TEXT];

	(void)pt_address_format(address, text);
	if (!address->domain && bus->kind == BUS_PCI_ROOT && address->device > 2 &&
	    !address->function && !bus->used[address->device])
		return 0;
	if (address->domain || !bus->has_hotplug || address->device || address->function)
		return pt_fail(
			err, PT_INVALID, EINVAL,
			"nothing can be hot-plugged at %s of the running guest, because no root "
			"port with hotplug leads there; omit the address to let passthrud choose "
			"one",
			text);
	if (bus->used[0])
		return pt_fail(
			err, PT_INVALID, EBUSY,
			"Attempted double use of PCI Address %s in the guest; omit the address to "
			"let passthrud choose one",
			text);
	return 0;
}

static int choose_seat(const struct topology *topology, xmlNode *device, struct pt_error *err)
{
	struct pt_address address = {.bus = (uint8_t)topology_free_port(topology)};

	if (!address.bus)
		address.device = (uint8_t)topology_free_slot(topology);
	if (!address.bus && !address.device)
		return pt_fail(
			err, PT_INVALID, EBUSY,
			"No more available PCI slots: every root port of the guest with hotplug is "
			"occupied. Detach a device, or add <controller type='pci' "
			"model='pcie-root-port'/> to the definition and restart the guest");
	return device_set_address(device, &address, false) < 0 ? pt_fail_memory(err) : 0;
}

/* What QEMU can plug in and the guest notices. */
static bool is_pluggable(const xmlNode *device)
{
	if (node_is(device, "hostdev") && device_is_on_usb(device))
		return true;
	if (node_is(device, "disk") &&
	    (strcmp(disk_bus(device), "scsi") == 0 || strcmp(disk_bus(device), "usb") == 0))
		return !node_has(device, "device", "cdrom");
	return device_placement(device) == PLACE_PORT && !node_is(device, "controller") &&
	       !node_is(device, "video") && !node_is(device, "sound") &&
	       !node_is(device, "vsock") && !node_is(device, "filesystem");
}

int definition_place_device(const struct definition *live, struct definition *device,
			    struct pt_error *err)
{
	AUTO(auto_topology) struct topology *topology = NULL;
	const xmlNode *devices = node_child(definition_root(live), "devices");
	xmlNode *root = definition_root(device);
	struct pt_address address;
	int r;

	if (!is_pluggable(root))
		return pt_fail(
			err, PT_INVALID, EOPNOTSUPP,
			"domain/devices/%s: a device of this kind can't be hot-plugged, only added "
			"to the definition (--config)",
			(const char *)root->name);
	r = read_topology(live, false, &topology, err);
	if (r == 0 && device_placement(root) == PLACE_PORT)
		r = device_guest_address(root, &address) ? check_seat(topology, &address, err)
							 : choose_seat(topology, root, err);
	if (r == 0)
		r = device_set_seat(devices, root, err);
	return r < 0 ? r : device_set_alias(devices, root, err);
}

unsigned int definition_count_free_ports(const struct definition *live)
{
	AUTO(auto_topology) struct topology *topology = NULL;

	return read_topology(live, false, &topology, NULL) < 0 ? 0 : topology_count_free(topology);
}
