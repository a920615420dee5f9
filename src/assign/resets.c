/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "assign/resets.h"

#include <pthread.h>
#include <signal.h>

#include "pci/helper.h"

/* More cards than that at once: the rest when these are done. Each costs a process and a thread. */
#define AT_ONCE 16

struct side {
	pthread_t thread;
	bool is_running;
	struct pt_host host; /* the caller's, with a helper of its own */
	const struct step *steps;
	struct reset_result *results;
	size_t count;
	size_t first; /* of the steps: all of its card's are this side's */
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

static bool is_same_card(const struct step *a, const struct step *b)
{
	return a->address.domain == b->address.domain && a->address.bus == b->address.bus &&
	       a->address.device == b->address.device;
}

static void *reset_card(void *argument)
{
	struct side *side = argument;
	size_t i;

	for (i = side->first; i < side->count; i++) {
		struct reset_result *result = &side->results[i];

		if (result->is_done || !is_same_card(&side->steps[i], &side->steps[side->first]))
			continue;
		result->r = step_do(&side->host, &side->steps[i], result->note, &result->err);
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

static void begin(struct side *side, struct pt_host *host, struct log *log)
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
	side->is_running = pthread_create(&side->thread, NULL, reset_card, side) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!side->is_running)
		(void)reset_card(side);
}

static void end(struct side *side, struct pt_host *host)
{
	if (side->is_running)
		(void)pthread_join(side->thread, NULL);
	leave_to(host, &side->host);
}

/* The next step whose card no earlier one has. */
static size_t next_card(const struct step *steps, const struct reset_result *results, size_t count,
			size_t i)
{
	for (; i < count; i++) {
		size_t k = 0;

		while (k < i && (results[k].is_done || !is_same_card(&steps[k], &steps[i])))
			k++;
		if (!results[i].is_done && k == i)
			break;
	}
	return i;
}

void resets_do(struct pt_host *host, const struct step *steps, size_t count,
	       struct reset_result *results)
{
	struct log log = {.lock = PTHREAD_MUTEX_INITIALIZER, .host = host};
	struct side sides[AT_ONCE];
	size_t i = next_card(steps, results, count, 0), running;

	while (i < count) {
		for (running = 0; running < AT_ONCE && i < count; running++) {
			sides[running] = (struct side){
				.steps = steps, .results = results, .count = count, .first = i};
			begin(&sides[running], host, &log);
			i = next_card(steps, results, count, i + 1);
		}
		while (running)
			end(&sides[--running], host);
	}
}
