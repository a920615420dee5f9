/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The MAC address and VLAN of virtual functions that guests have as <interface type='hostdev'>.
 * They are set through the network interface of the physical function, whose driver then prevents
 * the guest from changing them (rtnetlink, IFLA_VF_MAC and IFLA_VF_VLAN). The previous settings
 * are written to the guest's file before the change, and restored when the guest has released the
 * device.
 */
#ifndef DOMAIN_RESOURCES_VF_H
#define DOMAIN_RESOURCES_VF_H

#include "domain/definition/definition.h"
#include "domain/store/store.h"

/*
 * Add to @record the current settings of @device (hot-plug), or of all devices of @live (NULL),
 * if the definition changes them. PT_UNSUITABLE if a device is not a virtual function, or its
 * physical function has no network interface on the host, or one that is down (ENETDOWN).
 */
int vf_record(struct pt_host *host, const struct definition *live, const xmlNode *device,
	      struct store_live *record, struct pt_error *err);

/* Apply the settings of the definition to these devices, which the guest has claimed. */
int vf_set(struct pt_host *host, const struct definition *live, const xmlNode *device,
	   struct pt_error *err);

/* Restore all settings in @record. */
void vf_restore(struct pt_host *host, const struct store_live *record);

/*
 * Restore the settings of devices that are no longer in @live (NULL: empty), and remove them from
 * @record.
 */
void vf_settle(struct pt_host *host, const struct definition *live, struct store_live *record);

#endif
