/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What QEMU says, and how little it can do by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "domain/confine/output.h"
#include "read_tree.h"
#include "this_machine.h"

static struct empty tree;
static int log_fd;

static int set_up(void **state)
{
	(void)state;
	open_empty(&tree);
	log_fd = openat(tree.host->root_fd, "log", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return log_fd < 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(log_fd);
	close_empty(&tree);
	return 0;
}

static off_t log_size(void)
{
	struct stat st;

	assert_int_equal(fstat(log_fd, &st), 0);
	return st.st_size;
}

/* As much as fits, then it is told so; it neither waits nor is killed. */
static size_t fill(int fd)
{
	static const char text[4096] = {'x'};
	size_t size = 0;
	ssize_t n;

	while ((n = write(fd, text, sizeof(text))) > 0)
		size += (size_t)n;
	assert_int_equal(errno, EAGAIN);
	return size;
}

static void test_never_waits(void **state)
{
	int ours, theirs;
	size_t size;

	(void)state;
	assert_int_equal(output_open(&ours, &theirs), 0);
	assert_int_equal(output_move(ours, log_fd, 100), 0);
	size = fill(theirs);
	assert_int_equal(output_move(ours, log_fd, 100), 100);
	assert_int_equal(log_size(), 100);
	assert_int_equal(output_move(ours, log_fd, 2 * size), size - 100);
	assert_int_equal(log_size(), size);
	/* the daemon is gone: it goes on, and what it says is kept as far as it fits */
	close(ours);
	assert_int_equal(fill(theirs), size);
	close(theirs);
}

static void test_end(void **state)
{
	int ours, theirs;

	(void)state;
	assert_int_equal(output_open(&ours, &theirs), 0);
	assert_int_equal(write(theirs, "last", 4), 4);
	close(theirs);
	assert_int_equal(output_move(ours, log_fd, 100), 4);
	assert_int_equal(output_move(ours, log_fd, 100), -ENODATA);
	close(ours);
}

static pid_t run_with(int error_fd)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (dup2(error_fd, 2) == 2)
		(void)raise(SIGSTOP);
	_exit(0);
}

/* A later daemon finds the pipe again, and takes nothing else for it. */
static void test_found_again(void **state)
{
	int ours, theirs, again, status;
	pid_t pid;

	(void)state;
	assert_int_equal(output_open(&ours, &theirs), 0);
	pid = run_with(theirs);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	close(ours);
	assert_int_equal(write(theirs, "text", 4), 4);
	again = output_find(machine(), pid);
	assert_true(again >= 0);
	assert_int_equal(output_move(again, log_fd, 100), 4);
	close(again);
	close(theirs);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(output_find(machine(), pid) < 0);

	pid = run_with(log_fd);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_int_equal(output_find(machine(), pid), -ENOTSUP);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_never_waits),
		TEST(test_end),
		TEST(test_found_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
