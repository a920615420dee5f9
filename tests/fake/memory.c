/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A helper process is forked, without a word to the C library, from programs with many threads: one
 * of them may hold malloc()'s lock at that moment, and in the helper nobody ever gives it back. So
 * nothing of the fake kernel's may take memory there. Sanitizers tell who does.
 */
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>

#include "kernel.h"

int __sanitizer_install_malloc_and_free_hooks(void (*taken)(const volatile void *, size_t),
					      void (*freed)(const volatile void *))
	__attribute__((weak));

static atomic_bool is_forbidden;

static void die_if_forbidden(const volatile void *memory, size_t size)
{
	(void)memory;
	if (atomic_exchange(&is_forbidden, false))
		tree_die("%zu bytes taken in a helper process", size);
}

static void ignore(const volatile void *memory)
{
	(void)memory;
}

void memory_watch(void)
{
	static atomic_flag is_watched = ATOMIC_FLAG_INIT;

	if (__sanitizer_install_malloc_and_free_hooks && !atomic_flag_test_and_set(&is_watched))
		(void)__sanitizer_install_malloc_and_free_hooks(die_if_forbidden, ignore);
}

void memory_forbid_in_helper(void)
{
	char name[16] = "";

	if (prctl(PR_GET_NAME, name) == 0 && !strcmp(name, "passthru-helper"))
		atomic_store(&is_forbidden, true);
}
