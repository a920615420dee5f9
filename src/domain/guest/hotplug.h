/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Devices that come and go while a guest runs. Plugging in is done when it returns. Unplugging
 * is a conversation: the guest is asked, and lets go when it likes, refuses, or says nothing;
 * what it has begun is remembered (struct store_pending) until it is over.
 *
 * All of it is for the thread that has the guest's job, but for unplug_take_event().
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
 * Ask the guest to let go of the device with @alias, and wait for it. 0: it is out, reset and
 * given back. ETIMEDOUT: the request stays pending. ECANCELED: the guest refused.
 */
int unplug_device(struct pt_host *host, struct guest *guest, const char *alias,
		  unsigned int timeout_ms, struct pt_error *err);

/*
 * The loop heard from QEMU about @alias. True when a worker waits for that and does the rest; else
 * unplug_finish() (done) or unplug_forget() (refused) is to be called by one.
 */
bool unplug_take_event(struct guest *guest, const char *alias, enum guest_unplug answer);

/* It is out of the guest: give back what was its. ENOENT when the guest has no such device. */
int unplug_finish(struct pt_host *host, struct guest *guest, const char *alias,
		  struct pt_error *err);

/* The guest refused: nothing is pending any more. */
void unplug_forget(struct pt_host *host, struct guest *guest, const char *alias);

/*
 * After a restart of the daemon: make the live definition what QEMU really has, finish what was
 * under way, ask again for devices that the guest hasn't let go of, give back what is left over.
 * @removed is called for devices that went meanwhile.
 */
int hotplug_reconcile(struct pt_host *host, struct guest *guest,
		      void (*removed)(void *context, const char *alias), void *context,
		      struct pt_error *err);

#endif
