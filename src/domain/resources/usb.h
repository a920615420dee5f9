/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * USB devices of the host that a guest has: <hostdev type='usb'>. QEMU opens the device's node of
 * /dev/bus/usb, takes it from the drivers of its interfaces, and resets it; when it closes the
 * node, it returns them. If it was killed it didn't, and then this does.
 *
 * What the guest's file notes down of one (struct store_usb) is its claim: no other guest gets it.
 * Sources: Documentation/driver-api/usb/usb.rst, Documentation/ABI/stable/sysfs-bus-usb.
 */
#ifndef DOMAIN_RESOURCES_USB_H
#define DOMAIN_RESOURCES_USB_H

#include "domain/definition/definition.h"
#include "domain/store/store.h"
#include "pci/host.h"

/*
 * For each of @live's, or for @device alone: which one of the host's is meant, noted in @live
 * (host_usb_choose()). One that may be missing, and is, is noted as missing.
 *
 * PT_NO_DEVICE ENODEV: there is none. PT_INVALID: there are several, it is a hub, or another device
 * of the guest is the same one. PT_IN_USE EBUSY: the host uses it, with those who do
 * (holders_read_usb()).
 */
int usb_choose(struct pt_host *host, const struct definition *live, xmlNode *device,
	       struct pt_error *err);

/*
 * Is the one that @device of a running guest has still plugged in? By its numbers and ids: another
 * one gets other numbers.
 */
bool usb_is_there(struct pt_host *host, const xmlNode *device);

/*
 * Note in @record that the guest has @live's (@device: only that one). PT_IN_USE EBUSY: another
 * guest has it. The caller sees to it that no other thread does the same before the record is
 * written.
 */
int usb_claim(struct pt_host *host, const struct definition *live, const xmlNode *device,
	      struct store_live *record, struct pt_error *err);

/*
 * Those that @live (NULL: empty) no longer has go back to their drivers, and are removed from
 * @record. One that QEMU still holds stays, until the next time or its end.
 */
void usb_settle(struct pt_host *host, const struct definition *live, struct store_live *record);

#endif
