/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"

void tree_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)fputs("fake kernel: ", stderr);
	(void)vfprintf(stderr, format, args);
	(void)fputc('\n', stderr);
	va_end(args);
	_exit(70);
}

char *tree_path(const struct fake *fake, char path[TREE_PATH], const char *format, ...)
{
	size_t len = strlen(fake->root);
	va_list args;
	int n;

	memcpy(path, fake->root, len);
	path[len++] = '/';
	va_start(args, format);
	n = vsnprintf(path + len, TREE_PATH - len, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= TREE_PATH - len)
		tree_die("path too long: %s", path);
	return path;
}

bool tree_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

bool tree_is_directory(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool tree_is_empty(const char *directory)
{
	struct tree_names names = tree_list(directory);
	bool is_empty = names.count == 0;

	tree_free_names(&names);
	return is_empty;
}

void tree_make_directories(const char *path)
{
	int r;

	/* mostly only the last one is missing, or none */
	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return;
	r = io_make_directories_at(AT_FDCWD, path, 0755);
	if (r < 0)
		tree_die("mkdir %s: %s", path, strerror(-r));
}

void tree_remove(const char *path)
{
	struct tree_names names = {NULL, 0};
	char below[TREE_PATH];
	size_t i;

	if (tree_is_directory(path))
		names = tree_list(path);
	for (i = 0; i < names.count; i++) {
		if (text_format(below, sizeof(below), "%s/%s", path, names.names[i]) < 0)
			tree_die("remove %s: path too long", path);
		tree_remove(below);
	}
	tree_free_names(&names);
	/* as far as it goes: what was removed meanwhile is gone as well */
	(void)remove(path);
}

static void write_new(const char *path, const void *data, size_t size, unsigned int mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	if (fd < 0 || (size && write(fd, data, size) != (ssize_t)size))
		tree_die("%s: %s", path, strerror(errno));
	close(fd);
}

void tree_write_file(const struct fake *fake, const char *path, const void *data, size_t size,
		     unsigned int mode)
{
	char temporary[TREE_PATH];

	/* nobody reads what isn't there yet */
	if (access(path, F_OK) < 0) {
		write_new(path, data, size, mode);
		return;
	}
	/* beside the machine, not in it, where a reader would list it */
	tree_path(fake, temporary, "fake/tmp/%ld", (long)getpid());
	write_new(temporary, data, size, mode);
	if (rename(temporary, path) < 0)
		tree_die("%s: %s", path, strerror(errno));
}

void tree_write_text(const struct fake *fake, const char *path, unsigned int mode,
		     const char *format, ...)
{
	char text[8192];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(text))
		tree_die("%s: text too long", path);
	tree_write_file(fake, path, text, (size_t)n, mode);
}

void tree_append(const char *path, const char *format, ...)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	char text[4096];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(text))
		tree_die("%s: text too long", path);
	if (fd < 0 || write(fd, text, (size_t)n) != n)
		tree_die("%s: %s", path, strerror(errno));
	close(fd);
}

long tree_read_bytes(const char *path, void *data, size_t size)
{
	ssize_t n = io_read_at(AT_FDCWD, path, data, size);

	return n < 0 ? -1 : (long)n;
}

bool tree_read(const char *path, char *text, size_t size)
{
	long n = tree_read_bytes(path, text, size - 1);

	if (n < 0)
		return false;
	if (n > 0 && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
	return true;
}

bool tree_read_link(const char *path, char *target, size_t size)
{
	char whole[TREE_PATH];
	ssize_t n = readlink(path, whole, sizeof(whole) - 1);
	const char *base;

	if (n < 0)
		return false;
	whole[n] = '\0';
	base = strrchr(whole, '/');
	base = base ? base + 1 : whole;
	if (strlen(base) >= size)
		tree_die("%s: link too long", path);
	memcpy(target, base, strlen(base) + 1);
	return true;
}

void tree_link(const struct fake *fake, const char *path, const char *target)
{
	const char *from = path + strlen(fake->root) + 1, *to = target + strlen(fake->root) + 1;
	char relative[TREE_PATH] = "";
	const char *p;
	size_t i, common = 0;

	/* as short as sysfs has it: up only as far as the two differ */
	for (i = 0; from[i] && from[i] == to[i]; i++)
		if (from[i] == '/')
			common = i + 1;
	for (p = from + common; *p; p++)
		if (*p == '/')
			(void)strncat(relative, "../", sizeof(relative) - strlen(relative) - 1);
	(void)strncat(relative, to + common, sizeof(relative) - strlen(relative) - 1);
	(void)unlink(path);
	if (symlink(relative, path) < 0)
		tree_die("link %s: %s", path, strerror(errno));
}

/*
 * What is read and listed here is so in helper processes too, which are forked from programs with
 * many threads: malloc()'s lock may be held there for ever, so the memory comes from the kernel.
 */
#define NAMES_MAX  4096
#define NAMES_SIZE (NAMES_MAX * (sizeof(char *) + 32))

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* By halves, in place: qsort() takes memory. */
static void sort_names(char **names, size_t count)
{
	size_t step, i, j;

	for (step = count / 2; step > 0; step /= 2)
		for (i = step; i < count; i++)
			for (j = i; j >= step && compare_names(&names[j - step], &names[j]) > 0;
			     j -= step) {
				char *name = names[j];

				names[j] = names[j - step];
				names[j - step] = name;
			}
}

/* As getdents64(2) says. */
struct directory_entry {
	uint64_t inode;
	int64_t offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

static void add_name(struct tree_names *names, char **text, const char *name)
{
	size_t size = strlen(name) + 1;

	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return;
	if (names->count == NAMES_MAX || size > (size_t)((char *)names->names + NAMES_SIZE - *text))
		tree_die("a directory has too many names");
	names->names[names->count++] = memcpy(*text, name, size);
	*text += size;
}

struct tree_names tree_list(const char *directory)
{
	struct tree_names names = {NULL, 0};
	char entries[4096] __attribute__((aligned(8))), *text;
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t size, at;

	if (fd < 0)
		return names;
	names.names =
		mmap(NULL, NAMES_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (names.names == MAP_FAILED)
		tree_die("out of memory");
	text = (char *)(names.names + NAMES_MAX);
	while ((size = getdents64(fd, entries, sizeof(entries))) > 0)
		for (at = 0; at < size;) {
			const struct directory_entry *entry = (const void *)(entries + at);

			add_name(&names, &text, entry->name);
			at += entry->length;
		}
	close(fd);
	sort_names(names.names, names.count);
	return names;
}

void tree_free_names(struct tree_names *names)
{
	if (names->names)
		(void)munmap(names->names, NAMES_SIZE);
	*names = (struct tree_names){NULL, 0};
}

int tree_lock(const struct fake *fake, const char *name)
{
	char path[TREE_PATH];
	int fd;

	tree_path(fake, path, "fake/locks/%s", name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	/* the tree may just be going away below a process that hung in it */
	if (fd < 0)
		tree_die("%s: %s", path, strerror(errno));
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			tree_die("%s: %s", path, strerror(errno));
	return fd;
}
