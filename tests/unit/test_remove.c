/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Directories that hold what a hostile user could put there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/remove.h"

#define DEPTH 3000 /* far more than PATH_MAX allows in one path */

static char root[64];
static int root_fd;

static int set_up(void **state)
{
	(void)state;
	(void)strcpy(root, "/tmp/passthru-remove-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root_fd < 0 || mkdirat(root_fd, "outside", 0755) < 0 ||
	       mkdirat(root_fd, "outside/kept", 0755) < 0 || mkdirat(root_fd, "d", 0700) < 0;
}

static bool is_there(const char *path)
{
	struct stat st;

	return fstatat(root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_true(is_there("outside/kept"));
	assert_int_equal(remove_tree_at(root_fd, "outside"), 0);
	close(root_fd);
	return rmdir(root);
}

static void make_file(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);

	assert_true(fd >= 0);
	close(fd);
}

static void test_kinds(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	make_file(root_fd, "d/file");
	make_file(root_fd, "d/removed-0");
	assert_int_equal(mkfifoat(root_fd, "d/fifo", 0), 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/d/socket", root);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	assert_int_equal(symlinkat("../outside", root_fd, "d/link"), 0);
	assert_int_equal(symlinkat("nowhere", root_fd, "d/dangling"), 0);
	assert_int_equal(mkdirat(root_fd, "d/removed-1", 0700), 0);
	assert_int_equal(mkdirat(root_fd, "d/x", 0700), 0);
	assert_int_equal(mkdirat(root_fd, "d/x/y", 0700), 0);
	make_file(root_fd, "d/x/y/z");
	assert_int_equal(symlinkat("../../../outside", root_fd, "d/x/y/link"), 0);
	assert_int_equal(fchmodat(root_fd, "d/x/y", geteuid() == 0 ? 0 : 0700, 0), 0);
	assert_int_equal(remove_tree_at(root_fd, "d"), 0);
	assert_false(is_there("d"));
}

static void test_deep(void **state)
{
	int fd = openat(root_fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	for (int i = 0; i < DEPTH; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "deeper", 0700), 0);
		next = openat(fd, "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		if (i % 100 == 0) {
			assert_int_equal(mkdirat(next, "beside", 0700), 0);
			assert_int_equal(symlinkat("/", next, "link"), 0);
		}
		close(fd);
		fd = next;
	}
	close(fd);
	assert_int_equal(remove_tree_at(root_fd, "d"), 0);
	assert_false(is_there("d"));
}

static void test_no_directory(void **state)
{
	(void)state;
	assert_int_equal(remove_tree_at(root_fd, "nothing"), 0);
	make_file(root_fd, "file");
	assert_int_equal(remove_tree_at(root_fd, "file"), -ENOTDIR);
	assert_int_equal(symlinkat("outside", root_fd, "link"), 0);
	assert_int_equal(remove_tree_at(root_fd, "link"), -ENOTDIR);
	assert_int_equal(unlinkat(root_fd, "file", 0), 0);
	assert_int_equal(unlinkat(root_fd, "link", 0), 0);
	assert_int_equal(remove_tree_at(root_fd, "d"), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_kinds),
		TEST(test_deep),
		TEST(test_no_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
