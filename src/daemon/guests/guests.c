/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/guests/guests.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "daemon/log.h"

struct domain_list {
	pthread_mutex_t lock;
	_Atomic pthread_t holder; /* 0: nobody */
	struct domain *first;	  /* by name */
	int last_id;
};

/* ---- the lock ---- */

void guests_lock(struct guests *guests)
{
	(void)pthread_mutex_lock(&guests->list->lock);
	atomic_store(&guests->list->holder, pthread_self());
}

void guests_unlock(struct guests *guests)
{
	atomic_store(&guests->list->holder, 0);
	(void)pthread_mutex_unlock(&guests->list->lock);
}

static void assert_locked(const struct guests *guests)
{
	assert(atomic_load(&guests->list->holder) == pthread_self());
	(void)guests;
}

/* Waiting lets the lock go. */
static int wait_for_job(struct domain *domain, const struct timespec *until)
{
	struct domain_list *list = domain->guests->list;
	int r;

	atomic_store(&list->holder, 0);
	r = pthread_cond_timedwait(&domain->job_over, &list->lock, until);
	atomic_store(&list->holder, pthread_self());
	return r;
}

/* ---- the list ---- */

struct domain *domain_first(const struct guests *guests)
{
	assert_locked(guests);
	return guests->list->first;
}

struct domain *domain_next(const struct domain *domain)
{
	assert_locked(domain->guests);
	return domain->next;
}

struct domain *domain_find_name(const struct guests *guests, const char *name)
{
	struct domain *domain = domain_first(guests);

	while (domain && strcmp(domain->name, name) != 0)
		domain = domain->next;
	return domain;
}

struct domain *domain_find_uuid(const struct guests *guests, const unsigned char uuid[16])
{
	struct domain *domain = domain_first(guests);

	while (domain && memcmp(domain->uuid, uuid, 16) != 0)
		domain = domain->next;
	return domain;
}

struct domain *domain_find_id(const struct guests *guests, int id)
{
	struct domain *domain = domain_first(guests);

	while (domain && !(domain->guest && domain->guest->id == id))
		domain = domain->next;
	return domain;
}

struct domain *domain_add(struct guests *guests, const char *name, const unsigned char uuid[16])
{
	struct domain *domain = calloc(1, sizeof(*domain)), **at = &guests->list->first;
	pthread_condattr_t attributes;

	assert_locked(guests);
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

int domain_new_id(struct guests *guests)
{
	assert_locked(guests);
	return ++guests->list->last_id;
}

void domain_keep_id(struct guests *guests, int id)
{
	assert_locked(guests);
	if (id > guests->list->last_id)
		guests->list->last_id = id;
}

struct domain *domain_ref(struct domain *domain)
{
	assert_locked(domain->guests);
	domain->users++;
	return domain;
}

static void domain_unref(struct domain *domain)
{
	assert_locked(domain->guests);
	if (--domain->users)
		return;
	definition_free(domain->definition);
	guest_unref(domain->guest);
	free(domain->unreadable);
	(void)pthread_cond_destroy(&domain->job_over);
	free(domain);
}

void domain_release(struct domain *domain)
{
	struct guests *guests = domain->guests;

	guests_lock(guests);
	domain_unref(domain);
	guests_unlock(guests);
}

static void unlist(struct domain *domain)
{
	struct domain **at = &domain->guests->list->first;

	while (*at != domain)
		at = &(*at)->next;
	*at = domain->next;
	domain->is_listed = false;
	domain_unref(domain);
}

void domain_drop_if_unused(struct domain *domain)
{
	assert_locked(domain->guests);
	assert(domain->job); /* who waits for it looks whether the domain is still listed */
	if (domain->is_listed && !domain->definition && !domain->guest && !domain->unreadable)
		unlist(domain);
}

/* ---- one domain ---- */

struct definition *domain_set_definition(struct domain *domain, struct definition *definition)
{
	struct definition *before = domain->definition;

	assert_locked(domain->guests);
	domain->definition = definition;
	return before;
}

void domain_set_state(struct domain *domain, enum domain_state state, int reason)
{
	bool has_none = domain->unreadable && !domain->guest;

	assert_locked(domain->guests);
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
	log_message(PT_LOG_WARNING, "guest %s is unusable: %s", domain->name, text);
	return 0;
}

void domain_set_readable(struct domain *domain, const struct definition *definition)
{
	assert_locked(domain->guests);
	free(domain->unreadable);
	domain->unreadable = NULL;
	definition_uuid_bytes(definition, domain->uuid);
	if (!domain->guest)
		domain_set_state(domain, DOMAIN_SHUTOFF, DOMAIN_SHUTOFF_UNKNOWN);
}

/* ---- jobs ---- */

int domain_begin_job(struct domain *domain, const char *job, unsigned int timeout_ms)
{
	struct timespec until;
	int r = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	guests_lock(domain->guests);
	while (domain->job && domain->is_listed && r == 0)
		r = wait_for_job(domain, &until);
	if (!domain->is_listed)
		r = -ESTALE;
	else if (domain->job)
		r = -ETIMEDOUT;
	else
		r = 0;
	if (!r)
		domain->job = job;
	guests_unlock(domain->guests);
	return r;
}

void domain_end_job(struct domain *domain)
{
	guests_lock(domain->guests);
	domain->job = NULL;
	(void)pthread_cond_broadcast(&domain->job_over);
	guests_unlock(domain->guests);
}

bool domain_await_job(struct domain *domain, const struct guest *guest, const char *job)
{
	int r;

	do {
		r = domain_begin_job(domain, job, DOMAIN_JOB_MS);
		if (r == -ETIMEDOUT)
			log_message(PT_LOG_NOTICE,
				    "guest %s: %s waits for another call on this "
				    "guest",
				    domain->name, job);
	} while (r == -ETIMEDOUT);
	if (r < 0)
		return false;
	if (!guest || domain->guest == guest)
		return true;
	domain_end_job(domain);
	return false;
}

/* ---- beginning and end ---- */

int guests_new(const struct guests_parts *parts, struct guests **ret_guests, struct pt_error *err)
{
	struct guests *guests = calloc(1, sizeof(*guests));
	unsigned int unplug_ms = parts->context->config.unplug_ms;

	if (!guests)
		return pt_fail_memory(err);
	guests->list = calloc(1, sizeof(*guests->list));
	if (!guests->list) {
		free(guests);
		return pt_fail_memory(err);
	}
	(void)pthread_mutex_init(&guests->list->lock, NULL);
	guests->parts = *parts;
	guests->unplug_ms = unplug_ms ? unplug_ms : GUEST_UNPLUG_MS;
	*ret_guests = guests;
	return 0;
}

void guests_free(struct guests *guests)
{
	if (!guests)
		return;
	guests_lock(guests);
	while (guests->list->first)
		unlist(guests->list->first);
	guests_unlock(guests);
	(void)pthread_mutex_destroy(&guests->list->lock);
	free(guests->list);
	free(guests);
}

struct domain **guests_list(struct guests *guests, bool (*is_wanted)(const struct domain *domain))
{
	struct domain *domain, **found;
	size_t count = 0;

	guests_lock(guests);
	for (domain = domain_first(guests); domain; domain = domain_next(domain))
		count++;
	found = calloc(count + 1, sizeof(struct domain *));
	if (found) {
		count = 0;
		for (domain = domain_first(guests); domain; domain = domain_next(domain))
			if (is_wanted(domain))
				found[count++] = domain_ref(domain);
	}
	guests_unlock(guests);
	return found;
}
