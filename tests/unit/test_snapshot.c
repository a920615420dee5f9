/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "pci/names.h"
#include "pci/snapshot.h"
#include "pci/uevent_text.h"
#include "read_tree.h"

#define ENTRIES "sys/bus/pci/devices/"

/* ---- the uevent file ---- */

static void test_uevent(void **state)
{
	static const char text[] =
		"DRIVER=nvme\nPCI_CLASS=10802\nPCI_ID=1B36:0010\n"
		"PCI_SUBSYS_ID=1AF4:1100\nPCI_SLOT_NAME=0000:01:00.0\n"
		"MODALIAS=pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02\n";
	struct uevent uevent;

	(void)state;
	assert_true(uevent_parse(text, strlen(text), &uevent));
	assert_int_equal(uevent.class_code, 0x010802);
	assert_int_equal(uevent.vendor_id, 0x1b36);
	assert_int_equal(uevent.device_id, 0x0010);
	assert_int_equal(uevent.subsystem_vendor_id, 0x1af4);
	assert_int_equal(uevent.subsystem_device_id, 0x1100);
	assert_int_equal(uevent.driver_len, 4);
	assert_memory_equal(uevent.driver, "nvme", 4);
}

static void test_uevent_malformed(void **state)
{
	static const char *const texts[] = {
		"",
		"\n\n\n",
		"=",
		"PCI_ID=8086:10D3", /* no class */
		"PCI_CLASS=20000",  /* no ids */
		"PCI_CLASS=\nPCI_ID=8086:10D3",
		"PCI_CLASS=2000000\nPCI_ID=8086:10D3", /* seven digits */
		"PCI_CLASS=20000\nPCI_ID=8086",
		"PCI_CLASS=20000\nPCI_ID=:",
		"PCI_CLASS=20000\nPCI_ID=18086:10D3",
		"PCI_CLASS=20000\nPCI_ID=8086:10D3:1",
		"PCI_CLASS=20000\nPCI_ID=8086:10D3 ",
		"PCI_CLASS=0x20000\nPCI_ID=8086:10D3",
		"XPCI_CLASS=20000\nPCI_ID=8086:10D3",
		"PCI_CLASSES=20000\nPCI_ID=8086:10D3",
	};
	struct uevent uevent;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_false(uevent_parse(texts[i], strlen(texts[i]), &uevent));
	/* what isn't needed may be missing, and the last line its end */
	assert_true(uevent_parse("PCI_ID=8086:10D3\nPCI_CLASS=20000", 32, &uevent));
	assert_null(uevent.driver);
	assert_int_equal(uevent.subsystem_vendor_id, 0);
}

/* ---- a whole machine ---- */

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

static struct pt_snapshot *read_snapshot(struct fake *fake)
{
	struct pt_snapshot *snapshot = NULL;
	struct pt_error err;
	int r = pt_snapshot_read(fake_host(fake), &snapshot, &err);

	if (r < 0)
		print_error("%s\n", err.message);
	assert_int_equal(r, 0);
	return snapshot;
}

static const struct pt_function *find(const struct pt_snapshot *snapshot, const char *text)
{
	struct pt_address address = at(text);

	return pt_snapshot_find(snapshot, &address);
}

static void test_machine(void **state)
{
	struct pt_snapshot *snapshot = read_snapshot(*state);
	const struct pt_function *function;
	struct pt_address nowhere = at("7f:1f.7");
	size_t i;

	assert_int_equal(pt_snapshot_count(snapshot), 44);
	for (i = 1; i < pt_snapshot_count(snapshot); i++)
		assert_true(pt_address_compare(&pt_snapshot_at(snapshot, i - 1)->address,
					       &pt_snapshot_at(snapshot, i)->address) < 0);
	assert_null(pt_snapshot_at(snapshot, 44));
	assert_null(pt_snapshot_find(snapshot, &nowhere));

	function = find(snapshot, "0000:0b:00.0"); /* below a switch */
	assert_string_equal(function->path, "/sys/devices/pci0000:00/0000:00:09.0/0000:09:00.0/"
					    "0000:0a:00.0/0000:0b:00.0");
	assert_true(function->has_parent);
	assert_int_equal(function->parent.bus, 0x0a);
	assert_int_equal(function->vendor_id, 0x8086);
	assert_int_equal(function->device_id, 0x10d3);
	assert_int_equal(function->subsystem_vendor_id, 0x8086);
	assert_int_equal(function->class_code, 0x020000);
	assert_string_equal(function->driver, "e1000e");
	assert_int_equal(function->iommu_group, 29);
	assert_false(function->is_vf);

	function = find(snapshot, "0000:00:0c.0"); /* on a root bus, without a driver */
	assert_false(function->has_parent);
	assert_null(function->driver);
	assert_int_equal(pt_function_kind(function), PT_ENDPOINT);
	assert_int_equal(pt_function_kind(find(snapshot, "00:0d.0")), PT_BRIDGE); /* host bridge */
	assert_int_equal(pt_function_kind(find(snapshot, "00:01.0")), PT_BRIDGE);
	assert_int_equal(pt_function_kind(find(snapshot, "00:1f.0")), PT_ENDPOINT); /* ISA bridge */
	pt_snapshot_free(snapshot);
}

static void test_groups(void **state)
{
	struct pt_snapshot *snapshot = read_snapshot(*state);
	const struct pt_group *group = pt_snapshot_group(snapshot, 10);
	size_t i, members = 0;
	int number;

	assert_int_equal(group->number, 10);
	assert_int_equal(group->count, 4);
	for (i = 0; i < group->count; i++)
		assert_int_equal(group->members[i]->iommu_group, 10);
	assert_ptr_equal(group->members[0], find(snapshot, "00:0a.0"));
	assert_ptr_equal(group->members[3], find(snapshot, "0e:00.0"));
	/* a port manages its DMA, a disk's driver doesn't; who has no driver does nothing */
	assert_false(pt_function_blocks_group(find(snapshot, "00:0a.0")));
	assert_true(pt_function_blocks_group(find(snapshot, "0d:00.0")));
	assert_false(pt_function_blocks_group(find(snapshot, "00:08.0")));
	/* each function is in one group */
	for (number = 0; number < 100; number++)
		if (pt_snapshot_group(snapshot, number))
			members += pt_snapshot_group(snapshot, number)->count;
	assert_int_equal(members, 44);
	assert_null(pt_snapshot_group(snapshot, -1));
	assert_null(pt_snapshot_group(snapshot, 33));
	pt_snapshot_free(snapshot);
}

static void test_virtual_functions(void **state)
{
	struct pt_host *host = fake_host(*state);
	struct pt_snapshot *snapshot;
	struct pt_address physfn = at("03:00.0");
	size_t i, count = 0;

	assert_int_equal(host->ops->write(host, ENTRIES "0000:03:00.0/sriov_numvfs", "7", 1), 0);
	snapshot = read_snapshot(*state);
	assert_int_equal(pt_snapshot_count(snapshot), 51);
	for (i = 0; i < pt_snapshot_count(snapshot); i++) {
		const struct pt_function *function = pt_snapshot_at(snapshot, i);

		if (!function->is_vf)
			continue;
		count++;
		assert_int_equal(pt_address_compare(&function->physfn, &physfn), 0);
	}
	assert_int_equal(count, 7);
	pt_snapshot_free(snapshot);
}

static void test_leaves_midway(void **state)
{
	struct pt_host *host = fake_host(*state);
	struct pt_snapshot *snapshot;

	/* still in the directory, but its link leads nowhere, as for an instant of a removal */
	put_link(host, ENTRIES "0000:01:00.0",
		 "../../../devices/pci0000:00/0000:00:01.0/0000:01:00.7");
	snapshot = read_snapshot(*state);
	assert_int_equal(pt_snapshot_count(snapshot), 43);
	assert_null(find(snapshot, "01:00.0"));
	assert_non_null(find(snapshot, "02:00.0"));
	pt_snapshot_free(snapshot);
}

static void count_warnings(void *context, enum pt_log_level level, const char *message)
{
	if (level == PT_LOG_WARNING && strstr(message, "0000:01:00.0"))
		++*(int *)context;
}

static void test_nonsense_is_kept(void **state)
{
	struct pt_host *host = fake_host(*state);
	struct pt_snapshot *snapshot;
	int warnings = 0;

	pt_host_set_log(host, count_warnings, &warnings);
	put_text(host, ENTRIES "0000:01:00.0/uevent", "DRIVER=nvme\nPCI_CLASS=zebra\n");
	snapshot = read_snapshot(*state);
	/* its group must not look free of it */
	assert_int_equal(pt_snapshot_group(snapshot, 21)->count, 1);
	assert_true(pt_function_blocks_group(find(snapshot, "01:00.0")));
	assert_int_equal(find(snapshot, "01:00.0")->vendor_id, 0);
	assert_int_equal(warnings, 1);
	pt_snapshot_free(snapshot);
	/* a group that isn't a number is none */
	put_link(host, ENTRIES "0000:01:00.0/iommu_group", "../../../kernel/iommu_groups/-3");
	snapshot = read_snapshot(*state);
	assert_int_equal(find(snapshot, "01:00.0")->iommu_group, -1);
	pt_snapshot_free(snapshot);
}

/* ---- odd machines ---- */

static void test_no_sysfs_and_no_pci(void **state)
{
	struct pt_snapshot *snapshot = NULL;
	struct empty empty;
	struct pt_error err;

	(void)state;
	open_empty(&empty);
	assert_int_equal(pt_snapshot_read(empty.host, &snapshot, &err), -ENOENT);
	assert_int_equal(err.reason, PT_SYSTEM);
	assert_null(snapshot);
	assert_int_equal(io_make_directories_at(empty.host->root_fd, "sys/bus", 0755), 0);
	assert_int_equal(pt_snapshot_read(empty.host, &snapshot, &err), 0);
	assert_int_equal(pt_snapshot_count(snapshot), 0);
	assert_null(pt_snapshot_at(snapshot, 0));
	assert_null(pt_snapshot_group(snapshot, 0));
	pt_snapshot_free(snapshot);
	pt_snapshot_free(NULL);
	close_empty(&empty);
}

#define UEVENT "PCI_CLASS=20000\nPCI_ID=8086:10D3\n"

/* Trees that no kernel makes, but a hand or a broken recording does. */
static void test_made_up(void **state)
{
	struct pt_snapshot *snapshot = NULL;
	struct empty empty;
	struct pt_host *host;
	char deep[3900];

	(void)state;
	open_empty(&empty);
	host = empty.host;
	put_text(host, ENTRIES "0000:01:00.0/uevent", UEVENT); /* not a link */
	put_text(host, ENTRIES "01:00.1/uevent", UEVENT);      /* not as the kernel writes it */
	put_text(host, ENTRIES "0000:01:00.A/uevent", UEVENT);
	put_text(host, ENTRIES "README", "hello");
	/* each is the other's parent */
	put_text(host, "sys/devices/x/0000:03:00.0/0000:02:00.0/uevent", UEVENT);
	put_text(host, "sys/devices/y/0000:02:00.0/0000:03:00.0/uevent", UEVENT);
	put_link(host, ENTRIES "0000:02:00.0", "../../../devices/x/0000:03:00.0/0000:02:00.0");
	put_link(host, ENTRIES "0000:03:00.0", "../../../devices/y/0000:02:00.0/0000:03:00.0");
	/* its own */
	put_text(host, "sys/devices/z/0000:04:00.0/0000:04:00.0/uevent", UEVENT);
	put_link(host, ENTRIES "0000:04:00.0", "../../../devices/z/0000:04:00.0/0000:04:00.0");
	/* a target too long to follow leads to nothing */
	memset(deep, 'x', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	put_link(host, ENTRIES "0000:05:00.0", deep);
	assert_int_equal(pt_snapshot_read(host, &snapshot, NULL), -ENAMETOOLONG);
	put_away(host, ENTRIES "0000:05:00.0");

	assert_int_equal(pt_snapshot_read(host, &snapshot, NULL), 0);
	assert_int_equal(pt_snapshot_count(snapshot), 4);
	assert_string_equal(find(snapshot, "01:00.0")->path, "/" ENTRIES "0000:01:00.0");
	assert_false(find(snapshot, "01:00.0")->has_parent);
	assert_false(find(snapshot, "02:00.0")->has_parent);
	assert_false(find(snapshot, "03:00.0")->has_parent);
	assert_false(find(snapshot, "04:00.0")->has_parent);
	pt_snapshot_free(snapshot);
	close_empty(&empty);
}

/* ---- drivers and names ---- */

static void test_vfio_drivers(void **state)
{
	static const char *const vfio[] = {
		"vfio-pci",	   "mlx5_vfio_pci", "hisi-acc-vfio-pci", "nvgrace-gpu-vfio-pci",
		"virtio_vfio_pci", "pds-vfio-pci",  "xe-vfio-pci",	 "qat_vfio_pci",
	};
	static const char *const others[] = {
		"",	"vfio",	       "pci",		"vfio-pci-core",
		"nvme", "notvfio-pci", "vfio-platform", "fio-pci",
	};
	struct pt_function function = {.driver = "pci-stub"};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(vfio) / sizeof(vfio[0]); i++)
		assert_true(pt_driver_is_vfio(vfio[i]));
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(pt_driver_is_vfio(others[i]));
	assert_false(pt_driver_is_vfio(NULL));
	assert_false(pt_function_blocks_group(&function));
	function.driver = "mlx5_vfio_pci";
	assert_false(pt_function_blocks_group(&function));
	function.driver = "mlx5_core";
	assert_true(pt_function_blocks_group(&function));
}

static void test_names(void **state)
{
	const struct pt_function product = {.vendor_id = 0x8086,
					    .device_id = 0x100e,
					    .subsystem_vendor_id = 0x1af4,
					    .subsystem_device_id = 0x1100};
	struct pt_function chip = product;
	struct empty empty;
	struct pt_host *host;

	(void)state;
	open_empty(&empty);
	host = empty.host;
	if (!pt_name_vendor(host, 0x8086)) {
		close_empty(&empty);
		skip(); /* no hardware database on this machine */
	}
	assert_string_equal(pt_name_vendor(host, 0x8086), "Intel Corporation");
	assert_string_equal(pt_name_device(host, 0x8086, 0x10d3),
			    "82574L Gigabit Network Connection");
	/* out of the last answer, and then not */
	assert_string_equal(pt_name_vendor(host, 0x8086), "Intel Corporation");
	assert_string_equal(pt_name_vendor(host, 0x1af4), "Red Hat, Inc.");
	assert_null(pt_name_vendor(host, 0x0ff0));
	assert_null(pt_name_device(host, 0x8086, 0x0fff));
	assert_string_equal(pt_name_class(host, 0x010802), "Non-Volatile memory controller");
	assert_string_equal(pt_name_interface(host, 0x010802), "NVM Express");
	assert_string_equal(pt_name_class(host, 0x0108ff), "Non-Volatile memory controller");
	assert_null(pt_name_interface(host, 0x020000));
	assert_string_equal(pt_name_class(host, 0x02ee00), "Network controller"); /* the base */
	assert_null(pt_name_class(host, 0xee0000));
	assert_non_null(strstr(pt_name_subsystem(host, &product), "QEMU"));
	chip.subsystem_device_id = 0xfffe;
	assert_null(pt_name_subsystem(host, &chip));
	assert_int_equal(names_do_without(host), 0);
	assert_null(pt_name_vendor(host, 0x8086));
	close_empty(&empty);
}

/* ---- around some ---- */

/* Is @function somewhere below @bridge, by what the whole snapshot says? */
static bool is_below(const struct pt_snapshot *whole, const struct pt_function *function,
		     const struct pt_address *bridge)
{
	while (function && function->has_parent) {
		if (pt_address_compare(&function->parent, bridge) == 0)
			return true;
		function = pt_snapshot_find(whole, &function->parent);
	}
	return false;
}

static bool is_around(const struct pt_snapshot *whole, const struct pt_function *function,
		      const struct pt_function *other)
{
	if (function->iommu_group >= 0 && other->iommu_group == function->iommu_group)
		return true;
	if (!function->has_parent) /* everything under that root */
		return strncmp(other->path, function->path,
			       (size_t)(strrchr(function->path, '/') - function->path) + 1) == 0;
	return is_below(whole, other, &function->parent) ||
	       is_below(whole, function, &other->address);
}

static void assert_same_function(const struct pt_function *a, const struct pt_function *b)
{
	assert_string_equal(a->path, b->path);
	assert_int_equal(a->class_code, b->class_code);
	assert_int_equal(a->iommu_group, b->iommu_group);
	assert_int_equal(a->is_vf, b->is_vf);
	assert_int_equal(a->has_parent, b->has_parent);
	assert_int_equal(!a->driver, !b->driver);
	if (a->driver)
		assert_string_equal(a->driver, b->driver);
}

/* Around each function there is: all that belongs there, and nothing else. */
static void test_around(void **state)
{
	struct pt_host *host = fake_host(*state);
	struct pt_snapshot *whole, *part;
	size_t i, j, fewer = 0;

	assert_int_equal(host->ops->write(host, ENTRIES "0000:03:00.0/sriov_numvfs", "7", 1), 0);
	whole = read_snapshot(*state);
	for (i = 0; i < pt_snapshot_count(whole); i++) {
		const struct pt_function *function = pt_snapshot_at(whole, i);

		assert_int_equal(snapshot_read_around(host, &function->address, 1, &part, NULL), 0);
		for (j = 0; j < pt_snapshot_count(whole); j++) {
			const struct pt_function *other = pt_snapshot_at(whole, j);
			const struct pt_function *found = pt_snapshot_find(part, &other->address);

			assert_int_equal(found != NULL, is_around(whole, function, other));
			if (found)
				assert_same_function(found, other);
		}
		if (function->iommu_group >= 0)
			assert_int_equal(pt_snapshot_group(part, function->iommu_group)->count,
					 pt_snapshot_group(whole, function->iommu_group)->count);
		fewer += pt_snapshot_count(part) < pt_snapshot_count(whole);
		pt_snapshot_free(part);
	}
	assert_true(fewer > pt_snapshot_count(whole) / 2);
	pt_snapshot_free(whole);
}

static void test_around_nothing(void **state)
{
	struct pt_address addresses[] = {at("0000:7f:1f.7"), at("0000:0b:00.0")};
	struct pt_snapshot *part;

	assert_int_equal(snapshot_read_around(fake_host(*state), addresses, 1, &part, NULL), 0);
	assert_int_equal(pt_snapshot_count(part), 0);
	pt_snapshot_free(part);
	/* the other one is read all the same */
	assert_int_equal(snapshot_read_around(fake_host(*state), addresses, 2, &part, NULL), 0);
	assert_non_null(find(part, "0000:0b:00.0"));
	assert_null(find(part, "0000:7f:1f.7"));
	pt_snapshot_free(part);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uevent),
		cmocka_unit_test(test_uevent_malformed),
		cmocka_unit_test_setup_teardown(test_machine, make, unmake),
		cmocka_unit_test_setup_teardown(test_groups, make, unmake),
		cmocka_unit_test_setup_teardown(test_virtual_functions, make, unmake),
		cmocka_unit_test_setup_teardown(test_leaves_midway, make, unmake),
		cmocka_unit_test_setup_teardown(test_nonsense_is_kept, make, unmake),
		cmocka_unit_test(test_no_sysfs_and_no_pci),
		cmocka_unit_test_setup_teardown(test_around, make, unmake),
		cmocka_unit_test_setup_teardown(test_around_nothing, make, unmake),
		cmocka_unit_test(test_made_up),
		cmocka_unit_test(test_vfio_drivers),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
