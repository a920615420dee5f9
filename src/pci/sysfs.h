/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of a PCI function under /sys/bus/pci/devices, and the only writer of /sys. */
#ifndef PCI_SYSFS_H
#define PCI_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "pci/host.h"

#define SYSFS_DEVICES "sys/bus/pci/devices"
#define SYSFS_DRIVERS "sys/bus/pci/drivers"

/* "sys/bus/pci/devices/0000:01:00.0/NAME"; @name may be "" for the directory itself. */
#define SYSFS_PATH 512
int sysfs_device_path(char path[SYSFS_PATH], const struct pt_address *address, const char *name);

/* Read a text attribute of a function; see io_read_text_at(). -ENOENT: no device or attribute. */
ssize_t sysfs_read(struct pt_host *host, const struct pt_address *address, const char *name,
		   char *buffer, size_t size);

/* Last path component of a link such as "driver" or "iommu_group"; -ENOENT when there is none. */
int sysfs_read_link(struct pt_host *host, const struct pt_address *address, const char *name,
		    char *buffer, size_t size);

/* True when the function is there. */
bool sysfs_has_device(struct pt_host *host, const struct pt_address *address);

/*
 * Write text to any file below /sys, in one write, through the host's ops. Can
 * hang in driver code: use binding.h and reset_apply(), which do it in a helper process.
 */
int sysfs_write(struct pt_host *host, const char *path, const char *text);

#endif
