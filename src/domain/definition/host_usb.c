/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/host_usb.h"

#include <string.h>

#include "base/text.h"
#include "domain/definition/xml_node.h"

static int read_id(const xmlNode *source, const char *name, int *ret_id)
{
	uint64_t number;

	*ret_id = -1;
	if (!node_child(source, name))
		return 0;
	if (node_number(node_child(source, name), "id", 0xffff, &number) < 0)
		return -EINVAL;
	*ret_id = (int)number;
	return 0;
}

static unsigned int read_number(const xmlNode *address, const char *name)
{
	uint64_t number;

	return node_number(address, name, 999, &number) == 0 ? (unsigned int)number : 0;
}

int device_host_usb(xmlNode *device, struct host_usb *ret_usb, struct pt_error *err)
{
	const xmlNode *source = node_child(device, "source");
	const xmlNode *address = node_child(source, "address");
	struct host_usb usb = {.node = device};
	int r;

	if (!node_is(device, "hostdev") || !node_has(device, "type", "usb"))
		return 0;
	usb.alias = node_get(device, "alias@name");
	r = read_id(source, "vendor", &usb.vendor);
	r |= read_id(source, "product", &usb.product);
	usb.bus = read_number(address, "bus");
	usb.device = read_number(address, "device");
	usb.port = node_attribute(address, "port");
	usb.may_be_missing = node_has(source, "startupPolicy", "optional");
	usb.is_missing = node_has(source, "missing", "yes");
	usb.is_chosen = node_has(address, "chosen", "yes");
	if (r < 0 || (usb.vendor < 0) != (usb.product < 0) || (usb.vendor < 0 && !address) ||
	    (address && (!usb.bus || (!usb.device && !usb.port))))
		return pt_fail(err, PT_INVALID, EINVAL,
			       "domain/devices/hostdev/source doesn't say which USB device it is "
			       "(line %ld): it needs <vendor id=…/> and <product id=…/>, or "
			       "<address bus=… device=…/>, or <address bus=… port=…/>; lsusb has "
			       "the numbers",
			       xmlGetLineNo(device));
	*ret_usb = usb;
	return 1;
}

int host_usb_check_count(size_t count, struct pt_error *err)
{
	if (count <= HOST_USB_MAX)
		return 0;
	return pt_fail(
		err, PT_INVALID, EOPNOTSUPP,
		"domain/devices/hostdev: a guest can have at most %d USB devices of the host",
		HOST_USB_MAX);
}

int definition_host_usbs(const struct definition *def, struct host_usb usbs[HOST_USB_MAX],
			 size_t *ret_count, struct pt_error *err)
{
	*ret_count = 0;
	for (xmlNode *at = definition_first_device(def); at; at = node_next(at, NULL)) {
		struct host_usb usb;
		int r = device_host_usb(at, &usb, err);

		if (r < 0)
			return r;
		if (r && host_usb_check_count(*ret_count + 1, err) < 0)
			return -EOPNOTSUPP;
		if (r)
			usbs[(*ret_count)++] = usb;
	}
	return 0;
}

bool host_usb_is_same(const struct host_usb *a, const struct host_usb *b)
{
	bool has_ids = a->vendor >= 0 && b->vendor >= 0, has_place = a->bus && b->bus;

	if (has_ids && (a->vendor != b->vendor || a->product != b->product))
		return false;
	if (has_place &&
	    (a->bus != b->bus || a->device != b->device || !text_equal(a->port, b->port)))
		return false;
	return has_ids || has_place;
}

const char *host_usb_words(const struct host_usb *usb, char words[HOST_USB_WORDS])
{
	char place[64] = "";

	if (usb->bus && !usb->is_chosen && usb->port)
		(void)text_format(place, sizeof(place), "bus %u port %.32s", usb->bus, usb->port);
	else if (usb->bus && !usb->is_chosen)
		(void)text_format(place, sizeof(place), "bus %u device %u", usb->bus, usb->device);
	if (usb->vendor < 0)
		(void)text_copy(words, HOST_USB_WORDS, place);
	else
		(void)text_format(words, HOST_USB_WORDS, "%04x:%04x%s%s", (unsigned int)usb->vendor,
				  (unsigned int)usb->product, *place ? " at " : "", place);
	return words;
}

/* ---- of a running guest ---- */

void host_usb_drop(xmlNode *device)
{
	xmlNode *source = node_child(device, "source"), *address = node_child(source, "address");

	if (!source || !node_has(device, "type", "usb"))
		return;
	node_unset(source, "missing");
	if (!node_has(address, "chosen", "yes"))
		return;
	/* what was said stays: by its port it is found again */
	node_unset(address, "chosen");
	if (node_attribute(address, "port"))
		node_unset(address, "device");
	else
		node_remove(address);
}

int host_usb_choose(xmlNode *device, unsigned int bus, unsigned int number)
{
	xmlNode *source = node_child(device, "source"), *address;

	host_usb_drop(device);
	if (!bus)
		return node_set(source, "missing", "yes");
	address = node_child(source, "address");
	if (address && node_attribute(address, "device"))
		return 0;
	if (!address)
		address = node_add(source, "address", NULL);
	if (!address || node_set_format(address, "bus", "%u", bus) < 0 ||
	    node_set_format(address, "device", "%u", number) < 0 ||
	    node_set(address, "chosen", "yes") < 0)
		return -ENOMEM;
	return 0;
}

bool host_usb_node(const xmlNode *device, char path[HOST_USB_NODE])
{
	struct host_usb usb;

	if (device_host_usb((xmlNode *)(uintptr_t)device, &usb, NULL) != 1 || usb.is_missing ||
	    !usb.bus || !usb.device)
		return false;
	return text_format(path, HOST_USB_NODE, "/dev/bus/usb/%03u/%03u", usb.bus, usb.device) > 0;
}
