/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PASSTHRU_GROUP_H
#define PASSTHRU_GROUP_H

#include <passthru/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: IOMMU groups
 *
 * The IOMMU can't tell the functions of one group apart, so the kernel assigns a group as a whole
 * or not at all (Documentation/driver-api/vfio.rst).
 */

/**
 * struct pt_group - an IOMMU group
 * @number: as under /sys/kernel/iommu_groups
 * @members: its PCI functions in address order, owned by the snapshot
 * @count: the number of members
 */
struct pt_group {
	int number;
	const struct pt_function *const *members;
	size_t count;
};

/**
 * pt_snapshot_group() - the members of a group
 * @snapshot: a snapshot
 * @number: the group
 *
 * Return: the group, owned by @snapshot; NULL if no function is in it.
 */
const struct pt_group *pt_snapshot_group(const struct pt_snapshot *snapshot, int number);

/**
 * pt_function_blocks_group() - does this member prevent the assignment of its group?
 * @function: a member of a group
 *
 * A member does not block its group if it has no driver, or a driver that does no DMA of its own:
 * the VFIO drivers, pci-stub and the port driver of bridges (the drivers with driver_managed_dma
 * in Linux 5.18 and later).
 *
 * Return: true if other functions of the group can't be assigned to a guest until this function
 * is unbound from its driver.
 */
bool pt_function_blocks_group(const struct pt_function *function);

/**
 * pt_driver_is_vfio() - is this the name of a VFIO PCI driver?
 * @driver: a driver's name, or NULL
 *
 * Return: true for vfio-pci and its variants (mlx5_vfio_pci, "nvgrace-gpu-vfio-pci" …).
 */
bool pt_driver_is_vfio(const char *driver);

#ifdef __cplusplus
}
#endif
#endif
