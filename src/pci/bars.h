/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The address space a function takes, as the kernel's "resource" file shows it. */
#ifndef PCI_BARS_H
#define PCI_BARS_H

#include <passthru/device.h>

#include "pci/host.h"

#define BARS 6

/* What can't be read, or isn't implemented, is zeroed. The sizes are right for unassigned BARs too.
 */
void bars_read(struct pt_host *host, const struct pt_address *address, struct pt_bar ret_bars[BARS],
	       struct pt_bar *ret_rom);

#endif
