/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PCI Express expander buses: roots beside pcie.0, each at a NUMA node of the guest's, so that a
 * device is told to be near its memory (docs/pci_expander_bridge.rst of QEMU).
 */
#ifndef DOMAIN_DEFINITION_EXPANDER_H
#define DOMAIN_DEFINITION_EXPANDER_H

#include <libxml/tree.h>

#include "base/error.h"

/*
 * Once everything has its address: those without target@busNr get one, from 255 downwards, with
 * room above it for the buses behind it. EBUSY: no number is left; EINVAL: two have the same.
 */
int expanders_number(xmlNode *devices, struct pt_error *err);

#endif
