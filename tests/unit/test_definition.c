/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "definition_read.h"

#include "domain/definition/xml_node.h"

#define DOMAIN(inside)                                                                             \
	"<domain type='kvm'><name>g</name><memory>65536</memory><os><type>hvm</type></os>" inside  \
	"</domain>"
#define DEVICES(inside) DOMAIN("<devices>" inside "</devices>")
#define PCI(bus, slot)	"<address domain='0' bus='" bus "' slot='" slot "' function='0'/>"
#define HOSTDEV(address, more)                                                                     \
	"<hostdev mode='subsystem' type='pci' managed='yes'><source>" address "</source>" more     \
	"</hostdev>"

static const char *const golden[] = {"emulated.xml",   "lab.xml",	    "looking-glass.xml",
				     "nas.xml",	       "nfv.xml",	    "router.xml",
				     "single-gpu.xml", "small.xml",	    "virt-manager.xml",
				     "win11-tpm.xml",  "windows-gaming.xml"};

static void comes_out_as_it_went_in(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
		AUTO_FREE char *text = read_golden(golden[i]);
		AUTO(auto_definition) struct definition *def = parse_text(text, 0);
		AUTO(auto_definition) struct definition *copy = definition_copy(def);
		AUTO_FREE char *out = format_text(def, DEFINITION_SECURE);
		AUTO_FREE char *again = format_text(copy, DEFINITION_SECURE);

		assert_string_equal(out, text);
		assert_string_equal(again, text);
	}
}

static void values(void **state)
{
	AUTO(auto_definition) struct definition *gaming = parse_golden("windows-gaming.xml");
	AUTO(auto_definition) struct definition *nfv = parse_golden("nfv.xml");
	AUTO(auto_definition) struct definition *small = parse_golden("small.xml");
	unsigned char uuid[16];

	(void)state;
	assert_string_equal(definition_name(gaming), "win11 gaming & work");
	assert_string_equal(definition_uuid(gaming), "0f1e6e2f-6f0c-4c11-9a42-7d1f5b2cb002");
	definition_uuid_bytes(gaming, uuid);
	assert_int_equal(uuid[0], 0x0f);
	assert_int_equal(uuid[15], 0x02);
	assert_int_equal(definition_id(gaming), -1);
	assert_true(definition_is_kvm(gaming));
	assert_true(definition_memory(gaming) == 16ull << 30);
	assert_int_equal(definition_vcpus(gaming), 12);
	assert_false(definition_memory_is_locked(gaming));
	assert_string_equal(definition_get(gaming, "os/nvram@template"),
			    "/usr/share/OVMF/OVMF_VARS_4M.ms.fd");
	assert_null(definition_get(gaming, "os/nvram@none"));
	assert_null(definition_get(gaming, "os/none"));

	assert_true(definition_memory(nfv) == 8ull << 30);
	assert_true(definition_memory_is_locked(nfv));
	assert_true(definition_memory_is_huge(nfv));
	assert_string_equal(definition_on_crash(nfv), "preserve");
	assert_string_equal(definition_get(nfv, "cputune/emulatorpin@cpuset"), "0-3,^2");

	assert_true(definition_memory(small) == 1ull << 30);
	assert_true(definition_memory_now(small) == 1ull << 30);
	assert_true(definition_memory_hard_limit(small) == 0);
	assert_int_equal(definition_vcpus(small), 1);
	assert_string_equal(definition_on_poweroff(small), "destroy");
	assert_string_equal(definition_on_reboot(small), "restart");
	assert_string_equal(definition_on_crash(small), "destroy");
}

static void setting(void **state)
{
	AUTO(auto_definition) struct definition *def = parse_golden("small.xml");
	AUTO_FREE char *inactive = NULL;
	AUTO_FREE char *live = NULL;

	(void)state;
	assert_int_equal(definition_set_id(def, 7, NULL), 0);
	assert_int_equal(definition_id(def), 7);
	assert_int_equal(definition_set(def, "os/nvram", "/x/<y>", NULL), 0);
	assert_int_equal(definition_set(def, "os/nvram@template", "/z", NULL), 0);
	assert_string_equal(definition_get(def, "os/nvram"), "/x/<y>");
	live = format_text(def, DEFINITION_LIVE);
	assert_non_null(strstr(live, "<domain type='kvm' id='7'>"));
	assert_non_null(strstr(live, "<nvram template='/z'>/x/&lt;y&gt;</nvram>"));
	inactive = format_text(def, 0);
	assert_null(strstr(inactive, "id='7'"));
	assert_int_equal(definition_set(def, "os/nvram@template", NULL, NULL), 0);
	assert_null(definition_get(def, "os/nvram@template"));
	assert_int_equal(definition_set_id(def, -1, NULL), 0);
	assert_int_equal(definition_id(def), -1);
}

static void uuids(void **state)
{
	AUTO(auto_definition) struct definition *one = parse_text(DOMAIN(""), 0);
	AUTO(auto_definition) struct definition *other = parse_text(DOMAIN(""), 0);
	AUTO(auto_definition)
	struct definition *odd =
		parse_text(DOMAIN("<uuid>0F1E6E2F6F0C4C119A427D1F5B2CB002</uuid>"), 0);
	AUTO_FREE char *text = format_text(one, 0);

	(void)state;
	assert_int_equal(strlen(definition_uuid(one)), 36);
	assert_int_equal(definition_uuid(one)[14], '4');
	assert_string_not_equal(definition_uuid(one), definition_uuid(other));
	assert_non_null(strstr(text, "</name>\n  <uuid>"));
	assert_string_equal(definition_uuid(odd), "0f1e6e2f-6f0c-4c11-9a42-7d1f5b2cb002");
}

static void hostdevs(void **state)
{
	AUTO(auto_definition) struct definition *gaming = parse_golden("windows-gaming.xml");
	AUTO(auto_definition) struct definition *nfv = parse_golden("nfv.xml");
	AUTO(auto_definition)
	struct definition *vmd = parse_device(
		HOSTDEV("<address domain='0x10000' bus='1' slot='0' function='0'/>", ""));
	AUTO_FREE struct definition_hostdev *behind_vmd = NULL;
	AUTO_FREE struct definition_hostdev *games = NULL;
	AUTO_FREE struct definition_hostdev *nics = NULL;
	size_t count = 0;

	(void)state;
	assert_int_equal(definition_hostdevs(gaming, &games, &count, NULL), 0);
	assert_int_equal(count, 3);
	assert_int_equal(games[0].address.bus, 0x65);
	assert_int_equal(games[1].address.function, 1);
	assert_true(games[0].is_managed);
	assert_null(games[0].alias);
	assert_string_equal(games[2].alias, "ua-usb");
	assert_int_equal(games[2].kind, HOSTDEV_PCI);
	assert_int_equal(games[2].vlan, -1);

	assert_int_equal(definition_hostdevs(vmd, &behind_vmd, &count, NULL), 0);
	assert_int_equal(count, 1);
	assert_int_equal(behind_vmd[0].address.domain, 0x10000);

	assert_int_equal(definition_hostdevs(nfv, &nics, &count, NULL), 0);
	assert_int_equal(count, 3);
	assert_int_equal(nics[0].kind, HOSTDEV_NVME);
	assert_true(nics[0].is_managed);
	assert_int_equal(nics[1].kind, HOSTDEV_INTERFACE);
	assert_string_equal(nics[1].mac, "52:54:00:6d:90:02");
	assert_int_equal(nics[1].vlan, 42);
	assert_int_equal(nics[1].address.device, 2);
	assert_false(nics[2].is_managed);
}

/* What a guest dumped while it ran says more than its definition. */
static void dumped_from_a_running_guest(void **state)
{
	static const char text[] =
		"<domain type='kvm' id='3'><name>g</name><memory>65536</memory>"
		"<os><type>hvm</type></os><resource><partition>/machine</partition></resource>"
		"<devices><interface type='bridge'><source bridge='br0'/><target dev='vnet4'/>"
		"<alias name='net0'/></interface><interface type='network'><source network='default' "
		"portid='0' bridge='virbr0'/></interface><serial type='pty'><source path='/dev/pts/3'/>"
		"<target port='0'/><alias name='serial0'/></serial>"
		"<disk type='file'><source file='/a' index='1'/><backingStore/><target dev='vda'/>"
		"<alias name='ua-root'/></disk>"
		"<graphics type='vnc' port='5903' autoport='yes' passwd='s'/></devices>"
		"<seclabel type='dynamic' model='selinux' relabel='yes'><label>x</label></seclabel>"
		"</domain>";
	AUTO(auto_definition) struct definition *def = parse_text(text, 0);
	AUTO_FREE char *out = format_text(def, 0);
	static const char *const gone[] = {"id='3'",   "resource", "vnet4",  "net0",
					   "pts",      "serial0",  "index",  "backing",
					   "seclabel", "passwd",   "portid", "virbr0"};

	(void)state;
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		if (strstr(out, gone[i]))
			fail_msg("%s is still in %s", gone[i], out);
	assert_non_null(strstr(out, "ua-root"));
	assert_non_null(strstr(out, "port='-1' autoport='yes'"));
}

static const struct {
	const char *text;
	int error;
	const char *says;
} refused[] = {
	/* not supported, by path */
	{DEVICES("<smartcard/>"), -EOPNOTSUPP, "domain/devices/smartcard isn't supported (line 1)"},
	{DEVICES("\n<disk type='network'><target dev='vda'/></disk>"), -EOPNOTSUPP,
	 "domain/devices/disk@type='network' isn't supported (line 2); supported: file|block|nvme"},
	{DEVICES("<disk type='file' snapshot='no'><source file='/a'/><target dev='vda'/></disk>"),
	 -EOPNOTSUPP, "domain/devices/disk@snapshot isn't supported"},
	{DEVICES("<interface type='network'/>"), -EINVAL,
	 "domain/devices/interface/source is missing"},
	{DEVICES("<tpm><backend type='emulator' version='1.2'/></tpm>"), -EOPNOTSUPP,
	 "domain/devices/tpm/backend@version='1.2' isn't supported (line 1); supported: 2.0"},
	{DEVICES("<tpm><backend type='emulator'><encryption secret='a'/></backend></tpm>"),
	 -EOPNOTSUPP, "domain/devices/tpm/backend/encryption isn't supported"},
	{DEVICES("<interface type='user'><source bridge='br0'/></interface>"), -EOPNOTSUPP,
	 "domain/devices/interface/source isn't supported"},
	{DEVICES(HOSTDEV(PCI("1", "0"), "<rom bar='on' tune='x'/>")), -EOPNOTSUPP,
	 "domain/devices/hostdev/rom@tune isn't supported"},
	{DEVICES("<hostdev mode='subsystem' type='scsi'/>"), -EOPNOTSUPP,
	 "domain/devices/hostdev@type='scsi'"},
	{DEVICES("<hostdev type='usb'><source><vendor id='0x1234'/></source></hostdev>"), -EINVAL,
	 "domain/devices/hostdev/source doesn't say which USB device it is (line 1)"},
	{DEVICES("<hostdev type='usb'><source><address bus='1'/></source></hostdev>"), -EINVAL,
	 "domain/devices/hostdev/source doesn't say which USB device it is (line 1)"},
	{DEVICES("<hostdev type='usb'><source><vendor id='0x1'/><product id='0x2'/></source>"
		 "</hostdev><hostdev type='usb'><source><vendor id='1'/><product id='2'/></source>"
		 "</hostdev>"),
	 -EINVAL, "have the same source address"},
	{DOMAIN("<launchSecurity type='sev'/>"), -EOPNOTSUPP, "domain/launchSecurity"},
	{DOMAIN("<domain/>"), -EOPNOTSUPP, "domain/domain isn't supported"},
	{DOMAIN("<features><hyperv><magic state='on'/></hyperv></features>"), -EOPNOTSUPP,
	 "domain/features/hyperv/magic isn't supported"},
	{DOMAIN("<clock offset='utc' adjustment='3'/>"), -EOPNOTSUPP, "domain/clock@adjustment"},
	{DOMAIN("<q:x xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'/>"), -EOPNOTSUPP,
	 "domain/qemu:x isn't supported"},
	{DOMAIN("<q:vcpu xmlns:q='http://example.org/'>2</q:vcpu>"), -EOPNOTSUPP,
	 "domain/other:vcpu isn't supported"},
	{DOMAIN("<vcpu xml:lang='en'>2</vcpu>"), -EOPNOTSUPP, "domain/vcpu@lang isn't supported"},
	{"<domain type='xen'/>", -EOPNOTSUPP, "domain@type='xen'"},
	/* not right */
	{"<domain/>", -EINVAL, "domain@type is missing"},
	{"<network/>", -EINVAL, "<network>, not <domain>"},
	{"", -EINVAL, "XML"},
	{"<domain", -EINVAL, "line 1: invalid XML"},
	{"<!DOCTYPE d [<!ENTITY a 'b'>]><domain type='kvm'><name>&a;</name></domain>", -EOPNOTSUPP,
	 "<!DOCTYPE>"},
	{"<domain type='kvm'><name>&amp;&a;</name></domain>", -EINVAL, "invalid XML"},
	{"<domain type='kvm'><memory>65536</memory></domain>", -EINVAL, "missing domain name"},
	{"<domain type='kvm'><name>a/b</name></domain>", -EINVAL, "domain/name"},
	{"<domain type='kvm'><name>..</name></domain>", -EINVAL, "domain/name"},
	{"<domain type='kvm'><name>g</name><os><type>hvm</type></os></domain>", -EINVAL,
	 "domain/memory is missing"},
	{"<domain type='kvm'><name>g</name><memory unit='TiB'>99999999999</memory></domain>",
	 -EINVAL, "domain/memory: '99999999999 TiB' is larger"},
	{"<domain type='kvm'><name>g</name><memory>65536</memory></domain>", -EINVAL,
	 "domain/os/type is missing"},
	{DOMAIN("<currentMemory>65537</currentMemory>"), -EINVAL, "domain/currentMemory is more"},
	{DOMAIN("<vcpu>0</vcpu>"), -EINVAL, "domain/vcpu is '0', which isn't a number from 1"},
	{DOMAIN("<vcpu>two</vcpu>"), -EINVAL, "domain/vcpu is 'two'"},
	{DOMAIN("<vcpu>1</vcpu><vcpu>2</vcpu>"), -EINVAL, "domain/vcpu occurs more than once"},
	{DOMAIN("<uuid>123</uuid>"), -EINVAL, "domain/uuid is '123', which isn't a UUID"},
	{DOMAIN("<features>text<acpi/></features>"), -EINVAL, "domain/features is 'text'"},
	{DOMAIN("<features><acpi/>text</features>"), -EINVAL, "domain/features is 'text'"},
	{DOMAIN("<memoryBacking><hugepages><page size='3' unit='M'/></hugepages></memoryBacking>"),
	 -EINVAL, "is not a power of two"},
	{DEVICES("<emulator>qemu</emulator>"), -EINVAL, "domain/devices/emulator is 'qemu'"},
	{DEVICES("<hostdev mode='subsystem' type='pci'/>"), -EINVAL,
	 "domain/devices/hostdev/source/address is missing"},
	{DEVICES(HOSTDEV(PCI("1", "0x20"), "")), -EINVAL,
	 "domain/devices/hostdev/source/address@slot"},
	{DEVICES(HOSTDEV(PCI("1", "0"), "") HOSTDEV(PCI("0x01", "0x00"), "")), -EINVAL,
	 "have the same source address"},
	{DEVICES(HOSTDEV(PCI("1", "0"), "<boot order='1'/>")
			 HOSTDEV(PCI("2", "0"), "<boot order='1'/>")),
	 -EINVAL, "have the same boot order"},
	{"<domain type='kvm'><name>g</name><memory>65536</memory><os><type>hvm</type>"
	 "<boot dev='hd'/></os><devices>" HOSTDEV(PCI("1", "0"), "<boot order='1'/>") "</devices>"
										      "</domain>",
	 -EOPNOTSUPP, "per-device boot elements cannot be used together with os/boot"},
	{DEVICES("<disk type='file'><target dev='vda'/></disk>"), -EINVAL,
	 "domain/devices/disk/source is missing"},
	{DEVICES("<interface type='direct'><source dev='eth0' mode='passthrough'/></interface>"),
	 -EOPNOTSUPP,
	 "domain/devices/interface/source@mode='passthrough' isn't supported (line 1); supported: "
	 "vepa|bridge|private"},
	{DEVICES("<vsock><cid auto='no'/></vsock>"), -EINVAL,
	 "domain/devices/vsock/cid says neither auto='yes' nor an address (line 1)"},
	{DEVICES("<vsock><cid auto='no' address='2'/></vsock>"), -EINVAL, "vsock/cid@address"},
	{DEVICES("<interface type='bridge'/>"), -EINVAL,
	 "domain/devices/interface/source is missing"},
	{DEVICES("<interface type='user'><mac address='52:54:00:00:00'/></interface>"), -EINVAL,
	 "isn't a MAC address"},
};

static void refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct definition *def = NULL;
		struct pt_error err = {0};
		int r = definition_parse(refused[i].text, 0, &def, &err);

		if (r != refused[i].error || err.reason != PT_INVALID || err.errnum != -r ||
		    !strstr(err.message, refused[i].says))
			fail_msg("%s:\n%d, %s\ninstead of %d, %s", refused[i].text, r, err.message,
				 refused[i].error, refused[i].says);
		assert_null(def);
	}
}

static void too_many_devices(void)
{
	static const char device[] = "<serial type='null'/>";
	AUTO_FREE char *text = calloc(DEFINITION_MAX_DEVICES + 2, sizeof(device) + 200);
	struct definition *def = NULL;
	struct pt_error err = {0};
	char *end = text;

	assert_non_null(text);
	end = stpcpy(
		end,
		"<domain type='kvm'><name>g</name><memory>65536</memory><os><type>hvm</type></os>"
		"<devices>");
	for (int i = 0; i <= DEFINITION_MAX_DEVICES; i++)
		end = stpcpy(end, device);
	(void)stpcpy(end, "</devices></domain>");
	assert_int_equal(definition_parse(text, 0, &def, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.message, "at most 1024"));
}

/* A definition whose metadata is @count times @format, with a number in it, between @before and
 * @after. */
static int parse_many(const char *before, const char *format, int count, const char *after,
		      struct pt_error *err)
{
	AUTO_FREE char *text = NULL;
	AUTO(auto_definition) struct definition *def = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	(void)fprintf(out,
		      "<domain type='kvm'><name>g</name><memory>65536</memory><os>"
		      "<type>hvm</type></os><metadata>%s",
		      before);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	for (int i = 0; i < count; i++)
		(void)fprintf(out, format, i);
#pragma GCC diagnostic pop
	(void)fprintf(out, "%s</metadata></domain>", after);
	assert_int_equal(fclose(out), 0);
	return definition_parse(text, 0, &def, err);
}

static void bounds(void **state)
{
	AUTO_FREE char *long_text = malloc(DEFINITION_MAX_TEXT + 2);
	struct definition *def = NULL;
	struct pt_error err = {0};

	(void)state;
	assert_non_null(long_text);
	memset(long_text, ' ', DEFINITION_MAX_TEXT + 1);
	long_text[DEFINITION_MAX_TEXT + 1] = '\0';
	assert_int_equal(definition_parse(long_text, 0, &def, &err), -EINVAL);
	assert_non_null(strstr(err.message, "longer than 1048576 bytes"));
	assert_int_equal(parse_many("", "<a>", 400, "", &err), -EINVAL);
	assert_non_null(strstr(err.message, "invalid XML"));
	assert_null(def);
	too_many_devices();
}

/* What the parser would take seconds for. */
static void crowds(void **state)
{
	struct pt_error err = {0};

	(void)state;
	assert_int_equal(parse_many("<a ", "a%d='>' ", 1000, "/>", &err), 0);
	assert_int_equal(parse_many("<a ", "a%d='>' ", 1001, "/>", &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.message, "an element with more than 1000 attributes"));
	assert_int_equal(parse_many("<a>", "<b xmlns:p%d='u'/>", 1001, "</a>", &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.message, "more than 1000 namespaces"));
	/* many, of many */
	assert_int_equal(parse_many("<a>", "<b c='%d'/>", 5000, "</a>", &err), 0);
	/* what only looks like them */
	assert_int_equal(parse_many("<!-- <a ", "a%d='", 2000, " -->", &err), 0);
	assert_int_equal(parse_many("<a><![CDATA[<a ", "%d=\"", 2000, "]]></a>", &err), 0);
	assert_int_equal(parse_many("<a b='", "&lt;a %d==", 2000, "'/>", &err), 0);
	assert_int_equal(parse_many("<?a <b ", "%d=", 2000, "?>", &err), 0);
	/* what ends too early is the parser's */
	assert_int_equal(parse_many("<a b='", "%d", 2, "", &err), -EINVAL);
	assert_int_equal(parse_many("<!-- <a ", "%d=", 2000, "", &err), -EINVAL);
}

static void encodings(void **state)
{
#define REST                                                                                       \
	"?><domain type='kvm'><name>g</name><memory>65536</memory><os><type>hvm</type></os></domain>"
	static const char *const known[] = {
		"<?xml version='1.0' encoding='utf-8'" REST,
		"<?xml version='1.0' encoding=\"ISO-8859-1\"" REST, "<?xml version='1.0'" REST,
		"<?xml version='1.0'?><!-- encoding='UTF-7' --><?a" REST};
	AUTO(auto_definition) struct definition *def = NULL;
	struct pt_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		AUTO(auto_definition) struct definition *one = NULL;

		assert_int_equal(definition_parse(known[i], 0, &one, NULL), 0);
	}
	assert_int_equal(
		definition_parse("<?xml version='1.0' encoding='UTF-7'" REST, 0, &def, &err),
		-EOPNOTSUPP);
	assert_non_null(strstr(err.message, "the XML is in UTF-7"));
#undef REST
}

static void texts_that_need_care(void **state)
{
	static const char text[] = DOMAIN(
		"<!-- a comment --><title>a<!-- b -->c &lt;&amp;&gt; '\"</title>"
		"<metadata><x:a xmlns:x='http://example.org/' x:b=' &#10;&apos;'>one <x:b/> two</x:a>"
		"</metadata><description><![CDATA[<b>]]></description><features>\n</features>"
		"<?pi?><os></os>");
	AUTO(auto_definition) struct definition *def = NULL;
	AUTO(auto_definition) struct definition *again = NULL;
	AUTO_FREE char *out = NULL;
	AUTO_FREE char *twice = NULL;
	struct pt_error err = {0};

	(void)state;
	assert_int_equal(definition_parse(text, 0, &def, &err), -EINVAL); /* two <os> */
	def = parse_text(DOMAIN("<!-- a --><title>a<!-- b -->c &lt;&amp;&gt; '\"</title>"
				"<metadata><x:a xmlns:x='http://example.org/' "
				"x:b=' &#10;&apos;'>one <x:b/> two</x:a></metadata>"
				"<description><![CDATA[<b>]]></description><features>\n</features>"
				"<?pi?>"),
			 0);
	assert_string_equal(definition_get(def, "title"), "ac <&> '\"");
	out = format_text(def, 0);
	assert_non_null(strstr(out, "<title>ac &lt;&amp;&gt; '\"</title>"));
	assert_non_null(strstr(out, "    <x:a x:b=' &#10;&apos;' xmlns:x='http://example.org/'>"
				    "one <x:b/> two</x:a>\n"));
	assert_non_null(strstr(out, "<description>&lt;b&gt;</description>"));
	assert_non_null(strstr(out, "<features/>"));
	assert_null(strstr(out, "<!--"));
	again = parse_text(out, 0);
	twice = format_text(again, 0);
	assert_string_equal(twice, out);
}

static void finding_devices(void **state)
{
	static const struct {
		const char *device;
		int error;
		const char *says; /* of the one found: its alias; else the message */
	} cases[] = {
		{HOSTDEV(PCI("0x65", "0"), ""), 0, "hostdev0"},
		{HOSTDEV(PCI("0x0a", "0"), ""), -ENOENT, "host pci device 0000:0a:00.0 not found"},
		{"<interface type='user'><mac address='52:54:00:AA:00:01'/></interface>", 0,
		 "net0"},
		{"<interface type='user'/>", -EINVAL, "more than one such interface"},
		{"<interface type='user'><alias name='net1'/></interface>", 0, "net1"},
		{"<disk type='file'><source file='/a'/><target dev='vda'/></disk>", 0, "disk0"},
		{"<disk type='file'><source file='/b'/><target dev='vda'/></disk>", -ENOENT,
		 "no such disk"},
	};
	AUTO(auto_definition)
	struct definition *def = parse_text(
		DEVICES(HOSTDEV(
			PCI("101", "0"),
			"<alias name='hostdev0'/>") "<interface type='user'><mac address='52:54:00:aa:00:01'/><alias name='net0'/>"
						    "</interface><interface type='user'><alias name='net1'/></interface>"
						    "<disk type='file'><source file='/a'/><target dev='vda'/><alias name='disk0'/>"
						    "</disk>"),
		DEFINITION_LIVE);
	const struct pt_address gpu = {.bus = 0x65}, other = {.bus = 0x66};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO(auto_definition) struct definition *device = parse_device(cases[i].device);
		struct pt_error err = {0};
		xmlNode *found = NULL;

		assert_int_equal(definition_find_device(def, device, &found, &err), cases[i].error);
		if (found)
			assert_string_equal(node_get(found, "alias@name"), cases[i].says);
		else
			assert_non_null(strstr(err.message, cases[i].says));
	}
	assert_ptr_equal(definition_find_hostdev(def, &gpu),
			 definition_find_alias(def, "hostdev0"));
	assert_null(definition_find_hostdev(def, &other));
	assert_null(definition_find_alias(def, "hostdev9"));
}

static void adding_and_removing(void **state)
{
	AUTO(auto_definition) struct definition *def = parse_golden("lab.xml");
	AUTO(auto_definition) struct definition *same = parse_device(HOSTDEV(PCI("1", "0"), ""));
	AUTO(auto_definition) struct definition *other = parse_device(HOSTDEV(PCI("7", "0"), ""));
	AUTO(auto_definition) struct definition *alone = NULL;
	AUTO_FREE char *before = format_text(def, 0);
	AUTO_FREE char *after = NULL;
	AUTO_FREE char *text = NULL;
	struct pt_error err = {0};
	xmlNode *node = NULL;

	(void)state;
	assert_int_equal(definition_add_device(def, same, &node, &err), -EEXIST);
	assert_string_equal(err.message, "Hostdev already exists in the domain configuration");
	assert_null(node);
	assert_int_equal(definition_add_device(def, other, &node, &err), 0);
	assert_string_equal(node_get(node->prev, "source/address@bus"), "0x01");
	assert_int_equal(definition_extract_device(def, node, &alone, &err), 0);
	text = format_text(alone, 0);
	assert_string_equal(text, "<hostdev mode='subsystem' type='pci' managed='yes'>\n"
				  "  <source>\n"
				  "    <address domain='0' bus='7' slot='0' function='0'/>\n"
				  "  </source>\n"
				  "</hostdev>\n");
	definition_remove_device(def, node);
	after = format_text(def, 0);
	assert_string_equal(after, before);
}

static void devices_alone(void **state)
{
	struct definition *device = NULL;
	struct pt_error err = {0};

	(void)state;
	assert_int_equal(definition_parse_device("<smartcard/>", 0, &device, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.message, "domain/devices/smartcard isn't supported"));
	assert_int_equal(definition_parse_device("<domain type='kvm'/>", 0, &device, &err),
			 -EOPNOTSUPP);
	assert_int_equal(definition_parse_device("<hostdev type='pci'/>", 0, &device, &err),
			 -EINVAL);
	assert_null(device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_out_as_it_went_in),
		cmocka_unit_test(values),
		cmocka_unit_test(setting),
		cmocka_unit_test(uuids),
		cmocka_unit_test(hostdevs),
		cmocka_unit_test(dumped_from_a_running_guest),
		cmocka_unit_test(refusals),
		cmocka_unit_test(bounds),
		cmocka_unit_test(crowds),
		cmocka_unit_test(encodings),
		cmocka_unit_test(texts_that_need_care),
		cmocka_unit_test(finding_devices),
		cmocka_unit_test(adding_and_removing),
		cmocka_unit_test(devices_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
