/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/units.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "domain/definition/xml_node.h"

static const struct {
	const char *name;
	uint64_t bytes;
} units[] = {
	{"b", 1},	   {"bytes", 1},	{"KB", 1000},
	{"k", 1ull << 10}, {"KiB", 1ull << 10}, {"MB", 1000000},
	{"M", 1ull << 20}, {"MiB", 1ull << 20}, {"GB", 1000000000},
	{"G", 1ull << 30}, {"GiB", 1ull << 30}, {"TB", 1000000000000},
	{"T", 1ull << 40}, {"TiB", 1ull << 40},
};

int size_parse(const char *text, const char *unit, uint64_t *ret_bytes, struct pt_error *err)
{
	uint64_t number, factor = 0, bytes;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (text_equal(unit ? unit : "KiB", units[i].name))
			factor = units[i].bytes;
	if (!factor || text_parse_number(text ? text : "", 10, UINT64_MAX, &number) < 0)
		return pt_fail(err, PT_INVALID, EINVAL, "'%.100s %.20s' is not a size",
			       text ? text : "", unit ? unit : "KiB");
	if (__builtin_mul_overflow(number, factor, &bytes) || bytes > INT64_MAX)
		return pt_fail(err, PT_INVALID, EINVAL,
			       "'%.100s %.20s' is larger than the memory of any machine", text,
			       unit ? unit : "KiB");
	*ret_bytes = bytes;
	return 0;
}

int size_of_node(const xmlNode *node, uint64_t *ret_bytes, struct pt_error *err)
{
	if (!node)
		return -ENOENT;
	return size_parse(node_text(node), node_attribute(node, "unit"), ret_bytes, err);
}

void uuid_parse(const char *text, unsigned char ret_bytes[16])
{
	static const char digits[] = "0123456789abcdef";
	int count = 0;

	memset(ret_bytes, 0, 16);
	for (; *text && count < 32; text++) {
		const char *digit = strchr(digits, *text | 0x20);

		if (*text == '-' || !digit || !*digit)
			continue;
		ret_bytes[count / 2] =
			(unsigned char)(ret_bytes[count / 2] << 4 | (digit - digits));
		count++;
	}
}

char *uuid_format(const unsigned char bytes[16], char text[37])
{
	char *at = text;

	for (int i = 0; i < 16; i++)
		at += sprintf(at, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			      bytes[i]);
	return text;
}
