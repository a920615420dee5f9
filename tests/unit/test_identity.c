/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a device is, whether it is still that device, and where it has gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include <passthru/passthru.h>

#include "pci/identity.h"
#include "read_tree.h"

/* An e1000e with a serial number capability, its twin on the other root bus, and an NVMe drive. */
#define NIC	"0000:04:00.0"
#define TWIN	"0000:41:00.0"
#define DRIVE	"0000:01:00.0"
#define DRIVE_2 "0000:02:00.0"

/* The capability's upper half in the configuration space of QEMU's e1000e: 0x140 + 8. */
#define DSN_UPPER 0x148

static struct pt_identity identity_of(struct pt_host *host, const char *text)
{
	struct pt_address address = at(text);
	struct pt_identity identity;
	struct pt_error err;

	if (pt_identity_read(host, &address, &identity, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	return identity;
}

/* Another card of the same model: only its serial number differs. */
static void exchange(struct pt_host *host, const char *address)
{
	char path[256], *bytes;
	size_t size;

	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/config", address);
	assert_int_equal(io_read_all_at(host->root_fd, path, 4096, &bytes, &size), 0);
	assert_int_equal(size, 4096);
	bytes[DSN_UPPER] ^= 0x55;
	put_bytes(host, path, bytes, size);
	free(bytes);
}

static void test_read(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	struct pt_identity nic = identity_of(host, NIC), drive = identity_of(host, DRIVE);
	struct pt_identity deep = identity_of(host, "0000:0b:00.0");
	struct pt_address nowhere = at("0000:99:00.0");
	struct pt_identity identity;
	struct pt_error err;

	(void)state;
	assert_int_equal(nic.vendor_id, 0x8086);
	assert_int_equal(nic.device_id, 0x10d3);
	assert_int_equal(nic.class_code, 0x020000);
	assert_true(nic.is_serial_known);
	assert_string_equal(nic.serial, "dsn:52-54-00-ff-ff-1a-b0-02");
	assert_string_equal(nic.slot, "0000:00/04.0/00.0");
	assert_string_equal(drive.serial, "");
	assert_int_equal(drive.revision, 2);
	assert_string_equal(deep.slot, "0000:00/09.0/00.0/00.0/00.0");
	assert_int_equal(pt_identity_read(host, &nowhere, &identity, &err), -ENODEV);
	assert_int_equal(err.reason, PT_NO_DEVICE);
	fake_free(fake);
}

static void test_slot_of_path(void **state)
{
	char slot[PT_SLOT_TEXT], path[4096] = "pci0000:00";
	size_t i, used = strlen(path);

	(void)state;
	assert_int_equal(
		identity_slot_of_path("/sys/devices/pci0000:00/0000:00:1c.5/0000:03:00.1", slot),
		0);
	assert_string_equal(slot, "0000:00/1c.5/00.1");
	/* VMD: a domain of its own below a function; ARM: a platform device above the root */
	assert_int_equal(identity_slot_of_path("../../../devices/pci0000:00/0000:00:0e.0/"
					       "pci10000:e0/10000:e0:06.0/10000:e1:00.0",
					       slot),
			 0);
	assert_string_equal(slot, "0000:00/0e.0/10000:e0/06.0/00.0");
	assert_int_equal(identity_slot_of_path("/sys/devices/platform/3f000000.pcie/pci0000:00/"
					       "0000:00:01.0",
					       slot),
			 0);
	assert_string_equal(slot, "0000:00/01.0");
	assert_int_equal(identity_slot_of_path("/sys/bus/pci/devices/0000:01:00.0", slot), 0);
	assert_string_equal(slot, "");
	for (i = 0; i < 200; i++)
		used += (size_t)snprintf(path + used, sizeof(path) - used, "/0000:00:00.0");
	assert_int_equal(identity_slot_of_path(path, slot), -ENAMETOOLONG);
}

static void test_compare(void **state)
{
	const struct pt_identity card = {
		.vendor_id = 0x8086,
		.device_id = 0x10c9,
		.class_code = 0x020000,
		.revision = 1,
		.is_serial_known = true,
		.serial = "dsn:01",
		.slot = "0000:00/1c.0/00.0",
	};
	struct pt_identity other = card;
	char difference[512];

	(void)state;
	assert_int_equal(pt_identity_compare(&card, &other, difference, sizeof(difference)),
			 PT_IDENTITY_SAME);
	assert_string_equal(difference, "");
	/* a firmware update changed the revision: the serial number settles it */
	other.revision = 2;
	assert_int_equal(pt_identity_compare(&card, &other, NULL, 0), PT_IDENTITY_SAME);
	other = card;
	strcpy(other.slot, "0000:00/1d.0/00.0");
	assert_int_equal(pt_identity_compare(&card, &other, difference, sizeof(difference)),
			 PT_IDENTITY_MOVED);
	assert_non_null(strstr(difference, "the same device in another slot"));
	strcpy(other.serial, "dsn:02");
	assert_int_equal(pt_identity_compare(&card, &other, difference, sizeof(difference)),
			 PT_IDENTITY_OTHER);
	assert_string_equal(
		difference,
		"another device: expected 8086:10c9, serial number 01, found 8086:10c9, "
		"serial number 02");
	other = card;
	other.device_id = 0x10d3;
	assert_int_equal(pt_identity_compare(&card, &other, difference, sizeof(difference)),
			 PT_IDENTITY_OTHER);
	/* has one of the two lost its number? Then it isn't that card */
	other = card;
	other.serial[0] = '\0';
	assert_int_equal(pt_identity_compare(&card, &other, NULL, 0), PT_IDENTITY_OTHER);
	/* without privilege it isn't known, and tells nothing */
	other.is_serial_known = false;
	assert_int_equal(pt_identity_compare(&card, &other, NULL, 0), PT_IDENTITY_SAME);
	other.revision = 9;
	assert_int_equal(pt_identity_compare(&card, &other, difference, 20), PT_IDENTITY_OTHER);
	assert_int_equal(strlen(difference), 19);
}

static struct pt_snapshot *snapshot_of(struct pt_host *host)
{
	struct pt_snapshot *snapshot;
	struct pt_error err;

	assert_int_equal(pt_snapshot_read(host, &snapshot, &err), 0);
	return snapshot;
}

static void test_find(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	struct pt_identity nic = identity_of(host, NIC), drive = identity_of(host, DRIVE);
	struct pt_snapshot *snapshot = snapshot_of(host);
	struct pt_address found;
	struct pt_error err;
	char text[PT_ADDRESS_TEXT];

	(void)state;
	assert_int_equal(pt_identity_find(host, snapshot, &nic, &found, &err), 0);
	assert_string_equal(pt_address_format(&found, text), NIC);
	/* the card was pulled out of the twin's slot: a serial number is found anywhere */
	strcpy(nic.slot, "0000:00/1f.0/00.0");
	assert_int_equal(pt_identity_find(host, snapshot, &nic, &found, &err), 0);
	assert_string_equal(pt_address_format(&found, text), NIC);
	/* a drive without serial number only in its own slot; else it is not guessed */
	assert_int_equal(pt_identity_find(host, snapshot, &drive, &found, &err), 0);
	assert_string_equal(pt_address_format(&found, text), DRIVE);
	strcpy(drive.slot, "0000:00/1f.0/00.0");
	assert_int_equal(pt_identity_find(host, snapshot, &drive, &found, &err), -ENODEV);
	assert_int_equal(err.reason, PT_NO_DEVICE);
	assert_non_null(strstr(err.message, DRIVE));
	assert_non_null(strstr(err.message, DRIVE_2));
	/* function 1 of a card is not its function 0, though they share a number */
	strcpy(nic.slot, "0000:00/1f.0/00.1");
	assert_int_equal(pt_identity_find(host, snapshot, &nic, &found, &err), -ENODEV);
	pt_snapshot_free(snapshot);
	fake_free(fake);
}

static void set_serial(struct pt_host *host, const char *address, uint32_t lower, uint32_t upper)
{
	char path[256], *bytes;
	size_t size;

	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/config", address);
	assert_int_equal(io_read_all_at(host->root_fd, path, 4096, &bytes, &size), 0);
	memcpy(bytes + DSN_UPPER - 4, &lower, 4);
	memcpy(bytes + DSN_UPPER, &upper, 4);
	put_bytes(host, path, bytes, size);
	free(bytes);
}

static void test_shared_serial(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	struct pt_snapshot *snapshot = snapshot_of(host);
	struct pt_identity nic, is;
	struct pt_address found;
	struct pt_error err;

	(void)state;
	set_serial(host, NIC, 1, 2);
	set_serial(host, TWIN, 1, 2);
	nic = identity_of(host, NIC);
	assert_string_equal(nic.serial, identity_of(host, TWIN).serial);
	assert_int_equal(pt_identity_find(host, snapshot, &nic, &found, &err), 0);
	strcpy(nic.slot, "0000:00/1f.0/00.0");
	assert_int_equal(pt_identity_find(host, snapshot, &nic, &found, &err), -ENODEV);
	assert_non_null(strstr(err.message, TWIN));
	/* Realtek's is no number, read now or written to a file by an earlier version */
	set_serial(host, NIC, 0x684ce000, 0x01000000);
	is = identity_of(host, NIC);
	assert_string_equal(is.serial, "");
	nic = is;
	strcpy(nic.serial, "dsn:01-00-00-00-68-4c-e0-00");
	assert_int_equal(pt_identity_compare(&nic, &is, NULL, 0), PT_IDENTITY_SAME);
	/* nor did that version read the number that the card has beside it */
	strcpy(is.serial, "vpd:1234");
	assert_int_equal(pt_identity_compare(&nic, &is, NULL, 0), PT_IDENTITY_SAME);
	strcpy(nic.slot, "0000:00/1f.0/00.0");
	assert_int_equal(pt_identity_find(host, snapshot, &nic, &found, &err), -ENODEV);
	pt_snapshot_free(snapshot);
	fake_free(fake);
}

static void test_exchanged_card(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	struct pt_identity was = identity_of(host, NIC), is;
	struct pt_snapshot *snapshot = snapshot_of(host);
	struct pt_address found;
	char difference[512];

	(void)state;
	exchange(host, NIC);
	is = identity_of(host, NIC);
	assert_int_equal(pt_identity_compare(&was, &is, difference, sizeof(difference)),
			 PT_IDENTITY_OTHER);
	assert_int_equal(pt_identity_find(host, snapshot, &was, &found, NULL), -ENODEV);
	pt_snapshot_free(snapshot);
	fake_free(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),	       cmocka_unit_test(test_slot_of_path),
		cmocka_unit_test(test_compare),	       cmocka_unit_test(test_find),
		cmocka_unit_test(test_exchanged_card), cmocka_unit_test(test_shared_serial),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
