/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many small pieces of memory that are forgotten together. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_block;

/* Zero it to begin with. */
struct arena {
	struct arena_block *block;
};

/* Zeroed and aligned for any type; NULL when out of memory. */
void *arena_alloc(struct arena *arena, size_t size);

/* The first @len bytes of @text and a NUL; NULL when out of memory. */
char *arena_copy(struct arena *arena, const char *text, size_t len);

/* Forget all of it; the arena can be used again. */
void arena_free(struct arena *arena);

#endif
