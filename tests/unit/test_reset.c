/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Resets on the fake kernel: the choice, what goes down, and what is found afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <passthru/passthru.h>

#include "base/io.h"
#include "fake/fake.h"
#include "pci/binding.h"
#include "pci/reset.h"
#include "pci/sysfs.h"

#define NVME	"0000:01:00.0"
#define IGB	"0000:03:00.0"
#define E1000E	"0000:04:00.0"
#define EDU	"0000:05:00.0"
#define GPU	"0000:06:00.0"
#define AUDIO	"0000:06:00.1"
#define NIC_A	"0000:08:01.0"
#define NIC_B	"0000:08:02.0"
#define NORESET "0000:00:0c.0"
#define VF0	"0000:03:10.0"
#define VF1	"0000:03:10.2"

#define LONG  20000
#define SHORT 200

static struct fake *fake;
static struct pt_host *host;
static int notices;

static void count_notices(void *context, enum pt_log_level level, const char *message)
{
	(void)context;
	(void)message;
	notices += level == PT_LOG_NOTICE;
}

static int set_up(void **state)
{
	char path[4096];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/vtd.json", getenv("MACHINES"));
	fake = fake_new(path, NULL);
	host = fake_host(fake);
	notices = 0;
	pt_host_set_log(host, count_notices, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_free(fake);
	return 0;
}

static struct pt_address at(const char *text)
{
	struct pt_address address;

	assert_int_equal(pt_address_parse(text, &address, NULL), 0);
	return address;
}

static struct pt_reset *choose(const char *text)
{
	struct pt_address address = at(text);
	struct pt_snapshot *snapshot;
	struct pt_reset *reset;
	struct pt_error err;

	assert_int_equal(pt_snapshot_read(host, &snapshot, &err), 0);
	assert_int_equal(pt_reset_choose(host, snapshot, &address, &reset, &err), 0);
	pt_snapshot_free(snapshot);
	return reset;
}

/* @affected: addresses with spaces between. */
static void assert_choice(const char *text, enum pt_reset_scope scope, const char *method,
			  const char *affected)
{
	struct pt_reset *reset = choose(text);
	char list[1024] = "", address[PT_ADDRESS_TEXT];
	size_t i, len;

	for (i = 0; i < reset->affected_count; i++) {
		len = strlen(list);
		(void)snprintf(list + len, sizeof(list) - len, "%s%s", len ? " " : "",
			       pt_address_format(&reset->affected[i], address));
	}
	if (reset->scope != scope || strcmp(reset->method ? reset->method : "-", method) != 0 ||
	    strcmp(list, affected) != 0)
		fail_msg("%s: scope %d by %s of %s", text, reset->scope,
			 reset->method ? reset->method : "-", list);
	pt_reset_free(reset);
}

static void write_file(const char *text, const char *name, const char *value)
{
	struct pt_address address = at(text);
	char path[SYSFS_PATH];

	assert_int_equal(sysfs_device_path(path, &address, name), 0);
	assert_int_equal(host->ops->write(host, path, value, strlen(value)), 0);
}

static void remove_file(const char *text, const char *name)
{
	struct pt_address address = at(text);
	char path[SYSFS_PATH];

	assert_int_equal(sysfs_device_path(path, &address, name), 0);
	assert_int_equal(unlinkat(host->root_fd, path, 0), 0);
}

static void to_vfio(const char *text)
{
	struct pt_address address = at(text);
	struct pt_error err;

	assert_int_equal(binding_set_override(host, &address, "vfio-pci", &err), 0);
	assert_int_equal(binding_unbind(host, &address, LONG, &err), 0);
	assert_int_equal(binding_probe(host, &address, "vfio-pci", LONG, &err), 0);
}

static void assert_failure(int r, const struct pt_error *err, enum pt_reason reason,
			   const char *phrase)
{
	assert_true(r < 0);
	if (err->reason != reason || !strstr(err->message, phrase))
		fail_msg("expected %s and \"%s\", got %s: %s", pt_reason_name(reason), phrase,
			 pt_reason_name(err->reason), err->message);
}

/* Choose and apply. */
static int reset(const char *text, unsigned int deadline_ms, struct pt_error *err)
{
	struct pt_address address = at(text);
	struct pt_reset *choice = choose(text);
	int r = reset_apply_within(host, &address, choice, deadline_ms, err);

	pt_reset_free(choice);
	return r;
}

/* ---- choosing ---- */

static void test_choice(void **state)
{
	struct pt_address nowhere = at("0000:7f:00.0");
	struct pt_snapshot *snapshot;
	struct pt_reset *choice;
	struct pt_error err;

	(void)state;
	assert_choice(NVME, PT_RESET_FUNCTION, "flr", NVME);
	assert_choice(E1000E, PT_RESET_FUNCTION, "pm", E1000E);
	assert_choice(EDU, PT_RESET_FUNCTION, "bus", EDU);
	/* "bus" is listed for these two, and doesn't work: they have neighbours */
	assert_choice(GPU, PT_RESET_BUS, "vfio-hot", GPU " " AUDIO);
	assert_choice(AUDIO, PT_RESET_BUS, "vfio-hot", GPU " " AUDIO);
	assert_choice(NIC_A, PT_RESET_BUS, "vfio-hot", NIC_A " " NIC_B);
	assert_choice(NIC_B, PT_RESET_BUS, "vfio-hot", NIC_A " " NIC_B);
	/* nothing above these */
	assert_choice(NORESET, PT_RESET_NONE, "-", "");
	assert_choice("0000:00:0b.0", PT_RESET_NONE, "-", "");
	/* a bridge takes down what is below */
	assert_choice("0000:09:00.0", PT_RESET_FUNCTION, "flr",
		      "0000:09:00.0 0000:0a:00.0 0000:0a:01.0 0000:0b:00.0 0000:0c:00.0");
	assert_choice("0000:0a:01.0", PT_RESET_FUNCTION, "flr", "0000:0a:01.0 0000:0c:00.0");

	assert_int_equal(pt_snapshot_read(host, &snapshot, &err), 0);
	assert_failure(pt_reset_choose(host, snapshot, &nowhere, &choice, &err), &err, PT_NO_DEVICE,
		       "0000:7f:00.0");
	pt_snapshot_free(snapshot);
	pt_reset_free(NULL);
}

static void test_choice_with_vfs(void **state)
{
	(void)state;
	write_file(IGB, "sriov_numvfs", "2");
	assert_choice(IGB, PT_RESET_FUNCTION, "flr", IGB " " VF0 " " VF1);
	assert_choice(VF0, PT_RESET_FUNCTION, "flr", VF0);
	/* VFs are neighbours on the bus */
	write_file(IGB, "reset_method", "bus");
	assert_choice(IGB, PT_RESET_BUS, "vfio-hot", IGB " " VF0 " " VF1);
	/* a VF has no bus to reset */
	write_file(VF0, "reset_method", "\n");
	assert_choice(VF0, PT_RESET_NONE, "-", "");
}

static void test_choice_by_the_user(void **state)
{
	(void)state;
	write_file(NVME, "reset_method", "bus flr");
	assert_choice(NVME, PT_RESET_FUNCTION, "bus", NVME);
	/* the administrator switched it off, so its bus is not reset either */
	write_file(EDU, "reset_method", "\n");
	assert_choice(EDU, PT_RESET_NONE, "-", "");
	/* nor with a bus reset of its neighbours */
	write_file(GPU, "reset_method", "\n");
	assert_choice(AUDIO, PT_RESET_NONE, "-", "");
	/* before Linux 5.15 there was only the file to write to */
	remove_file(NVME, "reset_method");
	assert_choice(NVME, PT_RESET_FUNCTION, "kernel", NVME);
	/* alone, yet without any: its bus is one that the kernel will not reset */
	remove_file(NVME, "reset");
	assert_choice(NVME, PT_RESET_NONE, "-", "");
}

/* ---- one function ---- */

static void test_function(void **state)
{
	struct pt_error err;
	char method[32];

	(void)state;
	assert_int_equal(reset(NVME, LONG, &err), 0);
	assert_int_equal(fake_resets(fake, NVME, method), 1);
	assert_string_equal(method, "flr");
	to_vfio(EDU);
	assert_int_equal(reset(EDU, LONG, &err), 0);
	assert_int_equal(fake_resets(fake, EDU, method), 1);
	assert_string_equal(method, "bus");
	assert_failure(reset(NORESET, LONG, &err), &err, PT_RESET_UNAVAILABLE, "no reset method");
	/* the ids in a VF's configuration space read ffff */
	write_file(IGB, "sriov_numvfs", "1");
	assert_int_equal(reset(VF0, LONG, &err), 0);
	assert_int_equal(fake_resets(fake, VF0, method), 1);
	assert_int_equal(fake_resets(fake, IGB, method), 0);
}

static const struct {
	const char *what;
	enum pt_reason reason;
	const char *phrase;
} faults[] = {
	{"EIO", PT_RESET_FAILED, "Input/output error"},
	{"ENOTTY", PT_RESET_UNAVAILABLE, "flr"},
	{"EAGAIN", PT_RESET_FAILED, "try again"},
	{"EBUSY", PT_RESET_FAILED, "try again"},
	{"EPERM", PT_NOT_PERMITTED, "the kernel forbids"},
	{"ffff", PT_RESET_FAILED, "ffffffff"},
	{"dead ENOTTY", PT_RESET_FAILED, "ffffffff"},
	{"change", PT_RESET_FAILED, "BAR 0 reads 00000000, before it was fe600004"},
	{"gone", PT_DEVICE_GONE, NVME},
	{"crash", PT_DRIVER_STUCK, "died"},
	{"hang", PT_DRIVER_STUCK, "nvme has not returned"},
};

static void test_faults(void **state)
{
	struct pt_error err;
	size_t i;

	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		bool is_hang = !strcmp(faults[i].what, "hang");

		print_message("# %s\n", faults[i].what);
		set_up(state);
		fake_fault(fake, NVME, "reset", faults[i].what);
		assert_failure(reset(NVME, is_hang ? SHORT : LONG, &err), &err, faults[i].reason,
			       faults[i].phrase);
		tear_down(state);
	}
	set_up(state);
}

static void test_more_failures(void **state)
{
	struct pt_address nvme = at(NVME), gpu = at(GPU);
	struct pt_reset *choice = choose(NVME);
	struct pt_error err;

	(void)state;
	fake_fault_all(fake, "EROFS");
	assert_failure(reset(NVME, LONG, &err), &err, PT_NOT_PERMITTED, "read-only");
	fake_fault_all(fake, NULL);
	/* what the kernel lists and then refuses, when asked all the same */
	assert_failure(reset_apply(host, &gpu, choice, &err), &err, PT_RESET_UNAVAILABLE, GPU);
	write_file(NVME, "remove", "1");
	assert_failure(reset_apply(host, &nvme, choice, &err), &err, PT_DEVICE_GONE, NVME);
	pt_reset_free(choice);
}

/* Silent before its reset already, and still so afterwards. */
static void test_silent_before(void **state)
{
	struct pt_error err;

	(void)state;
	fake_fault(fake, NVME, "reset", "once ffff");
	assert_failure(reset(NVME, LONG, &err), &err, PT_RESET_FAILED, "does not respond");
	assert_failure(reset(NVME, LONG, &err), &err, PT_RESET_FAILED, "does not respond");
	assert_int_equal(fake_resets(fake, NVME, NULL), 2);
}

static void test_verify(void **state)
{
	struct pt_address nvme = at(NVME), vf = at(VF0);
	struct pt_error err;

	(void)state;
	write_file(IGB, "sriov_numvfs", "1");
	assert_int_equal(reset_verify(host, &nvme, 0x1b36, 0x0010, &err), 0);
	assert_int_equal(reset_verify(host, &vf, 0x8086, 0x10ca, &err), 0);
	assert_failure(reset_verify(host, &nvme, 0x8086, 0x0010, &err), &err, PT_RESET_FAILED,
		       "reads 1b36:0010 after the reset, before it was 8086:0010");
}

/* ---- a bus, through VFIO ---- */

static void test_hot(void **state)
{
	struct pt_error err;
	char method[32];

	(void)state;
	assert_failure(reset(GPU, LONG, &err), &err, PT_RESET_UNAVAILABLE, "not all devices");
	to_vfio(AUDIO);
	assert_failure(reset(AUDIO, LONG, &err), &err, PT_RESET_UNAVAILABLE, "on a host driver");
	to_vfio(GPU);
	assert_int_equal(fake_resets(fake, GPU, NULL), 0);
	assert_int_equal(reset(GPU, LONG, &err), 0);
	assert_int_equal(fake_resets(fake, GPU, method), 1);
	assert_string_equal(method, "vfio-hot");
	assert_int_equal(fake_resets(fake, AUDIO, method), 1);
	assert_int_equal(notices, 0);
	/* a guest has the group */
	fake_open_group(fake, 26, true);
	assert_failure(reset(GPU, LONG, &err), &err, PT_RESET_UNAVAILABLE, "a guest");
	fake_open_group(fake, 26, false);
	assert_int_equal(fake_resets(fake, AUDIO, NULL), 1);
	to_vfio(NIC_A);
	to_vfio(NIC_B);
	assert_int_equal(reset(NIC_B, LONG, &err), 0);
	assert_int_equal(fake_resets(fake, NIC_A, NULL), 1);
	assert_int_equal(fake_resets(fake, NIC_B, NULL), 1);
}

/* The kernel has the last word on what goes down. */
static void test_hot_wider_than_foreseen(void **state)
{
	struct pt_address gpu = at(GPU);
	struct pt_reset narrow = {
		.scope = PT_RESET_BUS, .method = "vfio-hot", .affected = &gpu, .affected_count = 1};
	struct pt_address three[] = {gpu, at(AUDIO), at(NIC_A)};
	struct pt_reset wide = {.scope = PT_RESET_BUS,
				.method = "vfio-hot",
				.affected = three,
				.affected_count = 3};
	struct pt_error err;

	(void)state;
	to_vfio(GPU);
	to_vfio(AUDIO);
	assert_failure(reset_apply(host, &gpu, &narrow, &err), &err, PT_RESET_UNAVAILABLE, AUDIO);
	assert_int_equal(fake_resets(fake, GPU, NULL), 0);
	assert_int_equal(reset_apply(host, &gpu, &wide, &err), 0);
	assert_int_equal(fake_resets(fake, GPU, NULL), 1);
	assert_int_equal(notices, 1);
}

static const struct {
	const char *what;
	enum pt_reason reason;
	const char *phrase;
} hot_faults[] = {
	{"EIO", PT_RESET_FAILED, "EIO"},
	{"EAGAIN", PT_RESET_FAILED, "try again"},
	{"ENOTTY", PT_RESET_UNAVAILABLE, "quirk"},
	{"ffff", PT_RESET_FAILED, "ffffffff"},
	{"change", PT_RESET_FAILED, "BAR 0"},
	{"gone", PT_DEVICE_GONE, GPU},
	{"crash", PT_DRIVER_STUCK, "died"},
	{"hang", PT_DRIVER_STUCK, "vfio-pci has not returned"},
};

static void test_hot_faults(void **state)
{
	struct pt_error err;
	size_t i;

	for (i = 0; i < sizeof(hot_faults) / sizeof(hot_faults[0]); i++) {
		bool is_hang = !strcmp(hot_faults[i].what, "hang");

		print_message("# %s\n", hot_faults[i].what);
		set_up(state);
		to_vfio(GPU);
		to_vfio(AUDIO);
		fake_fault(fake, GPU, "hot-reset", hot_faults[i].what);
		assert_failure(reset(GPU, is_hang ? SHORT : LONG, &err), &err, hot_faults[i].reason,
			       hot_faults[i].phrase);
		tear_down(state);
	}
	set_up(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_choice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_choice_with_vfs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_choice_by_the_user, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_function, set_up, tear_down),
		cmocka_unit_test_teardown(test_faults, tear_down),
		cmocka_unit_test_setup_teardown(test_more_failures, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_silent_before, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_verify, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hot, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hot_wider_than_foreseen, set_up, tear_down),
		cmocka_unit_test_teardown(test_hot_faults, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
