/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/guests/usb_watch.h"

#include <errno.h>
#include <libudev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/auto.h"
#include "domain/guest/hotplug.h"

struct usb_watch {
	struct guests *guests;
	struct udev *udev;
	struct udev_monitor *monitor;
	sd_event_source *source;
};

static void do_follow(struct pt_host *host, struct domain *domain, struct guest *guest,
		      const char *alias)
{
	struct pt_error err;

	(void)alias;
	if (!domain_await_job(domain, guest, "USB devices of the host"))
		return;
	if (hotplug_follow_usb(host, guest, &err) < 0)
		log_message(PT_LOG_WARNING, "guest %s: %s", domain->name, err.message);
	domain_end_job(domain);
}

/* With the list's lock. */
static bool has_usb(const struct domain *domain)
{
	struct guest *guest = domain->guest;
	bool has;

	if (!guest)
		return false;
	(void)pthread_mutex_lock(&guest->lock);
	has = !guest->has_ended && hotplug_has_usb(guest->live);
	(void)pthread_mutex_unlock(&guest->lock);
	return has;
}

void guests_follow_usb(struct guests *guests)
{
	struct domain **domains = guests_list(guests, has_usb), **at;

	if (!domains) {
		log_message(PT_LOG_WARNING, "out of memory: no guest gets the USB devices that "
					    "were plugged in");
		return;
	}
	for (at = domains; *at; at++) {
		struct guest *guest;

		guests_lock(guests);
		guest = (*at)->guest ? guest_ref((*at)->guest) : NULL;
		guests_unlock(guests);
		if (guest)
			guests_work(guests, do_follow, *at, guest, NULL);
		guest_unref(guest);
		domain_release(*at);
	}
	free(domains);
}

/* ---- the monitor ---- */

/* Whatever it is, guests are compared with what is there; so nothing is lost with a message. */
static int on_uevent(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct usb_watch *watch = context;
	struct udev_device *device;
	bool is_change = false, is_lost;

	(void)source;
	(void)fd;
	(void)revents;
	errno = 0;
	device = udev_monitor_receive_device(watch->monitor);
	is_lost = !device && errno == ENOBUFS;
	if (device) {
		const char *action = udev_device_get_action(device);

		is_change = action && (!strcmp(action, "add") || !strcmp(action, "remove"));
		udev_device_unref(device);
	}
	if (is_change || is_lost)
		guests_follow_usb(watch->guests);
	return 0;
}

/* udev's messages come when it is through with a device; without udev the kernel's must do. */
static int usb_watch_begin(struct usb_watch *watch)
{
	bool has_udev = access("/run/udev/control", F_OK) == 0;
	int r;

	watch->udev = udev_new();
	watch->monitor = watch->udev ? udev_monitor_new_from_netlink(watch->udev,
								     has_udev ? "udev" : "kernel")
				     : NULL;
	if (!watch->monitor)
		return -ENOMEM;
	r = udev_monitor_filter_add_match_subsystem_devtype(watch->monitor, "usb", "usb_device");
	if (r >= 0)
		r = udev_monitor_enable_receiving(watch->monitor);
	return r < 0 ? r
		     : sd_event_add_io(watch->guests->parts.context->loop, &watch->source,
				       udev_monitor_get_fd(watch->monitor), EPOLLIN, on_uevent,
				       watch);
}

int usb_watch_new(struct guests *guests, struct usb_watch **ret_watch, struct pt_error *err)
{
	struct usb_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return pt_fail_memory(err);
	watch->guests = guests;
	r = usb_watch_begin(watch);
	if (r < 0) {
		usb_watch_free(watch);
		return pt_fail(err, PT_SYSTEM, -r, "can't listen for USB devices: %s",
			       strerror(-r));
	}
	*ret_watch = watch;
	return 0;
}

void usb_watch_free(struct usb_watch *watch)
{
	if (!watch)
		return;
	(void)sd_event_source_disable_unref(watch->source);
	udev_monitor_unref(watch->monitor);
	udev_unref(watch->udev);
	free(watch);
}
