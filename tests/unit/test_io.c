/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"

static char directory[64];
static int root;

/* The linker puts it in the place of the C library's (meson.build), which it can't make fail. */
static bool has_memory = true;
DIR *__real_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd);

DIR *__wrap_fdopendir(int fd)
{
	if (has_memory)
		return __real_fdopendir(fd);
	errno = ENOMEM;
	return NULL;
}

static int open_directory(void **state)
{
	(void)state;
	(void)snprintf(directory, sizeof(directory), "/tmp/passthru-io-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root < 0 ? -1 : 0;
}

static void remove_all(int fd)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (entry->d_type == DT_DIR)
			remove_all(openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY));
		(void)unlinkat(dirfd(dir), entry->d_name,
			       entry->d_type == DT_DIR ? AT_REMOVEDIR : 0);
	}
	if (dir)
		closedir(dir);
}

static int close_directory(void **state)
{
	(void)state;
	remove_all(root);
	return rmdir(directory);
}

static size_t count_entries(void)
{
	AUTO_DIR DIR *dir = opendir(directory);
	struct dirent *entry;
	size_t count = 0;

	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	return count;
}

static void put(const char *name, const char *text)
{
	assert_int_equal(io_replace_at(root, name, text, strlen(text), 0600), 0);
}

static void reading_text(void **state)
{
	char buffer[8] = "old";

	(void)state;
	put("a", "value\n");
	assert_int_equal(io_read_text_at(root, "a", buffer, sizeof(buffer)), 5);
	assert_string_equal(buffer, "value");
	put("a", "two\n\n");
	assert_int_equal(io_read_text_at(root, "a", buffer, sizeof(buffer)), 4);
	assert_string_equal(buffer, "two\n");
	put("a", "");
	assert_int_equal(io_read_text_at(root, "a", buffer, sizeof(buffer)), 0);
	assert_string_equal(buffer, "");
	put("a", "1234567");
	assert_int_equal(io_read_text_at(root, "a", buffer, sizeof(buffer)), 7);
	put("a", "12345678");
	assert_int_equal(io_read_text_at(root, "a", buffer, sizeof(buffer)), -EFBIG);
	assert_int_equal(io_read_text_at(root, "none", buffer, sizeof(buffer)), -ENOENT);
}

static void reading_all(void **state)
{
	AUTO_FREE char *data = NULL;
	AUTO_FREE char *text = malloc(10001);
	size_t size = 0;

	(void)state;
	memset(text, 'y', 10000);
	text[10000] = '\0';
	put("b", text);
	assert_int_equal(io_read_all_at(root, "b", 9999, &data, &size), -EFBIG);
	assert_null(data);
	assert_int_equal(size, 0);
	assert_int_equal(io_read_all_at(root, "b", 10000, &data, &size), 0);
	assert_int_equal(size, 10000);
	assert_string_equal(data, text);
}

static void replacing_is_whole(void **state)
{
	mode_t mask;
	char buffer[16];
	struct stat status;

	(void)state;
	put("c", "first, longer");
	put("c", "second");
	assert_int_equal(io_read_text_at(root, "c", buffer, sizeof(buffer)), 6);
	assert_int_equal(fstatat(root, "c", &status, 0), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	/* the umask has no say */
	mask = umask(077);
	assert_int_equal(io_replace_at(root, "a", "x", 1, 0644), 0);
	(void)umask(mask);
	assert_int_equal(fstatat(root, "a", &status, 0), 0);
	assert_int_equal(status.st_mode & 0777, 0644);
	/* where it can't be put in place nothing may be left beside it */
	assert_int_equal(mkdirat(root, "d", 0700), 0);
	assert_int_equal(mkdirat(root, "d/full", 0700), 0);
	assert_int_not_equal(io_replace_at(root, "d", "x", 1, 0600), 0);
	assert_int_equal(io_replace_at(root, "none/e", "x", 1, 0600), -ENOENT);
	assert_int_equal(count_entries(), 4); /* a b c d */
}

static void writing_needs_the_file(void **state)
{
	char buffer[16];

	(void)state;
	assert_int_equal(io_write_at(root, "none", "x", 1), -ENOENT);
	put("f", "old");
	assert_int_equal(io_write_at(root, "f", "new", 3), 0);
	assert_int_equal(io_read_at(root, "f", buffer, sizeof(buffer)), 3);
	assert_memory_equal(buffer, "new", 3);
	assert_int_equal(io_write_at(AT_FDCWD, "/dev/full", "x", 1), -ENOSPC);
}

static void making_directories(void **state)
{
	struct stat status;

	(void)state;
	assert_int_equal(io_make_directories_at(root, "p/q/r", 0700), 0);
	assert_int_equal(io_make_directories_at(root, "p/q/r", 0700), 0);
	assert_int_equal(fstatat(root, "p/q/r", &status, 0), 0);
	assert_true(S_ISDIR(status.st_mode));
	put("g", "a file");
	assert_int_equal(io_make_directories_at(root, "g/h", 0700), -ENOTDIR);
}

static void opening_directories(void **state)
{
	DIR *dir = NULL;

	(void)state;
	assert_int_equal(io_make_directories_at(root, "s", 0700), 0);
	assert_int_equal(symlinkat("s", root, "t"), 0);
	assert_int_equal(io_open_directory_at(root, "t", &dir), 0);
	closedir(dir);
	assert_int_equal(io_open_own_directory_at(root, "t", &dir), -ENOTDIR);
	assert_int_equal(io_open_own_directory_at(root, "s", &dir), 0);
	closedir(dir);
	assert_int_equal(io_open_directory_at(root, "none", &dir), -ENOENT);
}

/* No memory for the stream: the descriptor isn't left. */
static void no_memory_for_a_stream(void **state)
{
	DIR *dir = NULL;
	int lowest = open("/", O_PATH | O_CLOEXEC), after;

	(void)state;
	close(lowest);
	has_memory = false;
	assert_int_equal(io_open_directory_at(root, ".", &dir), -ENOMEM);
	has_memory = true;
	assert_null(dir);
	after = open("/", O_PATH | O_CLOEXEC);
	close(after);
	assert_int_equal(after, lowest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reading_text),		  cmocka_unit_test(reading_all),
		cmocka_unit_test(replacing_is_whole),	  cmocka_unit_test(writing_needs_the_file),
		cmocka_unit_test(making_directories),	  cmocka_unit_test(opening_directories),
		cmocka_unit_test(no_memory_for_a_stream),
	};

	return cmocka_run_group_tests(tests, open_directory, close_directory);
}
