/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's process: held until it is let go, nothing inherited, and never left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "domain/confine/spawn.h"

static struct pt_host *host;

/*
 * Ourselves, but for root, who becomes nobody: then it can be seen that nothing of root is left.
 * Whether a mount namespace can be had is this machine's business; they are tested in the lab.
 */
static struct confine_user someone(void)
{
	struct confine_user user = {.uid = 65534,
				    .gid = 65534,
				    .common_uid = 65534,
				    .common_gid = 65534,
				    .sees_host = true};

	return user;
}

static int temporary(void)
{
	char path[] = "/tmp/guest-spawn-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

static void wait_end(int pidfd)
{
	struct pollfd fd = {.fd = pidfd, .events = POLLIN};

	assert_int_equal(poll(&fd, 1, 10000), 1);
}

static void read_all(int fd, char text[4096])
{
	ssize_t n = pread(fd, text, 4095, 0);

	text[n > 0 ? n : 0] = '\0';
}

static bool must_lock;

static int start(char *const *argv, int output_fd, int kept, struct spawn *spawn,
		 struct pt_error *err)
{
	struct confine_user user = someone();
	struct spawn_request request = {.argv = argv,
					.user = &user,
					.locked_memory = 3 << 20,
					.must_lock = must_lock,
					.output_fd = output_fd,
					.kept = {kept},
					.kept_count = kept >= 0};

	return spawn_begin(host, &request, spawn, err);
}

#define SH(script)                                                                                 \
	(char *[])                                                                                 \
	{                                                                                          \
		(char *)(uintptr_t)"/bin/sh", (char *)(uintptr_t)"-c",                             \
			(char *)(uintptr_t)(script), NULL                                          \
	}

static void test_held_until_released(void **state)
{
	struct spawn spawn = SPAWN_NONE;
	struct pollfd fd = {.events = POLLIN};
	int output_fd = temporary();
	char text[4096];

	(void)state;
	if (geteuid() != 0)
		skip(); /* only root can become somebody else */
	assert_int_equal(start(SH("echo hello"), output_fd, -1, &spawn, NULL), 0);
	assert_true(spawn.pid > 0);
	assert_true(spawn.start_time > 0);
	fd.fd = spawn.pidfd;
	assert_int_equal(poll(&fd, 1, 300), 0);
	read_all(output_fd, text);
	assert_string_equal(text, "");
	assert_int_equal(spawn_release(&spawn, NULL), 0);
	wait_end(spawn.pidfd);
	read_all(output_fd, text);
	assert_string_equal(text, "hello\n");
	spawn_cancel(&spawn);
	close(output_fd);
}

static void test_what_it_is(void **state)
{
	static const char script[] =
		"id -u; id -g; id -G; grep -E '^(Cap|NoNewPrivs|SigBlk|SigIgn)' /proc/self/status; "
		/* no pipe, which the shell would have open for a moment */
		"ulimit -l; umask; ls -m /proc/$$/fd; readlink /proc/$$/fd/0; pwd";
	struct spawn spawn = SPAWN_NONE;
	int output_fd = temporary(), kept, i;
	char text[4096], expected[4096];

	(void)state;
	if (geteuid() != 0)
		skip();
	kept = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (i = 0; i < 20; i++)
		assert_true(open("/dev/zero", O_RDONLY) >= 0); /* would be inherited */
	assert_int_equal(start(SH(script), output_fd, kept, &spawn, NULL), 0);
	assert_int_equal(spawn_release(&spawn, NULL), 0);
	wait_end(spawn.pidfd);
	read_all(output_fd, text);
	(void)snprintf(expected, sizeof(expected),
		       "65534\n65534\n65534\n"
		       "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
		       "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
		       "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"
		       "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\n"
		       "3072\n0007\n0, 1, 2, %d\n/dev/null\n/\n",
		       kept);
	assert_string_equal(text, expected);
	spawn_cancel(&spawn);
	close(kept);
	close(output_fd);
}

/* Without CAP_SYS_RESOURCE, and with a limit of 1 MiB: for a process that ends then. */
static void lower_limit(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct rlimit low = {.rlim_cur = 1 << 20, .rlim_max = 1 << 20};
	struct __user_cap_data_struct data[2];

	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &low), 0);
	assert_int_equal(syscall(SYS_capget, &header, data), 0);
	data[0].effective &= ~(1u << CAP_SYS_RESOURCE);
	assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

/* What the program says, or what came instead. */
static void start_with_less(char text[4096])
{
	struct spawn spawn = SPAWN_NONE;
	int output_fd = temporary();
	struct pt_error err;

	assert_int_equal(start(SH("ulimit -l"), output_fd, -1, &spawn, NULL), 0);
	if (spawn_release(&spawn, &err) < 0) {
		(void)snprintf(text, 4096, "%s", err.message);
	} else {
		wait_end(spawn.pidfd);
		read_all(output_fd, text);
	}
	spawn_cancel(&spawn);
	close(output_fd);
}

/* passthrud in a container: a guest without devices of the host's runs all the same. */
static void test_less_than_asked_for(void **state)
{
	char text[4096];
	int status = -1;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	pid = fork();
	if (pid == 0) {
		lower_limit();
		start_with_less(text);
		if (strcmp(text, "1024\n") != 0)
			_exit(1);
		must_lock = true;
		start_with_less(text);
		_exit(strstr(text, "CAP_SYS_RESOURCE") ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_what_is_no_program(void **state)
{
	char *argv[] = {(char *)(uintptr_t)"/nonexistent/qemu", NULL};
	struct spawn spawn = SPAWN_NONE;
	int output_fd = temporary();
	struct pt_error err;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(start(argv, output_fd, -1, &spawn, NULL), 0);
	assert_true(spawn_release(&spawn, &err) < 0);
	assert_non_null(strstr(err.message, "can't execute it"));
	assert_int_equal(spawn.pid, 0);
	assert_true(waitpid(-1, NULL, WNOHANG) < 0);
	close(output_fd);
}

static void test_cancelled(void **state)
{
	struct spawn spawn = SPAWN_NONE;
	int output_fd = temporary();
	char text[4096];

	(void)state;
	assert_int_equal(start(SH("echo no"), output_fd, -1, &spawn, NULL), 0);
	spawn_cancel(&spawn);
	read_all(output_fd, text);
	assert_string_equal(text, "");
	assert_true(waitpid(-1, NULL, WNOHANG) < 0);
	close(output_fd);
}

/* Whoever holds it may be killed: then it ends by itself, and never becomes QEMU. */
static void test_its_holder_dies(void **state)
{
	int output_fd = temporary(), pipe_fds[2], pidfd;
	struct spawn spawn = SPAWN_NONE;
	char text[4096];
	pid_t holder, child = 0;

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	holder = fork();
	if (holder == 0) {
		if (start(SH("echo no"), output_fd, -1, &spawn, NULL) < 0 ||
		    write(pipe_fds[1], &spawn.pid, sizeof(spawn.pid)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(pipe_fds[0], &child, sizeof(child)), sizeof(child));
	pidfd = (int)syscall(434 /* pidfd_open */, child, 0);
	assert_true(pidfd >= 0);
	assert_int_equal(kill(holder, SIGKILL), 0);
	assert_int_equal(waitpid(holder, NULL, 0), holder);
	wait_end(pidfd);
	read_all(output_fd, text);
	assert_string_equal(text, "");
	close(pidfd);
	close(output_fd);
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_held_until_released),
		cmocka_unit_test(test_what_it_is),
		cmocka_unit_test(test_less_than_asked_for),
		cmocka_unit_test(test_what_is_no_program),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_its_holder_dies),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
