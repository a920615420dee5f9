/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files of /proc, line by line. Each *_next() takes the next line that parses
 * from *cursor, cutting the text up in place, and returns false at its end. Lines that
 * don't parse (headers, formats of the future) are passed over. Formats: proc(5) and
 * the kernel's Documentation/filesystems/proc.rst.
 */
#ifndef PCI_HOLDERS_TEXT_H
#define PCI_HOLDERS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Replace \ooo by the byte it stands for, in place. "\000" is left alone. */
void text_decode_octal(char *text);

struct mount_line {
	unsigned int major;
	unsigned int minor;
	const char *point;
	const char *type;
	const char *source;
	const char *options; /* of the filesystem, not of this mount */
};
bool mount_next(char **cursor, struct mount_line *ret_mount);

/* /proc/swaps: the file or device. */
bool swap_next(char **cursor, const char **ret_name);

/* /proc/net/route; addresses as they stand in memory (network order). */
struct route_line {
	const char *interface;
	uint32_t destination;
	uint32_t mask;
	bool has_gateway;
};
bool route_next(char **cursor, struct route_line *ret_route);

/* /proc/net/ipv6_route, without the routes the kernel makes by itself. */
struct route6_line {
	const char *interface;
	uint8_t destination[16];
	unsigned int prefix;
};
bool route6_next(char **cursor, struct route6_line *ret_route);

/* /proc/net/if_inet6, without link-local addresses. */
struct address6_line {
	const char *interface;
	uint8_t address[16];
	unsigned int prefix;
};
bool address6_next(char **cursor, struct address6_line *ret_address);

/* /proc/net/fib_trie: this machine's own IPv4 addresses, as they stand in memory. */
bool trie_next(char **cursor, uint32_t *ret_address);

/* /proc/net/packet */
struct packet_line {
	int ifindex;
	uint32_t uid;
	uint64_t inode;
};
bool packet_next(char **cursor, struct packet_line *ret_packet);

/* /proc/net/pppoe: the sessions on an interface */
struct pppoe_line {
	unsigned int session;
	const char *peer;
	const char *interface;
};
bool pppoe_next(char **cursor, struct pppoe_line *ret_session);

/* /proc/net/can/rcvlist_*: who receives from an interface; "any" for all */
struct can_line {
	const char *interface;
	const char *receiver; /* "raw", "bcm", "gw" … */
};
bool can_next(char **cursor, struct can_line *ret_receiver);

/* /proc/net/protocols: how many sockets of a protocol there are. */
struct protocol_line {
	const char *name;
	uint64_t sockets;
};
bool protocol_next(char **cursor, struct protocol_line *ret_protocol);

/* /proc/iomem, and "resource" of a PCI function */
struct region_line {
	uint64_t start;
	uint64_t end;
	const char *name;
};
bool iomem_next(char **cursor, struct region_line *ret_region);
bool resource_next(char **cursor, struct region_line *ret_region);

/* /proc/consoles, those that are devices */
struct console_line {
	const char *name;
	unsigned int major;
	unsigned int minor;
};
bool console_next(char **cursor, struct console_line *ret_console);

/* KEY=value in the text of a uevent file or of udev's database ("E:KEY"); false without it. */
bool text_find_value(const char *text, const char *key, char *value, size_t size);

#endif
