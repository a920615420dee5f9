/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taps of a guest: its interfaces' other ends on the host. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "domain/machine/machine.h"
#include "domain/resources/bridge.h"
#include "domain/resources/macvtap.h"
#include "domain/resources/resources.h"
#include "domain/definition/mac.h"
#include "domain/definition/xml_node.h"

/* So long udev may take to handle a guest's taps; it takes milliseconds where nothing is wrong. */
#define UDEV_MS 5000

static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

static bool has_tap(const xmlNode *interface)
{
	return node_has(interface, "type", "bridge") || node_has(interface, "type", "network") ||
	       node_has(interface, "type", "ethernet") || macvtap_is(interface);
}

/*
 * A bridge without an address of its own takes the lowest of its ports': it would change with each
 * guest, and the host's own connections with it. As libvirt does, the tap gets the guest's with
 * the highest first byte there is for that (fe: locally administered, to one receiver).
 */
static void choose_mac(const xmlNode *interface, struct machine_tap *tap)
{
	tap->has_mac = mac_parse(node_get(interface, "mac@address"), tap->mac);
	tap->mac[0] = 0xfe;
}

static unsigned int queues_of(const xmlNode *interface)
{
	uint64_t queues = 1;

	(void)node_number(node_child(interface, "driver"), "queues", COMMAND_LINE_QUEUES_MAX,
			  &queues);
	return queues ? (unsigned int)queues : 1;
}

/* The settings of our taps; a tap that another program manages (managed='no') already has them. */
static int tap_describe(const xmlNode *interface, struct machine_tap *tap, struct pt_error *err)
{
	const char *name = node_get(interface, "target@dev");
	uint64_t mtu = 0;

	tap->queues = queues_of(interface);
	if (macvtap_is(interface))
		return macvtap_describe(interface, tap, err);

	/* the kernel fills in the number */
	if (!text_copy(tap->name, sizeof(tap->name), name ? name : "vnet%d"))
		return pt_fail(err, PT_INVALID, EINVAL,
			       "domain/devices/interface/target@dev '%.100s' is longer than 15 "
			       "bytes (line %ld)",
			       name, xmlGetLineNo(interface));
	tap->is_set_up = node_says(interface, "target@managed", "no");
	(void)node_number(node_child(interface, "mtu"), "size", 65535, &mtu);
	tap->mtu = (unsigned int)mtu;
	choose_mac(interface, tap);
	tap->bridge = node_get(interface, "source@bridge");
	return 0;
}

static int remember_name(xmlNode *interface, const char *name)
{
	xmlNode *target = node_child(interface, "target");

	if (!target)
		target = node_add(interface, "target", NULL);
	return target ? node_set(target, "dev", name) : -ENOMEM;
}

/*
 * The kernel's own half of virtio-net, of each queue, unless another one is asked for; without it
 * QEMU's does. 0 or a negative errno.
 */
static int open_vhost(struct pt_host *host, const xmlNode *interface, struct command_line_tap *tap)
{
	const char *model = node_get(interface, "model@type");

	if (node_says(interface, "driver@name", "qemu") ||
	    (model && strncmp(model, "virtio", 6) != 0))
		return -ENOENT;
	for (size_t i = 0; i < tap->count; i++) {
		int fd = machine_of(host)->open_vhost(host);

		if (fd < 0) {
			close_all(tap->vhost_fds, i);
			return fd;
		}
		tap->vhost_fds[i] = fd;
	}
	tap->has_vhost = true;
	return 0;
}

/* A network's bridge stands in the live copy, where libvirt has it too. */
static int settle_bridge(struct pt_host *host, xmlNode *interface, struct pt_error *err)
{
	xmlNode *source = node_child(interface, "source");
	char bridge[IF_NAMESIZE];
	int r;

	if (!node_has(interface, "type", "network"))
		return 0;
	r = bridge_find(host, node_attribute(source, "network"), bridge, err);
	if (r < 0)
		return r;
	return node_set(source, "bridge", bridge) < 0 ? pt_fail_memory(err) : 0;
}

static int fail_queues(struct pt_error *err)
{
	return pt_fail(err, PT_INVALID, EOPNOTSUPP,
		       "the guest's interfaces can have at most %d queues together "
		       "(domain/devices/interface/driver@queues)",
		       COMMAND_LINE_ALL_QUEUES_MAX);
}

static int add_tap(struct pt_host *host, xmlNode *interface, int64_t udev_until_ms,
		   struct command_line_tap *tap, struct pt_error *err)
{
	struct machine_tap wanted = {.name = ""};
	int r = settle_bridge(host, interface, err);

	if (r == 0)
		r = tap_describe(interface, &wanted, err);
	if (r == 0)
		r = machine_of(host)->open_tap(host, &wanted, udev_until_ms, tap->fds, err);
	if (r < 0)
		return r;
	tap->alias = node_get(interface, "alias@name");
	tap->count = machine_tap_queues(&wanted);
	if (remember_name(interface, wanted.name) < 0)
		return pt_fail_memory(err);
	r = open_vhost(host, interface, tap);
	if (r < 0 && node_says(interface, "driver@name", "vhost"))
		return pt_fail(err, PT_SYSTEM, -r,
			       "domain/devices/interface/driver@name='vhost': /dev/vhost-net: %s",
			       strerror(-r));
	return 0;
}

void resources_close_taps(struct command_line_tap *taps, size_t count)
{
	for (size_t i = 0; taps && i < count; i++) {
		close_all(taps[i].fds, taps[i].count);
		close_all(taps[i].vhost_fds, taps[i].has_vhost ? taps[i].count : 0);
	}
	free(taps);
}

int resources_open_taps(struct pt_host *host, struct definition *live,
			struct command_line_tap **ret_taps, size_t *ret_count, struct pt_error *err)
{
	xmlNode *devices = node_child(definition_root(live), "devices");
	int64_t udev_until_ms = clock_now_ms() + UDEV_MS;
	struct command_line_tap *taps;
	size_t count = 0, queues = 0;

	taps = calloc(xmlChildElementCount(devices) + 1, sizeof(*taps));
	if (!taps)
		return pt_fail_memory(err);
	for (xmlNode *at = node_child(devices, "interface"); at; at = node_next(at, "interface")) {
		int r;

		if (!has_tap(at))
			continue;
		/* a definition of before may not have seen command_line_check() */
		queues += queues_of(at);
		r = queues <= COMMAND_LINE_ALL_QUEUES_MAX ? 0 : fail_queues(err);
		if (!r)
			r = add_tap(host, at, udev_until_ms, &taps[count], err);
		count += taps[count].count > 0;
		if (r < 0) {
			resources_close_taps(taps, count);
			return r;
		}
	}
	*ret_taps = taps;
	*ret_count = count;
	return 0;
}
