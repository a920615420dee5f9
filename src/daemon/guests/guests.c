/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/guests/guests.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "daemon/guests/domain_events.h"
#include "daemon/handlers/domain_fault.h"
#include "daemon/guests/logs.h"
#include "daemon/log.h"
#include "daemon/guests/monitor.h"
#include "daemon/guests/scope.h"
#include "domain/confine/run_files.h"
#include "domain/resources/tpm.h"

void guests_lock(struct guests *guests)
{
	(void)pthread_mutex_lock(&guests->lock);
}

void guests_unlock(struct guests *guests)
{
	(void)pthread_mutex_unlock(&guests->lock);
}

/* ---- the list ---- */

struct domain *domain_find_name(struct guests *guests, const char *name)
{
	struct domain *domain = guests->first;

	while (domain && strcmp(domain->name, name) != 0)
		domain = domain->next;
	return domain;
}

struct domain *domain_find_uuid(struct guests *guests, const unsigned char uuid[16])
{
	struct domain *domain = guests->first;

	while (domain && memcmp(domain->uuid, uuid, 16) != 0)
		domain = domain->next;
	return domain;
}

struct domain *domain_find_id(struct guests *guests, int id)
{
	struct domain *domain = guests->first;

	while (domain && !(domain->guest && domain->guest->id == id))
		domain = domain->next;
	return domain;
}

struct domain *domain_add(struct guests *guests, const char *name, const unsigned char uuid[16])
{
	struct domain *domain = calloc(1, sizeof(*domain)), **at = &guests->first;
	pthread_condattr_t attributes;

	if (!domain)
		return NULL;
	domain->guests = guests;
	domain->users = 1;
	domain->is_listed = true;
	text_copy(domain->name, sizeof(domain->name), name);
	memcpy(domain->uuid, uuid, sizeof(domain->uuid));
	domain_set_state(domain, DOMAIN_SHUTOFF, DOMAIN_SHUTOFF_UNKNOWN);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&domain->job_over, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	while (*at && strcmp((*at)->name, name) < 0)
		at = &(*at)->next;
	domain->next = *at;
	*at = domain;
	return domain;
}

static void let_go(struct domain *domain)
{
	if (--domain->users)
		return;
	definition_free(domain->definition);
	guest_unref(domain->guest);
	free(domain->unreadable);
	(void)pthread_cond_destroy(&domain->job_over);
	free(domain);
}

static void unlist(struct domain *domain)
{
	struct domain **at = &domain->guests->first;

	while (*at != domain)
		at = &(*at)->next;
	*at = domain->next;
	domain->is_listed = false;
	let_go(domain);
}

void domain_drop_if_unused(struct domain *domain)
{
	if (domain->is_listed && !domain->definition && !domain->guest && !domain->unreadable)
		unlist(domain);
}

void domain_set_state(struct domain *domain, enum domain_state state, int reason)
{
	bool has_none = domain->unreadable && !domain->guest;

	domain->state = has_none ? DOMAIN_NO_STATE : state;
	domain->reason = has_none ? 0 : reason;
	domain->changed_ms = clock_now_ms();
}

int domain_set_unreadable(struct domain *domain, const struct state_kind *kind, const char *file,
			  const struct pt_error *why, struct pt_error *err)
{
	const struct pt_unreadable item = state_unreadable(kind, file, NULL, why);
	char *text;

	domain->may_run |= kind == &state_live;
	if (asprintf(&text, "%s: %s: %s", item.path, item.why, item.next) < 0)
		return pt_fail_memory(err);
	free(domain->unreadable);
	domain->unreadable = text;
	domain_set_state(domain, DOMAIN_NO_STATE, 0);
	log_message(PT_LOG_WARNING, "guest %s can't be used: %s", domain->name, text);
	return 0;
}

void domain_set_readable(struct domain *domain, const struct definition *definition)
{
	free(domain->unreadable);
	domain->unreadable = NULL;
	definition_uuid_bytes(definition, domain->uuid);
	if (!domain->guest)
		domain_set_state(domain, DOMAIN_SHUTOFF, DOMAIN_SHUTOFF_UNKNOWN);
}

/* ---- beginning and end ---- */

int guests_new(struct daemon *daemon, struct guests **ret_guests, struct pt_error *err)
{
	struct guests *guests = calloc(1, sizeof(*guests));
	int r;

	if (!guests)
		return pt_fail_memory(err);
	guests->daemon = daemon;
	guests->post_fd = -1;
	guests->unplug_ms = daemon->config.unplug_ms ? daemon->config.unplug_ms : GUEST_UNPLUG_MS;
	(void)pthread_mutex_init(&guests->lock, NULL);
	(void)pthread_mutex_init(&guests->post_lock, NULL);
	r = guests_post_open(guests);
	if (r < 0) {
		guests_free(guests);
		return pt_fail(err, PT_SYSTEM, -r, "no guests: %s", strerror(-r));
	}
	*ret_guests = guests;
	return 0;
}

void guests_free(struct guests *guests)
{
	if (!guests)
		return;
	(void)sd_event_source_disable_unref(guests->logs);
	guests_post_close(guests);
	monitors_free(guests);
	while (guests->first)
		unlist(guests->first);
	(void)pthread_mutex_destroy(&guests->post_lock);
	(void)pthread_mutex_destroy(&guests->lock);
	free(guests);
}

/* ---- for handlers ---- */

struct domain *domain_of(struct call *call, const struct rpc_domain *wanted)
{
	struct guests *guests = call->daemon->guests;
	struct domain *domain;

	guests_lock(guests);
	domain = domain_find_uuid(guests, (const unsigned char *)wanted->uuid);
	if (domain)
		domain->users++;
	guests_unlock(guests);
	if (!domain)
		(void)fault_no_domain(&call->fault, (const unsigned char *)wanted->uuid,
				      wanted->name);
	return domain;
}

struct domain *domain_lock_of(struct call *call, const struct rpc_domain *wanted)
{
	struct guests *guests = call->daemon->guests;
	struct domain *domain;

	guests_lock(guests);
	domain = domain_find_uuid(guests, (const unsigned char *)wanted->uuid);
	if (domain)
		return domain;
	guests_unlock(guests);
	(void)fault_no_domain(&call->fault, (const unsigned char *)wanted->uuid, wanted->name);
	return NULL;
}

static int fail_unreadable(struct call *call, const struct domain *domain)
{
	return fault_set(&call->fault, FAULT_INVALID, FAULT_FROM_QEMU, "guest %s can't be used: %s",
			 domain->name, domain->unreadable);
}

int domain_check_readable(struct call *call, struct domain *domain)
{
	int r = 0;

	guests_lock(domain->guests);
	if (domain->unreadable && !domain->guest)
		r = fail_unreadable(call, domain);
	guests_unlock(domain->guests);
	return r;
}

int domain_check_defined(struct call *call, struct domain *domain, const char *transient)
{
	int r = 0;

	guests_lock(domain->guests);
	if (!domain->definition && domain->unreadable)
		r = fail_unreadable(call, domain);
	else if (!domain->definition)
		r = fault_set(&call->fault, FAULT_INVALID, FAULT_FROM_QEMU, "%s", transient);
	guests_unlock(domain->guests);
	return r;
}

void domain_release(struct domain *domain)
{
	struct guests *guests = domain->guests;

	guests_lock(guests);
	let_go(domain);
	guests_unlock(guests);
}

int domain_describe(const struct domain *domain, rpc_domain *ret_described)
{
	char *name = strdup(domain->name);

	if (!name)
		return -1;
	ret_described->name = name;
	memcpy(ret_described->uuid, domain->uuid, sizeof(domain->uuid));
	ret_described->id = domain->guest ? domain->guest->id : -1;
	return 0;
}

/* ---- jobs ---- */

int domain_begin_job(struct domain *domain, const char *job, unsigned int timeout_ms)
{
	struct guests *guests = domain->guests;
	struct timespec until;
	int r = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	guests_lock(guests);
	while (domain->job && r == 0)
		r = pthread_cond_timedwait(&domain->job_over, &guests->lock, &until);
	if (!domain->job) {
		domain->job = job;
		r = 0;
	}
	guests_unlock(guests);
	return r ? -ETIMEDOUT : 0;
}

void domain_end_job(struct domain *domain)
{
	guests_lock(domain->guests);
	domain->job = NULL;
	(void)pthread_cond_broadcast(&domain->job_over);
	guests_unlock(domain->guests);
}

struct domain *domain_job_of(struct call *call, const struct rpc_domain *wanted, bool is_running,
			     struct guest **ret_guest)
{
	struct domain *domain = domain_of(call, wanted);

	if (!domain)
		return NULL;
	if (domain_check_readable(call, domain) < 0) {
		domain_release(domain);
		return NULL;
	}
	if (domain_begin_job(domain, call->procedure->name, DOMAIN_JOB_MS) < 0) {
		const char *job;

		guests_lock(domain->guests);
		job = domain->job; /* a literal: it outlives the job */
		guests_unlock(domain->guests);
		(void)fault_set(&call->fault, FAULT_TIMEOUT, FAULT_FROM_QEMU,
				"cannot acquire state change lock: another call on domain %s is "
				"still under way (%s)",
				domain->name, job ? job : "it has just ended");
		domain_release(domain);
		return NULL;
	}
	if (is_running && !domain->guest) {
		domain_job_done(domain);
		(void)fault_set(&call->fault, FAULT_INVALID, FAULT_FROM_QEMU,
				"domain is not running");
		return NULL;
	}
	if (ret_guest)
		*ret_guest = domain->guest;
	return domain;
}

void domain_job_done(struct domain *domain)
{
	domain_end_job(domain);
	domain_release(domain);
}

/* ---- running ---- */

static void notice(const char *text)
{
	log_message(PT_LOG_NOTICE, "%s", text);
}

static int choose_user(struct guests *guests, struct confine_user *ret_user, struct pt_error *err)
{
	return confine_find_user(guests->daemon->config.guest_user, ret_user, err);
}

int domain_start(struct pt_host *host, struct domain *domain, const struct definition *definition,
		 bool is_paused, struct pt_error *err)
{
	struct guests *guests = domain->guests;
	struct guest_options options = {
		.is_paused = is_paused, .notice = notice, .limit = scope_limit};
	struct confine_user user;
	struct guest *guest;
	struct qmp *events;
	int r = choose_user(guests, &user, err);

	if (r < 0)
		return r;
	options.user = &user;
	/* each start begins with the room that a run has; what is lost by a failure here is old */
	(void)guest_log_trim(GUEST_LOGS, domain->name, GUEST_LOG_MAX / 2);
	guests_lock(guests);
	options.id = ++guests->last_id;
	guests_unlock(guests);
	r = guest_start(host, definition, &options, &guest, &events, err);
	if (r < 0)
		return r;
	guests_lock(guests);
	domain->guest = guest;
	domain->end_reason = DOMAIN_SHUTOFF_UNKNOWN;
	domain->reboot = DOMAIN_REBOOT_NONE;
	if (is_paused)
		domain_set_state(domain, DOMAIN_PAUSED, DOMAIN_PAUSED_STARTING_UP);
	else
		domain_set_state(domain, DOMAIN_RUNNING, DOMAIN_RUNNING_BOOTED);
	guests_unlock(guests);
	log_message(PT_LOG_NOTICE, "guest %s runs (pid %d)", domain->name, (int)guest->owner.pid);
	domain_event_lifecycle(domain, DOMAIN_EVENT_STARTED, DOMAIN_EVENT_STARTED_BOOTED);
	monitor_post(domain, guest, events);
	return 0;
}

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

void domain_forget_tpm(struct pt_host *host, const struct domain *domain,
		       const struct definition *live)
{
	struct pt_error err;

	/* one whose definition can't be read is defined all the same */
	if (!domain->definition && !domain->unreadable && swtpm_is_wanted(live) &&
	    !swtpm_is_kept(live) && swtpm_remove_state(host, live, &err) < 0)
		log_message(PT_LOG_WARNING, "guest %s: %s", domain->name, err.message);
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
	/* nobody said why: QEMU was killed, or broke */
	if (reason == DOMAIN_SHUTOFF_UNKNOWN)
		reason = DOMAIN_SHUTOFF_CRASHED;
	domain->guest = NULL;
	domain_set_state(domain, DOMAIN_SHUTOFF, reason);
	guests_unlock(guests);
	domain_forget_tpm(host, domain, guest->live);
	log_message(PT_LOG_NOTICE, "guest %s has ended", domain->name);
	domain_event_lifecycle_of(domain, guest->id, DOMAIN_EVENT_STOPPED, stopped_detail(reason));
	guests_lock(guests);
	domain_drop_if_unused(domain);
	guests_unlock(guests);
	guest_unref(guest);
	return r;
}
