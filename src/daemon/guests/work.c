/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Jobs that no client asked for: what an event of a guest, or the daemon's start, leads to. One at
 * a time of a guest, and so many wait: its QEMU can send as many events as it likes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/text.h"
#include "daemon/guests/guests.h"
#include "daemon/log.h"

#define WORK_MAX 64

struct work {
	struct job job;
	struct work *next;
	bool is_cancelled; /* the daemon ends */
	guest_work_fn work;
	struct domain *domain;
	struct guest *guest;
	char alias[STORE_ALIAS];
};

static void work_run(struct job *job, struct pt_host *host)
{
	struct work *work = CONTAINER_OF(job, struct work, job);

	work->work(host, work->domain, work->guest, work->alias);
}

static void work_fail(struct job *job, const struct pt_error *err)
{
	struct work *work = CONTAINER_OF(job, struct work, job);

	work->is_cancelled = err->errnum == ECANCELED;
	/* when the daemon ends, the next one does it */
	if (!work->is_cancelled)
		log_message(PT_LOG_WARNING, "a background task of guest %s was not done: %s",
			    work->domain ? work->domain->name : "*", err->message);
}

static void work_free(struct work *work)
{
	guest_unref(work->guest);
	if (work->domain)
		domain_release(work->domain);
	free(work);
}

/* With the lock. */
static struct work *take_next(struct work_queue *queue)
{
	struct work *work = queue->first;

	queue->is_running = work;
	if (!work) {
		queue->has_dropped = false;
		return NULL;
	}
	queue->first = work->next;
	if (!queue->first)
		queue->last = NULL;
	queue->count--;
	return work;
}

static struct work *next_of(struct domain *domain)
{
	struct work *next;

	guests_lock(domain->guests);
	next = take_next(&domain->work);
	guests_unlock(domain->guests);
	return next;
}

static void work_done(struct job *job)
{
	struct work *work = CONTAINER_OF(job, struct work, job), *next = NULL;

	if (work->domain)
		next = next_of(work->domain);
	/* what the daemon's end finds waiting, the next one does; the pool is going */
	while (next && work->is_cancelled) {
		struct work *dropped = next;

		next = next_of(work->domain);
		work_free(dropped);
	}
	if (next)
		pool_add(work->domain->guests->parts.pool, &next->job);
	work_free(work);
}

/* Whether the same waits already, which then does for both. */
static bool is_waiting(const struct work_queue *queue, const struct work *work)
{
	const struct work *other;

	for (other = queue->first; other; other = other->next)
		if (other->work == work->work && other->guest == work->guest &&
		    !strcmp(other->alias, work->alias))
			return true;
	return false;
}

enum turn { TURN_NOW, TURN_LATER, TURN_DROPPED };

/* With the lock: it may run now, or waits behind another one of its domain. */
static enum turn queue_work(struct domain *domain, struct work *work)
{
	struct work_queue *queue = &domain->work;

	if (!queue->is_running) {
		queue->is_running = true;
		return TURN_NOW;
	}
	if (is_waiting(queue, work))
		return TURN_DROPPED;
	/*
	 * What is about a device, for QEMU can report any of them as often as it likes. The rest,
	 * the guest's end among it, is one of each kind.
	 */
	if (queue->count >= WORK_MAX && *work->alias) {
		if (!queue->has_dropped)
			log_message(PT_LOG_WARNING,
				    "guest %s: QEMU reports more than passthrud can handle; some "
				    "events were dropped",
				    domain->name);
		queue->has_dropped = true;
		return TURN_DROPPED;
	}
	if (queue->last)
		queue->last->next = work;
	else
		queue->first = work;
	queue->last = work;
	queue->count++;
	return TURN_LATER;
}

void guests_work(struct guests *guests, guest_work_fn work_fn, struct domain *domain,
		 struct guest *guest, const char *alias)
{
	struct work *work = calloc(1, sizeof(*work));
	enum turn turn = TURN_NOW;

	if (!work) {
		log_message(PT_LOG_WARNING, "out of memory: a background task of a guest was not "
					    "done");
		return;
	}
	work->work = work_fn;
	if (guest)
		work->guest = guest_ref(guest);
	text_copy(work->alias, sizeof(work->alias), alias ? alias : "");
	work->job = (struct job){.run = work_run,
				 .fail = work_fail,
				 .done = work_done,
				 .lane = POOL_OWN,
				 .uid = POOL_NO_USER};
	if (domain) {
		guests_lock(guests);
		work->domain = domain_ref(domain);
		turn = queue_work(domain, work);
		guests_unlock(guests);
	}
	if (turn == TURN_NOW)
		pool_add(guests->parts.pool, &work->job);
	else if (turn == TURN_DROPPED)
		work_free(work);
}
