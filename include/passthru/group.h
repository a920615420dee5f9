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

/**
 * struct pt_group_other - a member of an IOMMU group that is not a PCI function
 * @name: its name on its bus, e.g. "AMDI0020:00"
 * @bus: "platform", "amba" …
 * @driver: the driver that it is bound to; "" for none
 * @is_blocking: its driver does DMA for the host, so no function of the group can be assigned
 */
struct pt_group_other {
	char name[64];
	char bus[32];
	char driver[64];
	bool is_blocking;
};

/**
 * pt_group_read_others() - the members of a group that are not PCI functions
 * @host: the host
 * @number: the group
 * @ret_others: an array, to be freed with free(); NULL if there are none
 * @ret_count: the number of members
 * @err: PT_NO_MEMORY, PT_SYSTEM
 *
 * The kernel assigns a group as a whole: VFIO refuses the group while a driver of a platform
 * device in it does DMA. A snapshot contains PCI functions only.
 *
 * Return: 0 or a negative errno.
 */
int pt_group_read_others(struct pt_host *host, int number, struct pt_group_other **ret_others,
			 size_t *ret_count, struct pt_error *err);

#ifdef __cplusplus
}
#endif
#endif
