/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hot-plug and unplug of devices of a running guest. A hot-plug is complete when the function
 * returns. An unplug is a conversation: the guest gets a request, and releases the device at any
 * time, refuses, or does not respond. A pending request is recorded (struct store_pending) until
 * it has ended.
 *
 * Only the thread that has the guest's job may call these functions, except unplug_take_event().
 */
#ifndef DOMAIN_GUEST_HOTPLUG_H
#define DOMAIN_GUEST_HOTPLUG_H

#include "domain/guest/guest.h"

/*
 * Plug @device in: claimed, reset, handed over, or everything as it was. It gets its alias and
 * address. EEXIST and EBUSY as in definition.h; PT_SYSTEM ETIMEDOUT when QEMU hasn't answered, and
 * then it stays claimed until that is known.
 */
int hotplug_attach(struct pt_host *host, struct guest *guest, struct definition *device,
		   struct pt_error *err);

/*
 * Request the unplug of the device with @alias, and wait. 0: it was released, reset and returned
 * to the host. ETIMEDOUT: the request is still pending. ECANCELED: the guest refused.
 */
int unplug_device(struct pt_host *host, struct guest *guest, const char *alias,
		  unsigned int timeout_ms, struct pt_error *err);

/*
 * QEMU takes a USB device of the host out, at once and without the guest's consent, and it stays in
 * the live definition, where it is noted as missing: the host has lost it.
 */
int unplug_withdraw(struct guest *guest, const char *alias, struct pt_error *err);

/* QEMU reported that it has deleted it: false when that was such a withdrawal. */
bool unplug_is_over(struct guest *guest, const char *alias);

/* Whether the guest has a device with this alias: QEMU may report any; from any thread. */
bool unplug_is_known(struct guest *guest, const char *alias);

/*
 * The loop received an event of QEMU about @alias. True if a worker waits for it and continues;
 * otherwise a worker must call unplug_finish() (released) or unplug_forget() (refused).
 */
bool unplug_take_event(struct guest *guest, const char *alias, enum guest_unplug answer);

/*
 * The guest has released the device: return it to the host. ENOENT if the guest has no such device.
 */
int unplug_finish(struct pt_host *host, struct guest *guest, const char *alias,
		  struct pt_error *err);

/* The guest refused: nothing is pending any more. */
void unplug_forget(struct pt_host *host, struct guest *guest, const char *alias);

/*
 * USB devices of the host come and go: QEMU loses those that were unplugged, and gets those that
 * were plugged in. What fails is logged; the call fails only if QEMU can't be asked.
 */
int hotplug_follow_usb(struct pt_host *host, struct guest *guest, struct pt_error *err);
bool hotplug_has_usb(const struct definition *live);

/*
 * The host's USB device with @alias, which QEMU hasn't got: plug it in. 1, or 0: it is not there.
 */
int hotplug_attach_usb(struct pt_host *host, struct guest *guest, const char *alias,
		       struct pt_error *err);

/*
 * After a restart of the daemon: update the live definition to the devices that QEMU has, finish
 * interrupted operations, repeat pending unplug requests, return leftover devices. The function
 * @removed is called for devices that were released in between.
 */
int hotplug_reconcile(struct pt_host *host, struct guest *guest,
		      void (*removed)(void *context, const char *alias), void *context,
		      struct pt_error *err);

#endif
