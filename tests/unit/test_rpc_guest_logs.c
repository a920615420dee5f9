/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's log that grows beyond its bound while QEMU has it open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/guests/logs.h"
#include "this_machine.h"

#define LIMIT 1000

static char folder[] = "/tmp/passthru-logs-XXXXXX";

static long long size_of(const char *name)
{
	char path[128];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return stat(path, &st) == 0 ? (long long)st.st_size : -errno;
}

static int open_log(void)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/d1.log", folder);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return fd;
}

static void fill(int fd, char c, size_t size)
{
	char bytes[4 * LIMIT];

	memset(bytes, c, size);
	assert_int_equal(write(fd, bytes, size), size);
}

static void test_bounded(void **state)
{
	char path[128], bytes[2 * LIMIT];
	int fd, log = open_log();

	(void)state;
	fill(log, 'a', LIMIT);
	assert_int_equal(logs_trim(machine(), folder, "d1", LIMIT), 0);
	assert_int_equal(size_of("d1.log"), LIMIT);
	assert_int_equal(size_of("d1.log.old"), -ENOENT);

	fill(log, 'b', 600);
	assert_int_equal(logs_trim(machine(), folder, "d1", LIMIT), 0);
	assert_int_equal(size_of("d1.log"), 0);
	/* the end of it, not its beginning */
	(void)snprintf(path, sizeof(path), "%s/d1.log.old", folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, bytes, sizeof(bytes)), LIMIT);
	close(fd);
	assert_int_equal(bytes[LIMIT - 601], 'a');
	assert_int_equal(bytes[LIMIT - 600], 'b');

	/* whoever has it open goes on at the start, and there is one old log only */
	fill(log, 'c', 10);
	assert_int_equal(size_of("d1.log"), 10);
	fill(log, 'c', 3 * LIMIT);
	assert_int_equal(logs_trim(machine(), folder, "d1", LIMIT), 0);
	assert_int_equal(size_of("d1.log"), 0);
	assert_int_equal(size_of("d1.log.old"), LIMIT);
	close(log);
}

static void test_no_log(void **state)
{
	(void)state;
	assert_int_equal(logs_trim(machine(), folder, "never", LIMIT), 0);
	assert_int_equal(size_of("never.log.old"), -ENOENT);
}

/* The folder is root's alone; should a link be there all the same, it isn't followed. */
static void test_links(void **state)
{
	char path[128], other[128];
	int fd, log = open_log();

	(void)state;
	(void)snprintf(other, sizeof(other), "%s/other", folder);
	fd = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	fill(fd, 'x', 2 * LIMIT);
	close(fd);
	(void)snprintf(path, sizeof(path), "%s/d2.log", folder);
	assert_int_equal(symlink("other", path), 0);
	assert_int_equal(logs_trim(machine(), folder, "d2", LIMIT), -ELOOP);
	assert_int_equal(size_of("other"), 2 * LIMIT);

	/* a log whose end can't be kept is emptied all the same */
	(void)snprintf(path, sizeof(path), "%s/d1.log.old", folder);
	(void)unlink(path);
	assert_int_equal(symlink("other", path), 0);
	fill(log, 'y', 2 * LIMIT);
	assert_int_equal(logs_trim(machine(), folder, "d1", LIMIT), -ELOOP);
	assert_int_equal(size_of("d1.log"), 0);
	assert_int_equal(size_of("other"), 2 * LIMIT);
	close(log);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	static const char *const names[] = {"d1.log", "d1.log.old", "d2.log", "other"};
	char path[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		(void)unlink(path);
	}
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_no_log),
		cmocka_unit_test(test_links),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
