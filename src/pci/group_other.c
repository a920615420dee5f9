/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Members of IOMMU groups that are not PCI functions: I2C controllers and others of a chipset. */
#include <passthru/group.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/error.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/host.h"

/* The last component of a link below @dir_fd, cleaned; "" when it isn't there. */
static void read_link_name(int dir_fd, const char *member, const char *link, char *name,
			   size_t size)
{
	char path[512];

	*name = '\0';
	if (dir_fd >= 0 && text_format(path, sizeof(path), "%s/%s", member, link) >= 0 &&
	    io_read_link_word_at(dir_fd, path, name, size) == 0)
		text_clean(name);
}

static bool read_other(int dir_fd, const char *name, struct pt_group_other *ret_other)
{
	struct pt_group_other other = {.is_blocking = false};
	struct pt_address address;

	if (name[0] == '.' || pt_address_parse(name, &address, NULL) == 0)
		return false;
	read_link_name(dir_fd, name, "subsystem", other.bus, sizeof(other.bus));
	if (!strcmp(other.bus, "pci") || !text_copy(other.name, sizeof(other.name), name))
		return false;
	text_clean(other.name);
	read_link_name(dir_fd, name, "driver", other.driver, sizeof(other.driver));
	/*
	 * A driver takes the group for the kernel's DMA when it is bound, if its bus has DMA
	 * (drivers/base/platform.c: platform_dma_configure()); those of VFIO don't.
	 */
	other.is_blocking = *other.driver && strncmp(other.driver, "vfio-", 5) != 0;
	*ret_other = other;
	return true;
}

static int compare_others(const void *a, const void *b)
{
	const struct pt_group_other *left = a, *right = b;

	return strcmp(left->name, right->name);
}

int pt_group_read_others(struct pt_host *host, int number, struct pt_group_other **ret_others,
			 size_t *ret_count, struct pt_error *err)
{
	AUTO_FREE struct pt_group_other *others = NULL;
	AUTO_DIR DIR *dir = NULL;
	struct pt_group_other other;
	struct dirent *entry;
	char path[64];
	size_t count = 0;
	int r;

	(void)text_format(path, sizeof(path), "sys/kernel/iommu_groups/%d/devices", number);
	r = io_open_directory_at(host->root_fd, path, &dir);
	/* a group that is gone has no members */
	if (r < 0 && r != -ENOENT && r != -ENODEV)
		return pt_fail(err, PT_SYSTEM, -r, "/%s: %s", path, strerror(-r));
	while (dir && (entry = readdir(dir))) {
		struct pt_group_other *grown;

		if (!read_other(dirfd(dir), entry->d_name, &other))
			continue;
		grown = reallocarray(others, count + 1, sizeof(*others));
		if (!grown)
			return pt_fail_memory(err);
		others = grown;
		others[count++] = other;
	}
	if (count)
		qsort(others, count, sizeof(*others), compare_others);
	*ret_others = TAKE_POINTER(others);
	*ret_count = count;
	return 0;
}
