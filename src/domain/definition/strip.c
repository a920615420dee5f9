/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * XML dumped from a running guest, libvirt's or ours, comes back as a definition: what the run
 * added is dropped, as libvirt drops it.
 */
#include "domain/definition/tree.h"

#include <string.h>

#include "domain/definition/device.h"
#include "domain/definition/host_usb.h"
#include "domain/definition/xml_node.h"

static bool begins_with(const char *text, const char *start)
{
	return text && strncmp(text, start, strlen(start)) == 0;
}

/* Aliases are ours to choose, but for those that begin with "ua-". */
static void drop_alias(xmlNode *device)
{
	xmlNode *alias = node_child(device, "alias");

	if (alias && !begins_with(node_attribute(alias, "name"), "ua-"))
		node_remove(alias);
}

static void drop_interface(xmlNode *device)
{
	xmlNode *target = node_child(device, "target");
	const char *name = node_attribute(target, "dev");

	/* the bridge of a network is looked up at each start */
	if (node_has(device, "type", "network") && node_child(device, "source")) {
		node_unset(node_child(device, "source"), "bridge");
		node_unset(node_child(device, "source"), "portid");
	}
	if (begins_with(name, "vnet") || begins_with(name, "macvtap") ||
	    (node_has(device, "type", "direct") && begins_with(name, MACVTAP_PREFIX)))
		node_remove(target);
}

static void drop_disk(xmlNode *device)
{
	xmlNode *source = node_child(device, "source"), *backing;

	if (source)
		node_unset(source, "index");
	/* what the image itself says; QEMU reads it there again */
	backing = node_child(device, "backingStore");
	if (backing && (!backing->children || node_attribute(backing, "index")))
		node_remove(backing);
}

static void drop_character(xmlNode *device)
{
	xmlNode *target = node_child(device, "target");

	if (node_has(device, "type", "pty")) {
		node_unset(device, "tty");
		node_remove(node_child(device, "source"));
	}
	if (target)
		node_unset(target, "state");
}

static void drop_graphics(xmlNode *device)
{
	if (node_has(device, "autoport", "yes") && node_attribute(device, "port"))
		(void)node_set(device, "port", "-1");
	node_unset(device, "tlsPort");
}

/* One that is chosen at each start. */
static void drop_vsock(xmlNode *device)
{
	if (node_says(device, "cid@auto", "yes"))
		node_unset(node_child(device, "cid"), "address");
}

static const struct {
	const char *name;
	void (*drop)(xmlNode *device);
} devices[] = {
	{"interface", drop_interface}, {"disk", drop_disk},	    {"serial", drop_character},
	{"console", drop_character},   {"channel", drop_character}, {"graphics", drop_graphics},
	{"hostdev", host_usb_drop},    {"vsock", drop_vsock},
};

static void drop_device(xmlNode *device)
{
	drop_alias(device);
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
		if (node_is(device, devices[i].name))
			devices[i].drop(device);
}

static void drop_domain(xmlNode *domain)
{
	xmlNode *child, *next;

	node_unset(domain, "id");
	for (child = node_child(domain, NULL); child; child = next) {
		next = node_next(child, NULL);
		if (node_is(child, "seclabel") && node_has(child, "type", "dynamic"))
			node_remove(child);
		else if (node_is(child, "resource") && node_says(child, "partition", "/machine"))
			node_remove(child);
	}
}

void tree_drop_live(xmlNode *root)
{
	xmlNode *child = node_child(node_child(root, "devices"), NULL);

	if (!node_is(root, "domain")) {
		drop_device(root);
		return;
	}
	drop_domain(root);
	for (; child; child = node_next(child, NULL))
		drop_device(child);
}

void tree_drop_secrets(xmlNode *root)
{
	xmlNode *device =
		node_is(root, "domain") ? node_child(node_child(root, "devices"), NULL) : root;

	for (; device; device = node_is(root, "domain") ? node_next(device, NULL) : NULL)
		if (node_is(device, "graphics")) {
			node_unset(device, "passwd");
			node_unset(device, "passwdValidTo");
		}
}
