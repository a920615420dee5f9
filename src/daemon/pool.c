/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pool.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/clock.h"

#define STACK_SIZE ((size_t)512 * 1024)

/* Threads that a lane can always have, and those that it may have at most. */
static const struct {
	unsigned int least, most;
} lanes[POOL_LANE_COUNT] = {
	[POOL_END] = {1, POOL_THREADS_MAX},
	[POOL_CHANGE] = {4, 24},
	[POOL_OWN] = {2, 12},
	[POOL_READ] = {2, 8},
	[POOL_READONLY] = {1, 4},
};

struct queue {
	struct job *first, *last;
};

/* A thread that ended waits to be joined until its place is needed again. */
struct worker {
	struct pool *pool;
	pthread_t thread;
	bool is_joinable;
	bool has_ended;
	const struct job *job; /* that it runs */
};

/* Kept for the next job, the last used first: what it has read is worth more than a thread. */
struct parked_host {
	struct pt_host *host;
	int64_t since_ms;
};

struct pool {
	const struct context *context;
	struct mailbox *mailbox;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t work;  /* something waits, or it is over */
	struct worker workers[POOL_THREADS_MAX];
	struct queue waiting[POOL_LANE_COUNT];
	unsigned int waiting_count;
	unsigned int count, idle; /* threads; an idle one that was woken is idle until it runs */
	unsigned int running[POOL_LANE_COUNT];
	struct parked_host parked[POOL_THREADS_MAX]; /* in the order of since_ms */
	size_t parked_count;
	bool is_over;
};

static void queue_add(struct queue *queue, struct job *job)
{
	job->next = NULL;
	if (queue->last)
		queue->last->next = job;
	else
		queue->first = job;
	queue->last = job;
}

static void queue_remove(struct queue *queue, struct job *job, struct job *before)
{
	if (before)
		before->next = job->next;
	else
		queue->first = job->next;
	if (queue->last == job)
		queue->last = before;
}

/* ---- who may run; with the lock ---- */

/* Threads that only POOL_END may take at the moment. */
static unsigned int reserve(const struct pool *pool, enum pool_lane lane)
{
	return lane != POOL_END && pool->running[POOL_END] < lanes[POOL_END].least;
}

/* Whether a lane may have one more thread, and the others can still have what is theirs. */
static bool has_room(const struct pool *pool, enum pool_lane lane)
{
	unsigned int taken = 0, all = 0;
	size_t i;

	for (i = 0; i < POOL_LANE_COUNT; i++)
		all += pool->running[i];
	/* a thread that can't be started when it is needed is no reserve */
	if (pool->running[lane] >= lanes[lane].most || pool->count - all <= reserve(pool, lane))
		return false;
	for (i = 0; i < POOL_LANE_COUNT; i++) {
		unsigned int running = pool->running[i];

		taken += i != lane && running < lanes[i].least ? lanes[i].least : running;
	}
	return taken < POOL_THREADS_MAX;
}

static bool is_of_same_guest(const struct job *job, const struct job *other)
{
	static const unsigned char none[POOL_GUEST_SIZE];

	return job->lane == POOL_CHANGE && other->lane == POOL_CHANGE &&
	       !memcmp(job->guest, other->guest, POOL_GUEST_SIZE) &&
	       memcmp(job->guest, none, POOL_GUEST_SIZE) != 0;
}

static bool is_within_share(const struct pool *pool, const struct job *job)
{
	unsigned int of_peer = 0, of_user = 0, of_readonly = 0;
	size_t i;

	if (job->lane == POOL_END)
		return true;
	for (i = 0; i < POOL_THREADS_MAX; i++) {
		const struct job *other = pool->workers[i].job;

		if (!other || other->lane == POOL_END)
			continue;
		if (is_of_same_guest(job, other))
			return false;
		of_peer += job->peer && other->peer == job->peer;
		if (other->uid != job->uid)
			continue;
		of_user++;
		of_readonly += other->lane == POOL_READONLY;
	}
	if (of_peer >= POOL_PEER_MAX)
		return false;
	if (job->uid == 0 || job->uid == POOL_NO_USER)
		return true;
	return of_user < POOL_USER_MAX &&
	       (job->lane != POOL_READONLY || of_readonly < POOL_READONLY_USER_MAX);
}

/* The first job that may be begun now. */
static struct job *take(struct pool *pool)
{
	enum pool_lane lane;

	for (lane = 0; lane < POOL_LANE_COUNT; lane++) {
		struct job *job = pool->waiting[lane].first, *before = NULL;

		if (!job || !has_room(pool, lane))
			continue;
		for (; job; before = job, job = job->next) {
			if (!is_within_share(pool, job))
				continue;
			queue_remove(&pool->waiting[lane], job, before);
			pool->waiting_count--;
			pool->running[lane]++;
			return job;
		}
	}
	return NULL;
}

/* ---- in the threads ---- */

/* Wait for a job; NULL when the time is up, or it is all over. With the lock. */
static struct job *await(struct pool *pool)
{
	struct timespec until;
	struct job *job = NULL;
	int r = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += POOL_IDLE_S;
	while (!pool->is_over && !(job = take(pool)) && r != ETIMEDOUT) {
		pool->idle++;
		r = pthread_cond_timedwait(&pool->work, &pool->lock, &until);
		pool->idle--;
	}
	return job;
}

/* NULL: there is none. With the lock. */
static struct pt_host *unpark_host(struct pool *pool)
{
	return pool->parked_count ? pool->parked[--pool->parked_count].host : NULL;
}

/* With the lock. */
static void park_host(struct pool *pool, struct pt_host *host)
{
	if (host)
		pool->parked[pool->parked_count++] =
			(struct parked_host){.host = host, .since_ms = clock_now_ms()};
}

/*
 * Those that no job needed for a while; all, when it is over. The index of modules is most of what
 * a host has. With the lock, for where another allocator has taken malloc()'s place, two threads
 * that trim at once would both begin with glibc's own.
 */
static void close_hosts(struct pool *pool)
{
	int64_t before = clock_now_ms() - POOL_IDLE_S * 1000;
	size_t i, count = 0;

	while (count < pool->parked_count &&
	       (pool->is_over || pool->parked[count].since_ms <= before))
		pt_host_free(pool->parked[count++].host);
	if (!count)
		return;
	pool->parked_count -= count;
	for (i = 0; i < pool->parked_count; i++)
		pool->parked[i] = pool->parked[i + count];
	(void)malloc_trim(0);
}

static void pool_run(struct pool *pool, struct pt_host **host, struct job *job)
{
	struct pt_error err;

	if (!*host && context_open_host(pool->context, host, &err) < 0)
		job->fail(job, &err);
	else
		job->run(job, *host);
}

/*
 * Whether an idle thread may end. Not while a job waits: it counts on the threads that there were
 * when it was added. Nor the last idle one, for it is the one that POOL_END can always have.
 */
static bool may_end(const struct pool *pool)
{
	return pool->is_over || (!pool->waiting_count && pool->idle);
}

static void *work(void *argument)
{
	struct worker *self = argument;
	struct pool *pool = self->pool;

	(void)pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct job *job = await(pool);
		struct pt_host *host;

		if (!job) {
			close_hosts(pool);
			if (may_end(pool))
				break;
			continue;
		}
		self->job = job;
		host = unpark_host(pool);
		/* the end of one job can make room for two */
		if (pool->waiting_count && pool->idle)
			(void)pthread_cond_signal(&pool->work);
		(void)pthread_mutex_unlock(&pool->lock);
		pool_run(pool, &host, job);
		(void)pthread_mutex_lock(&pool->lock);
		self->job = NULL;
		park_host(pool, host);
		/* while there is a little to do, it goes round, and no thread is idle for long */
		close_hosts(pool);
		pool->running[job->lane]--;
		mailbox_post(pool->mailbox, &job->letter);
	}
	pool->count--;
	self->has_ended = true;
	(void)pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* With the lock. */
static int start_thread(struct pool *pool)
{
	struct worker *worker = pool->workers;
	pthread_attr_t attributes;
	sigset_t all, before;
	int r;

	while (worker->is_joinable && !worker->has_ended)
		worker++; /* count < POOL_THREADS_MAX: one is free */
	if (worker->is_joinable)
		(void)pthread_join(worker->thread, NULL);
	*worker = (struct worker){.pool = pool};
	r = pthread_attr_init(&attributes);
	if (r)
		return -r;
	(void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
	/* signals are the loop's: a thread that takes one would end the process by it */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&worker->thread, &attributes, work, worker);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attributes);
	if (r)
		return -r;
	worker->is_joinable = true;
	pool->count++;
	return 0;
}

/* ---- for those who have jobs ---- */

static void open_done(struct letter *letter)
{
	struct job *job = CONTAINER_OF(letter, struct job, letter);

	job->done(job);
}

static void pool_fail(struct pool *pool, struct job *job, int errnum, const char *why)
{
	struct pt_error err;

	(void)pt_fail(&err, PT_SYSTEM, errnum, "can't create a thread for this request: %s", why);
	job->fail(job, &err);
	mailbox_post(pool->mailbox, &job->letter);
}

void pool_add(struct pool *pool, struct job *job)
{
	int r = 0;

	job->letter.open = open_done;
	(void)pthread_mutex_lock(&pool->lock);
	queue_add(&pool->waiting[job->lane], job);
	pool->waiting_count++;
	/* those that wait already have a claim on those that are idle */
	if (pool->is_over)
		r = -ECANCELED;
	else if (pool->waiting_count + reserve(pool, job->lane) > pool->idle &&
		 pool->count < POOL_THREADS_MAX)
		r = start_thread(pool);
	/* nobody would ever come for it: the threads there are may be POOL_END's alone */
	if (r < 0 &&
	    (pool->is_over || pool->count <= (job->lane == POOL_END ? 0 : lanes[POOL_END].least))) {
		struct queue *queue = &pool->waiting[job->lane];
		struct job *before = NULL, *at;

		for (at = queue->first; at != job; at = at->next)
			before = at;
		queue_remove(queue, job, before);
		pool->waiting_count--;
	} else {
		r = 0;
		(void)pthread_cond_signal(&pool->work);
	}
	(void)pthread_mutex_unlock(&pool->lock);
	if (r < 0)
		pool_fail(pool, job, -r, strerror(-r));
}

bool pool_is_idle(struct pool *pool)
{
	enum pool_lane lane;
	bool is_idle;

	(void)pthread_mutex_lock(&pool->lock);
	is_idle = !pool->waiting_count;
	for (lane = 0; lane < POOL_LANE_COUNT; lane++)
		is_idle &= !pool->running[lane];
	(void)pthread_mutex_unlock(&pool->lock);
	return is_idle;
}

unsigned int pool_count_running(struct pool *pool, enum pool_lane lane)
{
	unsigned int count;

	(void)pthread_mutex_lock(&pool->lock);
	count = pool->running[lane];
	(void)pthread_mutex_unlock(&pool->lock);
	return count;
}

bool pool_forget(struct pool *pool, struct job *job)
{
	struct queue *queue = &pool->waiting[job->lane];
	struct job *at, *before = NULL;

	(void)pthread_mutex_lock(&pool->lock);
	for (at = queue->first; at && at != job; at = at->next)
		before = at;
	if (at) {
		queue_remove(queue, at, before);
		pool->waiting_count--;
	}
	(void)pthread_mutex_unlock(&pool->lock);
	return at;
}

/* ---- beginning and end ---- */

void pool_free(struct pool *pool)
{
	enum pool_lane lane;
	size_t i;

	if (!pool)
		return;
	(void)pthread_mutex_lock(&pool->lock);
	pool->is_over = true;
	(void)pthread_cond_broadcast(&pool->work);
	(void)pthread_mutex_unlock(&pool->lock);
	for (i = 0; i < POOL_THREADS_MAX; i++)
		if (pool->workers[i].is_joinable)
			(void)pthread_join(pool->workers[i].thread, NULL);
	for (lane = 0; lane < POOL_LANE_COUNT; lane++) {
		struct job *job = pool->waiting[lane].first;

		while (job) {
			struct job *next = job->next;

			pool_fail(pool, job, ECANCELED, "passthrud ends");
			job = next;
		}
	}
	mailbox_open(pool->mailbox);
	(void)pthread_cond_destroy(&pool->work);
	(void)pthread_mutex_destroy(&pool->lock);
	free(pool);
}

int pool_new(const struct context *context, struct mailbox *mailbox, struct pool **ret_pool,
	     struct pt_error *err)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	pthread_condattr_t attributes;
	int r;

	if (!pool)
		return pt_fail_memory(err);
	pool->context = context;
	pool->mailbox = mailbox;
	(void)pthread_mutex_init(&pool->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&pool->work, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	(void)pthread_mutex_lock(&pool->lock);
	r = start_thread(pool);
	(void)pthread_mutex_unlock(&pool->lock);
	if (r < 0) {
		pool_free(pool);
		return pt_fail(err, PT_SYSTEM, -r, "can't create threads: %s", strerror(-r));
	}
	*ret_pool = pool;
	return 0;
}
