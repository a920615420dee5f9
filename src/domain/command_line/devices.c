/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The small devices. */
#include <string.h>

#include "domain/command_line/parts.h"
#include "domain/definition/device.h"
#include "domain/definition/units.h"

/* docs/bypass-iommu.txt and intel-iommu's own help; it has no address, but comes first. */
void line_iommu(struct command_line *line, const xmlNode *node)
{
	bool is_intel = node_has(node, "model", "intel");
	struct json_object *object =
		line_device(line, is_intel ? "intel-iommu" : "virtio-iommu-pci", node);

	if (is_intel) {
		props_add_text_of(line, object, "intremap", node, "driver@intremap");
		props_add_bool_of(line, object, "caching-mode", node, "driver@caching_mode");
		props_add_text_of(line, object, "eim", node, "driver@eim");
		props_add_bool_of(line, object, "device-iotlb", node, "driver@iotlb");
		props_add_number_of(line, object, "aw-bits", node, "driver@aw_bits");
		if (node_says(node, "driver@intremap", "on") && definition_is_kvm(line->live) &&
		    !node_says(line->root, "features/ioapic@driver", "qemu"))
			line_fail(
				line, EOPNOTSUPP, node,
				"domain/devices/iommu/driver@intremap='on' needs <ioapic driver='qemu'/> "
				"in domain/features");
	} else {
		line_pci_address(line, object, node);
	}
	line_put(line, LINE_DEVICE, object);
}

void line_rng(struct command_line *line, const xmlNode *node)
{
	const char *path = node_get(node, "backend");
	bool is_random = node_says(node, "backend@model", "random");
	struct json_object *source =
		line_object(line, "qom-type", is_random ? "rng-random" : "rng-builtin");
	struct json_object *object = line_device(line, "virtio-rng-pci", node);

	props_add_format(line, source, "id", "obj%s", line_alias(node));
	if (is_random)
		props_add_text(line, source, "filename", path ? path : "/dev/urandom");
	line_put(line, LINE_OBJECT, source);
	props_add_format(line, object, "rng", "obj%s", line_alias(node));
	line_virtio_driver(line, object, node);
	props_add_number_of(line, object, "max-bytes", node, "rate@bytes");
	if (node_child(node, "rate"))
		props_add_int(line, object, "period", 1000);
	if (node_get(node, "rate@period"))
		props_add_number_of(line, object, "period", node, "rate@period");
	line_pci_address(line, object, node);
	line_put(line, LINE_DEVICE, object);
}

/* The iTCO watchdog is a part of the chipset, which only has to be let reset the guest. */
void line_watchdog(struct command_line *line, const xmlNode *node)
{
	const char *action = node_get(node, "@action");

	if (node_has(node, "model", "itco") && node_is_i440fx(node))
		line_fail(
			line, EOPNOTSUPP, node,
			"domain/devices/watchdog@model='itco' needs the machine q35; use i6300esb");
	if (node_has(node, "model", "itco")) {
		line_add_value(line, "-global", "%s", "ICH9-LPC.noreboot=off");
	} else {
		struct json_object *object = line_device(line, "i6300esb", node);

		line_pci_address(line, object, node);
		line_put(line, LINE_DEVICE, object);
	}
	line_add_value(line, "-watchdog-action", "%s", action ? action : "reset");
}

void line_memballoon(struct command_line *line, const xmlNode *node)
{
	struct json_object *object;

	if (node_has(node, "model", "none"))
		return;
	object = line_device(line, "virtio-balloon-pci", node);
	line_virtio_driver(line, object, node);
	props_add_bool_of(line, object, "deflate-on-oom", node, "@autodeflate");
	props_add_bool_of(line, object, "free-page-reporting", node, "@freePageReporting");
	line_pci_address(line, object, node);
	line_put(line, LINE_DEVICE, object);
}

/* Looking Glass and others read the guest's screen there: /dev/shm/NAME. */
void line_shmem(struct command_line *line, const xmlNode *node)
{
	struct json_object *memory = line_object(line, "qom-type", "memory-backend-file");
	struct json_object *object = line_device(line, "ivshmem-plain", node);
	uint64_t size = 0;

	(void)size_of_node(node_child(node, "size"), &size, NULL);
	if (size == 0 || size & (size - 1))
		line_fail(line, EINVAL, node, "domain/devices/shmem/size must be a power of two");
	props_add_format(line, memory, "id", "%s-memory", line_alias(node));
	props_add_format(line, memory, "mem-path", "/dev/shm/%s", node_get(node, "@name"));
	props_add_int(line, memory, "size", size);
	props_add_bool(line, memory, "share", true);
	line_put(line, LINE_OBJECT, memory);
	props_add_format(line, object, "memdev", "%s-memory", line_alias(node));
	line_pci_address(line, object, node);
	line_put(line, LINE_DEVICE, object);
}

void line_panic(struct command_line *line, const xmlNode *node)
{
	const char *model = node_get(node, "@model");
	struct json_object *object;

	if (model && strcmp(model, "hyperv") == 0)
		return; /* a feature of the processor: cpu.c */
	object = line_device(
		line, model && strcmp(model, "pvpanic") == 0 ? "pvpanic-pci" : "pvpanic", node);
	if (model && strcmp(model, "pvpanic") == 0)
		line_pci_address(line, object, node);
	else
		props_add_number_of(line, object, "ioport", node, "address@iobase");
	line_put(line, LINE_DEVICE, object);
}

/* The kernel's half of it was opened before, with its address. */
void line_vsock(struct command_line *line, const xmlNode *node)
{
	struct json_object *object = line_device(line, "vhost-vsock-pci", node);

	if (!line->files->vsock_fd && !line->is_for_show)
		line_fail(line, EOPNOTSUPP, node, "domain/devices/vsock: it wasn't opened");
	props_add_number_of(line, object, "guest-cid", node, "cid@address");
	if (line->files->vsock_fd)
		props_add_format(line, object, "vhostfd", "%d", line->files->vsock_fd);
	line_virtio_driver(line, object, node);
	line_pci_address(line, object, node);
	line_put(line, LINE_DEVICE, object);
}
