/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PASSTHRU_NODEDEV_H
#define PASSTHRU_NODEDEV_H

#include <passthru/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: Node devices
 *
 * PCI functions in libvirt's terms: the names in virsh's nodedev commands, and the document of
 * virsh nodedev-dumpxml (https://libvirt.org/formatnode.html).
 */

/** PT_NODEDEV_NAME - room for any such name and its NUL */
#define PT_NODEDEV_NAME 32

/**
 * pt_nodedev_name() - libvirt's name of a function, "pci_0000_65_00_0"
 * @address: the function
 * @name: at least PT_NODEDEV_NAME bytes
 *
 * pt_address_parse() reads such names.
 *
 * Return: @name.
 */
char *pt_nodedev_name(const struct pt_address *address, char name[PT_NODEDEV_NAME]);

/**
 * pt_nodedev_xml() - a function as virsh nodedev-dumpxml describes it
 * @host: the host
 * @address: which
 * @ret_xml: a document that ends in a newline; freed by the caller with free()
 * @err: PT_NO_DEVICE; PT_DEVICE_GONE if it was removed during the read; PT_SYSTEM
 *
 * Reads no more than the document needs: the function, the members of its IOMMU group, and its
 * VPD, which can take tens of milliseconds. A device that no longer responds is described by the
 * kernel's facts. Without privilege the parts that need the whole configuration space are
 * omitted. Changes nothing.
 *
 * Return: 0 or a negative errno.
 */
int pt_nodedev_xml(struct pt_host *host, const struct pt_address *address, char **ret_xml,
		   struct pt_error *err);

/**
 * pt_nodedev_has_vpd() - does a function have readable Vital Product Data?
 * @host: the host
 * @address: which
 *
 * Takes as long as reading it.
 *
 * Return: true if pt_nodedev_xml() would contain a capability "vpd".
 */
bool pt_nodedev_has_vpd(struct pt_host *host, const struct pt_address *address);

#ifdef __cplusplus
}
#endif
#endif
