/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/mac.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "domain/definition/xml_node.h"

enum { MAC_TEXT = 18 };

/* FNV-1a: the bytes of a UUID needn't be random where they are taken from. */
static uint32_t hash(const unsigned char *bytes, size_t size, uint32_t value)
{
	for (size_t i = 0; i < size; i++)
		value = (value ^ bytes[i]) * 16777619u;
	return value;
}

static bool is_used(const xmlNode *devices, const char *mac)
{
	for (const xmlNode *at = node_child(devices, "interface"); at;
	     at = node_next(at, "interface")) {
		const char *other = node_get(at, "mac@address");

		if (other && strcasecmp(other, mac) == 0)
			return true;
	}
	return false;
}

/*
 * 52:54:00 is what QEMU and libvirt take: locally administered, to one receiver. *value is the
 * hash that the last one was made of: all before it are used.
 */
static void choose(const unsigned char uuid[16], const xmlNode *devices, uint32_t *value,
		   char mac[MAC_TEXT])
{
	do {
		*value = hash(uuid, 16, *value);
		(void)text_format(mac, MAC_TEXT, "52:54:00:%02x:%02x:%02x", *value >> 24,
				  *value >> 16 & 0xff, *value >> 8 & 0xff);
	} while (is_used(devices, mac));
}

static int mac_add(xmlNode *interface, const char *mac)
{
	xmlNode *made = node_add(interface, "mac", NULL);

	if (!made || node_set(made, "address", mac) < 0)
		return -ENOMEM;
	/* where libvirt writes it */
	if (made->prev)
		(void)xmlAddPrevSibling(node_child(interface, NULL), made);
	return 0;
}

bool mac_parse(const char *text, unsigned char ret_mac[6])
{
	int length = 0;

	return text &&
	       sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &ret_mac[0], &ret_mac[1],
		      &ret_mac[2], &ret_mac[3], &ret_mac[4], &ret_mac[5], &length) == 6 &&
	       !text[length];
}

int definition_complete_macs(struct definition *def, struct pt_error *err)
{
	const xmlNode *devices = node_child(definition_root(def), "devices");
	unsigned char uuid[16];
	uint32_t value;

	definition_uuid_bytes(def, uuid);
	value = hash(uuid, sizeof(uuid), 2166136261u);
	for (xmlNode *at = node_child(devices, "interface"); at; at = node_next(at, "interface")) {
		char mac[MAC_TEXT];

		/* a device of the host's has one */
		if (node_has(at, "type", "hostdev") || node_child(at, "mac"))
			continue;
		choose(uuid, devices, &value, mac);
		if (mac_add(at, mac) < 0)
			return pt_fail_memory(err);
	}
	return 0;
}
