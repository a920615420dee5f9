/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DOMAIN_RESOURCES_BRIDGE_H
#define DOMAIN_RESOURCES_BRIDGE_H

#include <net/if.h>

#include "base/error.h"
#include "pci/host.h"

#define LIVE_NETWORKS "/etc/libvirt/qemu/networks"

/*
 * The bridge of libvirt's network @network, which is up. ENOENT: the network does not exist,
 * EOPNOTSUPP: it has no bridge, ENODEV: it is not active.
 */
int bridge_find(struct pt_host *host, const char *network, char bridge[IF_NAMESIZE],
		struct pt_error *err);

#endif
