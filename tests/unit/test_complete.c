/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "definition_read.h"

#include "domain/definition/complete.h"
#include "domain/definition/xml_node.h"

#define HOSTDEV(bus, slot, more)                                                                   \
	"<hostdev mode='subsystem' type='pci'><source><address bus='" bus "' slot='" slot "'/>"    \
	"</source>" more "</hostdev>"
#define AT(bus, slot, function)                                                                    \
	"<address type='pci' bus='" bus "' slot='" slot "' function='" function "'/>"
#define DEVICES(inside)                                                                                    \
	"<domain type='kvm'><name>g</name><memory>65536</memory><os><type>hvm</type></os><devices>" inside \
	"</devices></domain>"

static void complete(struct definition *def)
{
	struct pt_error err = {0};

	if (definition_complete(def, &err) < 0)
		fail_msg("%s", err.message);
}

static const char *address_of(const struct definition *def, const char *alias, char text[64])
{
	const xmlNode *node = definition_find_alias(def, alias);
	const xmlNode *address = node_child(node, "address");

	if (!node)
		return "no such device";
	(void)snprintf(text, 64, "%s:%s.%s", node_attribute(address, "bus"),
		       node_attribute(address, "slot"), node_attribute(address, "function"));
	return text;
}

static const struct {
	const char *name;
	const char *live;
} golden[] = {
	{"lab.xml", "lab.live.xml"},
	{"nfv.xml", "nfv.live.xml"},
	{"looking-glass.xml", "looking-glass.live.xml"},
	{"nas.xml", "nas.live.xml"},
	{"router.xml", "router.live.xml"},
	{"single-gpu.xml", "single-gpu.live.xml"},
	{"win11-tpm.xml", "win11-tpm.live.xml"},
	{"emulated.xml", "emulated.live.xml"},
	{"small.xml", "small.live.xml"},
	{"virt-manager.xml", "virt-manager.live.xml"},
	{"windows-gaming.xml", "windows-gaming.live.xml"},
};

static void the_live_copy(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
		AUTO(auto_definition) struct definition *def = parse_golden(golden[i].name);
		AUTO(auto_definition) struct definition *live = NULL;
		AUTO(auto_definition) struct definition *again = NULL;
		AUTO_FREE char *before = format_text(def, 0);
		AUTO_FREE char *after = NULL;
		AUTO_FREE char *text = NULL;
		AUTO_FREE char *twice = NULL;
		struct pt_error err = {0};

		if (definition_make_live(def, 5, &live, &err) < 0)
			fail_msg("%s: %s", golden[i].name, err.message);
		assert_int_equal(definition_id(live), 5);
		text = format_text(live, DEFINITION_LIVE | DEFINITION_SECURE);
		assert_golden(golden[i].live, text);
		/* as a daemon reads it again after its restart */
		again = parse_text(text, DEFINITION_LIVE);
		twice = format_text(again, DEFINITION_LIVE | DEFINITION_SECURE);
		assert_string_equal(twice, text);
		after = format_text(def, 0);
		assert_string_equal(after, before);
	}
}

static void completing_is_idempotent(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
		AUTO(auto_definition) struct definition *def = parse_golden(golden[i].name);
		AUTO(auto_definition) struct definition *again = NULL;
		AUTO_FREE char *once = NULL;
		AUTO_FREE char *twice = NULL;

		complete(def);
		once = format_text(def, 0);
		again = parse_text(once, 0);
		complete(again);
		twice = format_text(again, 0);
		assert_string_equal(twice, once);
	}
}

static void addresses_stay_when_a_device_comes(void **state)
{
	AUTO(auto_definition)
	struct definition *def = parse_text(DEVICES(HOSTDEV("2", "0", "<alias name='ua-a'/>")), 0);
	AUTO(auto_definition)
	struct definition *device = parse_device(HOSTDEV("1", "0", "<alias name='ua-b'/>"));
	char text[64], before[64];
	xmlNode *node;

	(void)state;
	complete(def);
	assert_string_equal(address_of(def, "ua-a", before), "0x01:0x00.0x0");
	assert_int_equal(definition_count_free_ports(def), DEFINITION_FREE_PORTS);
	assert_int_equal(definition_add_device(def, device, &node, NULL), 0);
	complete(def);
	assert_string_equal(address_of(def, "ua-a", text), before);
	assert_string_equal(address_of(def, "ua-b", text), "0x02:0x00.0x0");
	assert_int_equal(definition_count_free_ports(def), DEFINITION_FREE_PORTS);
}

/* As many as @count hostdevs in one definition. */
static struct definition *many(unsigned int count)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct definition *def;

	assert_non_null(out);
	(void)fputs(
		"<domain type='kvm'><name>g</name><memory>65536</memory><os><type>hvm</type></os>"
		"<devices>",
		out);
	for (unsigned int i = 0; i < count; i++)
		(void)fprintf(
			out,
			"<hostdev mode='subsystem' type='pci'><source><address bus='%u' slot='%u' "
			"function='%u'/></source></hostdev>",
			1 + i / 256, i / 8 % 32, i % 8);
	(void)fputs("</devices></domain>", out);
	(void)fclose(out);
	def = parse_text(text, 0);
	free(text);
	return def;
}

static void many_devices(void **state)
{
	static const unsigned int counts[] = {16, 64, 196};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		AUTO(auto_definition) struct definition *def = many(counts[i]);
		bool seen[256] = {0};

		complete(def);
		for (xmlNode *at = node_find(definition_root(def), "devices/hostdev"); at;
		     at = node_next(at, "hostdev")) {
			uint64_t bus = 0;

			assert_int_equal(node_number(node_child(at, "address"), "bus", 255, &bus),
					 0);
			assert_true(bus > 0);
			assert_false(seen[bus]);
			seen[bus] = true;
		}
		assert_int_equal(definition_count_free_ports(def), DEFINITION_FREE_PORTS);
	}
}

/* The least time that it may take is a worker's: a number of its own cost each of them all others'
 * twice. */
static void a_thousand_devices(void **state)
{
	AUTO(auto_definition) struct definition *def = NULL;
	AUTO(auto_definition) struct definition *live = NULL;
	struct pt_error err = {0};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_non_null(out);
	(void)fputs(
		"<domain type='kvm'><name>g</name><memory>65536</memory><os><type>hvm</type></os>"
		"<devices>",
		out);
	for (unsigned int i = 0; i < 1000; i++)
		(void)fputs("<serial type='null'/>", out);
	(void)fputs("</devices></domain>", out);
	(void)fclose(out);
	def = parse_text(text, 0);
	free(text);
	complete(def);
	assert_int_equal(definition_make_live(def, 1, &live, &err), 0);
	assert_non_null(definition_find_alias(live, "serial999"));
}

static void a_full_machine(void **state)
{
	AUTO(auto_definition) struct definition *full = many(200);
	AUTO(auto_definition) struct definition *more = many(201);
	AUTO(auto_definition) struct definition *device = parse_device(HOSTDEV("9", "0", ""));
	struct pt_error err = {0};

	(void)state;
	complete(full);
	assert_int_equal(definition_count_free_ports(full), 0);
	assert_int_equal(definition_place_device(full, device, &err), -EBUSY);
	assert_non_null(strstr(err.message, "No more available PCI slots"));
	assert_int_equal(definition_complete(more, &err), -EBUSY);
	assert_non_null(strstr(err.message, "No more available PCI slots"));
}

static void addresses_that_are_given(void **state)
{
	AUTO(auto_definition)
	struct definition *def = parse_text(
		DEVICES(HOSTDEV("2", "0",
				"<address type='pci' bus='5' slot='0' function='0' "
				"multifunction='on'/><alias name='ua-gpu'/>")
				HOSTDEV("2", "1", AT("5", "0", "1") "<alias name='ua-audio'/>")
					HOSTDEV("2", "2", "<alias name='ua-other'/>")),
		0);
	char text[64];

	(void)state;
	complete(def);
	assert_string_equal(address_of(def, "ua-gpu", text), "5:0.0");
	assert_string_equal(address_of(def, "ua-audio", text), "5:0.1");
	assert_string_equal(address_of(def, "ua-other", text), "0x01:0x00.0x0");
	/* 1 … 5 came with the address, 2, 3 and 4 of them are free */
	assert_int_equal(definition_count_free_ports(def), DEFINITION_FREE_PORTS);
}

static void addresses_that_can_not_be(void **state)
{
	static const char *const bad[] = {
		DEVICES(HOSTDEV("2", "0", AT("1", "1", "0"))),
		DEVICES(HOSTDEV("2", "0", AT("0", "0", "1"))),
		DEVICES(HOSTDEV("2", "0", AT("0", "0x1f", "0"))),
		DEVICES(HOSTDEV("2", "0", AT("0", "0x1f", "2"))),
		DEVICES(HOSTDEV("2", "0", "<address type='pci' domain='1' bus='1' slot='0'/>")),
		DEVICES("<controller type='pci' index='0' model='pcie-root-port'/>"),
		DEVICES("<controller type='pci' index='1' model='pcie-root'/>"),
		DEVICES("<controller type='pci' index='1' model='pcie-to-pci-bridge'/>" HOSTDEV(
			"2", "0", AT("1", "0", "0"))),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		AUTO(auto_definition) struct definition *def = parse_text(bad[i], 0);
		struct pt_error err = {0};

		if (definition_complete(def, &err) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
		assert_true(err.message[0]);
	}
}

static void bridges_and_switches(void **state)
{
	AUTO(auto_definition)
	struct definition *def = parse_text(
		DEVICES("<controller type='pci' index='1' model='pcie-to-pci-bridge'/>"
			"<controller type='pci' index='2' model='pcie-switch-upstream-port'/>"
			"<controller type='pci' index='3' model='pcie-switch-downstream-port'/>"
			"<controller type='pci' index='4' model='pcie-switch-downstream-port'/>" HOSTDEV(
				"2", "0", AT("1", "3", "0") "<alias name='ua-old'/>")
				HOSTDEV("2", "1", AT("4", "0", "0") "<alias name='ua-new'/>")),
		0);
	AUTO(auto_definition) struct definition *live = NULL;
	char text[64];

	(void)state;
	assert_int_equal(definition_make_live(def, 1, &live, NULL), 0);
	assert_string_equal(address_of(live, "pci.3", text), "0x02:0x00.0x0");
	assert_string_equal(address_of(live, "pci.4", text), "0x02:0x01.0x0");
	assert_string_equal(address_of(live, "ua-old", text), "1:3.0");
	assert_string_equal(address_of(live, "pcie.0", text), "(null):(null).(null)");
}

/* As people write them; the root needs no line of its own. */
static void ports_without_index(void **state)
{
	AUTO(auto_definition)
	struct definition *def = parse_text(
		DEVICES("<controller type='pci' model='pcie-root-port'/>"
			"<controller type='pci' model='pcie-root-port'/>"
			"<controller type='pci' index='3' model='pcie-root-port'/>" HOSTDEV(
				"2", "0", AT("2", "0", "0") "<alias name='ua-one'/>")),
		0);
	AUTO(auto_definition) struct definition *live = NULL;
	char text[64];

	(void)state;
	assert_int_equal(definition_make_live(def, 1, &live, NULL), 0);
	assert_string_equal(address_of(live, "ua-one", text), "2:0.0");
	assert_string_not_equal(address_of(live, "pci.1", text), "no such device");
	assert_string_not_equal(address_of(live, "pci.2", text), "no such device");
}

/* An interface gets an address of its own, and the same one each time. */
static void mac_addresses(void **state)
{
	static const char xml[] =
		"<domain type='kvm'><name>g</name>%s<memory>65536</memory><os><type>hvm</type></os>"
		"<devices><interface type='user'/><interface type='user'><mac "
		"address='52:54:00:00:00:01'/></interface><interface type='user'/>"
		"</devices></domain>";
	static const char *const uuids[] = {"00000000-0000-0000-0000-000000000001",
					    "00000000-0000-0000-0000-000000000002"};
	char macs[2][3][18] = {0};

	(void)state;
	for (int round = 0; round < 4; round++) {
		AUTO(auto_definition) struct definition *def = NULL;
		char text[600], uuid[64];
		const xmlNode *at;
		int n = 0;

		(void)snprintf(uuid, sizeof(uuid), "<uuid>%s</uuid>", uuids[round % 2]);
		(void)snprintf(text, sizeof(text), xml, uuid);
		def = parse_text(text, 0);
		assert_int_equal(definition_complete(def, NULL), 0);
		at = node_find(definition_root(def), "devices/interface");
		for (; at; at = node_next(at, "interface"), n++) {
			const char *mac = node_get(at, "mac@address");

			assert_non_null(mac);
			assert_int_equal(strncmp(mac, "52:54:00:", 9), 0);
			if (round >= 2)
				assert_string_equal(mac, macs[round % 2][n]);
			(void)snprintf(macs[round % 2][n], 18, "%s", mac);
		}
		assert_int_equal(n, 3);
		assert_string_equal(macs[round % 2][1], "52:54:00:00:00:01");
		assert_string_not_equal(macs[round % 2][0], macs[round % 2][2]);
	}
	assert_string_not_equal(macs[0][0], macs[1][0]);
}

/* virt-install leaves it to libvirt where sound is heard. */
static void sound_without_audio(void **state)
{
	static const struct {
		const char *devices;
		const char *type; /* NULL: none is added */
	} cases[] = {
		{"<sound model='ich9'/><graphics type='vnc'/><graphics type='spice'/>", "spice"},
		{"<sound model='ich9'/><graphics type='vnc'/>", "none"},
		{"<sound model='ich9'/><audio id='2' type='alsa'/>", "alsa"},
		{"<graphics type='spice'/>", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO(auto_definition) struct definition *def = NULL;
		const char *type;
		char text[400];

		(void)snprintf(text, sizeof(text), DEVICES("%s"), cases[i].devices);
		def = parse_text(text, 0);
		assert_int_equal(definition_complete(def, NULL), 0);
		assert_int_equal(definition_complete(def, NULL), 0);
		type = definition_get(def, "devices/audio@type");
		if (cases[i].type)
			assert_string_equal(type, cases[i].type);
		else
			assert_null(type);
		if (cases[i].type)
			assert_null(node_next(node_find(definition_root(def), "devices/audio"),
					      "audio"));
	}
}

static void plugging(void **state)
{
	AUTO(auto_definition) struct definition *def = parse_golden("lab.xml");
	AUTO(auto_definition) struct definition *live = NULL;
	struct pt_error err = {0};
	char text[64], alias[16];

	(void)state;
	assert_int_equal(definition_make_live(def, 1, &live, NULL), 0);
	for (unsigned int i = 0; i < DEFINITION_FREE_PORTS; i++) {
		AUTO(auto_definition)
		struct definition *device = parse_device(HOSTDEV("9", "0", ""));

		assert_int_equal(definition_set(device, "source/address@slot",
						(char[]){(char)('1' + i), 0}, &err),
				 0);
		assert_int_equal(definition_count_free_ports(live), DEFINITION_FREE_PORTS - i);
		assert_int_equal(definition_place_device(live, device, &err), 0);
		assert_int_equal(definition_add_device(live, device, NULL, &err), 0);
		(void)snprintf(alias, sizeof(alias), "hostdev%u", i + 1);
		(void)address_of(live, alias, text);
		assert_int_equal(text[3], '2' + i);
	}
	for (int round = 0; round < 2; round++) {
		AUTO(auto_definition)
		struct definition *device = parse_device(HOSTDEV("8", "0", ""));

		/* one that went makes room, and leaves its name and its place */
		if (round == 1)
			definition_remove_device(live, definition_find_alias(live, "hostdev2"));
		assert_int_equal(definition_place_device(live, device, &err), round ? 0 : -EBUSY);
		if (round == 0) {
			assert_non_null(strstr(err.message, "No more available PCI slots"));
			assert_null(definition_get(device, "address@bus"));
		} else {
			assert_string_equal(definition_get(device, "alias@name"), "hostdev2");
			assert_string_equal(definition_get(device, "address@bus"), "0x03");
		}
	}
}

static void plugging_at_a_place(void **state)
{
	static const struct {
		const char *device;
		int error;
		const char *says;
	} cases[] = {
		{HOSTDEV("9", "0", AT("4", "0", "0")), 0, NULL},
		{HOSTDEV("9", "0", AT("1", "0", "0")), -EBUSY,
		 "Attempted double use of PCI Address"},
		{HOSTDEV("9", "0", AT("0", "9", "0")), -EINVAL,
		 "no root port with hotplug leads there"},
		{HOSTDEV("9", "0", AT("77", "0", "0")), -EINVAL,
		 "no root port with hotplug leads there"},
		{HOSTDEV("9", "0", AT("4", "1", "0")), -EINVAL,
		 "no root port with hotplug leads there"},
		{"<sound model='ich9'/>", -EOPNOTSUPP, "can't be hot-plugged"},
		{"<serial type='pty'/>", -EOPNOTSUPP, "can't be hot-plugged"},
		{"<disk type='file'><source file='/a'/><target dev='sda' bus='sata'/></disk>",
		 -EOPNOTSUPP, "can't be hot-plugged"},
		{"<disk type='file'><source file='/a'/><target dev='sda' bus='scsi'/></disk>", 0,
		 NULL},
		{"<interface type='user'><model type='virtio'/></interface>", 0, NULL},
	};
	AUTO(auto_definition) struct definition *def = parse_golden("lab.xml");
	AUTO(auto_definition) struct definition *live = NULL;

	(void)state;
	assert_int_equal(definition_make_live(def, 1, &live, NULL), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO(auto_definition) struct definition *device = parse_device(cases[i].device);
		struct pt_error err = {0};
		int r = definition_place_device(live, device, &err);

		if (r != cases[i].error || (r < 0 && !strstr(err.message, cases[i].says)))
			fail_msg("%s: %d, %s", cases[i].device, r, err.message);
		if (r == 0)
			assert_non_null(definition_get(device, "alias@name"));
	}
}

static void names_and_seats(void **state)
{
	AUTO(auto_definition)
	struct definition *def = parse_text(
		DEVICES("<disk type='file'><source file='/a'/><target dev='sda' bus='scsi'/></disk>"
			"<disk type='file'><source file='/b'/><target dev='sdh' bus='sata'/></disk>"
			"<disk type='file'><source file='/c'/><target dev='sdb' bus='sata'/>"
			"<address type='drive' controller='0' bus='0' target='0' unit='2'/></disk>"
			"<disk type='file'><source file='/d'/><target dev='sdc' bus='sata'/></disk>"
			"<disk type='file'><source file='/e'/><target dev='vdb'/></disk>"
			"<interface type='user'/><interface type='user'><alias name='ua-net0'/></interface>"
			"<interface type='user'/>"
			"<channel type='unix'><target type='virtio' name='a'/></channel>"
			"<channel type='unix'><target type='virtio' name='b'/></channel>"
			"<serial type='pty'/><console type='pty'/><sound model='ich9'/>"),
		0);
	static const char *const aliases[] = {
		"scsi0-0-0-0", "sata1-0-1", "sata0-0-2", "sata0-0-3",	   "virtio-disk1", "net0",
		"ua-net0",     "net1",	    "channel0",	 "channel1",	   "serial0",	   "sound0",
		"ide",	       "sata1",	    "scsi0",	 "virtio-serial0",
	};
	AUTO(auto_definition) struct definition *live = NULL;

	(void)state;
	assert_int_equal(definition_make_live(def, 1, &live, NULL), 0);
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (!definition_find_alias(live, aliases[i]))
			fail_msg("nothing is called %s", aliases[i]);
	assert_string_equal(node_get(definition_find_alias(live, "channel1"), "address@port"), "2");
}

/* A guest with @count of @device, in which %u is its number. Freed by the caller. */
static char *text_of_many(const char *device, unsigned int count)
{
	const char *number = strstr(device, "%u");
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	(void)fputs("<domain type='kvm'><name>g</name><memory>65536</memory><os>"
		    "<type>hvm</type></os><devices>",
		    out);
	for (unsigned int i = 0; i < count; i++)
		if (number)
			(void)fprintf(out, "%.*s%u%s", (int)(number - device), device, i,
				      number + 2);
		else
			(void)fputs(device, out);
	(void)fputs("</devices></domain>", out);
	(void)fclose(out);
	return text;
}

/* What is more than a machine can have is refused, before it takes long or can't be read again. */
static void too_many(void **state)
{
	static const char channel[] =
		"<channel type='unix'><target type='virtio' name='c%u'/></channel>";
	static const struct {
		const char *device;
		unsigned int count;
		int parsed, completed;
		const char *message;
	} cases[] = {
		{"<serial type='pty'/>", 1025, -EOPNOTSUPP, 0, "at most 1024 devices"},
		/* with root ports and the USB controller they are too many */
		{"<input type='tablet' bus='usb'/>", 1024, 0, -EOPNOTSUPP, "at most 1024 devices"},
		{"<input type='tablet' bus='usb'/>", 1000, 0, 0, NULL},
		{channel, 511, 0, 0, NULL},
		{channel, 512, 0, -EBUSY, "no port left"},
		{"<controller type='usb'/>", 256, 0, 0, NULL},
		{"<controller type='usb'/>", 257, 0, -EBUSY, "as many as there can be"},
		/* 1559 is behind the 256th controller of 6 */
		{"<disk type='file' device='cdrom'><target dev='sdbgz' bus='sata'/></disk>", 1, 0,
		 -EBUSY, "'sdbgz' is too far behind"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_FREE char *text = text_of_many(cases[i].device, cases[i].count);
		AUTO(auto_definition) struct definition *def = NULL;
		struct pt_error err = {0};
		int r = definition_parse(text, 0, &def, &err);

		assert_int_equal(r, cases[i].parsed);
		if (r == 0)
			assert_int_equal(definition_complete(def, &err), cases[i].completed);
		if (cases[i].message && !strstr(err.message, cases[i].message))
			fail_msg("%s: %s", cases[i].device, err.message);
	}
}

/* The lowest number that is free; names that only look like ours are not in the way. */
static void numbers_in_between(void **state)
{
	static const char text[] =
		DEVICES("<serial type='pty'><alias name='serial1'/></serial>"
			"<serial type='pty'><alias name='serial03'/></serial>"
			"<serial type='pty'><alias name='serial0x'/></serial>"
			"<serial type='pty'><alias name='serial99999999999'/></serial>"
			"<serial type='pty'/><serial type='pty'/><serial type='pty'/>");
	AUTO(auto_definition) struct definition *def = parse_text(text, DEFINITION_LIVE);
	AUTO(auto_definition) struct definition *live = NULL;
	const xmlNode *at;

	(void)state;
	assert_int_equal(definition_make_live(def, 1, &live, NULL), 0);
	at = node_find(definition_root(live), "devices/serial");
	for (int i = 0; i < 4; i++)
		at = node_next(at, "serial");
	assert_string_equal(node_get(at, "alias@name"), "serial0");
	at = node_next(at, "serial");
	assert_string_equal(node_get(at, "alias@name"), "serial2");
	at = node_next(at, "serial");
	assert_string_equal(node_get(at, "alias@name"), "serial3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_live_copy),
		cmocka_unit_test(completing_is_idempotent),
		cmocka_unit_test(addresses_stay_when_a_device_comes),
		cmocka_unit_test(many_devices),
		cmocka_unit_test(a_thousand_devices),
		cmocka_unit_test(a_full_machine),
		cmocka_unit_test(addresses_that_are_given),
		cmocka_unit_test(addresses_that_can_not_be),
		cmocka_unit_test(bridges_and_switches),
		cmocka_unit_test(ports_without_index),
		cmocka_unit_test(mac_addresses),
		cmocka_unit_test(sound_without_audio),
		cmocka_unit_test(plugging),
		cmocka_unit_test(plugging_at_a_place),
		cmocka_unit_test(names_and_seats),
		cmocka_unit_test(too_many),
		cmocka_unit_test(numbers_in_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
