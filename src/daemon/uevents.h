/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Devices that come, change and go, in the daemon's loop. The messages are udev's, which come when
 * it is through with a device; without udev they are the kernel's.
 */
#ifndef DAEMON_UEVENTS_H
#define DAEMON_UEVENTS_H

#include <systemd/sd-event.h>

#include "base/auto.h"

/*
 * @action ("add", "change", "remove" …) is done, and @path is the device's below /sys. Both are
 * NULL where messages were lost: the socket was full.
 */
typedef void (*uevents_handler)(void *context, const char *action, const char *path);

struct uevent_monitor;

/*
 * Begin: of the devices of that kind (NULL: of all). Returns 0 or a negative errno.
 * The handler is called in the loop until uevent_monitor_free() (NULL is allowed).
 */
int uevent_monitor_new(sd_event *loop, const char *subsystem, const char *devtype,
		       uevents_handler handler, void *context, struct uevent_monitor **ret_monitor);
void uevent_monitor_free(struct uevent_monitor *monitor);

#endif
