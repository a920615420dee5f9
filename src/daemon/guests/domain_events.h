/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events of guests, for clients that subscribed. From any thread, without the lock: the loop sends
 * them. */
#ifndef DAEMON_GUESTS_DOMAIN_EVENTS_H
#define DAEMON_GUESTS_DOMAIN_EVENTS_H

#include "daemon/guests/guests.h"

/* virDomainEventType, and the details that are used */
enum domain_event {
	DOMAIN_EVENT_DEFINED = 0,
	DOMAIN_EVENT_UNDEFINED = 1,
	DOMAIN_EVENT_STARTED = 2,
	DOMAIN_EVENT_SUSPENDED = 3,
	DOMAIN_EVENT_RESUMED = 4,
	DOMAIN_EVENT_STOPPED = 5,
	DOMAIN_EVENT_SHUTDOWN = 6,
	DOMAIN_EVENT_CRASHED = 8,
};

#define DOMAIN_EVENT_DEFINED_ADDED     0
#define DOMAIN_EVENT_DEFINED_UPDATED   1
#define DOMAIN_EVENT_STARTED_BOOTED    0
#define DOMAIN_EVENT_STOPPED_SHUTDOWN  0
#define DOMAIN_EVENT_STOPPED_DESTROYED 1
#define DOMAIN_EVENT_STOPPED_CRASHED   2
#define DOMAIN_EVENT_STOPPED_FAILED    5
#define DOMAIN_EVENT_SHUTDOWN_GUEST    1
#define DOMAIN_EVENT_SHUTDOWN_HOST     2

void domain_event_lifecycle(const struct domain *domain, enum domain_event event, int detail);

/* The same with the guest's previous id. */
void domain_event_lifecycle_of(const struct domain *domain, int id, enum domain_event event,
			       int detail);

void domain_event_reboot(const struct domain *domain);

/* By the numbers of virDomainEventID. */
enum device_event {
	DEVICE_EVENT_REMOVED = 15,
	DEVICE_EVENT_ADDED = 19,
	DEVICE_EVENT_REMOVAL_FAILED = 22,
};

void domain_event_device(const struct domain *domain, enum device_event event, const char *alias);

#endif
