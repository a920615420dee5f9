/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The helper process: its result, its deadline, and what it keeps of the caller. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pci/helper.h"

static struct pt_host *host;
static volatile sig_atomic_t children_ended;

static int set_up(void **state)
{
	(void)state;
	return pt_host_new(NULL, &host, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	pt_host_free(host);
	return 0;
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void count_child(int number)
{
	(void)number;
	children_ended++;
}

/* Ends a helper that a test left behind, and waits until it is gone. */
static void end_helper(pid_t pid)
{
	int i;

	assert_true(pid > 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	for (i = 0; i < 500 && kill(pid, 0) == 0; i++) {
		(void)usleep(10000);
		helper_end(host);
	}
	assert_int_equal(kill(pid, 0), -1);
}

struct numbers {
	int in;
	int out;
	char room[HELPER_REPLY - 2 * sizeof(int)];
};

static int double_it(struct pt_host *h, void *argument)
{
	struct numbers *numbers = argument;

	(void)h;
	numbers->out = numbers->in * 2;
	memset(numbers->room, 'r', sizeof(numbers->room));
	return -numbers->in;
}

static _Noreturn int hang(struct pt_host *h, void *argument)
{
	(void)h;
	*(int *)argument = 1;
	for (;;)
		pause();
}

static int die(struct pt_host *h, void *argument)
{
	(void)h;
	*(int *)argument = 1;
	(void)kill(getpid(), SIGKILL);
	return 0;
}

static void test_result(void **state)
{
	struct numbers numbers = {.in = 21};
	pid_t pid;

	(void)state;
	assert_int_equal(helper_run(host, double_it, &numbers, sizeof(numbers), 10000, &pid), -21);
	assert_int_equal(numbers.out, 42);
	assert_int_equal(numbers.room[sizeof(numbers.room) - 1], 'r');
	assert_true(pid > 0);
	assert_int_not_equal(pid, getpid());
	assert_int_equal(helper_write(host, "no/such/file", "1", 10000), -ENOENT);
	assert_int_equal(helper_write(host, "dev/null", "1", 10000), 0);
	assert_int_equal(helper_write(host, "dev/full", "1", 10000), -ENOSPC);
}

/* What other code writes to the helper's socket by mistake: the next request is served. */
static void test_stray_messages(void **state)
{
	static const char long_line[] = "0000:02:00.0: unbound from nvme, bound to vfio-pci\n";
	struct numbers numbers = {.in = 21};
	pid_t first, second;

	(void)state;
	assert_int_equal(helper_run(host, double_it, &numbers, sizeof(numbers), 10000, &first),
			 -21);
	assert_int_equal(write(host->helper.fd, "short", 5), 5);
	assert_int_equal(write(host->helper.fd, long_line, sizeof(long_line)), sizeof(long_line));
	numbers.in = 4;
	assert_int_equal(helper_run(host, double_it, &numbers, sizeof(numbers), 10000, &second),
			 -4);
	assert_int_equal(first, second);
}

static void test_deadline(void **state)
{
	long start = now_ms();
	int value = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(helper_run(host, hang, &value, sizeof(value), 300, &pid), -ETIMEDOUT);
	assert_true(now_ms() - start >= 299);
	assert_true(now_ms() - start < 5000);
	assert_int_equal(value, 0);
	assert_int_equal(kill(pid, 0), 0);
	end_helper(pid);
}

static void test_death(void **state)
{
	int value = 0;

	(void)state;
	assert_int_equal(helper_run(host, die, &value, sizeof(value), 10000, NULL), -EOWNERDEAD);
	assert_int_equal(value, 0);
}

static long read_session(pid_t pid)
{
	char path[64], text[256];
	long session = -1;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	(void)fclose(file);
	assert_int_equal(sscanf(strrchr(text, ')') + 4, "%*d %*d %ld", &session), 1);
	return session;
}

static void test_nothing_to_wait_for(void **state)
{
	struct sigaction count = {.sa_handler = count_child}, before;
	struct numbers numbers = {.in = 1};
	sigset_t mask_before = {0}, mask_after = {0};
	int value = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(sigaction(SIGCHLD, &count, &before), 0);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask_before), 0);
	children_ended = 0;
	assert_int_equal(helper_run(host, double_it, &numbers, sizeof(numbers), 10000, NULL), -1);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	helper_end(host);
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	assert_int_equal(errno, ECHILD);
	/* one that is left behind isn't seen by an ordinary wait(), nor does it tell of its end;
	 * it has served before, or a busy machine might not have run it at all in the 50 ms */
	assert_int_equal(helper_run(host, double_it, &numbers, sizeof(numbers), 10000, NULL), -1);
	assert_int_equal(helper_run(host, hang, &value, sizeof(value), 50, &pid), -ETIMEDOUT);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(read_session(pid), pid);
	end_helper(pid);
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(children_ended, 0);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask_after), 0);
	assert_memory_equal(&mask_before, &mask_after, sizeof(mask_before));
	assert_int_equal(sigaction(SIGCHLD, &before, NULL), 0);
}

/* Whoever waits for the end of our pipes, or for our locks, must not wait for a stuck helper. */
static void test_descriptors(void **state)
{
	struct numbers numbers = {.in = 1};
	int value = 0, fds[2], high, kept, again;
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	high = fcntl(fds[1], F_DUPFD, 200);
	assert_true(high >= 200);
	assert_int_equal(helper_run(host, hang, &value, sizeof(value), 50, &pid), -ETIMEDOUT);
	close(fds[1]);
	close(high);
	assert_int_equal(read(fds[0], &byte, 1), 0);
	close(fds[0]);
	end_helper(pid);

	/* but the locks of the operation under way stay held as long as it is */
	kept = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(kept >= 0);
	host->kept_fds = &kept;
	host->kept_count = 1;
	assert_int_equal(flock(kept, LOCK_EX), 0);
	assert_int_equal(helper_run(host, hang, &value, sizeof(value), 50, &pid), -ETIMEDOUT);
	close(kept);
	host->kept_fds = NULL;
	host->kept_count = 0;
	again = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(again, LOCK_EX | LOCK_NB), -1);
	end_helper(pid);
	assert_int_equal(flock(again, LOCK_EX | LOCK_NB), 0);

	/* and when it is done, they are the caller's alone, though the helper lives on */
	host->kept_fds = &again;
	host->kept_count = 1;
	assert_int_equal(helper_run(host, double_it, &numbers, sizeof(numbers), 10000, NULL), -1);
	host->kept_fds = NULL;
	host->kept_count = 0;
	close(again);
	again = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(again, LOCK_EX | LOCK_NB), 0);
	close(again);
}

/* Without standard streams, as daemons may be started, the pipe gets a low number. */
static void test_no_standard_streams(void **state)
{
	struct numbers numbers = {.in = 5};
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		close(0);
		close(1);
		close(2);
		if (helper_run(host, double_it, &numbers, sizeof(numbers), 10000, NULL) != -5)
			_exit(1);
		_exit(numbers.out == 10 ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* One helper serves many requests, and leaves when none comes; then there is another. */
static void test_reuse(void **state)
{
	struct numbers numbers = {.in = 3};
	pid_t first, second, third;
	int value = 0, i;

	(void)state;
	helper_end(host);
	assert_int_equal(helper_run(host, double_it, &numbers, sizeof(numbers), 10000, &first), -3);
	assert_int_equal(helper_run(host, double_it, &numbers, sizeof(numbers), 10000, &second),
			 -3);
	assert_int_equal(first, second);
	assert_int_equal(helper_run(host, die, &value, sizeof(value), 10000, &second), -EOWNERDEAD);
	assert_int_equal(first, second);
	assert_int_equal(helper_run(host, double_it, &numbers, sizeof(numbers), 10000, &third), -3);
	assert_int_not_equal(first, third);
	/* around the instant at which it leaves, no request may be lost */
	for (i = 0; i < 8; i++) {
		(void)usleep((useconds_t)(997000 + 1000 * i));
		numbers.out = 0;
		assert_int_equal(
			helper_run(host, double_it, &numbers, sizeof(numbers), 10000, &second), -3);
		assert_int_equal(numbers.out, 6);
	}
	(void)usleep(1500000);
	assert_int_equal(helper_run(host, double_it, &numbers, sizeof(numbers), 10000, &third), -3);
	assert_int_not_equal(second, third);
}

/* A child that has inherited a host doesn't talk to its parent's helper. */
static void test_inherited(void **state)
{
	struct numbers numbers = {.in = 4};
	pid_t first, second = 0, pid;
	int status;

	(void)state;
	assert_int_equal(helper_run(host, double_it, &numbers, sizeof(numbers), 10000, &first), -4);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (helper_run(host, double_it, &numbers, sizeof(numbers), 10000, &second) != -4)
			_exit(1);
		helper_end(host);
		_exit(second == first ? 2 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(helper_run(host, double_it, &numbers, sizeof(numbers), 10000, &second),
			 -4);
	assert_int_equal(first, second);
}

static void *run_many(void *argument)
{
	struct pt_host *own;
	size_t i, *good = argument;

	if (pt_host_new(NULL, &own, NULL) < 0)
		return NULL;
	for (i = 0; i < 50; i++) {
		struct numbers numbers = {.in = (int)i + 1};

		if (helper_run(own, double_it, &numbers, sizeof(numbers), 20000, NULL) ==
			    -numbers.in &&
		    numbers.out == 2 * numbers.in)
			(*good)++;
	}
	pt_host_free(own);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[4];
	size_t good[4] = {0}, i;

	(void)state;
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_many, &good[i]), 0);
	for (i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(good[i], 50);
	}
}

/* Where a helper waits that never returns is in the message. */
static void test_whereabouts(void **state)
{
	const struct pt_address address = {.domain = 0xfffe};
	struct helper_attempt attempt = {
		.address = &address, .driver = "nvme", .what = "reset", .deadline_ms = 100};
	struct pt_error err;
	int value = 0;

	(void)state;
	attempt.result = helper_run(host, hang, &value, sizeof(value), 100, &attempt.helper);
	assert_int_equal(attempt.result, -ETIMEDOUT);
	assert_int_equal(helper_explain(host, &attempt, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.message, ", state S in "));
	end_helper(attempt.helper);
}

/* The root that can't be opened has a name, also where none was given. */
static void test_no_root(void **state)
{
	struct rlimit limit, none;
	struct pt_host *other = NULL;
	struct pt_error err;
	int r;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	r = pt_host_new(NULL, &other, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(r, -EMFILE);
	assert_string_equal(err.message, "/: Too many open files");
	assert_null(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stray_messages),
		cmocka_unit_test(test_result),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_death),
		cmocka_unit_test(test_nothing_to_wait_for),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_no_standard_streams),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_inherited),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_whereabouts),
		cmocka_unit_test(test_no_root),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
