/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What isn't a device and has an option of its own. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "domain/command_line/parts.h"
#include "domain/definition/device.h"
#include "domain/definition/iothreads.h"

static void add_processors(struct command_line *line)
{
	static const char *const names[] = {"sockets", "dies", "clusters", "cores", "threads"};
	const xmlNode *topology = node_find(line->root, "cpu/topology");
	unsigned int count = definition_vcpus(line->live);
	const char *current = node_get(line->root, "vcpu@current");
	uint64_t product = 1, number;
	struct option_text smp;

	option_begin(&smp, line, "");
	if (current && (text_parse_number(current, 10, count, &number) < 0))
		line_fail(line, EINVAL, node_child(line->root, "vcpu"),
			  "domain/vcpu@current is larger than domain/vcpu");
	if (current)
		option_add(&smp, "cpus", current);
	else
		option_add_number(&smp, "cpus", count);
	if (current)
		option_add_number(&smp, "maxcpus", count);
	/* as many packages: QEMU itself would make one of them, and the guest sees the difference
	 */
	if (!topology) {
		option_add_number(&smp, "sockets", count);
		option_add(&smp, "cores", "1");
		option_add(&smp, "threads", "1");
	}
	for (size_t i = 0; topology && i < 5; i++)
		if (node_number(topology, names[i], 1024, &number) == 0) {
			/* q35 has no clusters; libvirt writes the 1 that it has of them */
			if (strcmp(names[i], "clusters") != 0)
				option_add_number(&smp, names[i], number);
			else if (number != 1)
				line_fail(line, EOPNOTSUPP, topology,
					  "domain/cpu/topology@clusters must be 1 on this machine");
			product *= number;
		}
	if (topology && product != count)
		line_fail(
			line, EINVAL, topology,
			"CPU topology doesn't match maximum vcpu count: domain/cpu/topology makes %llu, "
			"domain/vcpu is %u",
			(unsigned long long)product, count);
	option_end(&smp, "-smp");
}

static void add_iothreads(struct command_line *line)
{
	struct iothread iothreads[IOTHREADS_MAX];
	size_t count = iothreads_read(line->root, iothreads);

	for (size_t i = 0; i < count; i++) {
		struct json_object *object = line_object(line, "qom-type", "iothread");
		const xmlNode *node = iothreads[i].node;

		props_add_format(line, object, "id", "iothread%u", iothreads[i].id);
		props_add_number_of(line, object, "thread-pool-min", node, "@thread_pool_min");
		props_add_number_of(line, object, "thread-pool-max", node, "@thread_pool_max");
		props_add_number_of(line, object, "poll-max-ns", node, "poll@max");
		props_add_number_of(line, object, "poll-grow", node, "poll@grow");
		props_add_number_of(line, object, "poll-shrink", node, "poll@shrink");
		line_put(line, LINE_OBJECT, object);
	}
}

static const xmlNode *find_timer(const struct command_line *line, const char *name)
{
	const xmlNode *timer = node_child(node_child(line->root, "clock"), "timer");

	while (timer && !node_has(timer, "name", name))
		timer = node_next(timer, "timer");
	return timer;
}

static void add_clock(struct command_line *line)
{
	const xmlNode *rtc = find_timer(line, "rtc"), *pit = find_timer(line, "pit");
	bool is_local = node_says(line->root, "clock@offset", "localtime");
	struct option_text option;

	option_begin(&option, line, "");
	option_add(&option, "base", is_local ? "localtime" : "utc");
	if (node_has(rtc, "track", "guest"))
		option_add(&option, "clock", "vm");
	else if (node_has(rtc, "track", "wall"))
		option_add(&option, "clock", "host");
	if (node_has(rtc, "tickpolicy", "catchup"))
		option_add(&option, "driftfix", "slew");
	option_end(&option, "-rtc");
	/* QEMU has no way to catch up but that of the real-time clock */
	if (pit && node_attribute(pit, "tickpolicy") && !node_has(pit, "tickpolicy", "catchup") &&
	    !node_has(pit, "present", "no") && definition_is_kvm(line->live))
		line_add_value(line, "-global", "kvm-pit.lost_tick_policy=%s",
			       node_attribute(pit, "tickpolicy"));
}

static void add_pm(struct command_line *line)
{
	static const char *const states[][2] = {{"pm/suspend-to-mem@enabled", "disable_s3"},
						{"pm/suspend-to-disk@enabled", "disable_s4"}};

	for (size_t i = 0; i < 2; i++) {
		const char *enabled = node_get(line->root, states[i][0]);

		if (enabled)
			line_add_value(line, "-global", "%s.%s=%d",
				       node_is_i440fx(line->root) ? "PIIX4_PM" : "ICH9-LPC",
				       states[i][1], strcmp(enabled, "no") == 0);
	}
}

/* What QEMU itself does at an end; who started it sees it end, or pause, and resets what is to
 * begin again (daemon/guests/reboot.h). */
static void add_ends(struct command_line *line)
{
	struct option_text action;

	option_begin(&action, line, "");
	option_add(&action, "reboot",
		   strcmp(definition_on_reboot(line->live), "restart") == 0 ? "reset" : "shutdown");
	option_add(&action, "shutdown",
		   strcmp(definition_on_poweroff(line->live), "destroy") == 0 ? "poweroff"
									      : "pause");
	option_add(&action, "panic",
		   strcmp(definition_on_crash(line->live), "destroy") == 0 ? "shutdown" : "pause");
	option_end(&action, "-action");
}

/* What is booted from, each device says itself: line_boot_order(). */
static void add_boot(struct command_line *line)
{
	const xmlNode *menu = node_find(line->root, "os/bootmenu");
	struct option_text boot;

	option_begin(&boot, line, "");
	if (menu)
		option_add(&boot, "menu", node_has(menu, "enable", "yes") ? "on" : "off");
	option_add(&boot, "splash-time", node_attribute(menu, "timeout"));
	option_add(&boot, "reboot-timeout", node_get(line->root, "os/bios@rebootTimeout"));
	option_add(&boot, "strict", "on");
	option_end(&boot, "-boot");
}

/* System Management BIOS structures (DMTF DSP0134) and QEMU's names for what is in them. */
static const struct {
	const char *element;
	const char *type;
	struct {
		const char *entry;
		const char *key;
	} entries[8];
} structures[] = {
	{"bios",
	 "type=0",
	 {{"vendor", "vendor"}, {"version", "version"}, {"date", "date"}, {"release", "release"}}},
	{"system",
	 "type=1",
	 {{"manufacturer", "manufacturer"},
	  {"product", "product"},
	  {"version", "version"},
	  {"serial", "serial"},
	  {"uuid", "uuid"},
	  {"sku", "sku"},
	  {"family", "family"}}},
	{"baseBoard",
	 "type=2",
	 {{"manufacturer", "manufacturer"},
	  {"product", "product"},
	  {"version", "version"},
	  {"serial", "serial"},
	  {"asset", "asset"},
	  {"location", "location"}}},
	{"chassis",
	 "type=3",
	 {{"manufacturer", "manufacturer"},
	  {"version", "version"},
	  {"serial", "serial"},
	  {"asset", "asset"},
	  {"sku", "sku"}}},
};

/* QEMU's name for an entry; NULL: it has none. */
static const char *smbios_key(size_t structure, const char *name)
{
	for (size_t i = 0; i < 8 && structures[structure].entries[i].entry; i++)
		if (strcmp(name, structures[structure].entries[i].entry) == 0)
			return structures[structure].entries[i].key;
	return NULL;
}

static void add_structure(struct command_line *line, size_t structure, const xmlNode *from)
{
	struct option_text option;

	option_begin(&option, line, structures[structure].type);
	for (const xmlNode *at = node_child(from, "entry"); at; at = node_next(at, "entry")) {
		const char *name = node_attribute(at, "name"), *key = smbios_key(structure, name);

		if (key)
			option_add(&option, key, node_text(at));
		else
			line_fail(line, EOPNOTSUPP, at,
				  "domain/sysinfo/%s/entry@name='%s' isn't supported",
				  structures[structure].element, name);
	}
	option_end(&option, "-smbios");
}

/* The host's own; but the guest's UUID stays its own. */
static void add_host_structure(struct command_line *line, size_t structure)
{
	struct option_text option;
	size_t count = 0;

	for (size_t i = 0; i < line->files->smbios_count; i++) {
		const struct command_line_smbios *word = &line->files->smbios[i];
		const char *key = smbios_key(structure, word->name);

		if (strcmp(word->element, structures[structure].element) != 0 || !key ||
		    strcmp(key, "uuid") == 0)
			continue;
		if (!count++)
			option_begin(&option, line, structures[structure].type);
		option_add(&option, key, word->text);
	}
	if (count)
		option_end(&option, "-smbios");
}

static void add_smbios(struct command_line *line)
{
	const xmlNode *sysinfo = node_child(line->root, "sysinfo");
	bool is_own = node_says(line->root, "os/smbios@mode", "sysinfo");
	bool is_host = node_says(line->root, "os/smbios@mode", "host");

	for (size_t i = 0; i < sizeof(structures) / sizeof(structures[0]); i++) {
		const xmlNode *from = node_child(sysinfo, structures[i].element);

		if (is_own && from)
			add_structure(line, i, from);
		/* as libvirt: not the case that the host is in */
		else if (is_host && strcmp(structures[i].element, "chassis") != 0)
			add_host_structure(line, i);
	}
}

static void add_genid(struct command_line *line)
{
	const char *genid = node_get(line->root, "genid");
	struct json_object *object;

	if (!genid)
		return;
	object = line_object(line, "driver", "vmgenid");
	props_add_text(line, object, "guid", genid);
	props_add_text(line, object, "id", "vmgenid0");
	line_put(line, LINE_DEVICE, object);
}

/* Where a kernel that crashes writes its dump's description (docs/specs/vmcoreinfo.rst of QEMU). */
static void add_vmcoreinfo(struct command_line *line)
{
	const xmlNode *node = node_find(line->root, "features/vmcoreinfo");

	if (node && !node_has(node, "state", "off"))
		line_put(line, LINE_DEVICE, line_object(line, "driver", "vmcoreinfo"));
}

void line_system(struct command_line *line)
{
	add_processors(line);
	add_iothreads(line);
	line_add_value(line, "-uuid", "%s", definition_uuid(line->live));
	line_add_value(line, "-display", "%s", "none");
	add_smbios(line);
	add_clock(line);
	add_ends(line);
	add_pm(line);
	add_boot(line);
	add_genid(line);
	add_vmcoreinfo(line);
}
