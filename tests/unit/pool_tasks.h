/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs that run until the test lets go of them, and a pool for each test. */
#ifndef TESTS_POOL_TASKS_H
#define TESTS_POOL_TASKS_H

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "daemon/pool.h"

#define PATIENCE_S 30
#define MANY	   64

/* Of one lane, as pool.c has it. */
#define READONLY_MOST 4
static const unsigned int least[POOL_LANE_COUNT] = {1, 4, 2, 2, 1};

struct task {
	struct job job;
	bool may_end;
	bool is_begun, has_ended, is_done;
	int errnum; /* that it failed with */
	pid_t thread;
	const struct pt_host *host;
};

static struct context *context;
static struct mailbox *mailbox;
static struct pool *pool;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
/* with the lock */
static unsigned int running[POOL_LANE_COUNT], running_at_once, most_at_once;

/* ---- jobs ---- */

static inline void run(struct job *job, struct pt_host *host)
{
	struct task *task = CONTAINER_OF(job, struct task, job);

	pthread_mutex_lock(&lock);
	task->is_begun = true;
	task->host = host;
	task->thread = gettid();
	running[job->lane]++;
	running_at_once++;
	if (running_at_once > most_at_once)
		most_at_once = running_at_once;
	pthread_cond_broadcast(&changed);
	while (!task->may_end)
		pthread_cond_wait(&changed, &lock);
	running[job->lane]--;
	running_at_once--;
	task->has_ended = true;
	pthread_mutex_unlock(&lock);
}

static inline void note_failure(struct job *job, const struct pt_error *err)
{
	struct task *task = CONTAINER_OF(job, struct task, job);

	pthread_mutex_lock(&lock);
	task->errnum = err->errnum;
	pthread_mutex_unlock(&lock);
}

static inline void done(struct job *job)
{
	struct task *task = CONTAINER_OF(job, struct task, job);

	assert_false(task->is_done);
	assert_true(task->has_ended || task->errnum);
	task->is_done = true;
}

static inline struct task task_of(enum pool_lane lane, const void *peer, uid_t uid)
{
	return (struct task){.job = {.run = run,
				     .fail = note_failure,
				     .done = done,
				     .lane = lane,
				     .peer = peer,
				     .uid = uid}};
}

static inline void add(struct task *task)
{
	pool_add(pool, &task->job);
}

/* @count of them, each of another peer; @users: of how many users, root not among them. */
static inline void add_many(struct task *tasks, size_t count, enum pool_lane lane,
			    unsigned int users)
{
	size_t i;

	for (i = 0; i < count; i++) {
		tasks[i] = task_of(lane, &tasks[i], (uid_t)(1000 + i % users));
		add(&tasks[i]);
	}
}

static inline void release(struct task *tasks, size_t count)
{
	size_t i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < count; i++)
		tasks[i].may_end = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* ---- what became of them ---- */

static inline struct timespec deadline(void)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	return until;
}

static inline unsigned int count_begun(const struct task *tasks, size_t count)
{
	unsigned int begun = 0;
	size_t i;

	for (i = 0; i < count; i++)
		begun += tasks[i].is_begun;
	return begun;
}

/* Wait until so many of them have begun; false when they don't. */
static inline bool begin(const struct task *tasks, size_t count, unsigned int wanted)
{
	struct timespec until = deadline();
	bool is_it;
	int r = 0;

	pthread_mutex_lock(&lock);
	while (!(is_it = count_begun(tasks, count) >= wanted) && !r)
		r = pthread_cond_timedwait(&changed, &lock, &until);
	pthread_mutex_unlock(&lock);
	return is_it;
}

static inline bool begins(const struct task *task)
{
	return begin(task, 1, 1);
}

static inline unsigned int begun(const struct task *tasks, size_t count)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = count_begun(tasks, count);
	pthread_mutex_unlock(&lock);
	return n;
}

static inline bool has_lane(enum pool_lane lane, unsigned int wanted)
{
	struct timespec until = deadline();
	bool is_it;
	int r = 0;

	pthread_mutex_lock(&lock);
	while (!(is_it = running[lane] >= wanted) && !r)
		r = pthread_cond_timedwait(&changed, &lock, &until);
	pthread_mutex_unlock(&lock);
	return is_it;
}

static inline void await_done(const struct task *tasks, size_t count)
{
	struct timespec now, until = deadline();
	size_t i;

	for (i = 0; i < count; i++) {
		while (!tasks[i].is_done) {
			assert_true(sd_event_run(context->loop, 1000000) >= 0);
			(void)clock_gettime(CLOCK_REALTIME, &now);
			assert_true(now.tv_sec < until.tv_sec);
		}
		assert_true(tasks[i].has_ended);
		assert_int_equal(tasks[i].errnum, 0);
	}
}

static inline void finish(struct task *tasks, size_t count)
{
	release(tasks, count);
	await_done(tasks, count);
}

/* ---- threads ---- */

static inline int set_up(void **state)
{
	/* the jobs look at no machine */
	struct context_config config = {0};
	struct pt_error err;

	(void)state;
	memset(running, 0, sizeof(running));
	running_at_once = most_at_once = 0;
	assert_int_equal(context_new(&config, &context, &err), 0);
	assert_int_equal(mailbox_new(context->loop, &mailbox, &err), 0);
	return pool_new(context, mailbox, &pool, &err);
}

static inline int tear_down(void **state)
{
	(void)state;
	pool_free(TAKE_POINTER(pool));
	mailbox_free(mailbox);
	context_free(context);
	return 0;
}

#endif
