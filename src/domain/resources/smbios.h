/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the host's firmware says of its machine (DMTF DSP0134), with the names that libvirt's
 * <sysinfo type='smbios'> has for it: from /sys/class/dmi/id,
 * Documentation/ABI/testing/sysfs-class-dmi of Linux.
 */
#ifndef DOMAIN_RESOURCES_SMBIOS_H
#define DOMAIN_RESOURCES_SMBIOS_H

#include "pci/host.h"

#define SMBIOS_MAX   24
#define SMBIOS_VALUE 256

struct smbios_value {
	const char *element; /* "system" */
	const char *name;    /* "manufacturer" */
	char text[SMBIOS_VALUE];
};

/* All that there are, those of an element one after the other; their number. */
size_t smbios_read(struct pt_host *host, struct smbios_value values[SMBIOS_MAX]);

#endif
