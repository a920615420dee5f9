/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/guests/start.h"

#include <errno.h>

#include "base/auto.h"
#include "daemon/guests/domain_events.h"
#include "daemon/guests/end.h"
#include "daemon/guests/logs.h"
#include "daemon/guests/monitor.h"
#include "daemon/guests/scope.h"
#include "daemon/log.h"
#include "domain/confine/own_user.h"
#include "domain/confine/run_files.h"

static void notice(const char *text)
{
	log_message(PT_LOG_NOTICE, "%s", text);
}

static int choose_user(const struct context *context, struct pt_host *host,
		       const struct definition *definition, struct confine_user *ret_user,
		       struct pt_error *err)
{
	struct confine_user common;
	int r = confine_find_user(context->config.guest_user, &common, err);

	if (r < 0)
		return r;
	common.sees_host = context->config.are_host_files_seen;
	if (!context->config.has_own_users) {
		*ret_user = common;
		return 0;
	}
	return own_user_assign(host, definition_uuid(definition), &common, ret_user, err);
}

static guest_limit_fn choose_limit(const struct context *context, const struct pt_host *host)
{
	if (!host->is_this_machine)
		return NULL;
	return context->config.are_scopes_optional ? scope_limit_if_possible : scope_limit;
}

static bool begun(void *context, struct guest *guest)
{
	struct domain *domain = context;
	bool is_cancelled;

	guests_lock(domain->guests);
	domain->starting = guest_ref(guest);
	is_cancelled = domain->is_start_cancelled;
	guests_unlock(domain->guests);
	return !is_cancelled;
}

static void start_begin(struct domain *domain)
{
	guests_lock(domain->guests);
	domain->is_starting = true;
	domain->is_start_cancelled = false;
	guests_unlock(domain->guests);
}

/* With the lock; true when it was cancelled. */
static bool start_end(struct domain *domain, struct guest **ret_starting)
{
	*ret_starting = TAKE_POINTER(domain->starting);
	domain->is_starting = false;
	return domain->is_start_cancelled;
}

static int start_failed(struct pt_host *host, struct domain *domain,
			const struct definition *definition, bool is_cancelled, int r,
			struct pt_error *err)
{
	if (is_cancelled)
		r = pt_fail(err, PT_BUSY, ECANCELED, "guest %s was destroyed while it started",
			    domain->name);
	domain_forget_state(host, domain, definition);
	return r;
}

int domain_start(struct pt_host *host, struct domain *domain, const struct definition *definition,
		 bool is_paused, struct pt_error *err)
{
	struct guests *guests = domain->guests;
	struct guest_options options = {.is_paused = is_paused,
					.notice = notice,
					.begun = begun,
					.context = domain,
					.limit = choose_limit(guests->parts.context, host)};
	struct confine_user user;
	struct guest *guest, *starting;
	struct qmp *events;
	bool is_cancelled;
	int r = choose_user(guests->parts.context, host, definition, &user, err);

	if (r < 0)
		return r;
	options.user = &user;
	start_begin(domain);
	/* each start begins with the room that a run has; what is lost by a failure here is old */
	(void)logs_trim(host, GUEST_LOGS, domain->name, GUEST_LOG_MAX / 2);
	guests_lock(guests);
	options.id = domain_new_id(guests);
	guests_unlock(guests);
	r = guest_start(host, definition, &options, &guest, &events, err);
	guests_lock(guests);
	is_cancelled = start_end(domain, &starting);
	if (r < 0) {
		guests_unlock(guests);
		guest_unref(starting);
		return start_failed(host, domain, definition, is_cancelled, r, err);
	}
	domain->guest = guest;
	/* cancelled when there was no way back: it was killed */
	domain->end_reason = is_cancelled ? DOMAIN_SHUTOFF_DESTROYED : DOMAIN_SHUTOFF_UNKNOWN;
	domain->reboot = DOMAIN_REBOOT_NONE;
	if (is_paused)
		domain_set_state(domain, DOMAIN_PAUSED, DOMAIN_PAUSED_STARTING_UP);
	else
		domain_set_state(domain, DOMAIN_RUNNING, DOMAIN_RUNNING_BOOTED);
	guests_unlock(guests);
	guest_unref(starting);
	log_message(PT_LOG_NOTICE,
		    "guest %s started (pid "
		    "%d)",
		    domain->name, (int)guest->owner.pid);
	domain_event_lifecycle(domain, DOMAIN_EVENT_STARTED, DOMAIN_EVENT_STARTED_BOOTED);
	monitor_post(domain, guest, events);
	return 0;
}
