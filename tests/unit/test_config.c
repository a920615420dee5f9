/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Configuration space and VPD as bytes: what they tell, and what they must not do to us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pci/config.h"
#include "pci/vpd.h"

/* ---- a configuration space made by hand ---- */

static uint8_t space[CONFIG_SIZE];
static struct config config;

static void put16(size_t at, uint16_t value)
{
	space[at] = (uint8_t)value;
	space[at + 1] = (uint8_t)(value >> 8);
}

static void put32(size_t at, uint32_t value)
{
	put16(at, (uint16_t)value);
	put16(at + 2, (uint16_t)(value >> 16));
}

/* An endpoint with an empty list that begins at @first. */
static void begin(uint8_t first)
{
	memset(space, 0, sizeof(space));
	put32(0x00, 0x10d38086);
	put16(0x06, 0x0010);
	space[0x34] = first;
}

static void standard(uint8_t at, uint8_t id, uint8_t next)
{
	space[at] = id;
	space[at + 1] = next;
}

static void extended(uint16_t at, uint16_t id, uint16_t version, uint16_t next)
{
	put32(at, (uint32_t)(id | (uint32_t)version << 16 | (uint32_t)next << 20));
}

/* Parse exactly @size bytes, so that the sanitizer sees a read past them. */
static int parse(size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);
	int r;

	assert_non_null(exact);
	memcpy(exact, space, size);
	memset(&config, 0xa5, sizeof(config));
	r = config_parse(exact, size, &config);
	free(exact);
	return r;
}

static const struct pt_capability *find(const char *name)
{
	size_t i;

	for (i = 0; i < config.capability_count; i++)
		if (!strcmp(config.capabilities[i].name, name))
			return &config.capabilities[i];
	return NULL;
}

/* ---- what it tells ---- */

static void make_everything(void)
{
	begin(0x40);
	space[0x08] = 0x05;
	space[0x0e] = 0x80;
	standard(0x40, 0x01, 0x50); /* PM, with No_Soft_Reset */
	put16(0x44, 0x0008);
	standard(0x50, 0x05, 0x70); /* MSI, 8 vectors */
	put16(0x52, 0x0006);
	standard(0x70, 0x10, 0xa0); /* PCIe endpoint with FLR, 8 GT/s x4 of 16 GT/s x8 */
	put16(0x72, 0x0002);
	put32(0x74, 1U << 28);
	put32(0x7c, 0x07000084);
	put16(0x82, 0x0043);
	standard(0xa0, 0x11, 0xb0); /* MSI-X, 2048 vectors */
	put16(0xa2, 0x07ff);
	standard(0xb0, 0x13, 0xc0); /* AF with TP and FLR */
	space[0xb2] = 6;
	space[0xb3] = 3;
	standard(0xc0, 0x03, 0xd0); /* VPD */
	standard(0xd0, 0x7e, 0);
	extended(0x100, 0x0003, 1, 0x150);
	put32(0x104, 0x89abcdef);
	put32(0x108, 0x01234567);
	extended(0x150, 0x000d, 2, 0xff0);
	put16(0x154, 0x005f);
	put16(0x156, 0x001d);
	extended(0xff0, 0x7777, 3, 0);
}

static void test_capabilities(void **state)
{
	(void)state;
	make_everything();
	assert_int_equal(parse(CONFIG_SIZE), 0);
	assert_int_equal(config.capability_count, 10);
	assert_int_equal(config.revision, 5);
	assert_int_equal(config.header_type, 0);
	assert_true(config.is_multifunction);
	assert_false(config.has_pm_reset);
	assert_int_equal(config.msi_vectors, 8);
	assert_int_equal(config.msix_vectors, 2048);
	assert_true(config.is_pcie);
	assert_string_equal(config.port_type, "endpoint");
	assert_true(config.has_flr);
	assert_true(config.has_link);
	assert_int_equal(config.port_number, 7);
	assert_int_equal(config.link_now.speed_mtps, 8000);
	assert_int_equal(config.link_now.width, 4);
	assert_int_equal(config.link_max.speed_mtps, 16000);
	assert_int_equal(config.link_max.width, 8);
	assert_true(config.has_af_flr);
	assert_true(config.has_vpd);
	assert_true(config.has_serial);
	assert_true(config.serial == UINT64_C(0x0123456789abcdef));
	assert_int_equal(config.acs_capable, 0x5f);
	assert_int_equal(config.acs_enabled, 0x1d);
	assert_int_equal(find("acs")->version, 2);
	assert_int_equal(find("acs")->offset, 0x150);
	assert_true(find("acs")->is_extended);
	assert_int_equal(find("msi-x")->offset, 0xa0);
	assert_int_equal(config.capabilities[6].id, 0x7e);
	assert_string_equal(config.capabilities[6].name, "unknown");
	assert_int_equal(config.capabilities[9].id, 0x7777);
	assert_string_equal(config.capabilities[9].name, "unknown");
}

static void test_pm_reset(void **state)
{
	(void)state;
	begin(0x40);
	standard(0x40, 0x01, 0);
	assert_int_equal(parse(256), 0);
	assert_true(config.has_pm_reset);
	assert_false(config.is_pcie);
	assert_null(config.port_type);
}

static void test_flr_is_of_endpoints(void **state)
{
	static const struct {
		uint16_t type;
		const char *name;
		bool has_flr, has_link;
	} rows[] = {
		{0, "endpoint", true, true},
		{1, "legacy endpoint", true, true},
		{4, "root port", false, true},
		{5, "upstream port", false, true},
		{6, "downstream port", false, true},
		{7, "PCIe-to-PCI bridge", false, true},
		{9, "integrated endpoint", true, false},
		{10, "root event collector", false, false},
		{15, "unknown", false, true},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(0x40);
		standard(0x40, 0x10, 0);
		put16(0x42, (uint16_t)(rows[i].type << 4 | 2));
		put32(0x44, 1U << 28);
		put32(0x4c, 0x11);
		assert_int_equal(parse(256), 0);
		assert_string_equal(config.port_type, rows[i].name);
		assert_int_equal(config.has_flr, rows[i].has_flr);
		assert_int_equal(config.has_link, rows[i].has_link);
		assert_int_equal(config.link_max.width, rows[i].has_link ? 1 : 0);
	}
}

static void test_link_down(void **state)
{
	(void)state;
	begin(0x40);
	standard(0x40, 0x10, 0);
	put16(0x42, 0x0042);
	put32(0x4c, 1U << 20 | 0x204); /* can report that its link is active, 16 GT/s x32 */
	put16(0x52, 0x0204);	       /* old speed and width, but not active */
	assert_int_equal(parse(256), 0);
	assert_int_equal(config.link_now.width, 0);
	assert_int_equal(config.link_now.speed_mtps, 0);
	assert_int_equal(config.link_max.width, 32);
	put16(0x52, 0x2204);
	assert_int_equal(parse(256), 0);
	assert_int_equal(config.link_now.width, 32);
	assert_int_equal(config.link_now.speed_mtps, 16000);
}

static void test_bridges(void **state)
{
	(void)state;
	begin(0x40);
	space[0x0e] = 0x81;
	space[0x19] = 0x0a;
	space[0x1a] = 0x0c;
	standard(0x40, 0x0d, 0);
	assert_int_equal(parse(256), 0);
	assert_int_equal(config.header_type, 1);
	assert_int_equal(config.secondary_bus, 0x0a);
	assert_int_equal(config.subordinate_bus, 0x0c);
	assert_non_null(find("subsystem-id"));
	/* CardBus keeps its list elsewhere */
	space[0x0e] = 0x02;
	space[0x14] = 0x40;
	space[0x34] = 0xff;
	assert_int_equal(parse(256), 0);
	assert_int_equal(config.capability_count, 1);
}

static void test_virtual_function_has_no_ids(void **state)
{
	(void)state;
	begin(0x40);
	put32(0x00, 0xffffffff);
	standard(0x40, 0x11, 0);
	assert_int_equal(parse(CONFIG_SIZE), 0);
	assert_int_equal(config.msix_vectors, 1);
}

/* ---- what is missing ---- */

static void test_sizes(void **state)
{
	size_t size;

	(void)state;
	begin(0x40);
	standard(0x40, 0x11, 0xfc);
	put16(0x42, 0x0009);
	standard(0xfc, 0x10, 0); /* cut off at the end of the first 256 bytes */
	put32(0x10c, 0xffffffff);
	extended(0x100, 0x0003, 1, 0xffc);
	extended(0xffc, 0x000d, 1, 0);
	for (size = 0; size < 64; size++)
		assert_int_equal(parse(size), -EINVAL);
	/* what an unprivileged reader gets */
	assert_int_equal(parse(64), 0);
	assert_int_equal(config.capability_count, 0);
	for (size = 64; size <= CONFIG_SIZE; size++) {
		assert_int_equal(parse(size), 0);
		assert_int_equal(config.capability_count, (size >= 0x44) + (size >= 0x100) +
								  (size >= 0x104) +
								  (size >= 0x1000));
	}
	assert_int_equal(config.msix_vectors, 10);
	/* nothing of what lies behind the end is taken for registers */
	assert_int_equal(config.link_max.width, 0);
	assert_int_equal(config.acs_capable, 0);
}

static void test_gone(void **state)
{
	(void)state;
	memset(space, 0xff, sizeof(space));
	assert_int_equal(parse(CONFIG_SIZE), -ENODEV);
	assert_int_equal(parse(64), -ENODEV);
	assert_int_equal(parse(63), -EINVAL);
	/* it left while it was read */
	begin(0x40);
	memset(space + 64, 0xff, sizeof(space) - 64);
	assert_int_equal(parse(CONFIG_SIZE), 0);
	assert_int_equal(config.capability_count, 0);
}

static void test_no_list(void **state)
{
	(void)state;
	begin(0x40);
	put16(0x06, 0); /* says that it has none */
	standard(0x40, 0x11, 0);
	assert_int_equal(parse(256), 0);
	assert_int_equal(config.capability_count, 0);
}

/* ---- lists that lie ---- */

static void test_standard_loops(void **state)
{
	unsigned int next;

	(void)state;
	/* to itself, in a circle, into the header, past the end: wherever the second one points */
	for (next = 0; next < 256; next++) {
		begin(0x40);
		standard(0x40, 0x09, 0x80);
		standard(0x80, 0x09, (uint8_t)next);
		assert_int_equal(parse(256), 0);
		assert_in_range(config.capability_count, 2, 3);
	}
	/* the low bits of a pointer don't count */
	begin(0x43);
	standard(0x40, 0x09, 0x82);
	standard(0x80, 0x09, 0x41);
	assert_int_equal(parse(256), 0);
	assert_int_equal(config.capability_count, 2);
	/* nothing but capabilities */
	begin(0x40);
	for (next = 0x40; next < 0x100; next += 4)
		standard((uint8_t)next, 0x09, (uint8_t)(next + 4));
	assert_int_equal(parse(256), 0);
	assert_int_equal(config.capability_count, 48);
	/* null capabilities lead on */
	begin(0x40);
	standard(0x40, 0, 0x50);
	standard(0x50, 0x05, 0);
	assert_int_equal(parse(256), 0);
	assert_int_equal(config.capability_count, 1);
}

static void test_extended_loops(void **state)
{
	unsigned int next;

	(void)state;
	for (next = 0; next < CONFIG_SIZE; next++) {
		begin(0);
		extended(0x100, 0x000b, 1, 0x200);
		extended(0x200, 0x000b, 1, (uint16_t)next);
		assert_int_equal(parse(CONFIG_SIZE), 0);
		assert_int_equal(config.capability_count, 2);
	}
	begin(0);
	for (next = 0x100; next < CONFIG_SIZE; next += 4)
		extended((uint16_t)next, 0x000b, 1, (uint16_t)(next + 4));
	assert_int_equal(parse(CONFIG_SIZE), 0);
	assert_int_equal(config.capability_count, 960);
	/* an empty first entry that leads on */
	begin(0);
	extended(0x100, 0, 0, 0x140);
	extended(0x140, 0x0001, 2, 0);
	assert_int_equal(parse(CONFIG_SIZE), 0);
	assert_int_equal(config.capability_count, 1);
	assert_non_null(find("aer"));
}

/* ---- vital product data ---- */

/* "product", PN P1, a checksum that holds, YA tag. */
static size_t make_vpd(uint8_t *bytes)
{
	static const uint8_t head[] = {0x82, 9,	  0,   'p',  'r', 'o', 'd', 'u', 'c',
				       't',  ' ', 0,   0x90, 12,  0,   'P', 'N', 4,
				       'P',  '1', ' ', ' ',  'R', 'V', 2,   0,	 0};
	static const uint8_t tail[] = {0x91, 13,  0, 'Y', 'A', 3, 't', 'a', 'g',
				       'R',  'W', 4, 0,	  0,   0, 0,   0x78};
	uint8_t sum = 0;
	size_t i;

	memcpy(bytes, head, sizeof(head));
	for (i = 0; i < sizeof(head) - 2; i++)
		sum = (uint8_t)(sum + bytes[i]);
	bytes[sizeof(head) - 2] = (uint8_t)-sum;
	memcpy(bytes + sizeof(head), tail, sizeof(tail));
	return sizeof(head) + sizeof(tail);
}

static int parse_vpd(const uint8_t *bytes, size_t size, struct vpd *ret_vpd)
{
	static uint8_t *exact;

	free(exact); /* of the last call: its fields were looked at since */
	exact = malloc(size ? size : 1);
	assert_non_null(exact);
	memcpy(exact, bytes, size);
	return vpd_parse(exact, size, ret_vpd);
}

static void assert_field(const struct vpd_field *field, const char *keyword, const char *value,
			 bool is_writable)
{
	assert_string_equal(field->keyword, keyword);
	assert_int_equal(field->len, strlen(value));
	assert_memory_equal(field->value, value, field->len);
	assert_int_equal(field->is_writable, is_writable);
}

static void test_vpd(void **state)
{
	uint8_t bytes[64];
	size_t size = make_vpd(bytes);
	struct vpd vpd;

	(void)state;
	assert_int_equal(parse_vpd(bytes, size, &vpd), 0);
	assert_int_equal(vpd.name_len, 7);
	assert_memory_equal(vpd.name, "product", 7);
	assert_int_equal(vpd.field_count, 2);
	assert_field(&vpd.fields[0], "PN", "P1", false);
	assert_field(&vpd.fields[1], "YA", "tag", true);
}

static void test_vpd_damaged(void **state)
{
	uint8_t bytes[64] = {0}, damaged[64] = {0};
	size_t size = make_vpd(bytes), i;
	struct vpd vpd;

	(void)state;
	/* cut anywhere */
	for (i = 0; i < size; i++)
		assert_int_equal(parse_vpd(bytes, i, &vpd), -EBADMSG);
	/* any bit that the checksum covers, and the checksum; but the item's own tag */
	for (i = 0; i < 26 * 8; i++) {
		if (i / 8 == 12)
			continue;
		memcpy(damaged, bytes, size);
		damaged[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(parse_vpd(damaged, size, &vpd), -EBADMSG);
	}
	/* any value in any place: mustn't do more than fail */
	for (i = 0; i < size * 256; i++) {
		memcpy(damaged, bytes, size);
		damaged[i / 256] = (uint8_t)i;
		(void)parse_vpd(damaged, size, &vpd);
	}
	memset(damaged, 0, sizeof(damaged));
	assert_int_equal(parse_vpd(damaged, sizeof(damaged), &vpd), -EBADMSG);
	memset(damaged, 0xff, sizeof(damaged));
	assert_int_equal(parse_vpd(damaged, sizeof(damaged), &vpd), -EBADMSG);
}

/* A read-only item with these fields, a checksum and an end. */
static size_t make_item(uint8_t *bytes, const void *fields, size_t size)
{
	size_t len = size + 4, i;
	uint8_t sum = 0;

	bytes[0] = 0x90;
	bytes[1] = (uint8_t)len;
	bytes[2] = (uint8_t)(len >> 8);
	memcpy(bytes + 3, fields, size);
	bytes[size + 3] = 'R';
	bytes[size + 4] = 'V';
	bytes[size + 5] = 1;
	for (i = 0; i < size + 6; i++)
		sum = (uint8_t)(sum + bytes[i]);
	bytes[size + 6] = (uint8_t)-sum;
	bytes[size + 7] = 0x78;
	return size + 8;
}

static void test_vpd_fields(void **state)
{
	static const char odd[] = "V0\3\1\2\3" /* not text */
				  "V1\0"       /* empty */
				  "V2\2  "     /* nothing but padding */
				  "V3\5a b\0"; /* one byte is the literal's own */
	uint8_t bytes[512];
	char many[70 * 4 + 1];
	struct vpd vpd;
	size_t i;

	(void)state;
	assert_int_equal(parse_vpd(bytes, make_item(bytes, odd, sizeof(odd)), &vpd), 0);
	assert_int_equal(vpd.field_count, 1);
	assert_field(&vpd.fields[0], "V3", "a b", false);
	assert_null(vpd.name);
	/* more than anyone needs */
	for (i = 0; i < 70; i++)
		(void)snprintf(many + 4 * i, 5, "V9\1x");
	assert_int_equal(parse_vpd(bytes, make_item(bytes, many, sizeof(many) - 1), &vpd), 0);
	assert_int_equal(vpd.field_count, VPD_FIELDS_MAX);
	/* keywords are letters and digits */
	assert_int_equal(parse_vpd(bytes, make_item(bytes, "v0\1x", 4), &vpd), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_pm_reset),
		cmocka_unit_test(test_flr_is_of_endpoints),
		cmocka_unit_test(test_link_down),
		cmocka_unit_test(test_bridges),
		cmocka_unit_test(test_virtual_function_has_no_ids),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_no_list),
		cmocka_unit_test(test_standard_loops),
		cmocka_unit_test(test_extended_loops),
		cmocka_unit_test(test_vpd),
		cmocka_unit_test(test_vpd_damaged),
		cmocka_unit_test(test_vpd_fields),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
