/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/guests/usb_watch.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/uevents.h"
#include "domain/guest/hotplug.h"

struct usb_watch {
	struct guests *guests;
	struct uevent_monitor *monitor;
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
static void on_uevent(void *context, const char *action, const char *path)
{
	struct usb_watch *watch = context;

	(void)path;
	if (!action || !strcmp(action, "add") || !strcmp(action, "remove"))
		guests_follow_usb(watch->guests);
}

int usb_watch_new(struct guests *guests, struct usb_watch **ret_watch, struct pt_error *err)
{
	struct usb_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return pt_fail_memory(err);
	watch->guests = guests;
	r = uevent_monitor_new(guests->parts.context->loop, "usb", "usb_device", on_uevent, watch,
			       &watch->monitor);
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
	uevent_monitor_free(watch->monitor);
	free(watch);
}
