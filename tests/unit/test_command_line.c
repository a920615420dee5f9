/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "definition_read.h"

#include "domain/command_line/command_line.h"
#include "domain/definition/complete.h"
#include "domain/definition/xml_node.h"

#define DOMAIN(inside)                                                                             \
	"<domain type='kvm'><name>g</name><memory>65536</memory><os><type>hvm</type></os>" inside  \
	"</domain>"
#define DEVICES(inside) DOMAIN("<devices>" inside "</devices>")

static const struct command_line_files nothing = {.commands.fd = -1, .events.fd = -1};

static char *format_line(const struct definition *live, const struct command_line_files *files)
{
	AUTO(auto_command_line) char **argv = NULL;
	struct pt_error err = {0};
	char *text = NULL;

	if (command_line_build(live, files, &argv, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(command_line_format(argv, &text, &err), 0);
	return text;
}

static struct definition *live_of(const struct definition *def)
{
	struct definition *live = NULL;
	struct pt_error err = {0};

	if (definition_make_live(def, 1, &live, &err) < 0)
		fail_msg("%s", err.message);
	return live;
}

static const char *const golden[] = {"emulated",      "lab",   "looking-glass", "nas",
				     "nfv",	      "pc",    "people",	"router",
				     "single-gpu",    "small", "virt-manager",	"win11-tpm",
				     "windows-gaming"};

static void whole_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
		AUTO(auto_definition) struct definition *def = NULL;
		AUTO(auto_definition) struct definition *live = NULL;
		AUTO_FREE char *text = NULL;
		char name[64];

		(void)snprintf(name, sizeof(name), "%s.xml", golden[i]);
		def = parse_golden(name);
		live = live_of(def);
		text = format_line(live, &nothing);
		(void)snprintf(name, sizeof(name), "%s.args", golden[i]);
		assert_golden(name, text);
	}
}

static void files_of_the_start(void **state)
{
	const struct command_line_tap tap = {
		.alias = "net0", .fds = {9}, .vhost_fds = {11}, .count = 1, .has_vhost = true};
	const struct command_line_output outputs[] = {
		{.alias = "serial0", .fd = 13}, {.alias = "serial0", .is_log = true, .fd = 14}};
	const struct command_line_output listener = {.alias = "channel1", .fd = 15};
	const struct command_line_files files = {
		.commands = {.fd = 7},
		.events = {.fd = -1, .path = "/run/a,b"},
		.taps = &tap,
		.tap_count = 1,
		.outputs = outputs,
		.output_count = 2,
		.listeners = &listener,
		.listener_count = 1,
		.run_directory = "/run/passthru/guests/g.d",
		.is_paused = true,
	};
	static const char *const wanted[] = {
		"\n-S \\\n",
		"-chardev socket,id=charmonitor,fd=7,server=on,wait=off \\\n",
		"-mon chardev=charmonitor,id=monitor,mode=control",
		"-chardev socket,id=charevents,path=/run/a,,b,server=on,wait=off",
		"{\"type\":\"tap\",\"id\":\"hostnet0\",\"fd\":\"9\",\"vhost\":true,\"vhostfd\":\"11\"}",
		"path=/run/passthru/guests/g.d/channel0,server=on",
		"-chardev socket,id=charchannel1,fd=15,server=on,wait=off \\\n",
		"-add-fd fd=13,set=13 \\\n",
		"-add-fd fd=14,set=14 \\\n",
		"-chardev file,id=charserial0,path=/dev/fdset/13,append=on,",
		",logfile=/dev/fdset/14,logappend=on \\\n",
	};
	AUTO(auto_definition)
	struct definition *def = parse_text(
		DEVICES("<interface type='bridge'><source bridge='b'/><driver name='vhost'/></interface>"
			"<channel type='unix'><target type='virtio' name='a'/></channel>"
			"<channel type='unix'><target type='virtio' name='b'/></channel>"
			"<serial type='file'><source path='/out'/><log file='/log'/>"
			"</serial>"),
		0);
	AUTO(auto_definition) struct definition *live = live_of(def);
	AUTO_FREE char *text = format_line(live, &files);

	(void)state;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (!strstr(text, wanted[i]))
			fail_msg("%s\nis not in\n%s", wanted[i], text);
}

/* A start shall not seem to work when something wasn't prepared for it. */
static void what_is_not_prepared(void **state)
{
	static const char *const cases[][2] = {
		{DEVICES("<interface type='bridge'><source bridge='b'/></interface>"),
		 "no tap was opened"},
		{DEVICES("<graphics type='spice' autoport='yes'/>"), "none was chosen"},
	};
	const struct command_line_files files = {.commands = {.fd = 7}, .events = {.fd = 8}};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		AUTO(auto_definition) struct definition *def = parse_text(cases[i][0], 0);
		AUTO(auto_definition) struct definition *live = live_of(def);
		AUTO(auto_command_line) char **argv = NULL;
		struct pt_error err = {0};

		assert_true(command_line_build(live, &files, &argv, &err) < 0);
		assert_non_null(strstr(err.message, cases[i][1]));
		assert_int_equal(command_line_build(live, &nothing, &argv, &err), 0);
	}
}

/* What someone writes into a definition stays one value of one option. */
static void values_with_commas(void **state)
{
	AUTO(auto_definition)
	struct definition *def = parse_text(
		"<domain type='kvm'><name>a,debug-threads=off</name><memory>65536</memory><os>"
		"<type>hvm</type><cmdline>x,y 'z' \"</cmdline></os><devices><serial type='file'>"
		"<source path='/a,append=on'/></serial><disk type='file'>"
		"<source file='/a\",\"b'/><target dev='vda'/></disk></devices></domain>",
		0);
	AUTO(auto_definition) struct definition *live = live_of(def);
	AUTO_FREE char *text = format_line(live, &nothing);

	(void)state;
	assert_non_null(strstr(text, "guest=a,,debug-threads=off,debug-threads=on"));
	assert_non_null(strstr(text, "-append 'x,y '\\''z'\\'' \"'"));
	assert_non_null(strstr(text, "path=/a,,append=on,append=off"));
	assert_non_null(strstr(text, "\"filename\":\"/a\\\",\\\"b\""));
}

static const struct {
	const char *text;
	int error;
	const char *says;
} refused[] = {
	{"<domain type='qemu'><name>g</name><memory>65536</memory><os><type>hvm</type></os>"
	 "<cpu mode='host-passthrough'/></domain>",
	 -EOPNOTSUPP, "domain/cpu@mode='host-passthrough' needs domain@type='kvm'"},
	{DOMAIN("<vcpu>4</vcpu><cpu><topology sockets='1' cores='2' threads='1'/></cpu>"), -EINVAL,
	 "CPU topology doesn't match maximum vcpu count"},
	{DOMAIN("<vcpu current='3'>2</vcpu>"), -EINVAL, "domain/vcpu@current is larger"},
	{DOMAIN("<cpu mode='custom'/>"), -EINVAL, "domain/cpu/model is missing"},
	{DOMAIN("<cpu><numa><cell id='0' cpus='0' memory='1'/></numa></cpu>"), -EINVAL,
	 "the cells have 1 KiB of memory in total"},
	{DOMAIN("<features><hyperv><vendor_id state='on' value='a,b'/></hyperv></features>"),
	 -EINVAL, "vendor_id@value"},
	{DOMAIN("<sysinfo type='smbios'><system><entry name='odd'>x</entry></system></sysinfo>"), 0,
	 NULL},
	{"<domain type='kvm'><name>g</name><memory>65536</memory><os><type>hvm</type>"
	 "<smbios mode='sysinfo'/></os><sysinfo type='smbios'><system><entry name='odd'>x</entry>"
	 "</system></sysinfo></domain>",
	 -EOPNOTSUPP, "domain/sysinfo/system/entry@name='odd'"},
	{"<domain type='kvm'><name>g</name><memory>65536</memory><os><type>hvm</type>"
	 "<loader secure='yes'>/a</loader></os></domain>",
	 -EOPNOTSUPP, "needs domain/features/smm"},
	{DEVICES("<disk type='file' device='cdrom'><target dev='vda' bus='virtio'/></disk>"),
	 -EOPNOTSUPP, "a cdrom can't be on the bus virtio"},
	{DEVICES("<disk type='file'><driver io='native'/><source file='/a'/><target dev='vda'/>"
		 "</disk>"),
	 -EOPNOTSUPP, "io='native' needs cache='none'"},
	{DEVICES("<input type='tablet' bus='ps2'/>"), -EOPNOTSUPP, "a tablet needs the bus usb"},
	{DEVICES("<shmem name='a'><model type='ivshmem-plain'/><size>3</size></shmem>"), -EINVAL,
	 "power of two"},
	{DEVICES("<iommu model='intel'><driver intremap='on'/></iommu>"), -EOPNOTSUPP,
	 "needs <ioapic driver='qemu'/>"},
	{DEVICES("<interface type='user'><model type='e1000e'/><mtu size='9000'/></interface>"),
	 -EOPNOTSUPP, "mtu needs the model virtio"},
	{DEVICES("<controller type='pci' index='1' model='pcie-to-pci-bridge'><address type='pci' "
		 "bus='2' slot='1'/></controller><controller type='pci' index='2' "
		 "model='pcie-to-pci-bridge'><address type='pci' bus='1' slot='1'/></controller>"),
	 -EINVAL, "form a loop"},
};

static void refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		AUTO(auto_definition) struct definition *def = parse_text(refused[i].text, 0);
		AUTO(auto_definition) struct definition *live = live_of(def);
		AUTO(auto_command_line) char **argv = NULL;
		struct pt_error err = {0};
		int r = command_line_build(live, &nothing, &argv, &err);

		if (r != refused[i].error || (r < 0 && !strstr(err.message, refused[i].says)))
			fail_msg("%s:\n%d, %s", refused[i].text, r, err.message);
	}
}

static int check_at_define(const char *text, struct pt_error *err)
{
	AUTO(auto_definition) struct definition *def = parse_text(text, 0);
	int r = definition_complete(def, err);

	return r < 0 ? r : command_line_check(def, err);
}

static char *many_hostdevs(unsigned int count)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	(void)fprintf(out, "<domain type='kvm'><name>g</name><memory>65536</memory><os>"
			   "<type>hvm</type></os><devices>");
	for (unsigned int i = 0; i < count; i++)
		(void)fprintf(out,
			      "<hostdev mode='subsystem' type='pci'><source>"
			      "<address bus='%u' slot='%u'/></source></hostdev>",
			      1 + i / 32, i % 32);
	(void)fprintf(out, "</devices></domain>");
	assert_int_equal(fclose(out), 0);
	return text;
}

/* So many of @device, whose name or path @format numbers. */
static void check_many(const char *format, unsigned int most, const char *says)
{
	for (unsigned int count = most; count <= most + 1; count++) {
		AUTO_FREE char *text = NULL;
		struct pt_error err = {0};
		size_t size;
		FILE *out = open_memstream(&text, &size);
		int r;

		assert_non_null(out);
		(void)fprintf(out, "<domain type='kvm'><name>g</name><memory>65536</memory><os>"
				   "<type>hvm</type></os><devices>");
		for (unsigned int i = 0; i < count; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			(void)fprintf(out, format, i, i);
#pragma GCC diagnostic pop
		}
		(void)fprintf(out, "</devices></domain>");
		assert_int_equal(fclose(out), 0);
		r = check_at_define(text, &err);
		if (count > most ? r != -EOPNOTSUPP || !strstr(err.message, says) : r < 0)
			fail_msg("%u: %s", count, err.message);
	}
}

static void refused_when_there_are_many(void **state)
{
	(void)state;
	check_many("<console type='file'><source path='/%u'/><target type='virtio'/></console>",
		   COMMAND_LINE_INHERITED_MAX, "with more than 16 files");
	check_many("<console type='file'><source path='/%u'/><log file='/%u.log'/><target "
		   "type='virtio'/></console>",
		   COMMAND_LINE_INHERITED_MAX / 2, "with more than 16 files");
	check_many("<channel type='unix'><target type='virtio' name='%u'/></channel>",
		   COMMAND_LINE_INHERITED_MAX, "with sockets that the definition doesn't name");
}

/* What a start would refuse for what the definition says is refused when it is defined. */
static void refused_at_define(void **state)
{
	static const struct {
		const char *text;
		int error;
		const char *says;
	} more[] = {
		{DOMAIN("<vcpu cpuset='3-1'>1</vcpu>"), -EINVAL, "domain/vcpu@cpuset: '3-1'"},
		{DOMAIN("<cputune><vcpupin vcpu='0' cpuset='0'/><emulatorpin cpuset='4-3'/>"
			"</cputune>"),
		 -EINVAL, "domain/cputune/emulatorpin@cpuset"},
		{DEVICES("<hostdev mode='subsystem' type='pci'><driver name='vfio' model='a'/>"
			 "<source><address bus='1'/></source></hostdev>"
			 "<interface type='hostdev'><source><address bus='2'/></source>"
			 "</interface>"),
		 -EOPNOTSUPP, "domain/devices/interface/driver@model"},
		/* of this host, and of now: nobody here has such a bridge, port or file */
		{DEVICES("<interface type='bridge'><source bridge='nowhere'/></interface>"
			 "<graphics type='spice' autoport='yes'/><disk type='file'>"
			 "<source file='/nowhere'/><target dev='vda'/></disk>"),
		 0, NULL},
	};
	AUTO_FREE char *fits = many_hostdevs(64);
	AUTO_FREE char *too_many = many_hostdevs(65);
	struct pt_error err = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		int r = check_at_define(refused[i].text, &err);

		if (r != refused[i].error || (r < 0 && !strstr(err.message, refused[i].says)))
			fail_msg("%s:\n%d, %s", refused[i].text, r, err.message);
	}
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		int r = check_at_define(more[i].text, &err);

		if (r != more[i].error || (r < 0 && !strstr(err.message, more[i].says)))
			fail_msg("%s:\n%d, %s", more[i].text, r, err.message);
	}
	for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
		AUTO_FREE char *text = NULL;
		char name[64];

		(void)snprintf(name, sizeof(name), "%s.xml", golden[i]);
		text = read_golden(name);
		if (check_at_define(text, &err) < 0)
			fail_msg("%s: %s", name, err.message);
	}
	assert_int_equal(check_at_define(fits, &err), 0);
	assert_int_equal(check_at_define(too_many, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.message, "at most 64"));
}

static void environment(void **state)
{
	AUTO(auto_definition)
	struct definition *def = parse_text(
		"<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
		"<name>g</name><memory>65536</memory><os><type>hvm</type></os><qemu:commandline>"
		"<qemu:env name='A' value='b c'/><qemu:arg value='-x'/><qemu:env name='D'/>"
		"</qemu:commandline></domain>",
		0);
	AUTO(auto_definition) struct definition *live = live_of(def);
	AUTO(auto_command_line) char **made = NULL;
	AUTO_FREE char *line = NULL;
	struct pt_error err = {0};

	(void)state;
	assert_int_equal(command_line_environment(def, &made, &err), 0);
	assert_string_equal(made[1], "LC_ALL=C");
	assert_string_equal(made[2], "A=b c");
	assert_string_equal(made[3], "D=");
	assert_null(made[4]);
	line = format_line(live, &nothing);
	assert_non_null(strstr(line, "-x\n"));
}

/* Plugging in and the way back, as the commands' JSON. */
static void plugging(void **state)
{
	static const struct {
		const char *device;
		const char *plug;
		const char *unplugged;
	} cases[] = {
		{"<hostdev mode='subsystem' type='pci'><source><address bus='6' slot='0x12' function='5'/>"
		 "</source><rom bar='off'/></hostdev>",
		 "[{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"vfio-pci\",\"id\":\"hostdev1\","
		 "\"host\":\"0000:06:12.5\",\"bus\":\"pci.2\",\"addr\":\"0x0\",\"rombar\":0}}]",
		 "[]"},
		{"<interface type='user'><mac address='52:54:00:00:00:01'/></interface>",
		 "[{\"execute\":\"netdev_add\",\"arguments\":{\"type\":\"user\",\"id\":\"hostnet0\"}},"
		 "{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"virtio-net-pci\",\"id\":\"net0\","
		 "\"netdev\":\"hostnet0\",\"mac\":\"52:54:00:00:00:01\",\"bus\":\"pci.2\",\"addr\":\"0x0\"}}]",
		 "[{\"execute\":\"netdev_del\",\"arguments\":{\"id\":\"hostnet0\"}}]"},
		{"<disk type='file'><source file='/a'/><target dev='vdb'/></disk>",
		 "[{\"execute\":\"blockdev-add\",\"arguments\":{\"driver\":\"file\",\"filename\":\"/a\","
		 "\"node-name\":\"virtio-disk1-storage\",\"auto-read-only\":true}},"
		 "{\"execute\":\"blockdev-add\",\"arguments\":{\"driver\":\"raw\",\"node-name\":"
		 "\"virtio-disk1-format\",\"read-only\":false,\"file\":\"virtio-disk1-storage\"}},"
		 "{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"virtio-blk-pci\",\"id\":"
		 "\"virtio-disk1\",\"bus\":\"pci.2\",\"addr\":\"0x0\",\"drive\":\"virtio-disk1-format\"}}]",
		 "[{\"execute\":\"blockdev-del\",\"arguments\":{\"node-name\":\"virtio-disk1-format\"}},"
		 "{\"execute\":\"blockdev-del\",\"arguments\":{\"node-name\":\"virtio-disk1-storage\"}}]"},
	};
	const int flags = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO(auto_definition) struct definition *def = parse_golden("lab.xml");
		AUTO(auto_definition) struct definition *live = live_of(def);
		AUTO(auto_definition) struct definition *device = parse_device(cases[i].device);
		struct json_object *plug = NULL, *unplugged = NULL;
		xmlNode *node = NULL;

		assert_int_equal(definition_place_device(live, device, NULL), 0);
		assert_int_equal(definition_add_device(live, device, &node, NULL), 0);
		assert_int_equal(command_line_plug(live, node, &nothing, &plug, NULL), 0);
		assert_string_equal(json_object_to_json_string_ext(plug, flags), cases[i].plug);
		assert_int_equal(command_line_unplugged(live, node, &unplugged, NULL), 0);
		assert_string_equal(json_object_to_json_string_ext(unplugged, flags),
				    cases[i].unplugged);
		json_object_put(plug);
		json_object_put(unplugged);
	}
}

/* Take the @number'th element or attribute out, counted from 0 through all of the tree. */
static bool take_out(xmlNode *node, int *number)
{
	for (xmlAttr *at = node->properties; at; at = at->next)
		if ((*number)-- == 0) {
			xmlRemoveProp(at);
			return true;
		}
	for (xmlNode *at = node_child(node, NULL); at; at = node_next(at, NULL)) {
		if ((*number)-- == 0) {
			node_remove(at);
			return true;
		}
		if (take_out(at, number))
			return true;
	}
	return false;
}

/* A definition has its command line, or a reason why not, whatever is left out of it. */
static void nothing_is_taken_for_granted(void **state)
{
	static const char *const names[] = {"nfv.xml", "emulated.xml"};
	unsigned int refused_count = 0, built = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		AUTO(auto_definition) struct definition *def = parse_golden(names[i]);

		for (int which = 0;; which++) {
			AUTO(auto_definition) struct definition *less = definition_copy(def);
			AUTO(auto_definition) struct definition *again = NULL;
			AUTO(auto_definition) struct definition *live = NULL;
			AUTO(auto_command_line) char **argv = NULL;
			AUTO_FREE char *text = NULL;
			struct pt_error err = {0};
			int number = which;

			if (!take_out(definition_root(less), &number))
				break;
			text = format_text(less, DEFINITION_SECURE);
			if (definition_parse(text, 0, &again, &err) < 0 ||
			    definition_make_live(again, 1, &live, &err) < 0 ||
			    command_line_build(live, &nothing, &argv, &err) < 0) {
				assert_true(err.message[0]);
				refused_count++;
			} else {
				for (char **at = argv; *at; at++)
					assert_null(strstr(*at, "(null)"));
				built++;
			}
		}
	}
	/* most of it is optional; some has to be there */
	if (refused_count < 50 || built < refused_count)
		fail_msg("%u were refused, %u built", refused_count, built);
}

/* What is said by QMP before the guest runs. */
static void settling(void **state)
{
	static const struct {
		const char *devices;
		const char *commands;
	} cases[] = {
		{"", "[]"},
		{"<graphics type='vnc' passwd='a\"b'/><graphics type='spice' port='5930' passwd='c' "
		 "passwdValidTo='2030-01-01T00:00:00'/>",
		 "[{\"execute\":\"set_password\",\"arguments\":{\"protocol\":\"vnc\",\"password\":"
		 "\"a\\\"b\"}},{\"execute\":\"set_password\",\"arguments\":{\"protocol\":\"spice\","
		 "\"password\":\"c\"}},{\"execute\":\"expire_password\",\"arguments\":{\"protocol\":"
		 "\"spice\",\"time\":\"1893456000\"}}]"},
		{"<interface type='user'><link state='down'/></interface>",
		 "[{\"execute\":\"set_link\",\"arguments\":{\"name\":\"net0\",\"up\":false}}]"},
		{"<memballoon model='virtio'/>",
		 "[{\"execute\":\"balloon\",\"arguments\":{\"value\":33554432}}]"},
	};
	const int flags = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO(auto_definition) struct definition *def = NULL;
		AUTO(auto_definition) struct definition *live = NULL;
		struct json_object *commands = NULL;
		struct pt_error err = {0};
		char text[1024];

		(void)snprintf(text, sizeof(text), DOMAIN("%s<devices>%s</devices>"),
			       i == 3 ? "<currentMemory unit='MiB'>32</currentMemory>" : "",
			       cases[i].devices);
		def = parse_text(text, 0);
		live = live_of(def);
		assert_int_equal(command_line_settle(live, &commands, &err), 0);
		assert_string_equal(json_object_to_json_string_ext(commands, flags),
				    cases[i].commands);
		json_object_put(commands);
	}
}

/* A tap has to be opened for it first; what it leaves behind is known without. */
static void plugging_a_tap(void **state)
{
	const struct command_line_tap tap = {.alias = "net0", .fds = {9}, .count = 1};
	const struct command_line_files files = {
		.commands.fd = -1, .events.fd = -1, .taps = &tap, .tap_count = 1};
	AUTO(auto_definition) struct definition *def = parse_golden("lab.xml");
	AUTO(auto_definition) struct definition *live = live_of(def);
	AUTO(auto_definition)
	struct definition *device = parse_device(
		"<interface type='bridge'><source bridge='b'/><link state='down'/></interface>");
	struct json_object *commands = NULL;
	struct pt_error err = {0};
	xmlNode *node = NULL;

	(void)state;
	assert_int_equal(definition_place_device(live, device, NULL), 0);
	assert_int_equal(definition_add_device(live, device, &node, NULL), 0);
	assert_int_equal(command_line_plug(live, node, &nothing, &commands, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.message, "no tap was opened"));
	assert_null(commands);
	assert_int_equal(command_line_plug(live, node, &files, &commands, &err), 0);
	assert_int_equal(json_object_array_length(commands), 3);
	assert_non_null(strstr(json_object_to_json_string(commands), "\"set_link\""));
	json_object_put(commands);
	assert_int_equal(command_line_unplugged(live, node, &commands, &err), 0);
	assert_int_equal(json_object_array_length(commands), 1);
	json_object_put(commands);
}

static void what_can_not_be_plugged(void **state)
{
	AUTO(auto_definition) struct definition *def = parse_golden("lab.xml");
	AUTO(auto_definition) struct definition *live = live_of(def);
	struct json_object *plug = NULL;
	struct pt_error err = {0};

	(void)state;
	assert_int_equal(command_line_plug(live, node_find(definition_root(live), "devices/serial"),
					   &nothing, &plug, &err),
			 -EOPNOTSUPP);
	assert_int_equal(command_line_plug(live,
					   node_find(definition_root(live), "devices/controller"),
					   &nothing, &plug, &err),
			 -EOPNOTSUPP);
	assert_non_null(strstr(err.message, "can't be hot-plugged"));
	assert_null(plug);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_lines),
		cmocka_unit_test(files_of_the_start),
		cmocka_unit_test(values_with_commas),
		cmocka_unit_test(what_is_not_prepared),
		cmocka_unit_test(refusals),
		cmocka_unit_test(refused_at_define),
		cmocka_unit_test(refused_when_there_are_many),
		cmocka_unit_test(environment),
		cmocka_unit_test(plugging),
		cmocka_unit_test(settling),
		cmocka_unit_test(plugging_a_tap),
		cmocka_unit_test(nothing_is_taken_for_granted),
		cmocka_unit_test(what_can_not_be_plugged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
