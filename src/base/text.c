/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
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

int text_format(char *buffer, size_t size, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(buffer, size, format, args);
	va_end(args);
	if (len < 0)
		return -EINVAL;
	if ((size_t)len >= size)
		return -ENAMETOOLONG;
	return len;
}

bool text_copy(char *buffer, size_t size, const char *text)
{
	size_t len = strlen(text);
	bool fits = len < size;

	if (!fits)
		len = size - 1;
	memcpy(buffer, text, len);
	buffer[len] = '\0';
	return fits;
}

bool text_equal(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return !strcmp(a, b);
}
