/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything libpassthru offers. */
#ifndef PASSTHRU_PASSTHRU_H
#define PASSTHRU_PASSTHRU_H

#include <passthru/address.h>
#include <passthru/claim.h>
#include <passthru/device.h>
#include <passthru/error.h>
#include <passthru/group.h>
#include <passthru/holders.h>
#include <passthru/host.h>
#include <passthru/identity.h>
#include <passthru/nodedev.h>
#include <passthru/persist.h>
#include <passthru/plan.h>
#include <passthru/reset.h>
#include <passthru/state.h>
#include <passthru/watch.h>

#endif
