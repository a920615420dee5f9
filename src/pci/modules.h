/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernel modules: found in the kernel's lists, loaded by modprobe. */
#ifndef PCI_MODULES_H
#define PCI_MODULES_H

#include <stdbool.h>
#include <stddef.h>

#include "pci/host.h"

/*
 * Load a module with its dependencies (host_ops.load_module) by modprobe, which knows modprobe.d,
 * softdeps and compression; 0 when loaded or built in. For a helper only.
 */
int modules_load(struct pt_host *host, const char *name, char message[HOST_MESSAGE]);

/*
 * The modules (kernel spelling, '_' kept as in modules.alias) whose aliases match
 * @modalias, "pci:…" or "vfio_pci:…", best first: exact ids before wildcards. *@ret_names is a
 * NULL-terminated array in one allocation with its strings; freed with free(). None found is 0 and
 * an empty array.
 */
int modules_find(struct pt_host *host, const char *modalias, char ***ret_names);

/*
 * The VFIO drivers for a function by its modules.alias entries, driver names as they stand
 * in sysfs, best first: its own variant driver if there is one, "vfio-pci" last and always. Same
 * shape and ownership as modules_find(). Used by details.c, and by plans on their hot path: no
 * module is loaded, nothing but the modalias attribute is read from the device.
 *
 * A module tells its driver's name only once it is loaded: until then a variant
 * stands here by its module's name ("hisi_acc_vfio_pci" for "hisi-acc-vfio-pci"). After
 * loading that name, modules_read_driver() gives the driver's.
 */
int modules_find_vfio_drivers(struct pt_host *host, const struct pt_address *address,
			      char ***ret_drivers);

/* The PCI driver that a loaded module registered; -ENOENT when it isn't loaded or has none. */
int modules_read_driver(struct pt_host *host, const char *module, char *buffer, size_t size);

void modules_close(struct pt_host *host);

#endif
