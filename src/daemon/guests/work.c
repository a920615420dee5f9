/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs that no client asked for: what an event of a guest, or the daemon's start, leads to. */
#include <stdlib.h>

#include "base/auto.h"
#include "base/text.h"
#include "daemon/guests/guests.h"
#include "daemon/log.h"

struct work {
	struct job job;
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
	const struct work *work = CONTAINER_OF(job, struct work, job);

	/* when the daemon ends, the next one does it */
	if (err->errnum != ECANCELED)
		log_message(PT_LOG_WARNING, "a background task of guest %s was not done: %s",
			    work->domain ? work->domain->name : "*", err->message);
}

static void work_done(struct job *job)
{
	struct work *work = CONTAINER_OF(job, struct work, job);

	guest_unref(work->guest);
	if (work->domain)
		domain_release(work->domain);
	free(work);
}

void guests_work(struct guests *guests, guest_work_fn work_fn, struct domain *domain,
		 struct guest *guest, const char *alias)
{
	struct work *work = calloc(1, sizeof(*work));

	if (!work) {
		log_message(PT_LOG_WARNING, "out of memory: a background task of a guest was not "
					    "done");
		return;
	}
	work->work = work_fn;
	if (domain) {
		guests_lock(guests);
		work->domain = domain_ref(domain);
		guests_unlock(guests);
	}
	if (guest)
		work->guest = guest_ref(guest);
	text_copy(work->alias, sizeof(work->alias), alias ? alias : "");
	work->job = (struct job){.run = work_run,
				 .fail = work_fail,
				 .done = work_done,
				 .lane = POOL_OWN,
				 .uid = POOL_NO_USER};
	pool_add(guests->parts.pool, &work->job);
}
