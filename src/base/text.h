/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Read all of @text as an unsigned number in @base (10 or 16; with 16 a leading
 * "0x" is taken). Signs, spaces and anything behind the digits are refused, and
 * so is a value above @max. Returns 0 or -EINVAL/-ERANGE; @ret_value is untouched on failure.
 */
int text_parse_number(const char *text, unsigned int base, uint64_t max, uint64_t *ret_value);

/*
 * snprintf() that fails with -ENAMETOOLONG when @buffer is too small; it then holds what fits,
 * cut between two characters. Returns the length.
 */
int text_format(char *buffer, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int text_vformat(char *buffer, size_t size, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

/* Copy, always terminated; false when it had to cut, which it does between two characters. */
bool text_copy(char *buffer, size_t size, const char *text);

/* What stands after the last '/' of a path. */
static inline const char *text_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---- UTF-8 ---- */

/* No character's code: the bytes are no UTF-8. */
#define TEXT_INVALID UINT32_MAX

/*
 * The character at @text, of which @size bytes can be read (SIZE_MAX: up to its NUL). Returns its
 * length. For bytes that are no character, *ret_code is TEXT_INVALID, and the length, at least 1,
 * is that of the longest beginning of a character among them (Unicode 15, section 3.9, U+FFFD
 * Substitution of Maximal Subparts).
 */
size_t text_character(const char *text, size_t size, uint32_t *ret_code);

/* How many of @len bytes are left when a character that was cut at their end is dropped. */
size_t text_whole(const char *text, size_t len);

/*
 * Text from outside (a user, a device, a process, a file) before it reaches a log, a terminal,
 * JSON or a message: in place, each control character (C0, DEL, C1, those that turn the direction
 * of writing) and each sequence of bytes that is no UTF-8 becomes '?', and a newline or a tab a
 * space. '?' rather than U+FFFD, so that text never grows and an ASCII terminal shows it.
 */
void text_clean(char *text);

/* Would text_clean() leave it as it is? */
bool text_is_clean(const char *text);

/* The same for text of several lines: newlines and tabs stay. */
void text_clean_lines(char *text);

/* The same for text that must otherwise stay as it is: control characters stay. */
void text_make_utf8(char *text);

bool text_is_utf8(const char *text);

bool text_equal(const char *a, const char *b); /* NULL equals only NULL */

#endif
