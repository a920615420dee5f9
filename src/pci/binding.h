/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which driver has a function. driver_override only, never new_id: an override
 * is of one function, an id drags identical devices along.
 *
 * Writes that run driver code (unbind, bind, drivers_probe, reset) are made by a
 * helper process with a deadline, because they can hang in the kernel for ever.
 * The deadline is for the call: waiting for another's unbind to end is part of it.
 * Past the deadline the helper is left to itself and the call fails with
 * PT_DRIVER_STUCK. Success is what the kernel shows afterwards, not what the
 * write returned.
 */
#ifndef PCI_BINDING_H
#define PCI_BINDING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "pci/host.h"

#define BINDING_NAME 64

/* Time allowed for one unbind or probe; some NICs take tens of seconds. */
#define BINDING_DEADLINE_MS 60000

/* What the kernel shows now; "" for none (override reads "(null)" then). */
struct binding {
	char driver[BINDING_NAME];
	char override[BINDING_NAME];
};

/* PT_NO_DEVICE when the function isn't there. */
int binding_read(struct pt_host *host, const struct pt_address *address,
		 struct binding *ret_binding, struct pt_error *err);

/*
 * Read only the driver, "" for none: this takes no lock in the kernel, so it is quick and never
 * hangs. During an unbind the driver still counts as bound. For a function that existed before:
 * PT_DEVICE_GONE if it was removed.
 */
int binding_read_driver(struct pt_host *host, const struct pt_address *address,
			char driver[BINDING_NAME], struct pt_error *err);

/* Set driver_override, "" to clear it; read back. Binds and unbinds nothing. */
int binding_set_override(struct pt_host *host, const struct pt_address *address, const char *driver,
			 struct pt_error *err);

/* Take the function from its driver, if it has one. */
int binding_unbind(struct pt_host *host, const struct pt_address *address, unsigned int deadline_ms,
		   struct pt_error *err);

/*
 * Let the kernel bind @driver, which must be loaded: drivers_probe when an
 * override names it or none is set, then the driver's bind file. Fails with PT_DRIVER_REFUSED when
 * the function ends up with another driver or none. @driver "" means whatever
 * the kernel picks, and then none is no failure.
 */
int binding_probe(struct pt_host *host, const struct pt_address *address, const char *driver,
		  unsigned int deadline_ms, struct pt_error *err);

/* Can it be a driver's name at all, as part of a path? PT_INVALID for one that can't. */
bool binding_is_driver_name(const char *driver);
int binding_fail_driver_name(const char *driver, struct pt_error *err);

/* Why @driver's bind file refused with @errnum, in words. */
const char *binding_explain(struct pt_host *host, const struct pt_address *address,
			    const char *driver, int errnum);

/* True when a driver of that name is registered on the PCI bus. */
bool binding_has_driver(struct pt_host *host, const char *driver);

/*
 * Load the module that provides @driver if it isn't registered; PT_NO_VFIO for
 * a VFIO driver that this kernel doesn't have, else PT_DRIVER_REFUSED. Past its deadline it
 * fails the same way, with ETIMEDOUT: no device is stuck in a module that isn't there yet.
 */
int binding_load_driver(struct pt_host *host, const char *driver, unsigned int deadline_ms,
			struct pt_error *err);

#endif
