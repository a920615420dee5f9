/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A USB device of the host in a definition: <hostdev type='usb'>. */
#ifndef DOMAIN_DEFINITION_HOST_USB_H
#define DOMAIN_DEFINITION_HOST_USB_H

#include "domain/definition/definition.h"

/* What tells which it is: the ids that it says of itself, or where it is, or both. */
struct host_usb {
	xmlNode *node;
	const char *alias; /* as of struct definition_hostdev */
	int vendor;	   /* -1: not said, and then @product isn't either */
	int product;
	unsigned int bus;    /* 0: not said */
	unsigned int device; /* its number on the bus, which is another one each time it is plugged
				in; 0 */
	const char *port;    /* "1.2": where it is plugged in, which stays; NULL */
	bool may_be_missing; /* startupPolicy: the guest starts without it */
	bool is_missing;     /* of a running guest: the host has none that is meant */
	bool is_chosen;	     /* of a running guest: @bus and @device are passthrud's choice */
};

/* 1 and *ret_usb when @device is one; 0 when it is something else. EINVAL: nothing tells which. */
int device_host_usb(xmlNode *device, struct host_usb *ret_usb, struct pt_error *err);

/* A guest has no more of them: more than it has ports for, without hubs. */
#define HOST_USB_MAX 64

/* Those of a guest, or of a device, in order, their number in *ret_count. */
int definition_host_usbs(const struct definition *def, struct host_usb usbs[HOST_USB_MAX],
			 size_t *ret_count, struct pt_error *err);

/* Fails where a guest would have more of them than HOST_USB_MAX. */
int host_usb_check_count(size_t count, struct pt_error *err);

/* Do both mean the same device, whatever is plugged in? */
bool host_usb_is_same(const struct host_usb *a, const struct host_usb *b);

/* "1234:abcd", "1234:abcd at bus 1 device 3", "bus 1 port 1.2": what was asked for, in words. */
#define HOST_USB_WORDS 96
const char *host_usb_words(const struct host_usb *usb, char words[HOST_USB_WORDS]);

/*
 * Of a running guest: it has that one, or none (@bus 0). -ENOMEM.
 * host_usb_drop() takes out what that one made; of any device.
 */
int host_usb_choose(xmlNode *device, unsigned int bus, unsigned int number);
void host_usb_drop(xmlNode *device);

/* "/dev/bus/usb/001/003"; false when it has none (now). */
#define HOST_USB_NODE 32
bool host_usb_node(const xmlNode *device, char path[HOST_USB_NODE]);

#endif
