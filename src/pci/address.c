/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <passthru/address.h>

#include <stdio.h>
#include <string.h>

#include "base/error.h"

#include "base/text.h"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * One field of @min to @max hex digits followed by @stop (a NUL for the last
 * one). Moves *@cursor behind the stop character.
 */
static bool parse_field(const char **cursor, unsigned int min, unsigned int max, char stop,
			uint32_t *ret_value)
{
	const char *p = *cursor;
	uint32_t value = 0;
	unsigned int digits = 0;

	while (hex_value(*p) >= 0 && digits < max) {
		value = value << 4 | (uint32_t)hex_value(*p);
		digits++;
		p++;
	}
	if (digits < min || *p != stop)
		return false;
	*cursor = stop ? p + 1 : p;
	*ret_value = value;
	return true;
}

static bool parse_fields(const char *text, bool has_domain, const char stops[4],
			 struct pt_address *ret_address)
{
	uint32_t domain = 0, bus, device, function;

	/* the kernel writes domains with at least four digits, VMD's with five or more */
	if (has_domain && !parse_field(&text, 4, 8, stops[0], &domain))
		return false;
	if (!parse_field(&text, 2, 2, stops[1], &bus) ||
	    !parse_field(&text, 2, 2, stops[2], &device) ||
	    !parse_field(&text, 1, 1, stops[3], &function))
		return false;
	if (device > 0x1f || function > 7)
		return false;
	*ret_address = (struct pt_address){.domain = domain,
					   .bus = (uint8_t)bus,
					   .device = (uint8_t)device,
					   .function = (uint8_t)function};
	return true;
}

int pt_address_parse(const char *text, struct pt_address *ret_address, struct pt_error *err)
{
	if (!strncmp(text, "pci_", 4)) {
		if (parse_fields(text + 4, true, "___", ret_address))
			return 0;
	} else if (parse_fields(text, false, "::.", ret_address) ||
		   parse_fields(text, true, "::.", ret_address)) {
		return 0;
	}
	return pt_fail(err, PT_INVALID, EINVAL,
		       "\"%.64s\" is not a PCI address: write it as 0000:65:00.0, 65:00.0 or "
		       "pci_0000_65_00_0 (hex; slot 00-1f, function 0-7)",
		       text);
}

char *pt_address_format(const struct pt_address *address, char text[PT_ADDRESS_TEXT])
{
	(void)text_format(text, PT_ADDRESS_TEXT, "%04x:%02x:%02x.%x", address->domain, address->bus,
			  address->device, address->function);
	return text;
}

int pt_address_compare(const struct pt_address *a, const struct pt_address *b)
{
	if (a->domain != b->domain)
		return a->domain < b->domain ? -1 : 1;
	if (a->bus != b->bus)
		return a->bus < b->bus ? -1 : 1;
	if (a->device != b->device)
		return a->device < b->device ? -1 : 1;
	if (a->function != b->function)
		return a->function < b->function ? -1 : 1;
	return 0;
}
