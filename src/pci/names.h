/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Vendor, product and class names; the public functions are in passthru/device.h. */
#ifndef PCI_NAMES_H
#define PCI_NAMES_H

#include "pci/host.h"

void names_close(struct pt_host *host);

#endif
