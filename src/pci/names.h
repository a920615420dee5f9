/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Vendor, product and class names; the public functions are in passthru/device.h. */
#ifndef PCI_NAMES_H
#define PCI_NAMES_H

#include "pci/host.h"

void names_close(struct pt_host *host);

/*
 * Answer every later question with NULL, as where no database is installed. 0 or -ENOMEM.
 * For what must come out the same on machines with different databases.
 */
int names_do_without(struct pt_host *host);

#endif
