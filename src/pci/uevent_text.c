/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pci/uevent_text.h"

#include <string.h>

/* A number in hex of @len digits or fewer, all of @text up to @end. */
static bool parse_hex(const char *text, const char *end, unsigned int max_digits,
		      uint32_t *ret_value)
{
	uint32_t value = 0;

	if (text == end || (size_t)(end - text) > max_digits)
		return false;
	for (; text < end; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= '0' && c <= '9')
			value = value << 4 | (uint32_t)(c - '0');
		else if (c >= 'A' && c <= 'F')
			value = value << 4 | (uint32_t)(c - 'A' + 10);
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (uint32_t)(c - 'a' + 10);
		else
			return false;
	}
	*ret_value = value;
	return true;
}

/* "8086:10D3" */
static bool parse_pair(const char *text, const char *end, uint16_t *ret_vendor,
		       uint16_t *ret_device)
{
	const char *colon = memchr(text, ':', (size_t)(end - text));
	uint32_t vendor, device;

	if (!colon || !parse_hex(text, colon, 4, &vendor) || !parse_hex(colon + 1, end, 4, &device))
		return false;
	*ret_vendor = (uint16_t)vendor;
	*ret_device = (uint16_t)device;
	return true;
}

/* The value when the line is KEY=VALUE, else NULL. */
static const char *value_of(const char *line, const char *end, const char *key)
{
	size_t len = strlen(key);

	if ((size_t)(end - line) <= len || memcmp(line, key, len) != 0 || line[len] != '=')
		return NULL;
	return line + len + 1;
}

bool uevent_parse(const char *text, size_t len, struct uevent *ret_uevent)
{
	const char *line = text, *end = text + len;
	struct uevent uevent = {0};
	bool has_class = false, has_id = false;

	while (line < end) {
		const char *eol = memchr(line, '\n', (size_t)(end - line));
		const char *value;

		if (!eol)
			eol = end;
		if ((value = value_of(line, eol, "DRIVER"))) {
			uevent.driver = value;
			uevent.driver_len = (size_t)(eol - value);
		} else if ((value = value_of(line, eol, "PCI_CLASS"))) {
			has_class = parse_hex(value, eol, 6, &uevent.class_code);
		} else if ((value = value_of(line, eol, "PCI_ID"))) {
			has_id = parse_pair(value, eol, &uevent.vendor_id, &uevent.device_id);
		} else if ((value = value_of(line, eol, "PCI_SUBSYS_ID"))) {
			(void)parse_pair(value, eol, &uevent.subsystem_vendor_id,
					 &uevent.subsystem_device_id);
		}
		line = eol + 1;
	}
	*ret_uevent = uevent;
	return has_class && has_id;
}
