/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The public API's types for AUTO(): base/auto.h. */
#ifndef CLI_AUTO_H
#define CLI_AUTO_H

#include <passthru/passthru.h>

#include "base/auto.h"

AUTO_DEFINE(snapshot, struct pt_snapshot *, pt_snapshot_free)
AUTO_DEFINE(details, struct pt_details *, pt_details_free)
AUTO_DEFINE(reset, struct pt_reset *, pt_reset_free)
AUTO_DEFINE(claims, struct pt_claims *, pt_claims_free)
AUTO_DEFINE(plan, struct pt_plan *, pt_plan_free)
AUTO_DEFINE(persist_list, struct pt_persist_list *, pt_persist_free)
AUTO_DEFINE(watch, struct pt_watch *, pt_watch_free)

#endif
