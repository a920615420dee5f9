/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pci/vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/text.h"
#include "pci/sysfs.h"

/* A VFIO device opened the old way: container (its IOMMU), group, device. */
struct session {
	int container;
	int group;
	int device;
	uint32_t number; /* of the group */
};

struct dependents {
	struct vfio_pci_hot_reset_info info;
	struct vfio_pci_dependent_device room[VFIO_AFFECTED_MAX];
};

static void close_session(struct session *session)
{
	/* the device first: the kernel tears down in this order */
	auto_close_fd(&session->device);
	auto_close_fd(&session->group);
	auto_close_fd(&session->container);
}

static int open_group(struct pt_host *host, uint32_t number)
{
	char path[64];
	int fd, r = text_format(path, sizeof(path), "dev/vfio/%u", number);

	if (r < 0)
		return r;
	fd = openat(host->root_fd, path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The device's group; when it has no file, the reason why. */
static int open_own_group(struct pt_host *host, const struct pt_address *address,
			  struct session *session)
{
	char link[32], path[SYSFS_PATH];
	uint64_t number;
	int r = sysfs_read_link(host, address, "iommu_group", link, sizeof(link));

	if (r < 0)
		return r;
	r = text_parse_number(link, 10, UINT32_MAX, &number);
	if (r < 0)
		return r;
	session->number = (uint32_t)number;
	session->group = open_group(host, session->number);
	if (session->group == -ENOENT && sysfs_device_path(path, address, "vfio-dev") == 0 &&
	    faccessat(host->root_fd, path, F_OK, 0) == 0)
		return -EOPNOTSUPP;
	return session->group < 0 ? session->group : 0;
}

/* ioctl() as a function that returns a negative errno. */
static int call(int fd, unsigned long request, const void *argument)
{
	int r = ioctl(fd, request, argument);

	return r < 0 ? -errno : r;
}

static int open_session(struct pt_host *host, const struct pt_address *address,
			struct session *session)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};
	char name[PT_ADDRESS_TEXT];
	int r;

	r = open_own_group(host, address, session);
	if (r < 0)
		return r;
	r = call(session->group, VFIO_GROUP_GET_STATUS, &status);
	if (r < 0)
		return r;
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return -EPERM;
	session->container = openat(host->root_fd, "dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (session->container < 0)
		return -errno;
	r = call(session->group, VFIO_GROUP_SET_CONTAINER, &session->container);
	if (r < 0)
		return r;
	/* its argument is the number itself, not where it lies */
	if (ioctl(session->container, VFIO_SET_IOMMU, (unsigned long)VFIO_TYPE1v2_IOMMU) < 0)
		return -errno;
	r = call(session->group, VFIO_GROUP_GET_DEVICE_FD, pt_address_format(address, name));
	if (r < 0)
		return r;
	session->device = r;
	return 0;
}

/* The kernel answers -ENOSPC with the true count when there is too little room. */
static int vfio_ask(const struct session *session, struct dependents *dependents)
{
	int r;

	memset(dependents, 0, sizeof(*dependents));
	dependents->info.argsz = sizeof(*dependents);
	r = call(session->device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &dependents->info);
	if (r == -ENOSPC)
		return -E2BIG;
	if (r < 0)
		return r;
	return dependents->info.count <= VFIO_AFFECTED_MAX ? 0 : -E2BIG;
}

int vfio_hot_reset_info(struct pt_host *host, const struct pt_address *address,
			struct pt_address *affected, size_t max, size_t *ret_count)
{
	AUTO(close_session) struct session session = {-1, -1, -1, 0};
	struct dependents dependents;
	size_t i;
	int r;

	r = open_session(host, address, &session);
	if (r < 0)
		return r;
	r = vfio_ask(&session, &dependents);
	if (r < 0)
		return r;
	if (dependents.info.count > max)
		return -E2BIG;
	for (i = 0; i < dependents.info.count; i++) {
		const struct vfio_pci_dependent_device *device = &dependents.info.devices[i];

		/* VFIO has 16 bits for the domain, VMD's need more; a bus has but one domain */
		affected[i] = (struct pt_address){.domain = address->domain,
						  .bus = device->bus,
						  .device = device->devfn >> 3,
						  .function = device->devfn & 7};
	}
	*ret_count = dependents.info.count;
	return 0;
}

struct group_fds {
	struct vfio_pci_hot_reset reset;
	int32_t room[VFIO_AFFECTED_MAX];
	uint32_t numbers[VFIO_AFFECTED_MAX];
	size_t opened;
};

static void close_groups(struct group_fds *groups)
{
	while (groups->opened)
		close(groups->reset.group_fds[--groups->opened]);
}

static bool has_group(const struct group_fds *groups, uint32_t number)
{
	size_t i;

	for (i = 0; i < groups->opened; i++)
		if (groups->numbers[i] == number)
			return true;
	return false;
}

static int duplicate(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 ? -errno : copy;
}

/* The kernel resets only for a caller that holds the groups of all affected functions. */
static int open_groups(struct pt_host *host, const struct session *session,
		       const struct dependents *dependents, struct group_fds *groups)
{
	size_t i;

	for (i = 0; i < dependents->info.count; i++) {
		uint32_t number = dependents->info.devices[i].group_id;
		int fd;

		if (has_group(groups, number))
			continue;
		/* a group can be opened only once, and its own is open already */
		if (number == session->number)
			fd = duplicate(session->group);
		else
			fd = open_group(host, number);
		if (fd < 0)
			return fd;
		groups->numbers[groups->opened] = number;
		groups->reset.group_fds[groups->opened++] = fd;
	}
	return 0;
}

int vfio_hot_reset(struct pt_host *host, const struct pt_address *address)
{
	AUTO(close_session) struct session session = {-1, -1, -1, 0};
	AUTO(close_groups) struct group_fds groups = {.opened = 0};
	struct dependents dependents;
	int r;

	r = open_session(host, address, &session);
	if (r < 0)
		return r;
	r = vfio_ask(&session, &dependents);
	if (r < 0)
		return r;
	r = open_groups(host, &session, &dependents, &groups);
	if (r < 0)
		return r;
	groups.reset.argsz = (uint32_t)(sizeof(groups.reset) + groups.opened * sizeof(int32_t));
	groups.reset.count = (uint32_t)groups.opened;
	return call(session.device, VFIO_DEVICE_PCI_HOT_RESET, &groups.reset);
}
