/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * USB devices of the host come and go: guests that have such devices lose them, and get them again
 * (hotplug_follow_usb()).
 */
#ifndef DAEMON_GUESTS_USB_WATCH_H
#define DAEMON_GUESTS_USB_WATCH_H

#include "daemon/guests/guests.h"

struct usb_watch;

/* Of this machine. The kernel's uevents, as udev passes them on. */
int usb_watch_new(struct guests *guests, struct usb_watch **ret_watch, struct pt_error *err);

/* NULL is allowed. */
void usb_watch_free(struct usb_watch *watch);

/* Something was plugged in or unplugged: workers look what that means for each guest. */
void guests_follow_usb(struct guests *guests);

#endif
