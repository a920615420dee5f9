/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices kept from the host: files, refusals, and what is done at boot, on the fake kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include <passthru/passthru.h>

#include "assign/persist/persist.h"
#include "pci/binding.h"
#include "pci/identity.h"
#include "read_tree.h"

#define NIC	  "0000:04:00.0"
#define TWIN	  "0000:41:00.0"
#define DRIVE	  "0000:01:00.0"
#define DSN_UPPER 0x148

static void driver_is(struct pt_host *host, const char *device, const char *driver)
{
	struct pt_address address = at(device);
	struct binding binding;

	assert_int_equal(binding_read(host, &address, &binding, NULL), 0);
	assert_string_equal(binding.driver, driver);
}

static void override_is(struct pt_host *host, const char *device, const char *driver)
{
	struct pt_address address = at(device);
	struct binding binding;

	assert_int_equal(binding_read(host, &address, &binding, NULL), 0);
	assert_string_equal(binding.override, driver);
}

static int persist(struct pt_host *host, const char *device, struct pt_error *err)
{
	struct pt_address address = at(device);
	struct pt_persist_request request = {.devices = &address, .count = 1};

	return pt_persist_add(host, &request, err);
}

/* As after boot: no driver has it yet. */
static void unbind(struct pt_host *host, const char *device)
{
	struct pt_address address = at(device);

	assert_int_equal(binding_unbind(host, &address, 1000, NULL), 0);
}

static struct pt_persisted state_of(struct pt_host *host, const char *device)
{
	struct pt_address address = at(device);
	struct pt_persist_list *list;
	struct pt_persisted found = {.state = (enum pt_persist_state)99};
	struct pt_error err;
	size_t i;

	if (pt_persist_read(host, &list, &err) < 0)
		fail_msg("%s", err.message);
	for (i = 0; i < pt_persist_count(list); i++) {
		if (!pt_address_compare(&pt_persist_at(list, i)->address, &address))
			found = *pt_persist_at(list, i);
	}
	pt_persist_free(list);
	return found;
}

struct report {
	size_t count;
	int result;
	char text[2048];
};

static void tell(void *context, const struct pt_persisted *persisted, int result, const char *text)
{
	struct report *report = context;

	(void)persisted;
	report->count++;
	report->result = result;
	(void)snprintf(report->text, sizeof(report->text), "%s", text);
}

static char *read_config(struct pt_host *host, const char *device)
{
	char path[256], *bytes;
	size_t size;

	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/config", device);
	assert_int_equal(io_read_all_at(host->root_fd, path, 4096, &bytes, &size), 0);
	assert_int_equal(size, 4096);
	return bytes;
}

static void write_config(struct pt_host *host, const char *device, const char *bytes)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/config", device);
	put_bytes(host, path, bytes, 4096);
}

/* ---- tests ---- */

static void test_files(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	struct pt_address nic = at(NIC), drive = at(DRIVE);
	struct pt_persisted persisted;
	struct pt_error err;
	size_t removed = 9;

	(void)state;
	assert_false(pt_persist_has(host, &nic));
	assert_int_equal(persist(host, NIC, &err), 0);
	assert_int_equal(persist(host, NIC, &err), 0);
	assert_true(pt_persist_has(host, &nic));
	assert_false(pt_persist_has(host, &drive));
	persisted = state_of(host, NIC);
	assert_int_equal(persisted.state, PT_PERSIST_PENDING);
	assert_string_equal(persisted.driver, "vfio-pci");
	assert_string_equal(persisted.driver_now, "e1000e");
	/* nothing on the machine was changed */
	driver_is(host, NIC, "e1000e");
	override_is(host, NIC, "");
	assert_int_equal(pt_persist_remove(host, &drive, 1, &removed, &err), 0);
	assert_int_equal(removed, 0);
	assert_int_equal(pt_persist_remove(host, &nic, 1, &removed, &err), 0);
	assert_int_equal(removed, 1);
	assert_false(pt_persist_has(host, &nic));
	/* the udev rule looks for the directory */
	assert_int_equal(faccessat(host->root_fd, PERSIST_DIR, F_OK, 0), -1);
	fake_free(fake);
}

static void test_all_or_none(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	struct pt_address devices[] = {at(NIC), at("0000:00:01.0"), at("0000:77:00.0")};
	struct pt_persist_request request = {.devices = devices, .count = 3};
	struct pt_error err;

	(void)state;
	assert_true(pt_persist_add(host, &request, &err) < 0);
	assert_int_equal(err.reason, PT_UNSUITABLE);
	assert_non_null(strstr(err.message, "bridge"));
	assert_non_null(strstr(err.message, "0000:77:00.0"));
	assert_false(pt_persist_has(host, &devices[0]));
	request.count = 1;
	request.driver = "nvme";
	assert_int_equal(pt_persist_add(host, &request, &err), -EINVAL);
	request.driver = "../../x";
	assert_int_equal(pt_persist_add(host, &request, &err), -EINVAL);
	fake_free(fake);
}

#define NAMESPACE "sys/devices/pci0000:00/0000:00:01.0/" DRIVE "/nvme/nvme0/nvme0n1"

/* The classic disaster: the disk that the host boots from. */
static void test_held(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	struct pt_address drive = at(DRIVE);
	struct pt_persist_request request = {.devices = &drive, .count = 1};
	struct pt_error err;

	(void)state;
	put_text(host, NAMESPACE "/uevent", "MAJOR=259\nMINOR=0\nDEVNAME=nvme0n1\n");
	put_text(host, NAMESPACE "/dev", "259:0\n");
	put_link(host, NAMESPACE "/subsystem", "../../../../../../../class/block");
	put_link(host, "sys/class/block/nvme0n1",
		 "../../devices/pci0000:00/0000:00:01.0/" DRIVE "/nvme/nvme0/nvme0n1");
	put_text(host, "proc/1/mountinfo", "30 1 259:0 / / rw - ext4 /dev/nvme0n1 rw\n");
	assert_int_equal(pt_persist_add(host, &request, &err), -EBUSY);
	assert_int_equal(err.reason, PT_IN_USE);
	assert_non_null(strstr(err.message, "--force"));
	assert_false(pt_persist_has(host, &drive));
	request.is_forced = true;
	assert_int_equal(pt_persist_add(host, &request, &err), -EINVAL);
	request.why = "it boots from elsewhere";
	assert_int_equal(pt_persist_add(host, &request, &err), 0);
	assert_string_equal(state_of(host, DRIVE).why, "it boots from elsewhere");
	/* at boot it stays where it is, all of it: with the override its driver could not come back
	 */
	assert_int_equal(pt_persist_apply(host, NULL, true, NULL, NULL, &err), -EBUSY);
	driver_is(host, DRIVE, "nvme");
	override_is(host, DRIVE, "");
	fake_free(fake);
}

static void test_apply(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	struct pt_address nic = at(NIC);
	struct report report = {0};
	struct pt_error err;

	(void)state;
	assert_int_equal(persist(host, NIC, &err), 0);
	assert_int_equal(persist(host, DRIVE, &err), 0);
	unbind(host, NIC);
	/* the event of another device: the override is there before any module is loaded */
	assert_int_equal(pt_persist_apply(host, &(struct pt_address){.bus = 0x41}, false, tell,
					  &report, &err),
			 0);
	assert_int_equal(report.count, 0);
	override_is(host, NIC, "vfio-pci");
	driver_is(host, NIC, "");
	/* a host driver that has it keeps it, unless the call may take it */
	driver_is(host, DRIVE, "nvme");
	override_is(host, DRIVE, "");
	assert_int_equal(pt_persist_apply(host, &nic, false, tell, &report, &err), 0);
	assert_int_equal(report.count, 1);
	assert_string_equal(report.text, "bound to vfio-pci");
	driver_is(host, NIC, "vfio-pci");
	assert_int_equal(pt_persist_apply(host, NULL, false, tell, &report, &err), -EBUSY);
	driver_is(host, DRIVE, "nvme");
	assert_int_equal(pt_persist_apply(host, NULL, true, NULL, NULL, &err), 0);
	driver_is(host, DRIVE, "vfio-pci");
	assert_int_equal(state_of(host, DRIVE).state, PT_PERSIST_APPLIED);
	fake_free(fake);
}

static void test_exchanged(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	char *bytes = read_config(host, NIC);
	struct report report = {0};
	struct pt_error err;

	(void)state;
	assert_int_equal(persist(host, NIC, &err), 0);
	bytes[DSN_UPPER] ^= 0x55;
	write_config(host, NIC, bytes);
	free(bytes);
	unbind(host, NIC);
	assert_int_equal(pt_persist_apply(host, NULL, true, tell, &report, &err), -ENODEV);
	assert_int_equal(err.reason, PT_IDENTITY);
	assert_non_null(strstr(report.text, "another device"));
	driver_is(host, NIC, "");
	override_is(host, NIC, "");
	assert_int_equal(state_of(host, NIC).state, PT_PERSIST_EXCHANGED);
	/* to persist the new one, the old one must be forgotten first */
	assert_int_equal(persist(host, NIC, &err), -EEXIST);
	assert_int_equal(err.reason, PT_IDENTITY);
	fake_free(fake);
}

/* The two NICs change places. */
static void test_moved(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	char *nic = read_config(host, NIC), *twin = read_config(host, TWIN);
	struct pt_persisted persisted;
	struct report report = {0};
	struct pt_error err;

	(void)state;
	assert_int_equal(persist(host, NIC, &err), 0);
	write_config(host, NIC, twin);
	write_config(host, TWIN, nic);
	free(nic);
	free(twin);
	persisted = state_of(host, NIC);
	assert_int_equal(persisted.state, PT_PERSIST_MOVED);
	assert_non_null(strstr(persisted.text, "now at " TWIN));
	assert_int_equal(pt_persist_apply(host, NULL, true, tell, &report, &err), -ENODEV);
	assert_int_equal(err.reason, PT_IDENTITY);
	assert_non_null(strstr(report.text, "now at " TWIN));
	driver_is(host, NIC, "e1000e");
	driver_is(host, TWIN, "e1000e");
	/* persisting it where it is now is how to say that this was meant */
	assert_int_equal(persist(host, TWIN, &err), 0);
	assert_int_equal(state_of(host, NIC).state, 99);
	assert_int_equal(pt_persist_apply(host, NULL, true, tell, &report, &err), 0);
	driver_is(host, TWIN, "vfio-pci");
	fake_free(fake);
}

/* A card elsewhere made the firmware count buses anew: 04 is 14 now, the slot is the same. */
/* Two cards with one serial number: each keeps its entry, and none stands for the other. */
static void test_same_serial(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	char *nic = read_config(host, NIC), *twin = read_config(host, TWIN);
	struct pt_error err;

	(void)state;
	write_config(host, TWIN, nic);
	assert_int_equal(persist(host, NIC, &err), 0);
	assert_int_equal(persist(host, TWIN, &err), 0);
	assert_int_equal(state_of(host, NIC).state, PT_PERSIST_PENDING);
	assert_int_equal(state_of(host, TWIN).state, PT_PERSIST_PENDING);
	/* again, with both files there */
	assert_int_equal(persist(host, NIC, &err), 0);
	assert_int_equal(state_of(host, TWIN).state, PT_PERSIST_PENDING);
	/* one card is exchanged: the other is not it */
	nic[0x148] = (char)(nic[0x148] ^ 0x55);
	write_config(host, NIC, nic);
	assert_int_equal(state_of(host, NIC).state, PT_PERSIST_EXCHANGED);
	assert_int_equal(state_of(host, TWIN).state, PT_PERSIST_PENDING);
	free(nic);
	free(twin);
	fake_free(fake);
}

static void test_renumbered(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	struct pt_address now = at("0000:14:00.0");
	struct pt_persisted persisted;
	struct pt_error err;

	(void)state;
	assert_int_equal(persist(host, NIC, &err), 0);
	unbind(host, NIC);
	put_away(host, "sys/bus/pci/devices/" NIC);
	assert_int_equal(renameat(host->root_fd, "sys/devices/pci0000:00/0000:00:04.0/" NIC,
				  host->root_fd,
				  "sys/devices/pci0000:00/0000:00:04.0/0000:14:00.0"),
			 0);
	put_link(host, "sys/bus/pci/devices/0000:14:00.0",
		 "../../../devices/pci0000:00/0000:00:04.0/0000:14:00.0");
	assert_true(pt_persist_has(host, &now));
	assert_int_equal(pt_persist_apply(host, &now, false, NULL, NULL, &err), 0);
	persisted = state_of(host, NIC);
	assert_int_equal(persisted.state, PT_PERSIST_APPLIED);
	assert_int_equal(pt_address_compare(&persisted.now, &now), 0);
	driver_is(host, "0000:14:00.0", "vfio-pci");
	fake_free(fake);
}

static void test_missing(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	struct report report = {0};
	struct pt_error err;

	(void)state;
	assert_int_equal(persist(host, NIC, &err), 0);
	put_away(host, "sys/bus/pci/devices/" NIC);
	assert_int_equal(state_of(host, NIC).state, PT_PERSIST_MISSING);
	/* reported, and no failure: what isn't there, no host driver has */
	assert_int_equal(pt_persist_apply(host, NULL, true, tell, &report, &err), 0);
	assert_int_equal(report.count, 1);
	assert_int_equal(report.result, -ENODEV);
	fake_free(fake);
}

/* A file that doesn't parse is reported, and keeps nobody from the others. */
static void test_corrupt(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	struct pt_persist_list *list;
	struct pt_error err;
	size_t removed;

	(void)state;
	assert_int_equal(persist(host, NIC, &err), 0);
	put_text(host, PERSIST_DIR "/" DRIVE ".json", "{\"device\": \"" DRIVE "\"}");
	assert_int_equal(pt_persist_read(host, &list, &err), 0);
	assert_int_equal(pt_persist_count(list), 1);
	assert_int_equal(pt_persist_unreadable_count(list), 1);
	assert_null(pt_persist_unreadable_at(list, 1));
	assert_string_equal(pt_persist_unreadable_at(list, 0)->path,
			    "/" PERSIST_DIR "/" DRIVE ".json");
	assert_string_equal(pt_persist_unreadable_at(list, 0)->why, "\"driver\" is missing");
	pt_persist_free(list);
	assert_true(pt_persist_apply(host, NULL, true, NULL, NULL, &err) < 0);
	assert_int_equal(err.reason, PT_CORRUPT);
	assert_non_null(strstr(err.message, DRIVE));
	driver_is(host, NIC, "vfio-pci");
	/* it is the device's: removed with it */
	assert_int_equal(
		pt_persist_remove(host, (const struct pt_address[]){at(DRIVE)}, 1, &removed, &err),
		0);
	assert_int_equal(removed, 1);
	assert_int_equal(pt_persist_apply(host, NULL, true, NULL, NULL, &err), 0);
	fake_free(fake);
}

/* What has a claim is its owner's. */
static void test_claimed(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	struct pt_address nic = at(NIC);
	struct pt_request request = {
		.verb = PT_DETACH, .devices = &nic, .count = 1, .driver = "pci-stub"};
	struct report report = {0};
	struct pt_error err;

	(void)state;
	assert_int_equal(persist(host, NIC, &err), 0);
	request.driver = NULL;
	assert_int_equal(pt_request_apply(host, &request, &err), 0);
	assert_int_equal(binding_set_override(host, &nic, "", &err), 0);
	assert_int_equal(pt_persist_apply(host, NULL, true, tell, &report, &err), 0);
	assert_string_equal(report.text, "claimed: its owner keeps it");
	override_is(host, NIC, "");
	fake_free(fake);
}

static void test_driver_refuses(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	struct pt_error err;

	(void)state;
	assert_int_equal(persist(host, NIC, &err), 0);
	unbind(host, NIC);
	fake_fault(fake, NIC, "probe", "refuse");
	assert_true(pt_persist_apply(host, NULL, true, NULL, NULL, &err) < 0);
	assert_int_equal(err.reason, PT_DRIVER_REFUSED);
	/* the host's driver doesn't get it for that */
	override_is(host, NIC, "vfio-pci");
	driver_is(host, NIC, "");
	fake_free(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),	   cmocka_unit_test(test_all_or_none),
		cmocka_unit_test(test_held),	   cmocka_unit_test(test_apply),
		cmocka_unit_test(test_exchanged),  cmocka_unit_test(test_moved),
		cmocka_unit_test(test_renumbered), cmocka_unit_test(test_same_serial),
		cmocka_unit_test(test_missing),	   cmocka_unit_test(test_corrupt),
		cmocka_unit_test(test_claimed),	   cmocka_unit_test(test_driver_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
