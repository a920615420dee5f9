/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's devices were when it was defined, and whether they still are, on the fake kernel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include <passthru/passthru.h>

#include "domain/store/store.h"
#include "domain/store/devices.h"
#include "read_tree.h"

#define NIC	  "0000:04:00.0"
#define TWIN	  "0000:41:00.0"
#define ABSENT	  "0000:77:00.0"
#define DSN_UPPER 0x148
#define RECORD	  STORE_DEVICES "/d1.json"

#define HOSTDEV(bus)                                                                               \
	"<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' "     \
	"bus='0x" bus "' slot='0x00' function='0x0'/></source></hostdev>"

static struct fake *fake;
static struct pt_host *host;

static int set_up(void **state)
{
	(void)state;
	fake = open_vtd();
	host = fake_host(fake);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_free(fake);
	return 0;
}

static struct definition *define(const char *devices)
{
	struct definition *def;
	struct pt_error err;
	char xml[2048];

	(void)snprintf(xml, sizeof(xml),
		       "<domain type='qemu'><name>d1</name><memory unit='MiB'>64</memory>"
		       "<os><type arch='x86_64' machine='q35'>hvm</type></os>"
		       "<devices>%s</devices></domain>",
		       devices);
	if (definition_parse(xml, 0, &def, &err) < 0)
		fail_msg("%s", err.message);
	return def;
}

static void record(const char *devices, const char *before)
{
	struct definition *def = define(devices), *old = before ? define(before) : NULL;
	struct pt_error err;

	if (store_record_devices(host, def, old, &err) < 0)
		fail_msg("%s", err.message);
	definition_free(def);
	definition_free(old);
}

static int check(const char *devices, struct pt_error *err)
{
	struct definition *def = define(devices);
	struct definition_hostdev *hostdevs;
	size_t count;
	int r;

	assert_int_equal(definition_hostdevs(def, &hostdevs, &count, NULL), 0);
	r = store_check_devices(host, "d1", hostdevs, count, err);
	free(hostdevs);
	definition_free(def);
	return r;
}

static void is_recorded(const char *phrase, bool is_in)
{
	AUTO_FREE char *text = NULL;

	if (io_read_all_at(host->root_fd, RECORD, 65536, &text, NULL) < 0) {
		assert_false(is_in);
		return;
	}
	if ((strstr(text, phrase) != NULL) != is_in)
		fail_msg("%s in %s", phrase, text);
}

static char *config_path(const char *device, char path[256])
{
	(void)snprintf(path, 256, "sys/bus/pci/devices/%s/config", device);
	return path;
}

static char *read_config(const char *device)
{
	char path[256], *bytes;

	assert_int_equal(
		io_read_all_at(host->root_fd, config_path(device, path), 4096, &bytes, NULL), 0);
	return bytes;
}

/* It gets the other one's configuration space, with its serial number. */
static void make_like(const char *device, const char *other)
{
	char path[256], *bytes = read_config(other);

	put_bytes(host, config_path(device, path), bytes, 4096);
	free(bytes);
}

/* What is in the slot gets another serial number. */
static void exchange(const char *device)
{
	char path[256], *bytes = read_config(device);

	bytes[DSN_UPPER] ^= 0x55;
	put_bytes(host, config_path(device, path), bytes, 4096);
	free(bytes);
}

/* Two cards with one number, of which one is exchanged: the other is not it. */
static void test_one_number(void **state)
{
	struct pt_error err;

	(void)state;
	make_like(TWIN, NIC);
	record(HOSTDEV("04") HOSTDEV("41"), NULL);
	assert_int_equal(check(HOSTDEV("04") HOSTDEV("41"), &err), 0);
	exchange(NIC);
	assert_int_equal(check(HOSTDEV("04") HOSTDEV("41"), &err), -ENODEV);
	assert_non_null(
		strstr(err.message, NIC " is not the device that guest d1 was defined with"));
	assert_non_null(strstr(err.message, "the device with the same serial number at " TWIN
					    " is another one"));
	assert_null(strstr(err.message, "put " TWIN));
	assert_null(strstr(err.message, "\n"));
	assert_int_equal(check(HOSTDEV("41"), &err), 0);
}

static void test_the_same_ones(void **state)
{
	struct pt_error err;

	(void)state;
	record(HOSTDEV("04") HOSTDEV("41"), NULL);
	is_recorded(NIC, true);
	is_recorded(TWIN, true);
	assert_int_equal(check(HOSTDEV("04") HOSTDEV("41"), &err), 0);
	record(HOSTDEV("41"), HOSTDEV("04") HOSTDEV("41"));
	is_recorded(NIC, false);
	is_recorded(TWIN, true);
	record("", HOSTDEV("41"));
	assert_int_equal(faccessat(host->root_fd, RECORD, F_OK, 0), -1);
	/* of a guest that was never defined nothing is known, and nothing is kept */
	assert_int_equal(check(HOSTDEV("04"), &err), 0);
	assert_int_equal(faccessat(host->root_fd, RECORD, F_OK, 0), -1);
}

static void test_exchanged(void **state)
{
	struct pt_error err;

	(void)state;
	record(HOSTDEV("04") HOSTDEV("41"), NULL);
	exchange(NIC);
	assert_int_equal(check(HOSTDEV("04") HOSTDEV("41"), &err), -ENODEV);
	assert_int_equal(err.reason, PT_IDENTITY);
	assert_non_null(
		strstr(err.message, NIC " is not the device that guest d1 was defined with"));
	assert_non_null(strstr(err.message, "is not in this machine"));
	assert_non_null(strstr(err.message, "define the guest again"));
	assert_null(strstr(err.message, TWIN " is not"));
	/* another change of the definition is no consent to it; defining it again is */
	record(HOSTDEV("04"), HOSTDEV("04") HOSTDEV("41"));
	assert_int_equal(check(HOSTDEV("04"), &err), -ENODEV);
	record(HOSTDEV("04"), NULL);
	assert_int_equal(check(HOSTDEV("04"), &err), 0);
}

/* The two change places: each is told where it is now, in one refusal. */
static void test_moved(void **state)
{
	char *nic = read_config(NIC), *twin = read_config(TWIN), path[256];
	struct pt_error err;

	(void)state;
	record(HOSTDEV("04") HOSTDEV("41"), NULL);
	put_bytes(host, config_path(NIC, path), twin, 4096);
	put_bytes(host, config_path(TWIN, path), nic, 4096);
	free(nic);
	free(twin);
	assert_int_equal(check(HOSTDEV("04") HOSTDEV("41"), &err), -ENODEV);
	assert_int_equal(err.reason, PT_IDENTITY);
	assert_non_null(strstr(err.message, "put " TWIN " into the definition"));
	assert_non_null(strstr(err.message, "\n" TWIN " is not the device"));
	assert_non_null(strstr(err.message, "put " NIC " into the definition"));
}

static void test_first_seen_later(void **state)
{
	struct pt_error err;

	(void)state;
	put_away(host, "sys/bus/pci/devices/" NIC);
	record(HOSTDEV("04") HOSTDEV("77"), NULL);
	is_recorded(NIC, false);
	put_link(host, "sys/bus/pci/devices/" NIC, "../../../devices/pci0000:00/0000:00:04.0/" NIC);
	assert_int_equal(check(HOSTDEV("04") HOSTDEV("77"), &err), 0);
	is_recorded(NIC, false); /* it isn't a defined guest yet */
	assert_int_equal(store_write_definition(host, "d1", "<domain/>", &err), 0);
	assert_int_equal(check(HOSTDEV("04") HOSTDEV("77"), &err), 0);
	is_recorded(NIC, true);
	is_recorded(ABSENT, false);
	/* one that is away when the guest is defined again is still the one it was */
	put_away(host, "sys/bus/pci/devices/" NIC);
	record(HOSTDEV("04"), NULL);
	is_recorded(NIC, true);
	assert_int_equal(store_remove_definition(host, "d1", &err), 0);
	assert_int_equal(faccessat(host->root_fd, RECORD, F_OK, 0), -1);
}

static void test_broken_file(void **state)
{
	static const char *const broken[] = {
		"",
		"{}",
		"{\"devices\": 1}",
		"{\"devices\": [1]}",
		"{\"devices\": [{\"device\": \"0000:04:00.0\"}]}",
		"{\"devices\": [{\"device\": \"../..\"}]}",
	};
	struct pt_error err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		put_text(host, RECORD, broken[i]);
		assert_int_equal(check(HOSTDEV("04"), &err), -EBADMSG);
		assert_int_equal(err.reason, PT_CORRUPT);
		assert_non_null(strstr(err.message, "/d1.json: "));
		assert_non_null(strstr(err.message, "define the guest again"));
	}
	record(HOSTDEV("04"), NULL);
	assert_int_equal(check(HOSTDEV("04"), &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_same_ones, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_number, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_exchanged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_moved, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_first_seen_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_broken_file, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
