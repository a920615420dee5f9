/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Macvtaps: <interface type='direct'>. The guest's interface is a device on the link of one of the
 * host's, with the guest's MAC address; the host itself isn't reached by it. Unlike a tap it stays
 * when QEMU has closed it. Its name, which begins with MACVTAP_PREFIX, is in the live definition.
 */
#ifndef DOMAIN_RESOURCES_MACVTAP_H
#define DOMAIN_RESOURCES_MACVTAP_H

#include "domain/definition/definition.h"
#include "domain/machine/machine.h"

bool macvtap_is(const xmlNode *interface);

/* What to open for it. PT_INVALID: a name that isn't ours to remove later. */
int macvtap_describe(const xmlNode *interface, struct machine_tap *tap, struct pt_error *err);

/* Remove those of @live, whose QEMU has ended (@device: only that one, which it has released). */
void macvtap_remove(struct pt_host *host, const struct definition *live, const xmlNode *device);

/*
 * When the daemon starts: remove those of no running guest. A start that was killed before there
 * was a file about it leaves such.
 */
void macvtap_sweep(struct pt_host *host);

#endif
