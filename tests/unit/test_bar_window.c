/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "definition_read.h"

#include "domain/command_line/command_line.h"
#include "domain/definition/complete.h"
#include "domain/resources/bar_window.h"
#include "read_tree.h"

#define GPU "0000:02:00.0"
#define NIC "0000:04:00.0"

#define GIB ((uint64_t)1 << 30)

#define DOMAIN(type, memory, inside)                                                               \
	"<domain type='" type "'><name>g</name><memory unit='GiB'>" memory "</memory><os>"         \
	"<type machine='q35'>hvm</type></os>" inside                                               \
	"<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>"                                \
	"<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='2' "  \
	"slot='0' function='0'/></source></hostdev></devices></domain>"

/* Two 64-bit prefetchable BARs, one that isn't, and the ROM: @end is that of the first. */
static void put_bars(struct fake *fake, const char *device, const char *end)
{
	char path[128], text[1024];

	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/resource", device);
	(void)snprintf(text, sizeof(text),
		       "0x00000000fd000000 0x00000000fdffffff 0x0000000000040200\n"
		       "0x0000004000000000 %s 0x000000000014220c\n"
		       "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
		       "0x0000005000000000 0x0000005001ffffff 0x000000000014220c\n"
		       "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
		       "0x000000000000e000 0x000000000000e07f 0x0000000000040101\n"
		       "0x00000000fe000000 0x00000000fe07ffff 0x0000000000046200\n",
		       end);
	put_text(fake_host(fake), path, text);
}

static int set_up(void **state)
{
	*state = open_vtd();
	return 0;
}

static int tear_down(void **state)
{
	fake_free(*state);
	return 0;
}

static int choose(struct fake *fake, const char *text, struct command_line_window *window,
		  struct pt_error *err)
{
	AUTO(auto_definition) struct definition *def = parse_text(text, 0), *live = NULL;
	AUTO_FREE struct definition_hostdev *hostdevs = NULL;
	size_t count;

	assert_int_equal(definition_complete(def, err), 0);
	assert_int_equal(definition_make_live(def, 1, &live, err), 0);
	assert_int_equal(definition_hostdevs(live, &hostdevs, &count, err), 0);
	assert_int_equal(count, 1);
	return bar_window_choose(fake_host(fake), live, hostdevs, count, window, err);
}

/* As much as there is, rounded up, since a window's size is a power of two. */
static void need(void **state)
{
	struct pt_address gpu = at(GPU), nowhere = at("0000:7f:00.0");

	put_bars(*state, GPU, "0x00000043ffffffff"); /* 16 GiB, and 32 MiB in the other one */
	assert_int_equal(bar_window_need(fake_host(*state), &gpu), 32 * GIB);
	put_bars(*state, GPU, "0x000000400000ffff");
	assert_int_equal(bar_window_need(fake_host(*state), &gpu), (uint64_t)64 << 20);
	assert_int_equal(bar_window_need(fake_host(*state), &nowhere), 0);
}

static void ordinary_devices(void **state)
{
	struct command_line_window window = {.aperture = 1, .port = 1};

	assert_int_equal(choose(*state, DOMAIN("kvm", "4", ""), &window, NULL), 0);
	assert_int_equal(window.aperture, 0);
	assert_int_equal(window.port, 0);
}

static void empty_ports_are_ready_for_the_largest(void **state)
{
	struct command_line_window window;

	put_bars(*state, NIC, "0x000000401fffffff"); /* 512 MiB and 32 */
	assert_int_equal(choose(*state, DOMAIN("kvm", "4", ""), &window, NULL), 0);
	assert_int_equal(window.port, GIB);
	assert_int_equal(window.aperture, 0);
	/* four ports of 128 GiB would be half of 40 bits: no more than an eighth is asked for */
	put_bars(*state, NIC, "0x0000004fffffffff");
	assert_int_equal(choose(*state, DOMAIN("kvm", "4", ""), &window, NULL), 0);
	assert_int_equal(window.port, 32 * GIB);
}

static void what_has_no_room_is_refused(void **state)
{
	struct pt_error err = {0};
	struct command_line_window window;

	put_bars(*state, GPU, "0x000000bfffffffff"); /* 512 GiB, which makes a window of 1024 */
	assert_int_equal(choose(*state, DOMAIN("qemu", "4", ""), &window, &err), -ENOSPC);
	assert_int_equal(err.reason, PT_UNSUITABLE);
	if (!strstr(err.message, "1024 GiB") || !strstr(err.message, "40 address bits") ||
	    !strstr(err.message, "maxphysaddr"))
		fail_msg("%s", err.message);
	assert_int_equal(
		choose(*state,
		       DOMAIN("qemu", "4", "<cpu><maxphysaddr mode='emulate' bits='44'/></cpu>"),
		       &window, &err),
		0);
}

static void bits_of_the_host(void **state)
{
	struct pt_host *host = fake_host(*state);
	AUTO(auto_definition)
	struct definition *passed =
		parse_text(DOMAIN("kvm", "4", "<cpu mode='host-passthrough'/>"), 0);
	AUTO(auto_definition)
	struct definition *limited =
		parse_text(DOMAIN("kvm", "4",
				  "<cpu mode='host-passthrough'><maxphysaddr mode='passthrough' "
				  "limit='42'/></cpu>"),
			   0);
	AUTO(auto_definition)
	struct definition *emulated = parse_text(DOMAIN("qemu", "4", "<cpu mode='maximum'/>"), 0);

	put_text(host, "proc/cpuinfo",
		 "processor\t: 0\naddress sizes\t: 46 bits physical, 48 bits virtual\n\n");
	assert_int_equal(bar_window_address_bits(host, passed), 46);
	assert_int_equal(bar_window_address_bits(host, limited), 42);
	assert_int_equal(bar_window_address_bits(host, emulated), 40);
	put_text(host, "proc/cpuinfo", "processor\t: 0\n");
	assert_int_equal(bar_window_address_bits(host, passed), 40);
}

/* ---- what QEMU is told ---- */

#define UEFI                                                                                       \
	"<domain type='kvm'><name>g</name><memory unit='GiB'>4</memory><os>"                       \
	"<type machine='q35'>hvm</type><loader readonly='yes' type='pflash'>/ovmf.fd</loader>"     \
	"</os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>"                           \
	"<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='2' "  \
	"slot='0' function='0'/></source></hostdev></devices></domain>"

static size_t count_phrases(char *const *argv, const char *phrase)
{
	size_t count = 0;

	for (; *argv; argv++)
		count += strstr(*argv, phrase) != NULL;
	return count;
}

static void arguments(void **state)
{
	struct command_line_files files = {.commands.fd = -1, .events.fd = -1};
	AUTO(auto_definition) struct definition *def = parse_text(UEFI, 0), *live = NULL;
	AUTO(auto_command_line) char **plain = NULL, **with_window = NULL;

	put_bars(*state, GPU, "0x00000047ffffffff"); /* 32 GiB, which makes a window of 64 */
	assert_int_equal(choose(*state, UEFI, &files.window, NULL), 0);
	/* 64 for the device, and four times 32 for the ports */
	assert_int_equal(files.window.port, 32 * GIB);
	assert_int_equal(files.window.aperture, 512 * GIB);

	assert_int_equal(definition_complete(def, NULL), 0);
	assert_int_equal(definition_make_live(def, 1, &live, NULL), 0);
	assert_int_equal(command_line_build(live, &files, &with_window, NULL), 0);
	assert_int_equal(count_phrases(with_window, "\"pref64-reserve\":34359738368"),
			 DEFINITION_FREE_PORTS);
	assert_int_equal(count_phrases(with_window, "name=opt/ovmf/X-PciMmio64Mb,string=524288"),
			 1);
	files.window = (struct command_line_window){0};
	assert_int_equal(command_line_build(live, &files, &plain, NULL), 0);
	assert_int_equal(count_phrases(plain, "pref64-reserve"), 0);
	assert_int_equal(count_phrases(plain, "X-PciMmio64Mb"), 0);
}

/* ---- a guest that runs ---- */

static void windows_of_bridges(void **state)
{
	static const char text[] =
		"[{\"bus\":0,\"devices\":[{\"qdev_id\":\"video0\"},"
		"{\"qdev_id\":\"pci.1\",\"pci_bridge\":{\"bus\":{\"prefetchable_range\":{\"base\":"
		"1048576,\"limit\":3145727}},\"devices\":[{\"qdev_id\":\"pci.2\",\"pci_bridge\":"
		"{\"bus\":{\"prefetchable_range\":{\"base\":4294967296,\"limit\":21474836479}}}}]}}"
		",{\"qdev_id\":\"pci.3\",\"pci_bridge\":{\"bus\":{\"prefetchable_range\":{\"base\":"
		"18446744073708503040,\"limit\":1048575}}}},"
		"{\"qdev_id\":\"pci.4\",\"pci_bridge\":[]}]}]";
	struct json_object *pci = json_tokener_parse(text), *nonsense = json_tokener_parse("{}");

	(void)state;
	assert_int_equal(bar_window_of_bridge(pci, "pci.1"), (uint64_t)2 << 20);
	assert_int_equal(bar_window_of_bridge(pci, "pci.2"), 16 * GIB);
	assert_int_equal(bar_window_of_bridge(pci, "pci.3"),
			 0); /* closed: it ends before it begins */
	assert_int_equal(bar_window_of_bridge(pci, "pci.4"), 0);
	assert_int_equal(bar_window_of_bridge(pci, "pci.5"), 0);
	assert_int_equal(bar_window_of_bridge(nonsense, "pci.1"), 0);
	json_object_put(pci);
	json_object_put(nonsense);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(need, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ordinary_devices, set_up, tear_down),
		cmocka_unit_test_setup_teardown(empty_ports_are_ready_for_the_largest, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_has_no_room_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bits_of_the_host, set_up, tear_down),
		cmocka_unit_test_setup_teardown(arguments, set_up, tear_down),
		cmocka_unit_test(windows_of_bridges),
	};

	return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
