/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <passthru/address.h>
#include <string.h>

static const struct {
	const char *text;
	uint32_t domain;
	uint8_t bus, device, function;
	const char *formatted;
} good[] = {
	{"0000:65:00.0", 0, 0x65, 0, 0, "0000:65:00.0"},
	{"65:00.0", 0, 0x65, 0, 0, "0000:65:00.0"},
	{"pci_0000_65_00_0", 0, 0x65, 0, 0, "0000:65:00.0"},
	{"pci_0000_ff_17_6", 0, 0xff, 0x17, 6, "0000:ff:17.6"},
	{"ABCD:Ef:1F.7", 0xabcd, 0xef, 0x1f, 7, "abcd:ef:1f.7"},
	{"10000:e1:00.0", 0x10000, 0xe1, 0, 0, "10000:e1:00.0"},
	{"ffffffff:ff:1f.7", 0xffffffff, 0xff, 0x1f, 7, "ffffffff:ff:1f.7"},
	{"00000000:00:00.0", 0, 0, 0, 0, "0000:00:00.0"},
	{"pci_10000_e1_00_0", 0x10000, 0xe1, 0, 0, "10000:e1:00.0"},
};

static void test_good(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct pt_address address;
		char text[PT_ADDRESS_TEXT];

		assert_int_equal(pt_address_parse(good[i].text, &address, NULL), 0);
		assert_int_equal(address.domain, good[i].domain);
		assert_int_equal(address.bus, good[i].bus);
		assert_int_equal(address.device, good[i].device);
		assert_int_equal(address.function, good[i].function);
		assert_string_equal(pt_address_format(&address, text), good[i].formatted);
	}
}

static const char *const bad[] = {
	"",
	":",
	"pci_",
	"65",
	"65:00",
	"65:00.",
	"65:00.8",	 /* functions end at 7 */
	"65:20.0",	 /* slots end at 1f */
	"0000:65:00.0 ", /* all of it or nothing */
	" 0000:65:00.0",
	"0000:65:00.0\n",
	"0000:65:00.00",
	"0000:65:00:0",
	"0000.65.00.0",
	"000:65:00.0",	     /* a domain has four digits or more … */
	"123456789:65:00.0", /* … and eight at most */
	"0x0000:65:00.0",
	"0000:0x65:00.0",
	"-000:65:00.0",
	"+000:65:00.0",
	"0000:165:00.0",
	"0000:5:00.0",
	"0000:65:0.0",
	"0000:g5:00.0",
	"pci_65_00_0", /* libvirt always writes the domain */
	"pci_0000:65:00.0",
	"pci_0000_65_00.0",
	"0000_65_00_0",
	"PCI_0000_65_00_0",
	"0000:65:00.0/../../x",
	"0000:65:00.0,0000:66:00.0",
};

static void test_bad(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pt_address address = {1, 2, 3, 4};
		struct pt_error err = {0};

		assert_int_equal(pt_address_parse(bad[i], &address, &err), -EINVAL);
		assert_int_equal(err.reason, PT_INVALID);
		assert_non_null(strstr(err.message, "0000:65:00.0"));
		/* untouched */
		assert_int_equal(address.domain, 1);
		assert_int_equal(address.bus, 2);
		assert_int_equal(address.device, 3);
		assert_int_equal(address.function, 4);
	}
}

static void test_every_address_comes_back(void **state)
{
	unsigned int bus, device, function;

	(void)state;
	for (bus = 0; bus < 256; bus++)
		for (device = 0; device < 32; device++)
			for (function = 0; function < 8; function++) {
				struct pt_address one = {0x1234, (uint8_t)bus, (uint8_t)device,
							 (uint8_t)function};
				struct pt_address other;
				char text[PT_ADDRESS_TEXT];

				pt_address_format(&one, text);
				assert_int_equal(pt_address_parse(text, &other, NULL), 0);
				assert_int_equal(pt_address_compare(&one, &other), 0);
			}
}

static void test_order(void **state)
{
	static const struct pt_address ascending[] = {
		{0, 0, 0, 0},	 {0, 0, 0, 7}, {0, 0, 1, 0},	      {0, 1, 0, 0},
		{0, 255, 31, 7}, {1, 0, 0, 0}, {0xffffffff, 0, 0, 0},
	};
	size_t i, j, count = sizeof(ascending) / sizeof(ascending[0]);

	(void)state;
	for (i = 0; i < count; i++)
		for (j = 0; j < count; j++) {
			int order = pt_address_compare(&ascending[i], &ascending[j]);

			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_every_address_comes_back),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
