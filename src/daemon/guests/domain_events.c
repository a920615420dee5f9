/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/guests/domain_events.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/text.h"
#include "daemon/log.h"
#include "domain/definition/units.h"
#include "rpc/protocol.h"

#define EVENT_LIFECYCLE 0
#define EVENT_REBOOT	1

/* What the loop needs of a domain that may be gone by then. */
struct message {
	struct letter letter;
	struct events *events;
	int event;
	char name[STORE_NAME];
	unsigned char uuid[16];
	int id;
	int type, detail; /* of lifecycle */
	char alias[STORE_ALIAS];
};

static void domain_event_describe(struct message *message, rpc_domain *domain)
{
	domain->name = message->name;
	memcpy(domain->uuid, message->uuid, sizeof(message->uuid));
	domain->id = message->id;
}

static void send_lifecycle(struct message *message, const char *uuid)
{
	struct rpc_domain_lifecycle body = {.event = message->type, .detail = message->detail};

	domain_event_describe(message, &body.domain);
	events_send(message->events, EVENT_DOMAIN, EVENT_LIFECYCLE, uuid,
		    RPC_DOMAIN_LIFECYCLE_MESSAGE, (xdrproc_t)xdr_rpc_domain_lifecycle, &body,
		    &body.callback);
}

static void send_reboot(struct message *message, const char *uuid)
{
	struct rpc_domain_rebooted body = {.callback = 0};

	domain_event_describe(message, &body.domain);
	events_send(message->events, EVENT_DOMAIN, EVENT_REBOOT, uuid, RPC_DOMAIN_REBOOT_MESSAGE,
		    (xdrproc_t)xdr_rpc_domain_rebooted, &body, &body.callback);
}

static void send_device(struct message *message, const char *uuid)
{
	struct rpc_domain_device body = {.alias = message->alias};
	int32_t procedure = RPC_DOMAIN_DEVICE_REMOVED_MESSAGE;

	if (message->event == DEVICE_EVENT_ADDED)
		procedure = RPC_DOMAIN_DEVICE_ADDED_MESSAGE;
	else if (message->event == DEVICE_EVENT_REMOVAL_FAILED)
		procedure = RPC_DOMAIN_DEVICE_REMOVAL_FAILED_MESSAGE;
	domain_event_describe(message, &body.domain);
	events_send(message->events, EVENT_DOMAIN, message->event, uuid, procedure,
		    (xdrproc_t)xdr_rpc_domain_device, &body, &body.callback);
}

static void send_message(struct letter *letter)
{
	struct message *message = CONTAINER_OF(letter, struct message, letter);
	char uuid[DEFINITION_UUID_TEXT];

	uuid_format(message->uuid, uuid);
	if (message->event == EVENT_LIFECYCLE)
		send_lifecycle(message, uuid);
	else if (message->event == EVENT_REBOOT)
		send_reboot(message, uuid);
	else
		send_device(message, uuid);
	free(message);
}

static struct message *new_message(const struct domain *domain, int event)
{
	struct message *message = calloc(1, sizeof(*message));

	if (!message) {
		log_message(PT_LOG_WARNING, "out of memory: an event of guest %s is lost",
			    domain->name);
		return NULL;
	}
	message->letter.open = send_message;
	message->events = domain->guests->parts.events;
	message->event = event;
	text_copy(message->name, sizeof(message->name), domain->name);
	guests_lock(domain->guests);
	message->id = domain->guest ? domain->guest->id : -1;
	memcpy(message->uuid, domain->uuid, sizeof(message->uuid));
	guests_unlock(domain->guests);
	return message;
}

static void post(const struct domain *domain, struct message *message)
{
	mailbox_post(domain->guests->parts.mailbox, &message->letter);
}

void domain_event_lifecycle(const struct domain *domain, enum domain_event event, int detail)
{
	struct message *message = new_message(domain, EVENT_LIFECYCLE);

	if (!message)
		return;
	message->type = (int)event;
	message->detail = detail;
	post(domain, message);
}

void domain_event_lifecycle_of(const struct domain *domain, int id, enum domain_event event,
			       int detail)
{
	struct message *message = new_message(domain, EVENT_LIFECYCLE);

	if (!message)
		return;
	message->id = id;
	message->type = (int)event;
	message->detail = detail;
	post(domain, message);
}

void domain_event_reboot(const struct domain *domain)
{
	struct message *message = new_message(domain, EVENT_REBOOT);

	if (message)
		post(domain, message);
}

void domain_event_device(const struct domain *domain, enum device_event event, const char *alias)
{
	struct message *message = new_message(domain, (int)event);

	if (!message)
		return;
	text_copy(message->alias, sizeof(message->alias), alias);
	post(domain, message);
}
