/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parsers of holders: whatever stands in mountinfo and the other files of
 * /proc, they end, stay in their text and hand out terminated strings from it.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pci/holders/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads every byte, as a sanitizer must see. */
static size_t touch(const char *text)
{
	return text ? strlen(text) : 0;
}

static size_t read_files(char *copy, const char *text, size_t size, unsigned int which)
{
	char *cursor = memcpy(copy, text, size + 1);
	struct mount_line mount;
	struct route_line route;
	struct route6_line route6;
	struct address6_line address6;
	struct packet_line packet;
	struct protocol_line protocol;
	struct pppoe_line pppoe;
	struct can_line can;
	struct region_line region;
	struct console_line console;
	uint32_t address;
	const char *name;
	size_t sum = 0;

	if (which == 0)
		while (mount_next(&cursor, &mount))
			sum += touch(mount.point) + touch(mount.type) + touch(mount.source) +
			       touch(mount.options);
	if (which == 1)
		while (swap_next(&cursor, &name))
			sum += touch(name);
	if (which == 2)
		while (route_next(&cursor, &route))
			sum += touch(route.interface);
	if (which == 3)
		while (route6_next(&cursor, &route6))
			sum += touch(route6.interface);
	if (which == 4)
		while (address6_next(&cursor, &address6))
			sum += touch(address6.interface);
	if (which == 5)
		while (trie_next(&cursor, &address))
			sum += address;
	if (which == 6)
		while (packet_next(&cursor, &packet))
			sum += packet.inode;
	if (which == 7)
		while (protocol_next(&cursor, &protocol))
			sum += touch(protocol.name);
	if (which == 8)
		while (iomem_next(&cursor, &region))
			sum += touch(region.name);
	if (which == 9)
		while (resource_next(&cursor, &region))
			sum += region.start;
	if (which == 10)
		while (console_next(&cursor, &console))
			sum += touch(console.name);
	if (which == 11)
		while (pppoe_next(&cursor, &pppoe))
			sum += touch(pppoe.peer) + touch(pppoe.interface);
	if (which == 12)
		while (can_next(&cursor, &can))
			sum += touch(can.interface) + touch(can.receiver);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *copy = malloc(size + 1), value[64];
	volatile size_t sum = 0;
	unsigned int which;

	if (text && copy) {
		memcpy(text, data, size);
		text[size] = '\0';
		for (which = 0; which <= 12; which++)
			sum += read_files(copy, text, size, which);
		sum += text_find_value(text, "DEVNAME", value, sizeof(value));
	}
	(void)sum;
	free(text);
	free(copy);
	return 0;
}
