/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/guests/end.h"

#include "daemon/guests/domain_events.h"
#include "daemon/log.h"
#include "domain/confine/own_user.h"
#include "domain/resources/tpm.h"

/* What QEMU's end was, as an event's detail: they are counted otherwise than the reasons. */
static int stopped_detail(int reason)
{
	switch (reason) {
	case DOMAIN_SHUTOFF_DESTROYED:
		return DOMAIN_EVENT_STOPPED_DESTROYED;
	case DOMAIN_SHUTOFF_CRASHED:
		return DOMAIN_EVENT_STOPPED_CRASHED;
	case DOMAIN_SHUTOFF_FAILED:
	case DOMAIN_SHUTOFF_UNKNOWN:
		return DOMAIN_EVENT_STOPPED_FAILED;
	default:
		return DOMAIN_EVENT_STOPPED_SHUTDOWN;
	}
}

void domain_forget_user(struct pt_host *host, const struct definition *live)
{
	if (!tpm_has_state(host, live))
		own_user_forget(host, definition_uuid(live));
}

void domain_forget_state(struct pt_host *host, const struct domain *domain,
			 const struct definition *live)
{
	struct pt_error err;

	/* one whose definition can't be read is defined all the same */
	if (domain->definition || domain->unreadable)
		return;
	if (tpm_is_wanted(live) && !tpm_is_kept(live) && tpm_remove_state(host, live, &err) < 0)
		log_message(PT_LOG_WARNING, "guest %s: %s", domain->name, err.message);
	domain_forget_user(host, live);
}

int domain_ended(struct pt_host *host, struct domain *domain, struct guest *guest,
		 struct pt_error *err)
{
	struct guests *guests = domain->guests;
	int reason, r;

	if (domain->guest != guest)
		return 0;
	r = guest_end(host, guest, err);
	guests_lock(guests);
	reason = domain->end_reason;
	/* the reason is unknown: QEMU was killed, or crashed */
	if (reason == DOMAIN_SHUTOFF_UNKNOWN)
		reason = DOMAIN_SHUTOFF_CRASHED;
	domain->guest = NULL;
	domain_set_state(domain, DOMAIN_SHUTOFF, reason);
	guests_unlock(guests);
	domain_forget_state(host, domain, guest->live);
	log_message(PT_LOG_NOTICE, "guest %s has ended", domain->name);
	domain_event_lifecycle_of(domain, guest->id, DOMAIN_EVENT_STOPPED, stopped_detail(reason));
	guests_lock(guests);
	domain_drop_if_unused(domain);
	guests_unlock(guests);
	guest_unref(guest);
	return r;
}
