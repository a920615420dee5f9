/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who holds one USB device. */
#include <errno.h>

#include "holders_tree.h"

/* "filesystem|/mnt|sda1" …: all of them, of a USB device of its own. */
static void expect_usb(const char *name, const char *first, ...)
{
	struct pt_holders *holders = NULL;
	struct pt_host *host;
	struct pt_error err;
	size_t count = 0;
	va_list args;

	assert_int_equal(pt_host_new(tree, &host, NULL), 0);
	if (holders_read_usb(host, name, &holders, &err) < 0)
		fail_msg("%s", err.message);
	va_start(args, first);
	for (const char *wanted = first; wanted; wanted = va_arg(args, const char *), count++) {
		const struct pt_holder *holder = pt_holders_at(holders, count);
		char text[TREE_LINE];

		assert_non_null(holder);
		tree_format(text, "%s|%s|%s", pt_holder_kind_name(holder->kind), holder->what,
			    holder->through);
		assert_string_equal(text, wanted);
	}
	va_end(args);
	assert_int_equal(pt_holders_count(holders), count);
	if (!pt_holders_is_complete(holders))
		fail_msg("%s can't be seen", pt_holders_unseen(holders));
	pt_holders_free(holders);
	pt_host_free(host);
}

/* A USB device by itself: what its drivers can do without isn't held, nor what its neighbours have.
 */
static void one_usb_device(void **state)
{
	static const char stick[] = DIRECTORY "/usb1/1-2";
	struct pt_holders *holders = NULL;
	struct pt_host *host;
	struct pt_error err;

	(void)state;
	tree_function(DEVICE, "0x0c0330", "xhci_hcd");
	tree_process(1, "systemd", "/dev/null");
	tree_node(DIRECTORY "/usb1/1-1", "usb", 189, 2, "bus/usb/001/003");
	tree_node(DIRECTORY "/usb1/1-1/1-1:1.0/input/input5/event5", "input", 13, 69,
		  "input/event5");
	tree_node(stick, "usb", 189, 3, "bus/usb/001/004");
	tree_link("sys/bus/usb/devices/1-1", DIRECTORY "/usb1/1-1");
	tree_link("sys/bus/usb/devices/1-2", stick);
	tree_block(DIRECTORY "/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/block/sda", 8, 0);
	tree_put("proc/1/mountinfo", "");
	tree_process(701, "Xorg", "/dev/input/event5");
	expect_usb("1-1", (const char *)NULL);
	tree_process(702, "pcscd", "/dev/bus/usb/001/003");
	tree_process(703, "dd", "/dev/sda");
	expect_usb("1-1", "process|pcscd (pid 702)|/dev/bus/usb/001/003", NULL);
	expect_usb("1-2", "process|dd (pid 703)|sda", NULL);
	/* of the controller all of it is */
	tree_expect(DEVICE, "process|Xorg (pid 701)|/dev/input/event5|kill 701",
		    "process|dd (pid 703)|sda|kill 703",
		    "process|pcscd (pid 702)|/dev/bus/usb/001/003|kill 702", NULL);

	assert_int_equal(pt_host_new(tree, &host, NULL), 0);
	assert_int_equal(holders_read_usb(host, "1-3", &holders, &err), -ENODEV);
	assert_string_equal(err.message, "this host has no USB device 1-3");
	pt_host_free(host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TREE_TEST(one_usb_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
