/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pci/vpd.h"

#include <errno.h>

/* Resource data types: the first byte of each item, small ones without their length bits. */
#define LARGE		0x80
#define LARGE_NAME	0x82
#define LARGE_READ_ONLY 0x90
#define LARGE_WRITABLE	0x91
#define SMALL_END	0x78

static bool is_keyword_byte(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Remove padding; false if the rest is not readable text. */
static bool trim_text(const uint8_t *text, size_t *len)
{
	size_t i;

	while (*len && (text[*len - 1] == '\0' || text[*len - 1] == ' '))
		(*len)--;
	for (i = 0; i < *len; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			return false;
	return true;
}

/* RV: the bytes from the start of the VPD up to and with its first byte add up to 0. */
static bool checksum_holds(const uint8_t *bytes, size_t upto)
{
	uint8_t sum = 0;
	size_t i;

	for (i = 0; i <= upto; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return sum == 0;
}

/* The fields of one VPD-R or VPD-W item at bytes[start … end). */
static int parse_fields(const uint8_t *bytes, size_t start, size_t end, bool is_writable,
			struct vpd *vpd)
{
	size_t at = start;

	while (at < end) {
		const uint8_t *field = bytes + at;
		size_t len;

		if (end - at < 3 || !is_keyword_byte(field[0]) || !is_keyword_byte(field[1]))
			return -EBADMSG;
		len = field[2];
		if (len > end - at - 3)
			return -EBADMSG;
		at += 3 + len;
		if (field[0] == 'R' && field[1] == 'V') {
			if (!len || !checksum_holds(bytes, (size_t)(field + 3 - bytes)))
				return -EBADMSG;
			return 0; /* the rest of the item is reserved */
		}
		if (is_writable && field[0] == 'R' && field[1] == 'W')
			return 0;
		if (!trim_text(field + 3, &len) || !len || vpd->field_count == VPD_FIELDS_MAX)
			continue;
		vpd->fields[vpd->field_count++] = (struct vpd_field){
			.keyword = {(char)field[0], (char)field[1], '\0'},
			.is_writable = is_writable,
			.value = field + 3,
			.len = len,
		};
	}
	/* without a checksum there is no read-only item (PCIe 6.28.2.2) */
	return is_writable ? 0 : -EBADMSG;
}

static int parse_item(const uint8_t *bytes, size_t start, size_t len, struct vpd *vpd)
{
	uint8_t tag = bytes[start - 3];

	switch (tag) {
	case LARGE_NAME:
		if (!vpd->name && trim_text(bytes + start, &len) && len) {
			vpd->name = bytes + start;
			vpd->name_len = len;
		}
		return 0;
	case LARGE_READ_ONLY:
		return parse_fields(bytes, start, start + len, false, vpd);
	case LARGE_WRITABLE:
		return parse_fields(bytes, start, start + len, true, vpd);
	default:
		return 0;
	}
}

int vpd_parse(const uint8_t *bytes, size_t size, struct vpd *ret_vpd)
{
	struct vpd vpd = {0};
	size_t at = 0;

	while (at < size) {
		uint8_t tag = bytes[at];
		size_t len;
		int r;

		if (!(tag & LARGE)) {
			if ((tag & ~7U) == SMALL_END) {
				*ret_vpd = vpd;
				return 0;
			}
			len = tag & 7U;
			if (!tag || len > size - at - 1) /* a tag of 0 is no item: erased memory */
				return -EBADMSG;
			at += 1 + len;
			continue;
		}
		if (size - at < 3)
			return -EBADMSG;
		len = (size_t)bytes[at + 1] | (size_t)bytes[at + 2] << 8;
		if (len > size - at - 3)
			return -EBADMSG;
		r = parse_item(bytes, at + 3, len, &vpd);
		if (r < 0)
			return r;
		at += 3 + len;
	}
	return -EBADMSG; /* no end tag */
}
