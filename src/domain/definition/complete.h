/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a guest's devices sit. definition_complete() is for define: it gives a definition the
 * controllers it needs and each PCI device its address in the guest, so that they are the same
 * at every start. definition_make_live() is for start: a copy with an id and an alias for each
 * device.
 *
 * Machine q35: behind each pcie-root-port one device; DEFINITION_FREE_PORTS of them stay free for
 * hotplug (root ports themselves can't be plugged in), and definition_complete() adds new ones when
 * the definition is completed again after an attach.
 */
#ifndef DOMAIN_DEFINITION_COMPLETE_H
#define DOMAIN_DEFINITION_COMPLETE_H

#include "domain/definition/definition.h"

#define DEFINITION_FREE_PORTS 4

/*
 * Add controllers, addresses, and the audio backend; existing elements are kept. Idempotent.
 * EINVAL: two devices at one address, or an impossible address; EBUSY: the machine is full.
 */
int definition_complete(struct definition *def, struct pt_error *err);

/*
 * For define and attach: can the definition never start? The current state of the host (files,
 * devices, processors) is not checked. @def is a completed one.
 */
int command_line_check(const struct definition *def, struct pt_error *err);

/* A completed copy with @id and aliases. */
int definition_make_live(const struct definition *def, int id, struct definition **ret_live,
			 struct pt_error *err);

/*
 * For hotplug: give @device an alias and, behind a free root port of @live, an address (or check
 * its own address). @live isn't changed. EBUSY: "No more available PCI slots".
 */
int definition_place_device(const struct definition *live, struct definition *device,
			    struct pt_error *err);

/* How many devices can still be plugged into @live. */
unsigned int definition_count_free_ports(const struct definition *live);

#endif
