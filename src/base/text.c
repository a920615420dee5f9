/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int text_parse_number(const char *text, unsigned int base, uint64_t max, uint64_t *ret_value)
{
	unsigned long long value;
	char *end;

	if (base == 16 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		text += 2;
	/* strtoull() would take spaces, signs and a second "0x" */
	if (!(base == 16 ? isxdigit((unsigned char)text[0]) : isdigit((unsigned char)text[0])))
		return -EINVAL;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, (int)base);
	if (*end)
		return -EINVAL;
	if (errno || value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int text_vformat(char *buffer, size_t size, const char *format, va_list args)
{
	int len = vsnprintf(buffer, size, format, args);

	if (len < 0)
		return -EINVAL;
	if ((size_t)len >= size) {
		if (size)
			buffer[text_whole(buffer, size - 1)] = '\0';
		return -ENAMETOOLONG;
	}
	return len;
}

int text_format(char *buffer, size_t size, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = text_vformat(buffer, size, format, args);
	va_end(args);
	return len;
}

bool text_copy(char *buffer, size_t size, const char *text)
{
	size_t len = strlen(text);
	bool fits = len < size;

	if (!fits)
		len = text_whole(text, size - 1);
	memcpy(buffer, text, len);
	buffer[len] = '\0';
	return fits;
}

/* ---- UTF-8 ---- */

/* Bytes of the character that begins with this one; 0: none does. */
static size_t length_from(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF. */
static bool may_follow(const unsigned char *start, size_t index)
{
	unsigned char first = start[0], byte = start[index];

	if (index == 1 && (first == 0xe0 || first == 0xf0))
		return byte >= (first == 0xe0 ? 0xa0 : 0x90) && byte <= 0xbf;
	if (index == 1 && (first == 0xed || first == 0xf4))
		return byte >= 0x80 && byte <= (first == 0xed ? 0x9f : 0x8f);
	return byte >= 0x80 && byte <= 0xbf;
}

size_t text_character(const char *text, size_t size, uint32_t *ret_code)
{
	const unsigned char *start = (const unsigned char *)text;
	size_t wanted = length_from(start[0]), len = 1;
	uint32_t code = wanted > 1 ? start[0] & (0x7fu >> wanted) : start[0];

	while (len < wanted && len < size && may_follow(start, len))
		code = code << 6 | (start[len++] & 0x3f);
	*ret_code = len == wanted ? code : TEXT_INVALID;
	return len;
}

size_t text_whole(const char *text, size_t len)
{
	size_t back;
	uint32_t code;

	for (back = 1; back < 4 && back <= len; back++) {
		unsigned char byte = (unsigned char)text[len - back];

		if (byte >= 0x80 && byte < 0xc0)
			continue;
		if (length_from(byte) > back &&
		    text_character(text + len - back, back, &code) == back)
			return len - back;
		break;
	}
	return len;
}

enum controls { NO_CONTROLS, ONLY_LINES, ALL_CONTROLS };

/* Unicode 15, section 23.3: what follows is shown in another order than it is written in. */
static bool is_direction(uint32_t code)
{
	return (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

/* What stands for a character; 0: itself. */
static char stand_in(uint32_t code, enum controls controls)
{
	bool is_space = code == '\n' || code == '\t';

	if (code == TEXT_INVALID)
		return '?';
	if (controls == ALL_CONTROLS || (code >= ' ' && code < 0x7f) ||
	    (code >= 0xa0 && !is_direction(code)))
		return 0;
	if (is_space)
		return controls == ONLY_LINES ? 0 : ' ';
	return '?';
}

static void clean(char *text, enum controls controls)
{
	char *to = text;

	while (*text) {
		uint32_t code;
		size_t len = text_character(text, SIZE_MAX, &code);
		char other = stand_in(code, controls);

		if (other)
			*to = other;
		else
			memmove(to, text, len);
		to += other ? 1 : len;
		text += len;
	}
	*to = '\0';
}

void text_clean(char *text)
{
	clean(text, NO_CONTROLS);
}

bool text_is_clean(const char *text)
{
	while (*text) {
		uint32_t code;

		text += text_character(text, SIZE_MAX, &code);
		if (stand_in(code, NO_CONTROLS))
			return false;
	}
	return true;
}

void text_clean_lines(char *text)
{
	clean(text, ONLY_LINES);
}

void text_make_utf8(char *text)
{
	clean(text, ALL_CONTROLS);
}

bool text_is_utf8(const char *text)
{
	uint32_t code = 0;

	while (*text && code != TEXT_INVALID)
		text += text_character(text, SIZE_MAX, &code);
	return code != TEXT_INVALID;
}

bool text_equal(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return !strcmp(a, b);
}
