/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Read all of @text as an unsigned number in @base (10 or 16; with 16 a leading
 * "0x" is taken). Signs, spaces and anything behind the digits are refused, and
 * so is a value above @max. Returns 0 or -EINVAL/-ERANGE; @ret_value is untouched on failure.
 */
int text_parse_number(const char *text, unsigned int base, uint64_t max, uint64_t *ret_value);

/* snprintf() that fails with -ENAMETOOLONG instead of cutting. Returns the length. */
int text_format(char *buffer, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Copy, always terminated; false when it had to cut. */
bool text_copy(char *buffer, size_t size, const char *text);

bool text_equal(const char *a, const char *b); /* NULL equals only NULL */

#endif
