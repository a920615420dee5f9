/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Network interfaces: what they are connected to (-netdev), and the guest's card. */
#include <string.h>

#include "base/text.h"
#include "domain/command_line/parts.h"

static const struct command_line_tap *find_tap(const struct command_line *line, const char *alias)
{
	for (size_t i = 0; i < line->files->tap_count; i++)
		if (strcmp(line->files->taps[i].alias, alias) == 0)
			return &line->files->taps[i];
	return NULL;
}

/* "fd": "9", or "fds": "9:10:11" with a descriptor for each queue. */
static void add_descriptors(struct command_line *line, struct json_object *object, const char *key,
			    const int *fds, size_t count)
{
	char text[COMMAND_LINE_QUEUES_MAX * 12] = "", name[16];
	size_t length = 0;

	for (size_t i = 0; i < count; i++)
		length += (size_t)text_format(text + length, sizeof(text) - length, "%s%d",
					      i ? ":" : "", fds[i]);
	(void)text_format(name, sizeof(name), "%s%s", key, count > 1 ? "s" : "");
	props_add_text(line, object, name, text);
}

/*
 * A tap that was opened before QEMU started, as QEMU has no right to. Without monitors nothing is
 * started: it is domxml-to-native, which shows where the tap would stand.
 */
static void add_tap(struct command_line *line, struct json_object *object, const xmlNode *node)
{
	const struct command_line_tap *tap = find_tap(line, line_alias(node));

	if (tap) {
		add_descriptors(line, object, "fd", tap->fds, tap->count);
		if (tap->has_vhost) {
			props_add_bool(line, object, "vhost", true);
			add_descriptors(line, object, "vhostfd", tap->vhost_fds, tap->count);
		}
		return;
	}
	if (!line->is_for_show)
		line_fail(line, EOPNOTSUPP, node,
			  "domain/devices/interface@type='%s': no tap was opened for it",
			  node_get(node, "@type"));
	props_add_text_of(line, object, "ifname", node, "target@dev");
	props_add_text(line, object, "script", "no");
	props_add_text(line, object, "downscript", "no");
	props_add_number_of(line, object, "queues", node, "driver@queues");
	if (node_says(node, "driver@name", "vhost"))
		props_add_bool(line, object, "vhost", true);
}

static void add_backend(struct command_line *line, const xmlNode *node)
{
	bool is_user = node_has(node, "type", "user");
	struct json_object *object = line_object(line, "type", is_user ? "user" : "tap");

	props_add_format(line, object, "id", "host%s", line_alias(node));
	if (!is_user)
		add_tap(line, object, node);
	line_put(line, LINE_NETDEV, object);
}

/* Two of each queue, one for the link and one for what controls them. */
static void add_queues(struct command_line *line, struct json_object *object, const xmlNode *node)
{
	uint64_t queues = 1;

	if (!node_get(node, "driver@queues"))
		return;
	if (node_number(node_child(node, "driver"), "queues", COMMAND_LINE_QUEUES_MAX, &queues) <
	    0) /* not after the table's check */
		line_fail(line, EINVAL, node,
			  "domain/devices/interface/driver@queues is not a "
			  "number of queues");
	if (queues < 2)
		return;
	props_add_bool(line, object, "mq", true);
	props_add_int(line, object, "vectors", 2 * queues + 2);
}

void line_interface(struct command_line *line, const xmlNode *node)
{
	const char *model = node_get(node, "model@type");
	bool is_virtio = !model || strncmp(model, "virtio", 6) == 0;
	struct json_object *object;

	if (node_has(node, "type", "hostdev")) {
		line_hostdev(line, node);
		return;
	}
	add_backend(line, node);
	object = line_device(line, is_virtio ? "virtio-net-pci" : model, node);
	props_add_format(line, object, "netdev", "host%s", line_alias(node));
	props_add_text_of(line, object, "mac", node, "mac@address");
	if (node_says(node, "teaming@type", "persistent"))
		props_add_bool(line, object, "failover", true);
	if (is_virtio) {
		line_virtio_driver(line, object, node);
		add_queues(line, object, node);
		props_add_number_of(line, object, "rx_queue_size", node, "driver@rx_queue_size");
		props_add_number_of(line, object, "tx_queue_size", node, "driver@tx_queue_size");
	}
	if (node_get(node, "mtu@size") && is_virtio)
		props_add_number_of(line, object, "host_mtu", node, "mtu@size");
	else if (node_get(node, "mtu@size"))
		line_fail(line, EOPNOTSUPP, node,
			  "domain/devices/interface/mtu needs the model virtio");
	if (node_says(node, "teaming@type", "persistent") && !is_virtio)
		line_fail(line, EOPNOTSUPP, node,
			  "domain/devices/interface/teaming needs the model virtio");
	line_boot_order(line, object, node);
	if (node_has(node_child(node, "rom"), "bar", "off"))
		props_add_int(line, object, "rombar", 0);
	if (node_has(node_child(node, "rom"), "enabled", "no"))
		props_add_text(line, object, "romfile", "");
	else
		props_add_text_of(line, object, "romfile", node, "rom@file");
	line_pci_address(line, object, node);
	line_put(line, LINE_DEVICE, object);
}
