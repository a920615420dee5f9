/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/uevents.h"

#include <errno.h>
#include <libudev.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Messages wait here while the loop is busy: 500 functions appear at once with SR-IOV. */
#define RECEIVE_BUFFER (8 * 1024 * 1024)

struct uevent_monitor {
	struct udev *udev;
	struct udev_monitor *monitor;
	sd_event_source *source;
	uevents_handler handler;
	void *context;
};

AUTO_DEFINE(uevent_monitor, struct uevent_monitor *, uevent_monitor_free)

/* One of them: the loop comes again while there are more. */
static int on_uevent(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct uevent_monitor *monitor = context;
	struct udev_device *device;

	(void)source;
	(void)fd;
	(void)revents;
	errno = 0;
	device = udev_monitor_receive_device(monitor->monitor);
	if (device && udev_device_get_action(device))
		monitor->handler(monitor->context, udev_device_get_action(device),
				 udev_device_get_syspath(device));
	else if (!device && errno == ENOBUFS)
		monitor->handler(monitor->context, NULL, NULL);
	udev_device_unref(device);
	return 0;
}

int uevent_monitor_new(sd_event *loop, const char *subsystem, const char *devtype,
		       uevents_handler handler, void *context, struct uevent_monitor **ret_monitor)
{
	const char *from = access("/run/udev/control", F_OK) == 0 ? "udev" : "kernel";
	AUTO(auto_uevent_monitor) struct uevent_monitor *monitor = calloc(1, sizeof(*monitor));
	int r = 0;

	if (!monitor)
		return -ENOMEM;
	monitor->handler = handler;
	monitor->context = context;
	monitor->udev = udev_new();
	if (monitor->udev)
		monitor->monitor = udev_monitor_new_from_netlink(monitor->udev, from);
	if (!monitor->monitor)
		return -ENOMEM;
	(void)udev_monitor_set_receive_buffer_size(monitor->monitor, RECEIVE_BUFFER);
	if (subsystem)
		r = udev_monitor_filter_add_match_subsystem_devtype(monitor->monitor, subsystem,
								    devtype);
	if (r >= 0)
		r = udev_monitor_enable_receiving(monitor->monitor);
	if (r >= 0)
		r = sd_event_add_io(loop, &monitor->source, udev_monitor_get_fd(monitor->monitor),
				    EPOLLIN, on_uevent, monitor);
	if (r < 0)
		return r;
	*ret_monitor = TAKE_POINTER(monitor);
	return 0;
}

void uevent_monitor_free(struct uevent_monitor *monitor)
{
	if (!monitor)
		return;
	(void)sd_event_source_disable_unref(monitor->source);
	udev_monitor_unref(monitor->monitor);
	udev_unref(monitor->udev);
	free(monitor);
}
