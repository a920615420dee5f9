/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/xml.h"

/*
 * Bytes of the UTF-8 character at @text, 0 when it isn't one that XML allows: names come
 * from devices, so they may be any bytes, and one bad byte would spoil the document.
 */
static int character_length(const unsigned char *text)
{
	int len, i;
	unsigned long value;

	if (text[0] < 0x80)
		return text[0] >= 0x20 || text[0] == '\t' || text[0] == '\n' ? 1 : 0;
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	len = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	value = text[0] & (0x7fu >> len);
	for (i = 1; i < len; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (text[i] & 0x3f);
	}
	if ((len == 3 && value < 0x800) || (len == 4 && value < 0x10000) || value > 0x10ffff ||
	    (value >= 0xd800 && value < 0xe000) || value == 0xfffe || value == 0xffff)
		return 0;
	return len;
}

void xml_text(FILE *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at) {
		int len = character_length(at);

		if (len == 0)
			(void)fputc('?', out);
		else if (*at == '&')
			(void)fputs("&amp;", out);
		else if (*at == '<')
			(void)fputs("&lt;", out);
		else if (*at == '>')
			(void)fputs("&gt;", out);
		else if (*at == '\'')
			(void)fputs("&apos;", out);
		else if (*at == '"')
			(void)fputs("&quot;", out);
		else
			(void)fwrite(at, 1, (size_t)len, out);
		at += len ? len : 1;
	}
}

void xml_element(FILE *out, int indent, const char *name, const char *text)
{
	(void)fprintf(out, "%*s<%s>", indent, "", name);
	xml_text(out, text);
	(void)fprintf(out, "</%s>\n", name);
}
