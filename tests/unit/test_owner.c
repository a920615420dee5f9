/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Is a recorded process still there: its pid alone doesn't say so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "assign/owner.h"
#include "base/auto.h"
#include "base/io.h"
#include "fake/fake.h"
#include "pci/host.h"

static struct fake *fake;
static struct pt_host *host;

static int make(void **state)
{
	char path[4096];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/vtd.json", getenv("MACHINES"));
	fake = fake_new(path, NULL);
	host = fake_host(fake);
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	fake_free(fake);
	return 0;
}

/* ---- what /proc/4242/stat says ---- */

static void write_stat(const char *name, const char *state, int threads, const char *start)
{
	char text[256];
	int size = snprintf(text, sizeof(text),
			    "4242 (%s) %s 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 %d 0 %s 0 0\n", name,
			    state, threads, start);

	assert_int_equal(io_make_directories_at(host->root_fd, "proc/4242", 0755), 0);
	assert_int_equal(io_replace_at(host->root_fd, "proc/4242/stat", text, (size_t)size, 0644),
			 0);
}

static const struct pt_owner owner_7 = {.kind = PT_OWNER_PROCESS, .pid = 4242, .start_time = 7};

static void expect(int status)
{
	uint64_t start_time = 0;
	const bool is_alive = status != -ESRCH && status != -ECHILD;

	assert_int_equal(owner_check_process(host, 4242, 7), status);
	assert_int_equal(pt_owner_is_alive(host, &owner_7), is_alive);
	if (status == 0) {
		assert_int_equal(owner_read_start(host, 4242, &start_time), 0);
		assert_int_equal(start_time, 7);
	}
}

static void test_pid_and_start_time(void **state)
{
	(void)state;
	expect(-ESRCH);
	write_stat("a", "S", 1, "7");
	expect(0);
	/* the pid came round again */
	write_stat("a", "S", 1, "8");
	expect(-ESRCH);
	write_stat("a", "Z", 1, "8");
	expect(-ESRCH);
}

static void test_zombie(void **state)
{
	uint64_t start_time = 1;

	(void)state;
	write_stat("a", "Z", 1, "7");
	expect(-ECHILD);
	assert_int_equal(owner_read_start(host, 4242, &start_time), -ESRCH);
	assert_int_equal(start_time, 1);
	write_stat("a", "X", 1, "7");
	expect(-ECHILD);
	/* its first thread has ended, another goes on */
	write_stat("a", "Z", 2, "7");
	expect(0);
}

static void test_name(void **state)
{
	static const char *const names[] = {"a) Z 1 1 (b", ") Z", "((", "))", " ", "", "Z"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		write_stat(names[i], "R", 1, "7");
		expect(0);
		write_stat(names[i], "Z", 1, "7");
		expect(-ECHILD);
	}
}

static void test_no_pid(void **state)
{
	static const struct pt_owner nobody = {.kind = PT_OWNER_MANUAL};
	static const struct pt_owner domain = {.kind = PT_OWNER_DOMAIN};

	(void)state;
	assert_int_equal(owner_check_process(host, 0, 0), -ESRCH);
	assert_int_equal(owner_check_process(host, -1, 0), -ESRCH);
	assert_int_equal(owner_open_process(host, 0, 0), -ESRCH);
	assert_int_equal(owner_open_process(host, -1, 0), -ESRCH);
	assert_false(pt_owner_is_alive(host, &domain));
	/* what was detached by hand stays so */
	assert_true(pt_owner_is_alive(host, &nobody));
}

/* What can't be read, for whatever reason, is not gone. */
static void test_unreadable(void **state)
{
	(void)state;
	assert_int_equal(io_make_directories_at(host->root_fd, "proc/4242/stat", 0755), 0);
	expect(-EISDIR);
	assert_int_equal(unlinkat(host->root_fd, "proc/4242/stat", AT_REMOVEDIR), 0);
	assert_int_equal(io_replace_at(host->root_fd, "proc/4242/stat", "4242 (a) S 1\n", 13, 0644),
			 0);
	expect(-EBADMSG);
	assert_true(owner_open_process(host, 4242, 7) < 0);
}

static void test_same(void **state)
{
	struct pt_owner other = owner_7;

	(void)state;
	(void)snprintf(other.name, sizeof(other.name), "renamed");
	assert_true(owner_is_same(&owner_7, &other));
	other.start_time++;
	assert_false(owner_is_same(&owner_7, &other));
	other = owner_7;
	other.pid++;
	assert_false(owner_is_same(&owner_7, &other));
	other = owner_7;
	other.kind = PT_OWNER_DOMAIN;
	assert_false(owner_is_same(&owner_7, &other));
}

/* ---- a process of ours ---- */

static bool has_ended(int pidfd)
{
	struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

static void test_child(void **state)
{
	char target[32], path[32];
	uint64_t start_time;
	siginfo_t info;
	pid_t pid = fork();
	int alive, dead;

	(void)state;
	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	(void)snprintf(target, sizeof(target), "/proc/%ld", (long)pid);
	(void)snprintf(path, sizeof(path), "proc/%ld", (long)pid);
	assert_int_equal(symlinkat(target, host->root_fd, path), 0);
	assert_int_equal(owner_read_start(host, pid, &start_time), 0);
	assert_int_equal(owner_check_process(host, pid, start_time), 0);
	assert_int_equal(owner_check_process(host, pid, start_time - 1), -ESRCH);
	assert_int_equal(owner_open_process(host, pid, start_time - 1), -ESRCH);
	alive = owner_open_process(host, pid, start_time);
	assert_true(alive >= 0 && !has_ended(alive));

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(owner_check_process(host, pid, start_time), -ECHILD);
	dead = owner_open_process(host, pid, start_time);
	assert_true(dead >= 0 && has_ended(dead) && has_ended(alive));
	assert_int_equal(owner_open_process(host, pid, start_time - 1), -ESRCH);

	assert_int_equal(waitid(P_PIDFD, (id_t)dead, &info, WEXITED), 0);
	assert_int_equal(owner_check_process(host, pid, start_time), -ESRCH);
	assert_int_equal(owner_open_process(host, pid, start_time), -ESRCH);
	close(alive);
	close(dead);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pid_and_start_time),
		TEST(test_zombie),
		TEST(test_name),
		TEST(test_no_pid),
		TEST(test_unreadable),
		TEST(test_same),
		TEST(test_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
