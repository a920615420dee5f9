/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pci/uevents.h"

#include <libudev.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/text.h"

/* 500 virtual functions that appear at once, and are bound at once. */
#define BUFFER_SIZE (4 * 1024 * 1024)

struct uevents {
	struct udev *udev;
	struct udev_monitor *monitor;
};

static const struct {
	const char *word;
	enum uevent_action action;
} actions[] = {
	{"add", UEVENT_ADD},
	{"remove", UEVENT_REMOVE},
	{"bind", UEVENT_BIND},
	{"unbind", UEVENT_UNBIND},
};

AUTO_DEFINE(uevents, struct uevents *, uevents_close)

int uevents_open(struct pt_host *host, struct uevents **ret_uevents, struct pt_error *err)
{
	AUTO(auto_uevents) struct uevents *uevents = NULL;

	if (!host->is_this_machine)
		return pt_fail(err, PT_SYSTEM, ENOTSUP,
			       "events are available from this machine's kernel only");
	uevents = calloc(1, sizeof(*uevents));
	if (!uevents)
		return pt_fail_memory(err);
	uevents->udev = udev_new();
	if (!uevents->udev)
		return pt_fail_memory(err);
	errno = ENOMEM;
	uevents->monitor = udev_monitor_new_from_netlink(uevents->udev, "kernel");
	if (!uevents->monitor)
		return pt_fail(err, PT_SYSTEM, errno, "kernel events: %s", strerror(errno));
	(void)udev_monitor_filter_add_match_subsystem_devtype(uevents->monitor, "pci", NULL);
	/* only root may make it larger than the system's limit */
	(void)udev_monitor_set_receive_buffer_size(uevents->monitor, BUFFER_SIZE);
	if (udev_monitor_enable_receiving(uevents->monitor) < 0)
		return pt_fail(err, PT_SYSTEM, EIO, "kernel events can't be received");
	*ret_uevents = TAKE_POINTER(uevents);
	return 0;
}

void uevents_close(struct uevents *uevents)
{
	if (!uevents)
		return;
	udev_monitor_unref(uevents->monitor);
	udev_unref(uevents->udev);
	free(uevents);
}

int uevents_fd(const struct uevents *uevents)
{
	return udev_monitor_get_fd(uevents->monitor);
}

static bool take_event(struct udev_device *device, struct uevents_event *event)
{
	const char *word = udev_device_get_action(device);
	const char *driver = udev_device_get_property_value(device, "DRIVER");
	size_t i;

	for (i = 0; word && i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(word, actions[i].word) != 0 ||
		    pt_address_parse(udev_device_get_sysname(device), &event->address, NULL) < 0)
			continue;
		event->action = actions[i].action;
		text_copy(event->driver, sizeof(event->driver),
			  driver && event->action == UEVENT_BIND ? driver : "");
		return true;
	}
	return false;
}

int uevents_next(struct uevents *uevents, struct uevents_event *ret_event)
{
	for (;;) {
		struct udev_device *device;
		bool is_event;

		errno = 0;
		device = udev_monitor_receive_device(uevents->monitor);
		if (!device && errno == ENOBUFS) {
			ret_event->action = UEVENT_LOST;
			return 1;
		}
		if (!device)
			return 0;
		is_event = take_event(device, ret_event);
		udev_device_unref(device);
		if (is_event)
			return 1;
	}
}
