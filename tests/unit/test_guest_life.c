/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest from its start to its end, on the fake kernel and with a QEMU that answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "assign/claim.h"
#include "base/io.h"
#include "guest_machine.h"
#include "pci/binding.h"

static struct fake *fake;
static struct pt_host *host;

static int set_up(void **state)
{
	(void)state;
	fake = guest_machine_new();
	host = fake_host(fake);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	guest_machine_free(fake);
	return 0;
}

static const char *driver_of(const char *device)
{
	static struct binding binding;
	struct pt_address address;

	assert_int_equal(pt_address_parse(device, &address, NULL), 0);
	assert_int_equal(binding_read(host, &address, &binding, NULL), 0);
	return binding.driver;
}

static bool is_claimed(const char *device)
{
	struct pt_address address;
	struct pt_claim claim;
	bool exists;

	assert_int_equal(pt_address_parse(device, &address, NULL), 0);
	assert_int_equal(claim_read(host, &address, &exists, &claim, NULL), 0);
	return exists;
}

static uid_t disk_owner(void)
{
	struct stat st;

	assert_int_equal(fstatat(host->root_fd, "srv/disk.img", &st, 0), 0);
	return st.st_uid;
}

static bool has(const char *alias)
{
	char text[1024];

	fake_guests_devices(fake, "g", text, sizeof(text));
	return strstr(text, alias);
}

static struct guest *begin(const char *xml)
{
	struct guest *guest = NULL;
	struct pt_error err;

	if (guest_begin(host, xml, &guest, &err) < 0)
		fail_msg("%s", err.message);
	return guest;
}

static void attach(struct guest *guest, const char *xml)
{
	struct pt_error err;

	if (guest_attach(host, guest, xml, &err) < 0)
		fail_msg("%s", err.message);
}

static void end(struct guest *guest)
{
	struct pt_error err;

	assert_int_equal(guest_signal(guest, SIGKILL), 0);
	assert_true(guest_wait_end(guest, 30000));
	if (guest_end(host, guest, &err) < 0)
		fail_msg("%s", err.message);
	guest_unref(guest);
}

static size_t left_in(const char *path)
{
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	size_t count = 0;

	(void)io_open_directory_at(host->root_fd, path, &dir);
	while (dir && (entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	return count;
}

static void test_start_and_end(void **state)
{
	const uid_t before = disk_owner();
	struct guest *guest = begin(GUEST_XML(HOSTDEV("1")));

	(void)state;
	assert_string_equal(driver_of(NVME), "vfio-pci");
	assert_true(is_claimed(NVME));
	assert_int_equal(disk_owner(), guest_user().uid);
	assert_true(has("hostdev0"));
	end(guest);
	assert_string_equal(driver_of(NVME), "nvme");
	assert_false(is_claimed(NVME));
	assert_int_equal(disk_owner(), before);
	assert_int_equal(left_in(STORE_LIVE), 0);
}

static void test_qemu_that_refuses(void **state)
{
	struct guest *guest = NULL;
	struct pt_error err;

	(void)state;
	fake_guests_fault(fake, "cont", "error GenericError no room for it");
	assert_true(guest_begin(host, GUEST_XML(HOSTDEV("1")), &guest, &err) < 0);
	assert_non_null(strstr(err.message, "no room for it"));
	assert_string_equal(driver_of(NVME), "nvme");
	assert_int_equal(left_in(STORE_LIVE), 0);
	fake_guests_fault(fake, "cont", "exit");
	assert_true(guest_begin(host, GUEST_XML(HOSTDEV("1")), &guest, &err) < 0);
	assert_string_equal(driver_of(NVME), "nvme");
	assert_int_equal(left_in(STORE_LIVE), 0);
}

static void test_plugged_in_and_out(void **state)
{
	struct guest *guest = begin(GUEST_XML(""));
	struct pt_error err;

	(void)state;
	attach(guest, HOSTDEV("1"));
	assert_true(has("hostdev0"));
	assert_string_equal(driver_of(NVME), "vfio-pci");
	/* nobody listens to its events here, so the answer comes late: the request stays pending */
	assert_int_equal(unplug_device(host, guest, "hostdev0", 50, &err), -ETIMEDOUT);
	assert_false(has("hostdev0"));
	assert_string_equal(driver_of(NVME), "vfio-pci");
	assert_int_equal(unplug_finish(host, guest, "hostdev0", &err), 0);
	assert_string_equal(driver_of(NVME), "nvme");
	assert_int_equal(guest->record->pending_count, 0);
	end(guest);
}

static void test_plugging_in_refused(void **state)
{
	struct guest *guest = begin(GUEST_XML(""));
	struct pt_error err;

	(void)state;
	fake_guests_fault(fake, "device_add", "error GenericError vfio: no");
	assert_true(guest_attach(host, guest, HOSTDEV("1"), &err) < 0);
	assert_string_equal(driver_of(NVME), "nvme");
	assert_false(is_claimed(NVME));
	assert_int_equal(guest->record->pending_count, 0);
	end(guest);
}

/* A driver that hangs is no QEMU that hasn't answered: nothing of the device stays the guest's. */
static void test_plugging_in_a_stuck_device(void **state)
{
	struct guest *guest = begin(GUEST_XML(""));
	struct pt_error err;

	(void)state;
	fake_fault(fake, NVME, "unbind", "ETIMEDOUT");
	assert_int_equal(guest_attach(host, guest, HOSTDEV("1"), &err), -ETIMEDOUT);
	assert_int_equal(err.reason, PT_DRIVER_STUCK);
	assert_int_equal(guest->record->pending_count, 0);
	assert_false(has("hostdev0"));
	end(guest);
}

static void test_found_again(void **state)
{
	struct guest *guest = begin(GUEST_XML(HOSTDEV("1"))), *again = NULL;
	struct store_live *record;
	struct pt_error err;

	(void)state;
	assert_int_equal(store_read_live(host, "g", &record, &err), 0);
	if (guest_adopt(host, record, &again, &err) < 0)
		fail_msg("%s", err.message);
	qmp_close(guest->qmp); /* one connection at a time */
	guest->qmp = NULL;
	/* with the groups that let it at files of theirs */
	assert_int_equal(again->user.uid, guest_user().uid);
	if (geteuid() == 0) {
		assert_int_equal(again->user.group_count, 1);
		assert_int_equal(again->user.groups[0], 4711);
	}
	assert_int_equal(guest_call(again, "query-status", NULL, NULL, &err), 0);
	guest_unref(again);
	end(guest);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_start_and_end),
		TEST(test_qemu_that_refuses),
		TEST(test_plugged_in_and_out),
		TEST(test_plugging_in_refused),
		TEST(test_plugging_in_a_stuck_device),
		TEST(test_found_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
