/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything about single functions of the recorded machine, and of damaged ones; modules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/wait.h>
#include <time.h>

#include <passthru/device.h>

#include "base/text.h"
#include "pci/binding.h"
#include "pci/modules.h"
#include "pci/sysfs.h"
#include "read_tree.h"

#define FILE_OF(address, name) "sys/bus/pci/devices/" address "/" name

#define NVME	"0000:01:00.0"
#define IGB	"0000:03:00.0"
#define E1000E	"0000:04:00.0"
#define DISPLAY "0000:06:00.0"
#define PORT	"0000:00:01.0"
#define EMPTY	"0000:00:0e.0" /* a port with nothing in its slot */
#define NODE1	"0000:40:00.0"
#define BARE	"0000:00:0c.0"

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

static struct pt_details *read_details(struct fake *fake, const char *text)
{
	struct pt_address address = at(text);
	struct pt_details *details = NULL;
	struct pt_error err;

	if (pt_details_read(fake_host(fake), &address, &details, &err) < 0)
		fail_msg("%s", err.message);
	return details;
}

static bool has(const struct pt_details *details, const char *name)
{
	size_t i;

	for (i = 0; i < details->capability_count; i++)
		if (!strcmp(details->capabilities[i].name, name))
			return true;
	return false;
}

static void assert_bar(const struct pt_bar *bar, uint64_t start, uint64_t size, const char *flags)
{
	assert_true(bar->start == start);
	assert_true(bar->size == size);
	assert_int_equal(bar->is_io, !!strchr(flags, 'i'));
	assert_int_equal(bar->is_64bit, !!strchr(flags, '6'));
	assert_int_equal(bar->is_prefetchable, !!strchr(flags, 'p'));
}

/* The figures of these three are those of lspci -vv on the machine that was recorded. */

static void test_nvme(void **state)
{
	struct pt_details *details = read_details(*state, NVME);

	assert_int_equal(details->header_type, 0);
	assert_int_equal(details->revision, 2);
	assert_true(details->is_config_whole);
	assert_bar(&details->bars[0], 0xfe600000, 16 << 10, "6");
	assert_bar(&details->bars[1], 0, 0, "");
	assert_bar(&details->rom, 0, 0, "");
	assert_int_equal(details->msix_vectors, 65);
	assert_int_equal(details->msi_vectors, 0);
	assert_true(details->is_pcie);
	assert_string_equal(details->port_type, "endpoint");
	assert_true(details->has_flr);
	assert_false(details->has_pm_reset);
	assert_int_equal(details->link_now.speed_mtps, 2500);
	assert_int_equal(details->link_now.width, 1);
	assert_string_equal(details->reset_methods[0], "flr");
	assert_string_equal(details->reset_methods[1], "bus");
	assert_null(details->reset_methods[2]);
	assert_null(details->driver_override);
	assert_int_equal(details->numa_node, -1);
	assert_string_equal(details->power_state, "D0");
	assert_int_equal(details->sriov_total, 0);
	assert_null(details->vpd_name);
	assert_null(details->vpd_fields[0]);
	assert_false(details->is_boot_vga);
	pt_details_free(details);
	pt_details_free(NULL);
}

static void test_others(void **state)
{
	struct pt_details *details = read_details(*state, E1000E);

	assert_true(details->has_serial);
	assert_true(details->serial == UINT64_C(0x525400ffff1ab002));
	assert_true(details->has_pm_reset);
	assert_true(has(details, "serial-number") && has(details, "aer"));
	pt_details_free(details);

	details = read_details(*state, DISPLAY);
	assert_bar(&details->bars[0], 0xfb000000, 16 << 20, "p");
	assert_int_equal(details->bars[2].size, 4096);
	assert_int_equal(details->rom.size, 32 << 10);
	assert_true(details->is_multifunction);
	pt_details_free(details);

	details = read_details(*state, BARE);
	assert_null(details->reset_methods[0]);
	assert_false(details->is_pcie);
	assert_null(details->port_type);
	pt_details_free(details);
}

static void test_ports(void **state)
{
	struct pt_details *details = read_details(*state, PORT);

	assert_int_equal(details->header_type, 1);
	assert_int_equal(details->secondary_bus, 1);
	assert_int_equal(details->subordinate_bus, 1);
	assert_int_equal(details->acs_capable, 0x5f);
	assert_int_equal(details->acs_enabled, 0x1d);
	assert_int_equal(details->link_max.speed_mtps, 16000);
	assert_int_equal(details->link_max.width, 32);
	assert_null(details->vfio_candidates[0]); /* vfio-pci takes no bridges */
	pt_details_free(details);

	details = read_details(*state, EMPTY);
	assert_int_equal(details->link_now.width, 0);
	assert_true(details->has_link);
	pt_details_free(details);

	details = read_details(*state, NODE1);
	assert_int_equal(details->numa_node, 1);
	pt_details_free(details);
}

static void test_virtual_functions(void **state)
{
	struct pt_host *host = fake_host(*state);
	struct pt_details *details = read_details(*state, IGB);
	size_t i;

	assert_int_equal(details->sriov_total, 7);
	assert_int_equal(details->sriov_enabled, 0);
	pt_details_free(details);
	assert_int_equal(host->ops->write(host, FILE_OF(IGB, "sriov_numvfs"), "3", 1), 0);
	details = read_details(*state, IGB);
	assert_int_equal(details->sriov_enabled, 3);
	for (i = 0; i < 3; i++) {
		assert_int_equal(details->vfs[i].bus, 3);
		assert_int_equal(details->vfs[i].device, 0x10);
		assert_int_equal(details->vfs[i].function, 2 * i);
	}
	pt_details_free(details);
	details = read_details(*state, "0000:03:10.2");
	assert_int_equal(details->sriov_total, 0);
	pt_details_free(details);
}

/* ---- what isn't as it should be ---- */

static void test_gone(void **state)
{
	struct pt_host *host = fake_host(*state);
	struct pt_details *details = NULL;
	struct pt_address address = at("7f:00.0");
	uint8_t ones[256];
	struct pt_error err;

	assert_int_equal(pt_details_read(host, &address, &details, &err), -ENODEV);
	assert_int_equal(err.reason, PT_NO_DEVICE);
	assert_non_null(strstr(err.message, "0000:7f:00.0"));
	memset(ones, 0xff, sizeof(ones));
	put_bytes(host, FILE_OF(NVME, "config"), ones, sizeof(ones));
	address = at(NVME);
	assert_int_equal(pt_details_read(host, &address, &details, &err), -ENODEV);
	assert_int_equal(err.reason, PT_DEVICE_GONE);
	assert_non_null(strstr(err.message, NVME));
	put_away(host, FILE_OF(NVME, "config"));
	assert_int_equal(pt_details_read(host, &address, &details, &err), -ENODEV);
	assert_int_equal(err.reason, PT_DEVICE_GONE);
	put_bytes(host, FILE_OF(NVME, "config"), ones, 10);
	assert_int_equal(pt_details_read(host, &address, &details, &err), -EIO);
	assert_int_equal(err.reason, PT_SYSTEM);
	assert_null(details);
}

static void test_unprivileged(void **state)
{
	struct pt_host *host = fake_host(*state);
	struct pt_details *details;
	uint8_t header[64];

	assert_int_equal(io_read_at(host->root_fd, FILE_OF(NVME, "config"), header, 64), 64);
	put_bytes(host, FILE_OF(NVME, "config"), header, 64);
	details = read_details(*state, NVME);
	assert_false(details->is_config_whole);
	assert_int_equal(details->capability_count, 0);
	assert_false(details->is_pcie);
	/* what needs no privilege is there */
	assert_int_equal(details->revision, 2);
	assert_bar(&details->bars[0], 0xfe600000, 16 << 10, "6");
	assert_string_equal(details->reset_methods[0], "flr");
	pt_details_free(details);
}

/* Attributes that older kernels lack, and such as no kernel writes. */
static void test_odd_attributes(void **state)
{
	static const char *const optional[] = {"reset_method",	  "power_state", "numa_node", "irq",
					       "driver_override", "resource",	 "modalias"};
	struct pt_host *host = fake_host(*state);
	struct pt_details *details;
	char path[256];
	size_t i;

	for (i = 0; i < sizeof(optional) / sizeof(optional[0]); i++) {
		(void)snprintf(path, sizeof(path), FILE_OF(NVME, "%s"), optional[i]);
		put_away(host, path);
	}
	details = read_details(*state, NVME);
	assert_null(details->reset_methods[0]);
	assert_string_equal(details->power_state, "unknown");
	assert_int_equal(details->numa_node, -1);
	assert_int_equal(details->irq, 0);
	assert_int_equal(details->bars[0].size, 0);
	pt_details_free(details);

	put_text(host, FILE_OF(NVME, "reset_method"), "a b  c\td e f g h i j k l m n o p q r s\n");
	put_text(host, FILE_OF(NVME, "numa_node"), "many\n");
	put_text(host, FILE_OF(NVME, "irq"), "99999999999\n");
	put_text(host, FILE_OF(NVME, "driver_override"), "vfio-pci\n");
	put_text(host, FILE_OF(NVME, "resource"),
		 "0x0000000020000000 0x0000000020000fff 0x0000000020040200\n" /* not assigned */
		 "0x1000 0x0fff 0x200\n" /* ends before it begins */
		 "0x1000 0x100f 0x101\n"
		 "0x1000\n"
		 "zebra 0 0\n"
		 "0x1000 0x100f 0x101\n");
	details = read_details(*state, NVME);
	assert_string_equal(details->reset_methods[15], "p");
	assert_null(details->reset_methods[16]);
	assert_int_equal(details->numa_node, -1);
	assert_int_equal(details->irq, 0);
	assert_string_equal(details->driver_override, "vfio-pci");
	assert_bar(&details->bars[0], 0, 4096, "");
	assert_int_equal(details->bars[1].size, 0);
	assert_bar(&details->bars[2], 0x1000, 16, "i");
	assert_int_equal(details->bars[3].size, 0);
	assert_int_equal(details->bars[5].size, 0); /* behind what can't be read */
	pt_details_free(details);
}

static void test_vpd(void **state)
{
	static const uint8_t vpd[] = {0x82, 3,	  0,	'N', 'I', 'C', 0x90, 13,  0,   'P',
				      'N',  2,	  'X',	'1', 'V', '0', 1,    'v', 'R', 'V',
				      1,    0x61, 0x91, 4,   0,	  'V', '1',  1,	  'w', 0x78};
	struct pt_host *host = fake_host(*state);
	struct pt_details *details;
	uint8_t config[4096], bytes[sizeof(vpd)];
	uint8_t sum = 0;
	ssize_t len = io_read_at(host->root_fd, FILE_OF(NVME, "config"), config, sizeof(config));
	size_t i;

	assert_int_equal(len, 4096);
	/* a VPD capability before all others */
	config[0xf8] = 0x03;
	config[0xf9] = config[0x34];
	config[0x34] = 0xf8;
	put_bytes(host, FILE_OF(NVME, "config"), config, sizeof(config));
	memcpy(bytes, vpd, sizeof(vpd));
	bytes[21] = 0;
	for (i = 0; i < 21; i++)
		sum = (uint8_t)(sum + bytes[i]);
	bytes[21] = (uint8_t)-sum;
	put_bytes(host, FILE_OF(NVME, "vpd"), bytes, sizeof(bytes));
	details = read_details(*state, NVME);
	assert_string_equal(details->vpd_name, "NIC");
	assert_int_equal(details->vpd_readonly_count, 2);
	assert_string_equal(details->vpd_fields[0], "PN");
	assert_string_equal(details->vpd_fields[1], "X1");
	assert_string_equal(details->vpd_fields[2], "V0");
	assert_string_equal(details->vpd_fields[4], "V1");
	assert_string_equal(details->vpd_fields[5], "w");
	assert_null(details->vpd_fields[6]);
	pt_details_free(details);
	/* a wrong checksum takes nothing but the VPD away */
	bytes[21]++;
	put_bytes(host, FILE_OF(NVME, "vpd"), bytes, sizeof(bytes));
	details = read_details(*state, NVME);
	assert_null(details->vpd_name);
	assert_null(details->vpd_fields[0]);
	assert_int_equal(details->msix_vectors, 65);
	pt_details_free(details);
}

/* Driver code that hangs keeps the device's lock; looking at the device must not hang with it. */
static void test_stuck(void **state)
{
	struct pt_host *host = fake_host(*state);
	struct pt_details *details;
	time_t start = time(NULL);
	pid_t stuck;

	fake_fault(*state, NVME, "unbind", "hang");
	stuck = fork();
	assert_true(stuck >= 0);
	if (!stuck) {
		(void)host->ops->write(host, FILE_OF(NVME, "driver/unbind"), NVME, strlen(NVME));
		_exit(0);
	}
	(void)usleep(200000);
	details = read_details(*state, NVME);
	assert_true(details->is_stuck);
	assert_null(details->driver_override);
	assert_int_equal(details->msix_vectors, 65);
	assert_true(time(NULL) - start < 20);
	pt_details_free(details);
	fake_fault(*state, NVME, "unbind", NULL);
	assert_int_equal(waitpid(stuck, NULL, 0), stuck);
}

/* ---- modules ---- */

#define RELEASE "6.12.0-test"
#define LISTS	"lib/modules/" RELEASE "/"

static void put_lists(struct pt_host *host)
{
	static const char builtin[] = "nvme.license=GPL\0nvme.alias=pci:v*d*sv*sd*bc01sc08i02*\0"
				      "other.alias=usb:v*\0cut.alias";

	put_text(host, "proc/sys/kernel/osrelease", RELEASE "\n");
	put_text(host, LISTS "modules.alias",
		 "# Aliases extracted from modules themselves.\n"
		 "alias pci:v00001B36d00000010sv*sd*bc*sc*i* special\n"
		 "alias pci:v00001B36d*sv*sd*bc01sc08i02* less_special\n"
		 "alias pci:v00001B36d00000011sv*sd*bc*sc*i* another\n"
		 "alias usb:v00001B36d00000010sv*sd*bc*sc*i* usb\n"
		 "alias pci:v00001B36d*sv*sd*bc01sc08i02*\n" /* no module */
		 "alias\n"
		 "alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci\n"
		 "alias vfio_pci:v00001B36d00000010sv*sd*bc*sc*i* my_vfio_pci\n"
		 "alias vfio_pci:v00001B36d*sv*sd*bc*sc*i* their_vfio_pci\n"
		 "alias vfio_pci:v00008086d00000010sv*sd*bc*sc*i* others_vfio_pci");
	put_bytes(host, LISTS "modules.builtin.modinfo", builtin, sizeof(builtin) - 1);
}

static void test_candidates(void **state)
{
	struct pt_host *host = fake_host(*state);
	struct pt_details *details;

	put_lists(host);
	details = read_details(*state, NVME);
	/* one product, one vendor's, all of the class */
	assert_string_equal(details->candidates[0], "special");
	assert_string_equal(details->candidates[1], "less_special");
	assert_string_equal(details->candidates[2], "nvme");
	assert_null(details->candidates[3]);
	/* exact ids first, the one for all last; a driver's name where it can be known */
	assert_string_equal(details->vfio_candidates[0], "my_vfio_pci");
	assert_string_equal(details->vfio_candidates[1], "their_vfio_pci");
	assert_string_equal(details->vfio_candidates[2], "vfio-pci");
	assert_null(details->vfio_candidates[3]);
	pt_details_free(details);
	put_link(host, "sys/module/my_vfio_pci/drivers/pci:my-vfio-pci",
		 "../../../bus/pci/drivers/my-vfio-pci");
	details = read_details(*state, NVME);
	assert_string_equal(details->vfio_candidates[0], "my-vfio-pci");
	pt_details_free(details);
}

static void test_no_lists(void **state)
{
	struct pt_host *host;
	struct pt_address address = at(NVME);
	struct empty empty;
	char **names;

	(void)state;
	open_empty(&empty);
	host = empty.host;
	put_text(host, FILE_OF(NVME, "modalias"), "pci:v00001B36d00000010sv0sd0bc01sc08i02\n");
	assert_int_equal(modules_find(host, "pci:v00001B36", &names), 0);
	assert_null(names[0]);
	free(names);
	/* what the kernel has is found out by loading it, so it is always named */
	assert_int_equal(modules_find_vfio_drivers(host, &address, &names), 0);
	assert_string_equal(names[0], "vfio-pci");
	assert_null(names[1]);
	free(names);
	address = at(IGB);
	assert_int_equal(modules_find_vfio_drivers(host, &address, &names), -ENOENT);
	close_empty(&empty);
}

/* A modprobe of our own stands where the kernel says that modprobe is. */
static void put_modprobe(struct pt_host *host, const char *script)
{
	char path[SYSFS_PATH], link[64];
	ssize_t n;

	put_text(host, "sbin/modprobe", script);
	assert_int_equal(fchmodat(host->root_fd, "sbin/modprobe", 0755, 0), 0);
	assert_true(text_format(link, sizeof(link), "/proc/self/fd/%d", host->root_fd) > 0);
	n = readlink(link, path, sizeof(path) - 32);
	assert_true(n > 0);
	(void)strcpy(path + n, "/sbin/modprobe\n");
	put_text(host, "proc/sys/kernel/modprobe", path);
}

static void test_load(void **state)
{
	char message[HOST_MESSAGE];
	struct pt_error err;
	struct empty empty;
	size_t i;
	static const struct {
		const char *script;
		int errnum;
		const char *message;
	} table[] = {
		{"[ \"$#\" = 4 -a \"$1 $3 $4\" = \"-d -- vfio-pci\" -a -e \"$2/sbin/modprobe\" ]",
		 0, ""},
		{"[ \"$LC_ALL\" = C ] && read x || exit 0", 0, ""},
		{"echo FATAL: Module x not found in directory /y >&2; false", ENOENT,
		 "FATAL: Module x not found in directory /y"},
		{"echo \"ERROR: could not insert 'x': Key was rejected by service\"; exit 1",
		 EKEYREJECTED, "ERROR: could not insert 'x': Key was rejected by service"},
		{"echo \"'x': Operation not permitted\"; exit 1", EPERM,
		 "'x': Operation not permitted"},
		{"echo one; echo two; exit 3", EIO, "one"},
		{"i=0; while [ $i -lt 9999 ]; do echo 123456789; i=$((i + 1)); done; exit 1", EIO,
		 "123456789"},
		{"kill -9 $$", EIO, ""},
	};

	(void)state;
	open_empty(&empty);
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char script[512];

		assert_true(text_format(script, sizeof(script), "#!/bin/sh\n%s\n",
					table[i].script) > 0);
		put_modprobe(empty.host, script);
		assert_int_equal(modules_load(empty.host, "vfio-pci", message), -table[i].errnum);
		assert_string_equal(message, table[i].message);
	}
	/* in a helper, which has nothing open; what else is said there, is on record */
	put_modprobe(empty.host, "#!/bin/sh\nmkdir -p $2/sys/bus/pci/drivers/$4\n");
	assert_int_equal(binding_load_driver(empty.host, "vfio-pci", 20000, &err), 0);
	put_modprobe(empty.host, "#!/bin/sh\necho out of order >&2; exit 1\n");
	assert_int_equal(binding_load_driver(empty.host, "other", 20000, &err), -EIO);
	assert_non_null(strstr(err.message, "loading module other failed: out of order. "));
	/* there, but none that can be run */
	assert_int_equal(unlinkat(empty.host->root_fd, "sbin/modprobe", 0), 0);
	assert_int_equal(modules_load(empty.host, "vfio-pci", message), -ENOEXEC);
	assert_non_null(strstr(message, "sbin/modprobe is missing"));
	close_empty(&empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nvme, make, unmake),
		cmocka_unit_test_setup_teardown(test_others, make, unmake),
		cmocka_unit_test_setup_teardown(test_ports, make, unmake),
		cmocka_unit_test_setup_teardown(test_virtual_functions, make, unmake),
		cmocka_unit_test_setup_teardown(test_gone, make, unmake),
		cmocka_unit_test_setup_teardown(test_unprivileged, make, unmake),
		cmocka_unit_test_setup_teardown(test_odd_attributes, make, unmake),
		cmocka_unit_test_setup_teardown(test_vpd, make, unmake),
		cmocka_unit_test_setup_teardown(test_stuck, make, unmake),
		cmocka_unit_test_setup_teardown(test_candidates, make, unmake),
		cmocka_unit_test(test_no_lists),
		cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests_name("details", tests, NULL, NULL);
}
