/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <disk type='volume'>: a volume of one of libvirt's storage pools, by name. Pools are libvirt's
 * (virtstoraged, libvirtd), and this daemon serves none; but where a pool is a directory or a
 * volume group, its volumes are files or devices in it, and the definition of the pool says where.
 */
#ifndef DOMAIN_RESOURCES_VOLUME_H
#define DOMAIN_RESOURCES_VOLUME_H

#include "domain/definition/definition.h"
#include "pci/host.h"

#define LIBVIRT_POOLS	   "/etc/libvirt/storage"
#define LIBVIRT_LIVE_POOLS "/run/libvirt/storage"

/*
 * Of a guest that is to be started, or a device that is to be plugged in: each disk that is a
 * volume becomes that file or block device in @live. PT_INVALID ENOENT: no such pool, or volume;
 * EOPNOTSUPP: volumes of this kind of pool are neither.
 */
int volumes_settle(struct pt_host *host, struct definition *live, struct pt_error *err);

#endif
