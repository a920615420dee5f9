/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <passthru/group.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pci/snapshot.h"

/* Group by group; members in address order, which is the order of the functions. */
static int compare_members(const void *a, const void *b)
{
	const struct pt_function *x = *(const struct pt_function *const *)a;
	const struct pt_function *y = *(const struct pt_function *const *)b;

	if (x->iommu_group != y->iommu_group)
		return x->iommu_group < y->iommu_group ? -1 : 1;
	return pt_address_compare(&x->address, &y->address);
}

int snapshot_form_groups(struct pt_snapshot *snapshot)
{
	struct pt_group *group = NULL;
	size_t i, count = 0;

	if (!snapshot->count)
		return 0;
	snapshot->members = calloc(snapshot->count, sizeof(*snapshot->members));
	snapshot->groups = calloc(snapshot->count, sizeof(*snapshot->groups));
	if (!snapshot->members || !snapshot->groups)
		return -ENOMEM;
	for (i = 0; i < snapshot->count; i++)
		if (snapshot->functions[i].iommu_group >= 0)
			snapshot->members[count++] = &snapshot->functions[i];
	if (count)
		qsort(snapshot->members, count, sizeof(*snapshot->members), compare_members);
	for (i = 0; i < count; i++) {
		const struct pt_function *member = snapshot->members[i];

		if (!group || group->number != member->iommu_group) {
			group = &snapshot->groups[snapshot->group_count++];
			group->number = member->iommu_group;
			group->members = &snapshot->members[i];
		}
		group->count++;
	}
	return 0;
}

static int compare_number(const void *key, const void *element)
{
	int number = *(const int *)key;
	const struct pt_group *group = element;

	if (number != group->number)
		return number < group->number ? -1 : 1;
	return 0;
}

const struct pt_group *pt_snapshot_group(const struct pt_snapshot *snapshot, int number)
{
	if (!snapshot->group_count)
		return NULL;
	return bsearch(&number, snapshot->groups, snapshot->group_count, sizeof(*snapshot->groups),
		       compare_number);
}

enum pt_kind pt_function_kind(const struct pt_function *function)
{
	switch (function->class_code >> 8) {
	case 0x0600: /* host */
	case 0x0604: /* PCI-PCI */
	case 0x0607: /* CardBus */
	case 0x0609: /* semi-transparent PCI-PCI */
		return PT_BRIDGE;
	default:
		return PT_ENDPOINT;
	}
}

/*
 * In-tree variants are named mlx5_vfio_pci, hisi-acc-vfio-pci, pds-vfio-pci,
 * nvgrace-gpu-vfio-pci …: a driver's name may hold either '-' or '_'.
 */
bool pt_driver_is_vfio(const char *driver)
{
	static const char suffix[] = "vfio-pci";
	size_t len, i;

	if (!driver || (len = strlen(driver)) < strlen(suffix))
		return false;
	driver += len - strlen(suffix);
	for (i = 0; suffix[i]; i++)
		if (driver[i] != suffix[i] && !(suffix[i] == '-' && driver[i] == '_'))
			return false;
	return len == strlen(suffix) || driver[-1] == '-' || driver[-1] == '_';
}

bool pt_function_blocks_group(const struct pt_function *function)
{
	const char *driver = function->driver;

	return driver && !pt_driver_is_vfio(driver) && strcmp(driver, "pci-stub") != 0 &&
	       strcmp(driver, "pcieport") != 0;
}
