/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's document of a function, by what was known of it before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "pci/nodedev.h"
#include "read_tree.h"

#define NVME "sys/bus/pci/devices/0000:01:00.0/"
#define CAP  "<link validity='cap' port='0' speed='2.5' width='1'/>"

static int make(void **state)
{
	*state = open_vtd();
	return 0;
}

static int unmake(void **state)
{
	fake_free(*state);
	return 0;
}

static char *read_xml(struct pt_host *host, bool may_wait, struct nodedev_fixed *fixed)
{
	struct pt_address address = at("01:00.0");
	struct pt_error err;
	char *xml = NULL;
	int r = nodedev_xml(host, &address, may_wait, fixed, &xml, &err);

	assert_true(r == 0 || (r == -EAGAIN && !may_wait));
	assert_int_equal(r == 0, xml != NULL);
	return xml;
}

static void expect(char *xml, const char *part)
{
	assert_non_null(xml);
	if (!strstr(xml, part))
		fail_msg("no %s in %s", part, xml);
	free(xml);
}

/* A device in the middle of its reset, or one that sleeps: nobody answers. */
static void silence(struct pt_host *host)
{
	static const char nothing[256] = {0};
	int fd = openat(host->root_fd, NVME "config", O_WRONLY | O_CLOEXEC);

	assert_int_equal(write(fd, nothing, sizeof(nothing)), sizeof(nothing));
	close(fd);
}

static void test_known_before(void **state)
{
	struct pt_host *host = fake_host(*state);
	struct nodedev_fixed fixed = {0};

	put_text(host, NVME "current_link_speed", "16.0 GT/s PCIe\n");
	put_text(host, NVME "current_link_width", "4\n");
	assert_null(read_xml(host, false, &fixed));
	expect(read_xml(host, true, &fixed), CAP);
	assert_true(fixed.inode && fixed.is_pcie && fixed.has_link);
	silence(host);
	expect(read_xml(host, false, &fixed), CAP);
	expect(read_xml(host, false, &fixed), "<link validity='sta' speed='16' width='4'/>");
	/* it left and came back: its directory is a new one */
	fixed.inode++;
	assert_null(read_xml(host, false, &fixed));
	fixed.inode--;
	fixed.made.tv_nsec ^= 1;
	assert_null(read_xml(host, false, &fixed));
}

static void test_no_link_attributes(void **state)
{
	struct pt_host *host = fake_host(*state);
	struct nodedev_fixed fixed = {0};

	put_away(host, NVME "current_link_speed");
	expect(read_xml(host, true, &fixed), CAP);
	assert_null(read_xml(host, false, &fixed));
	expect(read_xml(host, true, &fixed), "<link validity='sta' speed='2.5' width='1'/>");
}

static void test_a_silent_device_is_asked_again(void **state)
{
	struct pt_host *host = fake_host(*state);
	struct nodedev_fixed fixed = {0};
	int fd = openat(host->root_fd, NVME "config", O_WRONLY | O_TRUNC | O_CLOEXEC);

	close(fd);
	expect(read_xml(host, true, &fixed), "<product id='0x0010'>");
	assert_int_equal(fixed.inode, 0);
}

static void test_gone(void **state)
{
	struct pt_host *host = fake_host(*state);
	struct pt_address address = at("7f:1f.7");
	struct nodedev_fixed fixed = {0};
	struct pt_error err;
	char *xml = NULL;

	assert_int_equal(nodedev_xml(host, &address, false, &fixed, &xml, &err), -ENODEV);
	assert_int_equal(err.reason, PT_NO_DEVICE);
	assert_null(xml);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_known_before, make, unmake),
		cmocka_unit_test_setup_teardown(test_no_link_attributes, make, unmake),
		cmocka_unit_test_setup_teardown(test_a_silent_device_is_asked_again, make, unmake),
		cmocka_unit_test_setup_teardown(test_gone, make, unmake),
	};

	return cmocka_run_group_tests_name("nodedev", tests, NULL, NULL);
}
