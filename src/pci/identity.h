/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of passthru/identity.h. */
#ifndef PCI_IDENTITY_H
#define PCI_IDENTITY_H

#include <passthru/identity.h>

/*
 * The slot path of a function's directory below /sys/devices, "" when it holds no root
 * bus; -ENAMETOOLONG, and @slot untouched, when it doesn't fit.
 */
int identity_slot_of_path(const char *path, char slot[PT_SLOT_TEXT]);

#endif
