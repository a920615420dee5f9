/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/device_faults.h"

#include <passthru/watch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "daemon/log.h"

/* The maximum number of events per round of the loop; remaining events wake it again. */
#define EVENTS_MAX 64

#define KINDS                                                                                      \
	(PT_WATCH(PT_EVENT_DMA_FAULT) | PT_WATCH(PT_EVENT_BUS_ERROR) | PT_WATCH(PT_EVENT_LEFT))

struct device_faults {
	struct pt_watch *watch;
	sd_event_source *source;
};

/* The kernel limits the rate of what it says about faults, so that this needs no limit. */
static void device_faults_report(const struct pt_event *event)
{
	const struct pt_owner *owner = &event->claim.owner;
	char text[PT_ADDRESS_TEXT];

	if (!event->has_claim || owner->kind != PT_OWNER_DOMAIN)
		return;
	pt_address_format(&event->address, text);
	switch (event->kind) {
	case PT_EVENT_DMA_FAULT:
		log_message(PT_LOG_WARNING, "guest %s: %s: the IOMMU blocked a DMA: %s",
			    owner->name, text, event->text);
		break;
	case PT_EVENT_BUS_ERROR:
		log_message(PT_LOG_WARNING, "guest %s: %s: bus error: %s", owner->name, text,
			    event->text);
		break;
	case PT_EVENT_LEFT:
		log_message(PT_LOG_WARNING,
			    "guest %s: %s was removed from the "
			    "machine",
			    owner->name, text);
		break;
	default:
		break;
	}
}

static int on_event(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct device_faults *faults = context;
	struct pt_event event;
	struct pt_error err;
	int i, r = 1;

	(void)fd;
	(void)revents;
	for (i = 0; i < EVENTS_MAX && r > 0; i++) {
		r = pt_watch_next(faults->watch, &event, &err);
		if (r > 0)
			device_faults_report(&event);
	}
	if (r < 0) {
		log_message(PT_LOG_WARNING, "faults of guests' devices are no longer reported: %s",
			    err.message);
		(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	}
	return 0;
}

int device_faults_new(const struct context *context, struct device_faults **ret_faults,
		      struct pt_error *err)
{
	struct device_faults *faults = calloc(1, sizeof(*faults));
	int r;

	if (!faults)
		return pt_fail_memory(err);
	r = pt_watch_new(context->host, KINDS, &faults->watch, err);
	if (r == 0) {
		r = sd_event_add_io(context->loop, &faults->source, pt_watch_fd(faults->watch),
				    EPOLLIN, on_event, faults);
		if (r < 0)
			r = pt_fail(err, PT_SYSTEM, -r, "watching devices: %s", strerror(-r));
	}
	if (r < 0) {
		device_faults_free(faults);
		return r;
	}
	*ret_faults = faults;
	return 0;
}

void device_faults_free(struct device_faults *faults)
{
	if (!faults)
		return;
	(void)sd_event_source_disable_unref(faults->source);
	pt_watch_free(faults->watch);
	free(faults);
}
