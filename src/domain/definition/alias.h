/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of devices in QEMU, and places on buses that aren't PCI. */
#ifndef DOMAIN_DEFINITION_ALIAS_H
#define DOMAIN_DEFINITION_ALIAS_H

#include <libxml/tree.h>

#include "base/error.h"

/* Give @device, one of @devices or to become one, an alias that none of them has. */
int device_set_alias(const xmlNode *devices, xmlNode *device, struct pt_error *err);

/*
 * Give a disk on SATA, SCSI or USB its drive address and a virtio channel or console its port,
 * where they don't say; @device may stand outside of @devices yet.
 */
int device_set_seat(const xmlNode *devices, xmlNode *device, struct pt_error *err);

/* 0 for "sda" and "vda", 27 for "sdab"; -EINVAL for other names. */
int disk_index(const char *target);

/* The bus a disk is on: as it says, or as the name of its target suggests. */
const char *disk_bus(const xmlNode *disk);

#endif
