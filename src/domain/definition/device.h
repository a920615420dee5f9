/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One device of a definition: its kind, and its identifying values. */
#ifndef DOMAIN_DEFINITION_DEVICE_H
#define DOMAIN_DEFINITION_DEVICE_H

#include "domain/definition/definition.h"
#include "domain/definition/host_usb.h"

/* 1 and *ret_hostdev when it is a PCI device of the host, 0 when it is something else. */
int device_hostdev(xmlNode *device, struct definition_hostdev *ret_hostdev, struct pt_error *err);

/*
 * Is the guest that @node is of a PC with conventional PCI (machine pc, i440FX and PIIX3)?
 * Otherwise it is one with PCI Express (q35). False for a device that stands alone.
 */
bool node_is_i440fx(const xmlNode *node);
bool machine_is_i440fx(const char *machine); /* NULL: q35 */

/* How passthrud names the macvtap of an <interface type='direct'>, with a number behind it. */
#define MACVTAP_PREFIX "passthru"

/* Does it sit on a USB bus of the guest? */
bool device_is_on_usb(const xmlNode *device);

/* An <audio> that plays on the host. */
bool device_is_sound(const xmlNode *device);

/* The <address type='pci'> of @node in the guest, or a hostdev's source address. */
int device_address(const xmlNode *address, struct pt_address *ret_address);

/* True when @device has an <address type='pci'>, then in *ret_address. */
bool device_guest_address(const xmlNode *device, struct pt_address *ret_address);

/* What tells a device from all others, read once where each is compared with each. */
struct device_identity {
	const xmlNode *node;
	const char *alias, *boot;
	const char *what, *own; /* among those of its name: "target", and its value */
	const char *type;	/* of a controller: its own is among those of its type */
	const char *space;	/* the namespace of a host's NVMe drive */
	bool is_nvme, is_usb, has_source, has_address;
	struct host_usb usb;		   /* one of the host */
	struct pt_address source, address; /* on the host, in the guest */
};

struct device_identity device_identity(const xmlNode *device);

/* What both have and only one may have ("source address"); NULL when they go together. */
const char *device_conflict(const struct device_identity *a, const struct device_identity *b);

/*
 * Is this console the first serial port again? The first console that isn't virtio's is, where
 * there is a serial port; QEMU has one device for the two.
 */
bool device_is_second_name(const xmlNode *console);

/* Does it listen at a socket that the definition doesn't name? */
bool device_has_unnamed_socket(const xmlNode *device);

/* How many files what it says is written to: as its connection, and as a log. */
size_t device_count_outputs(const xmlNode *device);

#endif
