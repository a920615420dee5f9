/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of the fake kernel. Failures that a kernel can't have end the program. */
#ifndef FAKE_TREE_H
#define FAKE_TREE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "fake.h"

struct fake {
	char root[PATH_MAX / 4];
	struct kept *kept; /* of a temporary tree */
	struct pt_host *host;
};

/* Longest path in a tree. */
#define TREE_PATH (PATH_MAX / 2)

_Noreturn void tree_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ROOT/format… */
char *tree_path(const struct fake *fake, char path[TREE_PATH], const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* All below take absolute paths. */
bool tree_exists(const char *path);	  /* a dangling link exists */
bool tree_is_directory(const char *path); /* itself, not through a link */
bool tree_is_empty(const char *directory);
void tree_make_directories(const char *path);
void tree_remove(const char *path); /* with all below; fine when it is not there */

/* Replace whole, so that readers in other processes see old or new. */
void tree_write_file(const struct fake *fake, const char *path, const void *data, size_t size,
		     unsigned int mode);
void tree_write_text(const struct fake *fake, const char *path, unsigned int mode,
		     const char *format, ...) __attribute__((format(printf, 4, 5)));
void tree_append(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Text without its last newline; false when there is no such file. Cuts what doesn't fit. */
bool tree_read(const char *path, char *text, size_t size);
long tree_read_bytes(const char *path, void *data, size_t size);  /* -1 when not there */
bool tree_read_link(const char *path, char *target, size_t size); /* last component */

/* Relative link from @path to @target, as sysfs has them. Both absolute, in the tree. */
void tree_link(const struct fake *fake, const char *path, const char *target);

/* Sorted names in a directory, without . and ..; freed in one with tree_free_names(). */
struct tree_names {
	char **names;
	size_t count;
};
struct tree_names tree_list(const char *directory);
void tree_free_names(struct tree_names *names);

/* Lock fake/locks/NAME until the descriptor is closed. Blocks. */
int tree_lock(const struct fake *fake, const char *name);

#endif
