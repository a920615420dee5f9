/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel shows, as read into memory, for AUTO(): base/auto.h. */
#ifndef PCI_AUTO_H
#define PCI_AUTO_H

#include <passthru/device.h>
#include <passthru/holders.h>
#include <passthru/reset.h>

#include "base/auto.h"

AUTO_DEFINE(snapshot, struct pt_snapshot *, pt_snapshot_free)
AUTO_DEFINE(reset, struct pt_reset *, pt_reset_free)
AUTO_DEFINE(holders, struct pt_holders *, pt_holders_free)

#endif
