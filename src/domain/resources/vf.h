/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The MAC address and VLAN of virtual functions that guests have as <interface type='hostdev'>.
 * They are set through the network interface of the physical function, whose driver then
 * keeps the guest from taking others (rtnetlink, IFLA_VF_MAC and IFLA_VF_VLAN). What was set before
 * is in the guest's file before it is changed, and put back when the guest has let go.
 */
#ifndef DOMAIN_RESOURCES_VF_H
#define DOMAIN_RESOURCES_VF_H

#include "domain/definition/definition.h"
#include "domain/store/store.h"

/*
 * Of @device (plugging in), or with NULL of all of @live: add to @record what is set now for those
 * that something is said of. PT_UNSUITABLE for what isn't a virtual function, or whose physical
 * function has no network interface of the host's.
 */
int vf_record(struct pt_host *host, const struct definition *live, const xmlNode *device,
	      struct store_live *record, struct pt_error *err);

/* Set what is said of these, which the guest has claimed. */
int vf_set(struct pt_host *host, const struct definition *live, const xmlNode *device,
	   struct pt_error *err);

/* Put back all that @record lists. */
void vf_restore(struct pt_host *host, const struct store_live *record);

/* The same for those that @live (NULL: nothing) hasn't any more, and @record forgets them. */
void vf_settle(struct pt_host *host, const struct definition *live, struct store_live *record);

#endif
