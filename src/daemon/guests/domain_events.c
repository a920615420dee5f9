/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/guests/domain_events.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "daemon/events.h"
#include "daemon/handlers/domain_fault.h"
#include "daemon/log.h"

#define EVENT_LIFECYCLE 0
#define EVENT_REBOOT	1

/* What the loop needs of a domain that may be gone by then. */
struct message {
	int event;
	char name[STORE_NAME];
	unsigned char uuid[16];
	int id;
	int type, detail; /* of lifecycle */
	char alias[STORE_ALIAS];
};

static void describe(struct message *message, rpc_domain *domain)
{
	domain->name = message->name;
	memcpy(domain->uuid, message->uuid, sizeof(message->uuid));
	domain->id = message->id;
}

static void send_lifecycle(struct daemon *daemon, struct message *message, const char *uuid)
{
	struct rpc_domain_lifecycle body = {.event = message->type, .detail = message->detail};

	describe(message, &body.domain);
	events_send(daemon, EVENT_DOMAIN, EVENT_LIFECYCLE, uuid, RPC_DOMAIN_LIFECYCLE_MESSAGE,
		    (xdrproc_t)xdr_rpc_domain_lifecycle, &body, &body.callback);
}

static void send_reboot(struct daemon *daemon, struct message *message, const char *uuid)
{
	struct rpc_domain_rebooted body = {.callback = 0};

	describe(message, &body.domain);
	events_send(daemon, EVENT_DOMAIN, EVENT_REBOOT, uuid, RPC_DOMAIN_REBOOT_MESSAGE,
		    (xdrproc_t)xdr_rpc_domain_rebooted, &body, &body.callback);
}

static void send_device(struct daemon *daemon, struct message *message, const char *uuid)
{
	struct rpc_domain_device body = {.alias = message->alias};
	int32_t procedure = RPC_DOMAIN_DEVICE_REMOVED_MESSAGE;

	if (message->event == DEVICE_EVENT_ADDED)
		procedure = RPC_DOMAIN_DEVICE_ADDED_MESSAGE;
	else if (message->event == DEVICE_EVENT_REMOVAL_FAILED)
		procedure = RPC_DOMAIN_DEVICE_REMOVAL_FAILED_MESSAGE;
	describe(message, &body.domain);
	events_send(daemon, EVENT_DOMAIN, message->event, uuid, procedure,
		    (xdrproc_t)xdr_rpc_domain_device, &body, &body.callback);
}

static void send_message(struct daemon *daemon, void *argument)
{
	struct message *message = argument;
	char uuid[UUID_TEXT];

	uuid_format(message->uuid, uuid);
	if (message->event == EVENT_LIFECYCLE)
		send_lifecycle(daemon, message, uuid);
	else if (message->event == EVENT_REBOOT)
		send_reboot(daemon, message, uuid);
	else
		send_device(daemon, message, uuid);
	free(message);
}

static struct message *new_message(const struct domain *domain, int id, int event)
{
	struct message *message = calloc(1, sizeof(*message));

	if (!message) {
		log_message(PT_LOG_WARNING, "out of memory: an event of guest %s is lost",
			    domain->name);
		return NULL;
	}
	message->event = event;
	message->id = id;
	text_copy(message->name, sizeof(message->name), domain->name);
	memcpy(message->uuid, domain->uuid, sizeof(message->uuid));
	return message;
}

static int id_of(const struct domain *domain)
{
	int id;

	guests_lock(domain->guests);
	id = domain->guest ? domain->guest->id : -1;
	guests_unlock(domain->guests);
	return id;
}

void domain_event_lifecycle_of(const struct domain *domain, int id, enum domain_event event,
			       int detail)
{
	struct message *message = new_message(domain, id, EVENT_LIFECYCLE);

	if (!message)
		return;
	message->type = (int)event;
	message->detail = detail;
	guests_post(domain->guests, send_message, message);
}

void domain_event_lifecycle(const struct domain *domain, enum domain_event event, int detail)
{
	domain_event_lifecycle_of(domain, id_of(domain), event, detail);
}

void domain_event_reboot(const struct domain *domain)
{
	struct message *message = new_message(domain, id_of(domain), EVENT_REBOOT);

	if (message)
		guests_post(domain->guests, send_message, message);
}

void domain_event_device(const struct domain *domain, enum device_event event, const char *alias)
{
	struct message *message = new_message(domain, id_of(domain), (int)event);

	if (!message)
		return;
	text_copy(message->alias, sizeof(message->alias), alias);
	guests_post(domain->guests, send_message, message);
}
