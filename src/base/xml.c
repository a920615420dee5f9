/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/xml.h"

#include "base/text.h"

/* XML 1.0, section 2.2; names come from devices, and one bad byte would spoil the document. */
static bool is_allowed(uint32_t code)
{
	return code != TEXT_INVALID && code != 0xfffe && code != 0xffff &&
	       (code >= ' ' || code == '\t' || code == '\n');
}

void xml_text(FILE *out, const char *text)
{
	while (*text) {
		uint32_t code;
		size_t len = text_character(text, SIZE_MAX, &code);

		if (!is_allowed(code))
			(void)fputc('?', out);
		else if (*text == '&')
			(void)fputs("&amp;", out);
		else if (*text == '<')
			(void)fputs("&lt;", out);
		else if (*text == '>')
			(void)fputs("&gt;", out);
		else if (*text == '\'')
			(void)fputs("&apos;", out);
		else if (*text == '"')
			(void)fputs("&quot;", out);
		else
			(void)fwrite(text, 1, len, out);
		text += len;
	}
}

void xml_element(FILE *out, int indent, const char *name, const char *text)
{
	(void)fprintf(out, "%*s<%s>", indent, "", name);
	xml_text(out, text);
	(void)fprintf(out, "</%s>\n", name);
}
