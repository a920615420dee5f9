/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which jobs run, and which wait: jobs that run until the test lets go of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "daemon/pool.h"
#include "pool_tasks.h"

/* ---- enough threads ---- */

/*
 * One more each time than the time before: sooner or later all threads there are idle, and they
 * are one too few. They are added faster than a thread wakes.
 */
static void check_growing(enum pool_lane lane, size_t most)
{
	struct task tasks[POOL_THREADS_MAX];
	size_t count;

	for (count = 2; count <= most; count++) {
		add_many(tasks, count, lane, (unsigned int)count);
		if (!begin(tasks, count, (unsigned int)count))
			fail_msg("lane %d: %u of %zu run", lane, begun(tasks, count), count);
		finish(tasks, count);
		assert_true(pool_is_idle(pool));
	}
}

static void test_idle_threads_are_counted_once(void **state)
{
	(void)state;
	check_growing(POOL_END, 7);
	check_growing(POOL_CHANGE, 10);
	check_growing(POOL_READ, 8);
}

/* ---- idle threads ---- */

static unsigned int count_in(const char *path)
{
	AUTO_DIR DIR *dir = opendir(path);
	const struct dirent *entry;
	unsigned int count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	return count;
}

static unsigned int count_threads(void)
{
	return count_in("/proc/self/task");
}

/* Ending a guest must not depend on whether a thread can be started just then. */
static void test_a_thread_stays_for_ends(void **state)
{
	const unsigned int others = count_threads() - 1; /* the pool has its first one */
	struct task tasks[3];

	(void)state;
	add_many(tasks, 3, POOL_CHANGE, 3);
	assert_true(begin(tasks, 3, 3));
	(void)sleep(POOL_IDLE_S + 1);
	assert_int_equal(count_threads() - others, 3 + 1);
	finish(tasks, 3);
}

/*
 * Two wait, one for its peer's share, one for its lane, and one job's end makes room for both,
 * however long they have waited.
 */
static void test_end_makes_room_for_two(void **state)
{
	struct task of_peer[POOL_PEER_MAX], others[READONLY_MOST - 1], waiting[2];
	char peer, other;
	size_t i;

	(void)state;
	for (i = 0; i < POOL_PEER_MAX; i++)
		of_peer[i] = task_of(i ? POOL_READ : POOL_READONLY, &peer, 0);
	for (i = 0; i < POOL_PEER_MAX; i++)
		add(&of_peer[i]);
	add_many(others, READONLY_MOST - 1, POOL_READONLY, READONLY_MOST - 1);
	assert_true(begin(of_peer, POOL_PEER_MAX, POOL_PEER_MAX));
	assert_true(begin(others, READONLY_MOST - 1, READONLY_MOST - 1));
	waiting[0] = task_of(POOL_READ, &peer, 0);
	waiting[1] = task_of(POOL_READONLY, &other, 0);
	add(&waiting[0]);
	add(&waiting[1]);
	(void)sleep(POOL_IDLE_S + 1);
	assert_int_equal(begun(waiting, 2), 0);
	finish(of_peer, 1);
	assert_true(begin(waiting, 2, 2));
	finish(waiting, 2);
	finish(&of_peer[1], POOL_PEER_MAX - 1);
	finish(others, READONLY_MOST - 1);
}

/* ---- hosts ---- */

/* What a host has read is read once, whichever thread is quicker to take the next job. */
static void test_hosts_are_kept(void **state)
{
	struct task at_once[2], task;
	const struct pt_host *first, *second;
	int i;

	(void)state;
	add_many(at_once, 2, POOL_CHANGE, 2);
	assert_true(begin(at_once, 2, 2));
	first = at_once[0].host;
	second = at_once[1].host;
	assert_ptr_not_equal(first, second);
	finish(at_once, 1);
	finish(at_once + 1, 1);
	for (i = 0; i < 16; i++) {
		task = task_of(i % 2 ? POOL_CHANGE : POOL_READ, NULL, 0);
		add(&task);
		assert_true(begin(&task, 1, 1));
		assert_ptr_equal(task.host, second);
		finish(&task, 1);
	}
}

static unsigned int count_descriptors(void)
{
	return count_in("/proc/self/fd");
}

/* A job each second keeps one: the others go, though no thread is idle for long. */
static void test_hosts_are_closed_meanwhile(void **state)
{
	struct task at_once[6], task;
	unsigned int before, most;

	(void)state;
	task = task_of(POOL_READ, NULL, 0);
	add(&task);
	assert_true(begin(&task, 1, 1));
	finish(&task, 1);
	before = count_descriptors();
	add_many(at_once, 6, POOL_CHANGE, 6);
	assert_true(begin(at_once, 6, 6));
	finish(at_once, 6);
	most = count_descriptors();
	assert_true(most >= before + 5);
	for (int i = 0; i < 2 * POOL_IDLE_S + 4; i++) {
		(void)usleep(500000);
		task = task_of(POOL_READ, NULL, 0);
		add(&task);
		assert_true(begin(&task, 1, 1));
		finish(&task, 1);
	}
	assert_int_equal(count_descriptors(), before);
}

/* ---- lanes ---- */

static void test_readonly_delays_nobody(void **state)
{
	static struct task flood[MANY];
	struct task change = task_of(POOL_CHANGE, NULL, 1000), end = task_of(POOL_END, NULL, 1000);

	(void)state;
	add_many(flood, MANY, POOL_READONLY, 16);
	assert_true(begin(flood, MANY, READONLY_MOST));
	add(&change);
	assert_true(begins(&change));
	add(&end);
	assert_true(begins(&end));
	assert_int_equal(begun(flood, MANY), READONLY_MOST);
	finish(&change, 1);
	finish(&end, 1);
	finish(flood, MANY);
	assert_true(pool_is_idle(pool));
}

/* All lanes have more than they can, @first before the others. */
static void check_full(enum pool_lane first)
{
	static struct task tasks[POOL_LANE_COUNT][MANY];
	enum pool_lane lane;
	struct task end = task_of(POOL_END, NULL, 1000);

	add_many(tasks[first], MANY, first, MANY);
	assert_true(has_lane(first, least[first]));
	for (lane = 0; lane < POOL_LANE_COUNT; lane++)
		if (lane != first && lane != POOL_END)
			add_many(tasks[lane], MANY, lane, MANY);
	for (lane = 0; lane < POOL_LANE_COUNT; lane++)
		if ((lane == first || lane != POOL_END) && !has_lane(lane, least[lane]))
			fail_msg("lane %d filled first, and %d hasn't its least", first, lane);
	add(&end);
	if (first != POOL_END && !begins(&end))
		fail_msg("lane %d filled first, and a guest can't be ended", first);
	release(&end, 1);
	for (lane = 0; lane < POOL_LANE_COUNT; lane++)
		if (lane == first || lane != POOL_END)
			finish(tasks[lane], MANY);
	await_done(&end, 1);
	assert_true(pool_is_idle(pool));
}

static void test_all_lanes_full(void **state)
{
	enum pool_lane first;

	(void)state;
	for (first = 0; first < POOL_LANE_COUNT; first++)
		check_full(first);
	assert_in_range(most_at_once, 10, POOL_THREADS_MAX);
}

/* ---- shares ---- */

/* In one lane jobs are begun in their order: when @other has begun, the rest was passed over. */
static void check_share(struct task *tasks, size_t count, struct task *other, unsigned int share)
{
	size_t i;

	for (i = 0; i < count; i++)
		add(&tasks[i]);
	add(other);
	assert_true(begins(other));
	assert_true(begin(tasks, count, share));
	assert_int_equal(begun(tasks, count), share);
	/* as one ends, one begins */
	finish(tasks, 1);
	assert_true(begin(tasks, count, share + 1));
	finish(other, 1);
	assert_int_equal(begun(tasks, count), share + 1);
}

static void test_share_of_a_peer(void **state)
{
	struct task tasks[POOL_THREADS_MAX], other, end;
	const size_t count = sizeof(tasks) / sizeof(tasks[0]);
	char mine, others;
	size_t i;

	(void)state;
	for (i = 0; i < count; i++)
		tasks[i] = task_of(POOL_CHANGE, &mine, 0);
	other = task_of(POOL_CHANGE, &others, 0);
	check_share(tasks, count, &other, POOL_PEER_MAX);
	end = task_of(POOL_END, &mine, 0);
	add(&end);
	assert_true(begins(&end));
	finish(&end, 1);
	finish(tasks, count);
}

static void test_share_of_a_user(void **state)
{
	struct task tasks[POOL_THREADS_MAX], other;
	const size_t count = sizeof(tasks) / sizeof(tasks[0]);
	size_t i;

	(void)state;
	for (i = 0; i < count; i++)
		tasks[i] = task_of(POOL_CHANGE, &tasks[i], 1000);
	other = task_of(POOL_CHANGE, &other, 1001);
	check_share(tasks, count, &other, POOL_USER_MAX);
	finish(tasks, count);
	for (i = 0; i < count; i++)
		tasks[i] = task_of(POOL_READONLY, &tasks[i], 1000);
	other = task_of(POOL_READONLY, &other, 1001);
	check_share(tasks, count, &other, POOL_READONLY_USER_MAX);
	finish(tasks, count);
}

/* Nor has the daemon itself one. */
static void test_root_has_no_share(void **state)
{
	static const uid_t users[] = {0, POOL_NO_USER};
	struct task tasks[POOL_USER_MAX + 2];
	const size_t count = sizeof(tasks) / sizeof(tasks[0]);
	size_t i, user;

	(void)state;
	for (user = 0; user < 2; user++) {
		for (i = 0; i < count; i++) {
			tasks[i] = task_of(POOL_CHANGE, &tasks[i], users[user]);
			add(&tasks[i]);
		}
		assert_true(begin(tasks, count, count));
		finish(tasks, count);
	}
}

/* ---- signals ---- */

struct masked {
	struct job job;
	bool is_blocked, is_done;
};

static void look_at_mask(struct job *job, struct pt_host *host)
{
	struct masked *masked = CONTAINER_OF(job, struct masked, job);
	sigset_t mask;

	(void)host;
	(void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
	masked->is_blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGHUP);
}

static void done_masked(struct job *job)
{
	CONTAINER_OF(job, struct masked, job)->is_done = true;
}

/* The loop has a handler for SIGTERM, and a thread that takes it would end the process. */
static void test_threads_take_no_signals(void **state)
{
	struct masked masked = {.job = {.run = look_at_mask,
					.fail = note_failure,
					.done = done_masked,
					.lane = POOL_READ,
					.uid = POOL_NO_USER}};

	(void)state;
	pool_add(pool, &masked.job);
	while (!masked.is_done)
		assert_true(sd_event_run(context->loop, 1000000) >= 0);
	assert_true(masked.is_blocked);
}

/* ---- taken back, and never begun ---- */

static void test_forget(void **state)
{
	struct task tasks[POOL_PEER_MAX + 3];
	const size_t count = sizeof(tasks) / sizeof(tasks[0]);
	char peer;
	size_t i;

	(void)state;
	for (i = 0; i < count; i++) {
		tasks[i] = task_of(POOL_READ, &peer, 1000);
		add(&tasks[i]);
	}
	assert_true(begin(tasks, count, POOL_PEER_MAX));
	for (i = 0; i < POOL_PEER_MAX; i++)
		assert_false(pool_forget(pool, &tasks[i].job));
	/* the last one, then the first, and the one between is left */
	assert_true(pool_forget(pool, &tasks[count - 1].job));
	assert_true(pool_forget(pool, &tasks[POOL_PEER_MAX].job));
	assert_false(pool_forget(pool, &tasks[POOL_PEER_MAX].job));
	finish(tasks, POOL_PEER_MAX + 2 - 1 - 1);
	release(tasks, count);
	await_done(&tasks[POOL_PEER_MAX + 1], 1);
	assert_false(pool_forget(pool, &tasks[POOL_PEER_MAX + 1].job));
	assert_true(pool_is_idle(pool));
	assert_false(tasks[POOL_PEER_MAX].is_begun || tasks[POOL_PEER_MAX].is_done);
	assert_false(tasks[count - 1].is_begun || tasks[count - 1].is_done);
}

struct ending {
	struct task tasks[POOL_PEER_MAX + 4];
	struct task late; /* whose peer has its share, so that it can't begin */
};

/* Let go of those that run once the pool takes no more. */
static void *release_at_the_end(void *argument)
{
	struct ending *ending = argument;

	for (;;) {
		bool is_over;

		add(&ending->late);
		pthread_mutex_lock(&lock);
		is_over = ending->late.errnum;
		pthread_mutex_unlock(&lock);
		if (is_over)
			break;
		(void)pool_forget(pool, &ending->late.job);
		(void)usleep(1000);
	}
	release(ending->tasks, sizeof(ending->tasks) / sizeof(ending->tasks[0]));
	return NULL;
}

static void test_end_with_jobs(void **state)
{
	static struct ending ending;
	const size_t count = sizeof(ending.tasks) / sizeof(ending.tasks[0]);
	pthread_t thread;
	size_t i;

	(void)state;
	ending.late = task_of(POOL_CHANGE, &ending, 0);
	for (i = 0; i < count; i++) {
		ending.tasks[i] = task_of(POOL_CHANGE, &ending, 0);
		add(&ending.tasks[i]);
	}
	assert_true(begin(ending.tasks, count, POOL_PEER_MAX));
	assert_int_equal(pthread_create(&thread, NULL, release_at_the_end, &ending), 0);
	pool_free(pool);
	pool = NULL;
	assert_int_equal(pthread_join(thread, NULL), 0);
	for (i = 0; i < count; i++) {
		const struct task *task = &ending.tasks[i];

		assert_int_equal(task->is_begun, i < POOL_PEER_MAX);
		assert_int_equal(task->has_ended, i < POOL_PEER_MAX);
		assert_int_equal(task->errnum, i < POOL_PEER_MAX ? 0 : ECANCELED);
		assert_true(task->is_done);
	}
	assert_int_equal(ending.late.errnum, ECANCELED);
	assert_true(ending.late.is_done);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_thread_stays_for_ends),
		TEST(test_hosts_are_kept),
		TEST(test_hosts_are_closed_meanwhile),
		TEST(test_end_makes_room_for_two),
		TEST(test_idle_threads_are_counted_once),
		TEST(test_readonly_delays_nobody),
		TEST(test_all_lanes_full),
		TEST(test_share_of_a_peer),
		TEST(test_share_of_a_user),
		TEST(test_root_has_no_share),
		TEST(test_threads_take_no_signals),
		TEST(test_forget),
		TEST(test_end_with_jobs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
