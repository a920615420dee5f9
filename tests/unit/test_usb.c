/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* USB devices of the host in guests: which one is meant, who has it, and how it goes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "guest_machine.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "domain/definition/host_usb.h"
#include "domain/definition/xml_node.h"
#include "domain/resources/usb.h"

#define DEVICES "sys/bus/usb/devices"

#define SOURCE(attributes, inside)                                                                 \
	"<hostdev mode='subsystem' type='usb'><source" attributes ">" inside "</source></hostdev>"
#define IDS(vendor, product) "<vendor id='" vendor "'/><product id='" product "'/>"
#define STICK		     IDS("0x1234", "0xabcd")

static struct fake *machine;
static struct pt_host *host;

static void put(const char *path, const char *text)
{
	char directory[256], *slash;

	(void)snprintf(directory, sizeof(directory), "%s", path);
	slash = strrchr(directory, '/');
	*slash = '\0';
	assert_int_equal(io_make_directories_at(host->root_fd, directory, 0755), 0);
	assert_int_equal(mkdirat(host->root_fd, directory, 0755) < 0 && errno != EEXIST, 0);
	assert_int_equal(io_replace_at(host->root_fd, path, text, strlen(text), 0644), 0);
}

static void put_attribute(const char *name, const char *attribute, const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof(path), DEVICES "/%s/%s", name, attribute);
	put(path, text);
}

static void put_driver(const char *name, const char *driver)
{
	char path[256], target[256];

	(void)snprintf(path, sizeof(path), DEVICES "/%s:1.0/driver", name);
	(void)unlinkat(host->root_fd, path, 0);
	(void)snprintf(target, sizeof(target), "../../drivers/%s", driver ? driver : "");
	if (driver)
		assert_int_equal(symlinkat(target, host->root_fd, path), 0);
}

/* "9-1" with one interface, which usb-storage has; its node is a file. */
static void plug_in(const char *name, const char *vendor, const char *product, unsigned int number)
{
	char text[64];

	put_attribute(name, "idVendor", vendor);
	put_attribute(name, "idProduct", product);
	put_attribute(name, "busnum", "9\n");
	(void)snprintf(text, sizeof(text), "%u\n", number);
	put_attribute(name, "devnum", text);
	put_attribute(name, "bDeviceClass", "00\n");
	put_attribute(name, "bConfigurationValue", "1\n");
	put_attribute(name, "devpath", strchr(name, '-') + 1);
	(void)snprintf(text, sizeof(text), "%s:1.0", name);
	put_attribute(text, "bInterfaceNumber", "00\n");
	put_driver(name, "usb-storage");
	(void)snprintf(text, sizeof(text), "dev/bus/usb/009/%03u", number);
	put(text, "");
	assert_int_equal(fchmodat(host->root_fd, text, 0600, 0), 0);
}

static void unplug(const char *name, unsigned int number)
{
	char path[4096], command[4200];

	(void)snprintf(path, sizeof(path), "dev/bus/usb/009/%03u", number);
	assert_int_equal(unlinkat(host->root_fd, path, 0), 0);
	(void)snprintf(command, sizeof(command), "rm -r %s/" DEVICES "/%s*", fake_root(machine),
		       name);
	assert_int_equal(system(command), 0);
}

static int make(void **state)
{
	(void)state;
	machine = guest_machine_new();
	host = fake_host(machine);
	put("sys/bus/usb/drivers_probe", "");
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	guest_machine_free(machine);
	return 0;
}

static const char *devices(void)
{
	static char text[1024];

	fake_guests_devices(machine, "g", text, sizeof(text));
	return text;
}

/* QEMU answers before it has taken it out. */
static void assert_taken_out(const char *alias)
{
	for (int i = 0; strstr(devices(), alias) && i < 500; i++)
		clock_sleep_ms(10);
	assert_null(strstr(devices(), alias));
}

static const char *source_of(const struct guest *guest, const char *attribute)
{
	return node_get(definition_find_alias(guest->live, "hostdev0"), attribute);
}

static struct guest *begin(const char *xml)
{
	struct guest *guest = NULL;
	struct pt_error err;

	if (guest_begin(host, xml, &guest, &err) < 0)
		fail_msg("%s", err.message);
	return guest;
}

/* ---- which one ---- */

static const struct {
	const char *devices;
	const char *words; /* NULL: it starts */
} meant[] = {
	{SOURCE("", STICK), NULL},
	{SOURCE("", "<address bus='9' device='4'/>"), NULL},
	{SOURCE("", "<address bus='9' port='2.1'/>"), NULL},
	{SOURCE("", IDS("0x1111", "0x2222") "<address bus='9' port='3'/>"), NULL},
	{SOURCE("", IDS("0x1234", "0x9999")),
	 "Did not find USB device 1234:9999 (line 1). Plug it in (lsusb lists what is there); "
	 "with <source startupPolicy='optional'> the guest starts without it"},
	{SOURCE("", "<address bus='9' device='77'/>"), "Did not find USB device bus 9 device 77"},
	{SOURCE("", STICK "<address bus='9' port='3'/>"),
	 "Did not find USB device 1234:abcd at bus 9 port 3"},
	{SOURCE(" startupPolicy='optional'", IDS("0x1234", "0x9999")), NULL},
	{SOURCE("", IDS("0x1111", "0x2222")),
	 "Multiple USB devices for 1111:2222, use <address> to specify one (line 1): there are 2."},
	{SOURCE("", IDS("0x1d6b", "0x0002")),
	 "USB device 1d6b:0002 is a hub, which a guest can't have (line 1); name the devices that "
	 "are plugged into it"},
	{SOURCE("", STICK) SOURCE("", "<address bus='9' port='2.1'/>"),
	 "the guest has USB device bus 9 port 2.1 twice: two of its host devices mean the one at "
	 "bus 9 device 4"},
};

static void test_which_one(void **state)
{
	(void)state;
	plug_in("9-2.1", "1234\n", "abcd\n", 4);
	plug_in("9-3", "1111\n", "2222\n", 5);
	plug_in("9-4", "1111\n", "2222\n", 6);
	plug_in("9-2", "1d6b\n", "0002\n", 2);
	put_attribute("9-2", "bDeviceClass", "09\n");
	for (size_t i = 0; i < sizeof(meant) / sizeof(meant[0]); i++) {
		struct guest *guest = NULL;
		struct pt_error err;
		char xml[2048];
		int r;

		(void)snprintf(xml, sizeof(xml), GUEST_XML("%s"), meant[i].devices);
		r = guest_begin(host, xml, &guest, &err);
		if (r == 0)
			guest_kill(host, guest);
		if ((r == 0) != !meant[i].words || (r < 0 && !strstr(err.message, meant[i].words)))
			fail_msg("%s\n%s", meant[i].devices, r < 0 ? err.message : "it started");
	}
}

/* What it is told of, and what of that is only a running guest's. */
static void test_what_it_says(void **state)
{
	AUTO_FREE char *live = NULL;
	AUTO_FREE char *kept = NULL;
	struct guest *guest;
	struct pt_error err;

	(void)state;
	plug_in("9-1", "1234\n", "abcd\n", 3);
	guest = begin(GUEST_XML(SOURCE("", STICK)));
	assert_int_equal(
		definition_format(guest->live, DEFINITION_LIVE | DEFINITION_SECURE, &live, &err),
		0);
	assert_non_null(strstr(live, "<address bus='9' device='3' chosen='yes'/>"));
	assert_int_equal(definition_format(guest->live, 0, &kept, &err), 0);
	assert_null(strstr(kept, "device='3'"));
	assert_non_null(strstr(kept, "<product id='0xabcd'/>"));
	assert_non_null(strstr(devices(), "hostdev0"));
	/* it is noted down with what it had before */
	assert_int_equal(guest->record->usb_count, 1);
	assert_string_equal(guest->record->usbs[0].name, "9-1");
	assert_int_equal(guest->record->usbs[0].bound, 1);
	guest_kill(host, guest);
}

/* ---- who has it ---- */

static void test_one_guest_at_a_time(void **state)
{
	struct guest *guest, *other = NULL;
	struct pt_error err;
	const char *xml = "<domain type='qemu'><name>h</name><memory>65536</memory><os><type>hvm"
			  "</type></os><devices>" SOURCE(
				  "", "<address bus='9' port='1'/>") "</devices></domain>";

	(void)state;
	plug_in("9-1", "1234\n", "abcd\n", 3);
	guest = begin(GUEST_XML(SOURCE("", STICK)));
	assert_int_equal(guest_begin(host, xml, &other, &err), -EBUSY);
	assert_string_equal(err.message, "USB device 1234:abcd (bus 9 device 3) is in use by guest "
					 "g; detach it there first");
	guest_kill(host, guest);
	assert_int_equal(guest_begin(host, xml, &other, &err), 0);
	guest_kill(host, other);
}

/* ---- giving back ---- */

static bool has_driver(const char *name)
{
	char path[256], target[256];

	(void)snprintf(path, sizeof(path), DEVICES "/%s:1.0/driver", name);
	return readlinkat(host->root_fd, path, target, sizeof(target)) > 0;
}

/* QEMU takes the drivers off, and is killed: they come back, in the configuration that was. */
static void test_back_to_its_drivers(void **state)
{
	struct guest *guest;
	char text[64];

	(void)state;
	plug_in("9-1", "1234\n", "abcd\n", 3);
	guest = begin(GUEST_XML(SOURCE("", STICK)));
	put_driver("9-1", NULL);
	put_attribute("9-1", "bConfigurationValue", "2\n");
	guest_kill(host, guest);
	assert_true(has_driver("9-1"));
	assert_true(io_read_text_at(host->root_fd, DEVICES "/9-1/bConfigurationValue", text,
				    sizeof(text)) > 0);
	assert_string_equal(text, "1");

	/* one that had none before stays without */
	put_driver("9-1", NULL);
	guest_kill(host, begin(GUEST_XML(SOURCE("", STICK))));
	assert_false(has_driver("9-1"));

	/* another one is plugged in there meanwhile, which nobody took from a driver */
	put_driver("9-1", "usb-storage");
	guest = begin(GUEST_XML(SOURCE("", STICK)));
	put_driver("9-1", NULL);
	put_attribute("9-1", "devnum", "9\n");
	guest_kill(host, guest);
	assert_false(has_driver("9-1"));
}

/* QEMU says that it is out, and has it: its claim stays, whoever asks. */
static void test_not_let_go(void **state)
{
	struct guest *guest;
	struct pt_error err;

	(void)state;
	plug_in("9-1", "1234\n", "abcd\n", 3);
	guest = begin(GUEST_XML(SOURCE("", STICK)));
	put_driver("9-1", "usbfs");
	assert_int_equal(unplug_finish(host, guest, "hostdev0", &err), 0);
	assert_int_equal(guest->record->usb_count, 1);
	put_driver("9-1", NULL);
	usb_settle(host, guest->live, guest->record);
	assert_int_equal(guest->record->usb_count, 0);
	guest_kill(host, guest);
}

/* ---- coming and going ---- */

static void follow(struct guest *guest)
{
	struct pt_error err;

	if (hotplug_follow_usb(host, guest, &err) < 0)
		fail_msg("%s", err.message);
}

static void test_comes_and_goes(void **state)
{
	struct guest *guest;

	(void)state;
	plug_in("9-8", "1111\n", "2222\n", 8);
	guest = begin(GUEST_XML(SOURCE(" startupPolicy='optional'", STICK)));
	for (unsigned int number = 3; number < 6; number++) {
		char text[8];

		assert_string_equal(source_of(guest, "source@missing"), "yes");
		assert_taken_out("hostdev0");
		assert_int_equal(guest->record->usb_count, 0);
		/* others change nothing */
		follow(guest);
		assert_string_equal(source_of(guest, "source@missing"), "yes");

		plug_in("9-1", "1234\n", "abcd\n", number);
		follow(guest);
		(void)snprintf(text, sizeof(text), "%u", number);
		assert_null(source_of(guest, "source@missing"));
		assert_string_equal(source_of(guest, "source/address@device"), text);
		assert_non_null(strstr(devices(), "hostdev0"));
		assert_int_equal(guest->record->usb_count, 1);
		/* what QEMU said of the one before is no news of this one */
		assert_false(unplug_is_over(guest, "hostdev0"));
		follow(guest);
		assert_int_equal(guest->record->usb_count, 1);

		unplug("9-1", number);
		follow(guest);
		assert_false(unplug_is_over(guest, "hostdev0"));
	}
	/* out and in between two looks */
	plug_in("9-1", "1234\n", "abcd\n", 10);
	follow(guest);
	unplug("9-1", 10);
	plug_in("9-1", "1234\n", "abcd\n", 11);
	follow(guest);
	assert_string_equal(source_of(guest, "source/address@device"), "11");
	assert_non_null(strstr(devices(), "hostdev0"));
	guest_kill(host, guest);
}

/* QEMU has it although its answer was waited for in vain. */
static void test_answered_too_late(void **state)
{
	struct json_object *arguments = json_object_new_object();
	struct guest *guest;
	struct pt_error err;

	(void)state;
	guest = begin(GUEST_XML(SOURCE(" startupPolicy='optional'", STICK)));
	assert_int_equal(json_set_text(arguments, "id", "hostdev0"), 0);
	assert_int_equal(guest_call(guest, "device_add", arguments, NULL, &err), 0);
	assert_non_null(strstr(devices(), "hostdev0"));
	follow(guest);
	assert_taken_out("hostdev0");
	plug_in("9-1", "1234\n", "abcd\n", 3);
	follow(guest);
	assert_string_equal(source_of(guest, "source/address@device"), "3");
	assert_non_null(strstr(devices(), "hostdev0"));
	guest_kill(host, guest);
}

/* By the port where it is; and what QEMU refuses is tried again the next time. */
static void test_by_its_port(void **state)
{
	struct guest *guest;
	struct pt_error err;

	(void)state;
	plug_in("9-1.4", "1234\n", "abcd\n", 3);
	guest = begin(GUEST_XML(SOURCE("", "<address bus='9' port='1.4'/>")));
	assert_string_equal(source_of(guest, "source/address@device"), "3");
	unplug("9-1.4", 3);
	follow(guest);
	assert_string_equal(source_of(guest, "source@missing"), "yes");
	assert_string_equal(source_of(guest, "source/address@port"), "1.4");
	/* the same device elsewhere isn't it */
	plug_in("9-1.3", "1234\n", "abcd\n", 4);
	follow(guest);
	assert_string_equal(source_of(guest, "source@missing"), "yes");
	plug_in("9-1.4", "5555\n", "6666\n", 5);
	fake_guests_fault(machine, "device_add", "once error GenericError busy");
	follow(guest);
	assert_string_equal(source_of(guest, "source@missing"), "yes");
	assert_int_equal(guest->record->usb_count, 0);
	assert_int_equal(guest->record->pending_count, 0);
	follow(guest);
	assert_string_equal(source_of(guest, "source/address@device"), "5");
	/* a person takes it out, and then nothing brings it back */
	assert_int_equal(unplug_device(host, guest, "hostdev0", 0, &err) == 0 ||
				 unplug_finish(host, guest, "hostdev0", &err) == 0,
			 1);
	follow(guest);
	assert_null(definition_find_alias(guest->live, "hostdev0"));
	assert_int_equal(guest->record->usb_count, 0);
	guest_kill(host, guest);
}

/* Too many are told when they are defined. */
static void test_too_many(void **state)
{
	static const char one[] =
		"<hostdev mode='subsystem' type='usb'><source><address bus='9' device='%zu'/>"
		"</source></hostdev>";
	AUTO_FREE char *devices = calloc(HOST_USB_MAX + 1, sizeof(one) + 8), *xml = NULL;
	struct definition *definition;
	struct pt_error err;

	(void)state;
	assert_non_null(devices);
	for (size_t i = 1; i <= HOST_USB_MAX + 1; i++) {
		(void)sprintf(devices + strlen(devices), one, i);
		free(xml);
		assert_true(asprintf(&xml, GUEST_XML("%s"), devices) > 0);
		if (i > HOST_USB_MAX)
			break;
		assert_int_equal(definition_parse(xml, 0, &definition, &err), 0);
		definition_free(definition);
	}
	assert_int_equal(definition_parse(xml, 0, &definition, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.message, "at most 64 USB devices"));
}

static void test_attached(void **state)
{
	struct guest *guest;
	struct pt_error err;

	(void)state;
	plug_in("9-1", "1234\n", "abcd\n", 3);
	guest = begin(GUEST_XML("<controller type='usb' model='qemu-xhci'/>"));
	assert_int_equal(guest_attach(host, guest, SOURCE("", STICK), &err), 0);
	assert_non_null(strstr(devices(), "hostdev0"));
	assert_int_equal(guest_attach(host, guest, SOURCE("", STICK), &err), -EEXIST);
	guest_kill(host, guest);
	guest = begin(GUEST_XML(""));
	assert_int_equal(guest_attach(host, guest, SOURCE("", STICK), &err), -EINVAL);
	assert_non_null(strstr(err.message,
			       "the guest has no USB controller with index 0; add "
			       "<controller type='usb' index='0' model='qemu-xhci'/>"));
	assert_int_equal(guest->record->usb_count, 0);
	guest_kill(host, guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_which_one, make, unmake),
		cmocka_unit_test_setup_teardown(test_what_it_says, make, unmake),
		cmocka_unit_test_setup_teardown(test_one_guest_at_a_time, make, unmake),
		cmocka_unit_test_setup_teardown(test_back_to_its_drivers, make, unmake),
		cmocka_unit_test_setup_teardown(test_not_let_go, make, unmake),
		cmocka_unit_test_setup_teardown(test_comes_and_goes, make, unmake),
		cmocka_unit_test_setup_teardown(test_answered_too_late, make, unmake),
		cmocka_unit_test_setup_teardown(test_by_its_port, make, unmake),
		cmocka_unit_test_setup_teardown(test_too_many, make, unmake),
		cmocka_unit_test_setup_teardown(test_attached, make, unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
