/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parsers of /proc: each line as the kernel writes it, and what isn't one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pci/holders/text.h"

/* The parsers cut their text up, so each gets its own. */
#define TEXT(...)                                                                                  \
	char text[] = __VA_ARGS__;                                                                 \
	char *cursor = text

static void mounts(void **state)
{
	struct mount_line line;
	TEXT("garbage\n"
	     "1 2 8:1 / /short rw - ext4\n"
	     "1 2 8 / /nocolon rw - ext4 /dev/a rw\n"
	     "1 2 8:x / /minor rw - ext4 /dev/a rw\n"
	     "1 2 8:1 / /nodash rw shared:1 ext4 /dev/a rw\n"
	     "36 35 259:17 /a /mount\\040point\\134\\012 rw shared:1 master:2 - ext4 "
	     "/dev/\\043a rw,x=-\n"
	     "37 35 0:50 / /empty rw - tmpfs  rw\n"
	     "38 35 0:51 / /dash\\9 rw - - none rw");

	(void)state;
	assert_true(mount_next(&cursor, &line));
	assert_int_equal(line.major, 259);
	assert_int_equal(line.minor, 17);
	assert_string_equal(line.point, "/mount point\\\n");
	assert_string_equal(line.type, "ext4");
	assert_string_equal(line.source, "/dev/#a");
	assert_string_equal(line.options, "rw,x=-");
	assert_true(mount_next(&cursor, &line));
	assert_string_equal(line.point, "/empty");
	assert_string_equal(line.source, "");
	assert_true(mount_next(&cursor, &line));
	assert_string_equal(line.point, "/dash\\9");
	assert_string_equal(line.type, "-");
	assert_false(mount_next(&cursor, &line));
	assert_false(mount_next(&cursor, &line));
}

static void octal(void **state)
{
	static const char *const cases[][2] = {
		{"", ""},	    {"\\", "\\"},	{"\\04", "\\04"},
		{"\\040", " "},	    {"\\000", "\\000"}, {"\\377", "\377"},
		{"\\400", "\\400"}, {"\\1011", "A1"},	{"a\\134040", "a\\040"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "%s", cases[i][0]);
		text_decode_octal(text);
		assert_string_equal(text, cases[i][1]);
	}
}

static void swaps(void **state)
{
	const char *name;
	TEXT("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
	     "/dev/dm-1                               partition\t1\t0\t-2\n"
	     "/a\\040b                                file\t\t1\t0\t-3\n");

	(void)state;
	assert_true(swap_next(&cursor, &name));
	assert_string_equal(name, "/dev/dm-1");
	assert_true(swap_next(&cursor, &name));
	assert_string_equal(name, "/a b");
	assert_false(swap_next(&cursor, &name));
}

static void routes(void **state)
{
	struct route_line line;
	TEXT("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n"
	     "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0      \n"
	     "*\t00000A0A\t00000000\t0200\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
	     "down\t00000A0A\t00000000\t0000\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
	     "reject\t00000A0A\t00000000\t0201\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
	     "short\t00000A0A\t00000000\t0001\n"
	     "eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0");

	(void)state;
	assert_true(route_next(&cursor, &line));
	assert_string_equal(line.interface, "eth0");
	assert_int_equal(line.destination, 0);
	assert_int_equal(line.mask, 0);
	assert_true(line.has_gateway);
	assert_true(route_next(&cursor, &line));
	assert_string_equal(line.interface, "eth1");
	assert_int_equal(line.destination, 0x000200C0);
	assert_int_equal(line.mask, 0x00FFFFFF);
	assert_false(line.has_gateway);
	assert_false(route_next(&cursor, &line));
}

#define ZEROS "00000000000000000000000000000000"
#define REST  " " ZEROS " 00 " ZEROS " 00000400 00000001 00000000 "

static void routes6(void **state)
{
	struct route6_line line;
	TEXT(ZEROS " 00" REST "00000003     eth0\n"
		   "fe800000000000000000000000000000 40" REST "00000001     eth0\n"
		   "ff000000000000000000000000000000 08" REST "00000001     eth0\n"
		   "fd000000000000000000000000000002 80" REST "80200001     eth0\n"
		   "fd000000000000000000000000000000 80" REST "00300001     eth0\n" ZEROS " 00" REST
		   "00200200       lo\n"
		   "fd00000000000000000000000000000 40" REST "00000001     eth0\n"
		   "fd000000000000000000000000000000 40" REST "00000001     eth1\n"
		   "fd000000000000000000000000000000 40" REST "00000001");

	(void)state;
	assert_true(route6_next(&cursor, &line));
	assert_string_equal(line.interface, "eth0");
	assert_int_equal(line.prefix, 0);
	assert_true(route6_next(&cursor, &line));
	assert_string_equal(line.interface, "eth1");
	assert_int_equal(line.prefix, 0x40);
	assert_int_equal(line.destination[0], 0xfd);
	assert_false(route6_next(&cursor, &line));
}

static void addresses6(void **state)
{
	struct address6_line line;
	TEXT("00000000000000000000000000000001 01 80 10 80       lo\n"
	     "fe8000000000000000000000000000aa 03 40 20 80     eth0\n"
	     "febf00000000000000000000000000aa 03 40 20 80     eth0\n"
	     "0xfd0000000000000000000000000000 03 40 00 80     eth0\n"
	     "fd000000000000000000000000000002 03 40 00 80");

	(void)state;
	assert_true(address6_next(&cursor, &line));
	assert_string_equal(line.interface, "lo");
	assert_int_equal(line.address[15], 1);
	assert_int_equal(line.prefix, 128);
	assert_false(address6_next(&cursor, &line));
}

static void trie(void **state)
{
	static const uint8_t expected[4] = {192, 0, 2, 2};
	uint32_t address;
	TEXT("Main:\n"
	     "  +-- 0.0.0.0/0 3 0 5\n"
	     "     |-- 0.0.0.0\n"
	     "        /0 universe UNICAST\n"
	     "           |-- 127.0.0.0\n"
	     "              /8 host LOCAL\n"
	     "           |-- 192.0.2.2\n"
	     "              /32 link BROADCAST\n"
	     "              /32 host LOCAL\n"
	     "           |-- 192.0.2\n"
	     "              /32 host LOCAL\n"
	     "           |-- 192.0.2.256\n"
	     "              /32 host LOCAL\n"
	     "           |-- 192.0.2.2.2\n"
	     "              /32 host LOCAL");

	(void)state;
	assert_true(trie_next(&cursor, &address));
	assert_memory_equal(&address, expected, 4);
	assert_false(trie_next(&cursor, &address));
}

static void packets(void **state)
{
	struct packet_line line;
	TEXT("sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"
	     "00000000e6a34cde 3      3    0003   12    1 0      101    17184\n"
	     "00000000e6a34cde 3      3    0003   12    1 0      101\n");

	(void)state;
	assert_true(packet_next(&cursor, &line));
	assert_int_equal(line.ifindex, 12);
	assert_int_equal(line.uid, 101);
	assert_int_equal(line.inode, 17184);
	assert_false(packet_next(&cursor, &line));
}

static void protocols(void **state)
{
	struct protocol_line line;
	TEXT("protocol  size sockets  memory press maxhdr  slab module\n"
	     "PACKET    1600      2      -1   NI       0   no   kernel\n");

	(void)state;
	assert_true(protocol_next(&cursor, &line));
	assert_string_equal(line.name, "PACKET");
	assert_int_equal(line.sockets, 2);
	assert_false(protocol_next(&cursor, &line));
}

static void regions(void **state)
{
	struct region_line line;
	TEXT("00000000-00000fff : Reserved\n"
	     "nonsense : x\n"
	     "fd000000 : x\n"
	     "  e000000000-e0002fffff : BOOTFB");
	char resource[] =
		"0x00000000fd000000 0x00000000fdffffff 0x0000000000042208\nx\n0x0 0x0 0x0";
	char *bar = resource;

	(void)state;
	assert_true(iomem_next(&cursor, &line));
	assert_true(iomem_next(&cursor, &line));
	assert_true(line.start == 0xe000000000 && line.end == 0xe0002fffff);
	assert_string_equal(line.name, "BOOTFB");
	assert_false(iomem_next(&cursor, &line));
	assert_true(resource_next(&bar, &line));
	assert_true(line.start == 0xfd000000 && line.end == 0xfdffffff);
	assert_true(resource_next(&bar, &line));
	assert_true(!line.start && !line.end);
	assert_false(resource_next(&bar, &line));
}

static void consoles(void **state)
{
	struct console_line line;
	TEXT("netcon0              -W- (E     a)\n"
	     "ttyS0                -W- (EC  p a)    4:64\n"
	     "broken               -W- EC 4:64");

	(void)state;
	assert_true(console_next(&cursor, &line));
	assert_string_equal(line.name, "ttyS0");
	assert_int_equal(line.major, 4);
	assert_int_equal(line.minor, 64);
	assert_false(console_next(&cursor, &line));
}

static void values(void **state)
{
	static const char text[] = "MAJOR=259\nDEVNAME=nvme0n1\nEMPTY=\nX\nDEVNAME=second";
	char value[8] = "old";

	(void)state;
	assert_true(text_find_value(text, "DEVNAME", value, sizeof(value)));
	assert_string_equal(value, "nvme0n1");
	assert_true(text_find_value(text, "MAJOR", value, sizeof(value)));
	assert_string_equal(value, "259");
	assert_true(text_find_value(text, "EMPTY", value, sizeof(value)));
	assert_string_equal(value, "");
	assert_false(text_find_value(text, "DEV", value, sizeof(value)));
	assert_false(text_find_value(text, "X", value, sizeof(value)));
	assert_false(text_find_value(text, "DEVNAME", value, 7));
	assert_false(text_find_value("", "X", value, sizeof(value)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mounts),  cmocka_unit_test(octal),    cmocka_unit_test(swaps),
		cmocka_unit_test(routes),  cmocka_unit_test(routes6),  cmocka_unit_test(addresses6),
		cmocka_unit_test(trie),	   cmocka_unit_test(packets),  cmocka_unit_test(protocols),
		cmocka_unit_test(regions), cmocka_unit_test(consoles), cmocka_unit_test(values),
	};

	return cmocka_run_group_tests_name("holders: text of /proc", tests, NULL, NULL);
}
