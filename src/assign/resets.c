/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "assign/resets.h"

#include <pthread.h>
#include <signal.h>

#include "pci/helper.h"
#include "pci/sysfs.h"

/* More than that at once: the rest when these are done. Each costs a process and a thread. */
#define AT_ONCE 16

struct batch {
	const struct step *steps;
	struct reset_result *results;
	size_t count;
};

struct side {
	pthread_t thread;
	bool is_running;
	struct pt_host host; /* the caller's, with a helper of its own */
	const struct batch *batch;
	size_t first; /* of the steps: all that take turns with it are this side's */
};

/* What the sides share of the caller's. */
struct log {
	pthread_mutex_t lock;
	struct pt_host *host;
};

static void log_in_turn(void *context, enum pt_log_level level, const char *message)
{
	struct log *log = context;

	(void)pthread_mutex_lock(&log->lock);
	log->host->log(log->host->log_context, level, message);
	(void)pthread_mutex_unlock(&log->lock);
}

static bool is_same_bus(const struct step *a, const struct step *b)
{
	return a->address.domain == b->address.domain && a->address.bus == b->address.bus;
}

/* With anything but virtual functions on a bus all on it take turns. */
static bool take_turns(const struct batch *batch, size_t a, size_t b)
{
	size_t i;

	if (a == b || !is_same_bus(&batch->steps[a], &batch->steps[b]))
		return a == b;
	for (i = 0; i < batch->count; i++)
		if (is_same_bus(&batch->steps[i], &batch->steps[a]) && !batch->results[i].is_vf)
			return true;
	return false;
}

static void *reset_side(void *argument)
{
	struct side *side = argument;
	const struct batch *batch = side->batch;
	size_t i;

	for (i = side->first; i < batch->count; i++) {
		struct reset_result *result = &batch->results[i];

		if (!result->is_done && take_turns(batch, side->first, i))
			result->r =
				step_do(&side->host, &batch->steps[i], result->note, &result->err);
	}
	return NULL;
}

/* A helper that is past its deadline is the caller's to reap, as any. */
static void leave_to(struct pt_host *host, struct pt_host *side)
{
	size_t i, k = 0;

	helper_end(side);
	for (i = 0; i < HOST_LEFT_HELPERS; i++) {
		while (k < HOST_LEFT_HELPERS && host->left_helpers[k])
			k++;
		if (side->left_helpers[i] && k < HOST_LEFT_HELPERS)
			host->left_helpers[k] = side->left_helpers[i];
	}
}

static void resets_begin(struct side *side, struct pt_host *host, struct log *log)
{
	sigset_t all, before;

	side->host = *host;
	side->host.helper = (struct host_helper){.pid = 0};
	for (size_t i = 0; i < HOST_LEFT_HELPERS; i++)
		side->host.left_helpers[i] = 0;
	/* neither is opened by a reset, and both are the caller's */
	side->host.hwdb = side->host.modules = NULL;
	if (host->log) {
		side->host.log = log_in_turn;
		side->host.log_context = log;
	}
	/* the caller's handlers are for threads that he knows */
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	side->is_running = pthread_create(&side->thread, NULL, reset_side, side) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!side->is_running)
		(void)reset_side(side);
}

static void resets_end(struct side *side, struct pt_host *host)
{
	if (side->is_running)
		(void)pthread_join(side->thread, NULL);
	leave_to(host, &side->host);
}

/* The next step that takes turns with no earlier one. */
static size_t next_side(const struct batch *batch, size_t i)
{
	for (; i < batch->count; i++) {
		size_t k = 0;

		while (k < i && (batch->results[k].is_done || !take_turns(batch, k, i)))
			k++;
		if (!batch->results[i].is_done && k == i)
			break;
	}
	return i;
}

void resets_do(struct pt_host *host, const struct step *steps, size_t count,
	       struct reset_result *results)
{
	const struct batch batch = {.steps = steps, .results = results, .count = count};
	struct log log = {.lock = PTHREAD_MUTEX_INITIALIZER, .host = host};
	char physfn[PT_ADDRESS_TEXT];
	struct side sides[AT_ONCE];
	size_t i, running;

	for (i = 0; i < count; i++)
		results[i].is_vf = sysfs_read_link(host, &steps[i].address, "physfn", physfn,
						   sizeof(physfn)) == 0;
	i = next_side(&batch, 0);
	while (i < count) {
		for (running = 0; running < AT_ONCE && i < count; running++) {
			sides[running] = (struct side){.batch = &batch, .first = i};
			resets_begin(&sides[running], host, &log);
			i = next_side(&batch, i + 1);
		}
		while (running)
			resets_end(&sides[--running], host);
	}
}
