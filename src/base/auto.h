/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory and descriptors that are released at the end of their scope. A scope must never undo
 * changes of the machine: steps undo drivers, guests and files (src/assign/step.h).
 */
#ifndef BASE_AUTO_H
#define BASE_AUTO_H

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AUTO(fn) __attribute__((cleanup(fn)))

/* Defines auto_NAME for use as AUTO(auto_NAME), calling FN on a non-NULL pointer. */
#define AUTO_DEFINE(name, type, fn)                                                                \
	static inline void auto_##name(type *p)                                                    \
	{                                                                                          \
		if (*p)                                                                            \
			fn(*p);                                                                    \
	}

static inline void auto_free_pointer(void *p)
{
	free(*(void **)p);
}

static inline void auto_close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void auto_close_file(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

static inline void auto_close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

#define AUTO_FREE  AUTO(auto_free_pointer)
#define AUTO_CLOSE AUTO(auto_close_fd)
#define AUTO_FILE  AUTO(auto_close_file)
#define AUTO_DIR   AUTO(auto_close_dir)

/* The value of a pointer or descriptor that is given away, so that its scope leaves it alone. */
#define TAKE_POINTER(p)                                                                            \
	({                                                                                         \
		typeof(p) taken_ = (p);                                                            \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int taken_ = (fd);                                                                 \
		(fd) = -1;                                                                         \
		taken_;                                                                            \
	})

/* The structure that @pointer, its @member, is part of. */
#define CONTAINER_OF(pointer, type, member)                                                        \
	((type *)(void *)((char *)(pointer) - offsetof(type, member)))

#endif
