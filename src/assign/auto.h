/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Claims, plans and the list of persisted devices, in memory, for AUTO(): base/auto.h. */
#ifndef ASSIGN_AUTO_H
#define ASSIGN_AUTO_H

#include <passthru/claim.h>
#include <passthru/persist.h>
#include <passthru/plan.h>

#include "base/auto.h"

AUTO_DEFINE(claims, struct pt_claims *, pt_claims_free)
AUTO_DEFINE(plan, struct pt_plan *, pt_plan_free)
AUTO_DEFINE(persist_list, struct pt_persist_list *, pt_persist_free)

#endif
