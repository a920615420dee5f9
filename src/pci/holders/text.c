/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pci/holders/text.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/text.h"

/* The next line, terminated; NULL at the end. */
static char *take_line(char **cursor)
{
	char *line = *cursor, *end;

	if (!*line)
		return NULL;
	end = strchr(line, '\n');
	if (end) {
		*end = '\0';
		*cursor = end + 1;
	} else {
		*cursor = line + strlen(line);
	}
	return line;
}

/* The next word of a line, blanks around it gone; "" at its end. */
static char *take_word(char **line)
{
	char *word = *line + strspn(*line, " \t");
	char *end = word + strcspn(word, " \t");

	if (*end)
		*end++ = '\0';
	*line = end;
	return word;
}

/* The next field where one space divides and a field can be empty; NULL behind the last. */
static char *take_field(char **line)
{
	char *field = *line, *end;

	if (!field)
		return NULL;
	end = strchr(field, ' ');
	if (end)
		*end++ = '\0';
	*line = end;
	return field;
}

static bool skip_fields(char **line, unsigned int count)
{
	while (count && take_field(line))
		count--;
	return count == 0;
}

static bool parse_uint(const char *text, unsigned int base, uint64_t max, unsigned int *ret_value)
{
	uint64_t value;

	if (text_parse_number(text, base, max, &value) < 0)
		return false;
	*ret_value = (unsigned int)value;
	return true;
}

/* "259:1", at the start of @text; what follows the number is none of it. */
static bool text_parse_device(char *text, unsigned int *ret_major, unsigned int *ret_minor)
{
	char *colon = strchr(text, ':');

	if (!colon)
		return false;
	*colon = '\0';
	return parse_uint(text, 10, 0xfff, ret_major) &&
	       parse_uint(colon + 1, 10, 0xfffff, ret_minor);
}

static bool parse_bytes(const char *text, uint8_t bytes[16])
{
	size_t i;

	if (strlen(text) != 32)
		return false;
	for (i = 0; i < 16; i++) {
		char pair[3] = {text[2 * i], text[2 * i + 1], '\0'};
		unsigned int value;

		if (!parse_uint(pair, 16, 0xff, &value))
			return false;
		bytes[i] = (uint8_t)value;
	}
	return true;
}

static bool is_octal(const char *text)
{
	return text[0] >= '0' && text[0] <= '3' && text[1] >= '0' && text[1] <= '7' &&
	       text[2] >= '0' && text[2] <= '7';
}

void text_decode_octal(char *text)
{
	char *to = text;

	while (*text) {
		if (*text == '\\' && is_octal(text + 1)) {
			int c = (text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0');

			if (c) {
				*to++ = (char)c;
				text += 4;
				continue;
			}
		}
		*to++ = *text++;
	}
	*to = '\0';
}

/* 36 35 259:1 /root /mount/point rw,noatime master:1 - ext4 /dev/nvme0n1p1 rw,errors=continue */
static bool parse_mount(char *line, struct mount_line *ret_mount)
{
	struct mount_line mount;
	char *device, *point, *type, *source, *options, *field;

	if (!skip_fields(&line, 2))
		return false;
	device = take_field(&line);
	if (!skip_fields(&line, 1))
		return false;
	point = take_field(&line);
	if (!device || !point || !skip_fields(&line, 1))
		return false;
	do {
		field = take_field(&line);
		if (!field)
			return false;
	} while (strcmp(field, "-") != 0);
	type = take_field(&line);
	source = take_field(&line);
	options = take_field(&line);
	if (!source || !text_parse_device(device, &mount.major, &mount.minor))
		return false;
	text_decode_octal(point);
	text_decode_octal(source);
	mount.point = point;
	mount.type = type;
	mount.source = source;
	mount.options = options ? options : "";
	*ret_mount = mount;
	return true;
}

bool mount_next(char **cursor, struct mount_line *ret_mount)
{
	char *line;

	while ((line = take_line(cursor)))
		if (parse_mount(line, ret_mount))
			return true;
	return false;
}

bool swap_next(char **cursor, const char **ret_name)
{
	char *line;

	while ((line = take_line(cursor))) {
		char *name = take_word(&line);

		if (name[0] != '/')
			continue;
		text_decode_octal(name);
		*ret_name = name;
		return true;
	}
	return false;
}

#define ROUTE_UP     0x0001
#define ROUTE_REJECT 0x0200

/* Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT */
static bool parse_route(char *line, struct route_line *ret_route)
{
	struct route_line route = {.interface = take_word(&line)};
	unsigned int gateway, flags, i;

	if (!parse_uint(take_word(&line), 16, UINT32_MAX, &route.destination) ||
	    !parse_uint(take_word(&line), 16, UINT32_MAX, &gateway) ||
	    !parse_uint(take_word(&line), 16, UINT32_MAX, &flags))
		return false;
	for (i = 0; i < 3; i++)
		(void)take_word(&line);
	if (!parse_uint(take_word(&line), 16, UINT32_MAX, &route.mask))
		return false;
	if (!(flags & ROUTE_UP) || flags & ROUTE_REJECT)
		return false;
	route.has_gateway = gateway != 0;
	*ret_route = route;
	return true;
}

bool route_next(char **cursor, struct route_line *ret_route)
{
	char *line;

	while ((line = take_line(cursor)))
		if (parse_route(line, ret_route))
			return true;
	return false;
}

/* from <linux/ipv6_route.h>: anycast, and the machine's own addresses */
#define ROUTE6_ANYCAST 0x00100000
#define ROUTE6_LOCAL   0x80000000

static bool is_link_local6(const uint8_t address[16])
{
	return address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}

/* destination length source length nexthop metric refcnt use flags interface */
static bool parse_route6(char *line, struct route6_line *ret_route)
{
	struct route6_line route;
	unsigned int flags, i;

	if (!parse_bytes(take_word(&line), route.destination) ||
	    !parse_uint(take_word(&line), 16, 128, &route.prefix))
		return false;
	for (i = 0; i < 6; i++)
		(void)take_word(&line);
	if (!parse_uint(take_word(&line), 16, UINT32_MAX, &flags))
		return false;
	route.interface = take_word(&line);
	if (!*route.interface || !(flags & ROUTE_UP) ||
	    flags & (ROUTE_REJECT | ROUTE6_LOCAL | ROUTE6_ANYCAST))
		return false;
	if (is_link_local6(route.destination) || route.destination[0] == 0xff)
		return false;
	*ret_route = route;
	return true;
}

bool route6_next(char **cursor, struct route6_line *ret_route)
{
	char *line;

	while ((line = take_line(cursor)))
		if (parse_route6(line, ret_route))
			return true;
	return false;
}

/* address ifindex prefix scope flags interface */
static bool parse_address6(char *line, struct address6_line *ret_address)
{
	struct address6_line address;

	if (!parse_bytes(take_word(&line), address.address))
		return false;
	(void)take_word(&line);
	if (!parse_uint(take_word(&line), 16, 128, &address.prefix))
		return false;
	(void)take_word(&line);
	(void)take_word(&line);
	address.interface = take_word(&line);
	if (!*address.interface || is_link_local6(address.address))
		return false;
	*ret_address = address;
	return true;
}

bool address6_next(char **cursor, struct address6_line *ret_address)
{
	char *line;

	while ((line = take_line(cursor)))
		if (parse_address6(line, ret_address))
			return true;
	return false;
}

/* A dotted quad into memory order. */
static bool parse_quad(char *text, uint32_t *ret_address)
{
	uint8_t bytes[4];
	size_t i;

	for (i = 0; i < 4; i++) {
		char *dot = strchr(text, '.');
		unsigned int value;

		if (!dot != (i == 3))
			return false;
		if (dot)
			*dot = '\0';
		if (!parse_uint(text, 10, 255, &value))
			return false;
		bytes[i] = (uint8_t)value;
		text = dot ? dot + 1 : text;
	}
	memcpy(ret_address, bytes, sizeof(bytes));
	return true;
}

/* "     |-- 10.0.2.15" with "        /32 host LOCAL" in the line below; each address stands twice
 */
bool trie_next(char **cursor, uint32_t *ret_address)
{
	uint32_t address = 0;
	bool has_address = false;
	char *line;

	while ((line = take_line(cursor))) {
		char *word = take_word(&line);

		if (!strcmp(word, "|--")) {
			has_address = parse_quad(take_word(&line), &address);
			continue;
		}
		if (!has_address || strcmp(word, "/32") != 0)
			continue;
		if (!strcmp(take_word(&line), "host") && !strcmp(take_word(&line), "LOCAL")) {
			*ret_address = address;
			return true;
		}
	}
	return false;
}

/* sk RefCnt Type Proto Iface R Rmem User Inode */
static bool parse_packet(char *line, struct packet_line *ret_packet)
{
	struct packet_line packet;
	unsigned int ifindex, uid, i;

	for (i = 0; i < 4; i++)
		(void)take_word(&line);
	if (!parse_uint(take_word(&line), 10, INT32_MAX, &ifindex))
		return false;
	(void)take_word(&line);
	(void)take_word(&line);
	if (!parse_uint(take_word(&line), 10, UINT32_MAX, &uid) ||
	    text_parse_number(take_word(&line), 10, UINT64_MAX, &packet.inode) < 0)
		return false;
	packet.ifindex = (int)ifindex;
	packet.uid = uid;
	*ret_packet = packet;
	return true;
}

bool packet_next(char **cursor, struct packet_line *ret_packet)
{
	char *line;

	while ((line = take_line(cursor)))
		if (parse_packet(line, ret_packet))
			return true;
	return false;
}

/* "00000100 52:54:00:12:34:56     eth0": the session's number is printed in network order */
static bool parse_pppoe(char *line, struct pppoe_line *ret_session)
{
	struct pppoe_line session;
	unsigned int number;

	if (!parse_uint(take_word(&line), 16, UINT32_MAX, &number))
		return false;
	session.session = ntohs((uint16_t)number);
	session.peer = take_word(&line);
	session.interface = take_word(&line);
	if (!*session.interface)
		return false;
	*ret_session = session;
	return true;
}

bool pppoe_next(char **cursor, struct pppoe_line *ret_session)
{
	char *line;

	while ((line = take_line(cursor)))
		if (parse_pppoe(line, ret_session))
			return true;
	return false;
}

/* "   can0     123    000007ff  0000000000000000  0000000000000000         0  raw" */
static bool parse_can(char *line, struct can_line *ret_receiver)
{
	struct can_line receiver = {.interface = take_word(&line)};
	unsigned int number, i;

	for (i = 0; i < 2; i++)
		if (!parse_uint(take_word(&line), 16, UINT32_MAX, &number))
			return false;
	for (i = 0; i < 3; i++)
		(void)take_word(&line);
	receiver.receiver = take_word(&line);
	if (!*receiver.receiver)
		return false;
	*ret_receiver = receiver;
	return true;
}

bool can_next(char **cursor, struct can_line *ret_receiver)
{
	char *line;

	while ((line = take_line(cursor)))
		if (parse_can(line, ret_receiver))
			return true;
	return false;
}

bool protocol_next(char **cursor, struct protocol_line *ret_protocol)
{
	char *line;

	while ((line = take_line(cursor))) {
		ret_protocol->name = take_word(&line);
		(void)take_word(&line);
		if (text_parse_number(take_word(&line), 10, UINT64_MAX, &ret_protocol->sockets) ==
		    0)
			return true;
	}
	return false;
}

/* "  fd000000-fd2fffff : BOOTFB" */
static bool parse_iomem(char *line, struct region_line *ret_region)
{
	char *colon = strstr(line, " : "), *range, *dash;

	if (!colon)
		return false;
	*colon = '\0';
	range = take_word(&line);
	dash = strchr(range, '-');
	if (!dash)
		return false;
	*dash = '\0';
	ret_region->name = colon + 3;
	return text_parse_number(range, 16, UINT64_MAX, &ret_region->start) == 0 &&
	       text_parse_number(dash + 1, 16, UINT64_MAX, &ret_region->end) == 0;
}

bool iomem_next(char **cursor, struct region_line *ret_region)
{
	char *line;

	while ((line = take_line(cursor)))
		if (parse_iomem(line, ret_region))
			return true;
	return false;
}

/* "0x00000000fd000000 0x00000000fdffffff 0x0000000000042208" */
bool resource_next(char **cursor, struct region_line *ret_region)
{
	char *line;

	while ((line = take_line(cursor))) {
		ret_region->name = "";
		if (text_parse_number(take_word(&line), 16, UINT64_MAX, &ret_region->start) == 0 &&
		    text_parse_number(take_word(&line), 16, UINT64_MAX, &ret_region->end) == 0)
			return true;
	}
	return false;
}

/* "ttyS0                -W- (EC p a)    4:64" */
static bool parse_console(char *line, struct console_line *ret_console)
{
	char *end;

	ret_console->name = take_word(&line);
	end = strchr(line, ')');
	if (!end)
		return false;
	line = end + 1;
	return text_parse_device(take_word(&line), &ret_console->major, &ret_console->minor);
}

bool console_next(char **cursor, struct console_line *ret_console)
{
	char *line;

	while ((line = take_line(cursor)))
		if (parse_console(line, ret_console))
			return true;
	return false;
}

bool text_find_value(const char *text, const char *key, char *value, size_t size)
{
	size_t length = strlen(key);

	while (*text) {
		size_t line = strcspn(text, "\n");

		if (line > length && !strncmp(text, key, length) && text[length] == '=') {
			size_t count = line - length - 1;

			if (count >= size)
				return false;
			memcpy(value, text + length + 1, count);
			value[count] = '\0';
			return true;
		}
		text += line;
		text += *text == '\n';
	}
	return false;
}
