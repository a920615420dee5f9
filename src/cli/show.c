/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/auto.h"
#include "cli/cli.h"
#include "cli/print.h"

/* One device on its way to the output. */
struct shown {
	struct cli *cli;
	const struct pt_snapshot *snapshot;
	const struct pt_function *function;
	const struct pt_details *details;
	const struct pt_reset *reset;
};

/* ---- lines of "  label    value" ---- */

#define LABEL 14

static void show_begin(const struct shown *shown, const char *label)
{
	(void)fprintf(shown->cli->out, "  %s%-*s%s  ", cli_dim(shown->cli), LABEL, label,
		      cli_plain(shown->cli));
}

static void print_line(const struct shown *shown, const char *label, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void print_line(const struct shown *shown, const char *label, const char *format, ...)
{
	va_list args;

	show_begin(shown, label);
	va_start(args, format);
	(void)vfprintf(shown->cli->out, format, args);
	va_end(args);
	(void)fputc('\n', shown->cli->out);
}

/* Words after the label, on as many lines as the terminal needs. */
struct wrapped_list {
	const struct shown *shown;
	size_t used;
};

static void add_word(struct wrapped_list *wrapped, const char *word)
{
	struct cli *cli = wrapped->shown->cli;
	size_t width = cli->width ? cli->width : 100, len = print_columns(word);

	if (wrapped->used && LABEL + 4 + wrapped->used + 2 + len > width) {
		(void)fputs(",\n", cli->out);
		print_spaces(cli->out, LABEL + 4);
		wrapped->used = 0;
	} else if (wrapped->used) {
		(void)fputs(", ", cli->out);
		wrapped->used += 2;
	}
	(void)fputs(word, cli->out);
	wrapped->used += len;
}

static void print_list(const struct shown *shown, const char *label, const char *const *list)
{
	struct wrapped_list wrapped = {.shown = shown};

	show_begin(shown, label);
	if (!*list)
		(void)fputs("none", shown->cli->out);
	for (; *list; list++)
		add_word(&wrapped, *list);
	(void)fputc('\n', shown->cli->out);
}

/* ---- sections ---- */

static void print_identity(const struct shown *shown)
{
	const struct pt_function *function = shown->function;
	const struct pt_details *details = shown->details;
	struct pt_host *host = shown->cli->host;
	const char *name = pt_name_vendor(host, function->vendor_id);
	char word[PRINT_CLASS];
	size_t i;

	print_line(shown, "Vendor", "%04x  %s", function->vendor_id, name ? name : "unknown");
	name = pt_name_device(host, function->vendor_id, function->device_id);
	print_line(shown, "Device", "%04x  %s", function->device_id, name ? name : "unknown");
	if (function->subsystem_vendor_id || function->subsystem_device_id) {
		name = pt_name_subsystem(host, function);
		print_line(shown, "Subsystem", "%04x:%04x%s%s", function->subsystem_vendor_id,
			   function->subsystem_device_id, name ? "  " : "", name ? name : "");
	}
	show_begin(shown, "Class");
	name = pt_name_class(host, function->class_code);
	(void)fprintf(shown->cli->out, "%06x  %s", function->class_code,
		      name ? name : print_class(function->class_code, word));
	name = pt_name_interface(host, function->class_code);
	(void)fprintf(shown->cli->out, "%s%s\n", name ? ", " : "", name ? name : "");
	print_line(shown, "Revision", "%02x", details->revision);
	if (details->has_serial)
		print_line(shown, "Serial number", "%016" PRIx64, details->serial);
	if (details->vpd_name)
		print_line(shown, "Product data", "%s", details->vpd_name);
	for (i = 0; details->vpd_fields[i]; i += 2)
		print_line(shown, i || details->vpd_name ? "" : "Product data", "%s  %s",
			   details->vpd_fields[i], details->vpd_fields[i + 1]);
}

static void print_place(const struct shown *shown)
{
	const struct pt_function *function = shown->function;
	const struct pt_details *details = shown->details;
	char text[PT_ADDRESS_TEXT];

	print_line(shown, "Path", "%s", function->path);
	if (function->has_parent)
		print_line(shown, "Below", "%s", pt_address_format(&function->parent, text));
	if (details->header_type != 0 && details->is_config_whole)
		print_line(shown, "Buses below", "%02x to %02x", details->secondary_bus,
			   details->subordinate_bus);
	if (details->numa_node >= 0)
		print_line(shown, "NUMA node", "%d", details->numa_node);
	print_line(shown, "Power state", "%s", details->power_state);
	if (details->is_boot_vga)
		print_line(shown, "Boot display", "used by the firmware at boot");
}

static void print_driver(const struct shown *shown)
{
	const struct pt_details *details = shown->details;
	const char *driver = shown->function->driver;

	print_line(shown, "Driver", "%s%s%s",
		   pt_driver_is_vfio(driver) ? cli_green(shown->cli) : "", driver ? driver : "none",
		   cli_plain(shown->cli));
	if (details->is_stuck)
		print_line(shown, "", "%sthe driver hangs in the kernel and holds the device%s",
			   cli_red(shown->cli), cli_plain(shown->cli));
	if (details->driver_override)
		print_line(shown, "Override", "%s: no other driver can bind",
			   details->driver_override);
	/* a driver of none of the kernel's lists is built in, without aliases */
	if (*details->candidates)
		print_list(shown, "Modules", details->candidates);
	else if (!driver)
		print_line(shown, "Modules", "none: this kernel has no driver for it");
	if (pt_function_kind(shown->function) != PT_BRIDGE)
		print_list(shown, "VFIO drivers", details->vfio_candidates);
}

/* @driver: columns for the driver's name */
static void print_member(const struct shown *shown, const struct pt_function *member, size_t driver)
{
	static const char blocks[] = "blocks the group  ";
	struct cli *cli = shown->cli;
	char text[PT_ADDRESS_TEXT], name[PRINT_NAME];
	const char *address = pt_address_format(&member->address, text);
	size_t used = LABEL + 4 + strlen(address) + 2 + driver + 2, room;

	print_spaces(cli->out, LABEL + 4);
	(void)fprintf(cli->out, "%s  %-*s  ", address, (int)driver,
		      member->driver ? member->driver : "-");
	if (pt_function_blocks_group(member)) {
		(void)fprintf(cli->out, "%s%s%s", cli_yellow(cli), blocks, cli_plain(cli));
		used += strlen(blocks);
	}
	room = cli->width > used ? cli->width - used : 0;
	print_cut(cli, print_name_within(cli, member, room, name), room);
	(void)fputc('\n', cli->out);
}

static void print_members(const struct shown *shown, const struct pt_group *group,
			  const struct pt_group_other *others, size_t other_count)
{
	size_t i, blocking = 0, driver = 1;

	for (i = 0; i < group->count; i++) {
		const struct pt_function *member = group->members[i];

		blocking += member != shown->function && pt_function_blocks_group(member);
		if (member != shown->function && member->driver && strlen(member->driver) > driver)
			driver = strlen(member->driver);
	}
	for (i = 0; i < other_count; i++)
		blocking += others[i].is_blocking;
	print_line(shown, "IOMMU group", "%d, shared; %s", group->number,
		   blocking ? "detach the devices that block it first:" : "no device blocks it:");
	for (i = 0; i < group->count; i++)
		if (group->members[i] != shown->function)
			print_member(shown, group->members[i], driver);
	for (i = 0; i < other_count; i++)
		(void)fprintf(shown->cli->out, "%*s%s  %s  %snot a PCI function\n", LABEL + 4, "",
			      others[i].name, *others[i].driver ? others[i].driver : "-",
			      others[i].is_blocking ? "blocks the group  " : "");
}

static void print_group(const struct shown *shown, const struct pt_group *group)
{
	AUTO_FREE struct pt_group_other *others = NULL;
	size_t count = 0;

	(void)pt_group_read_others(shown->cli->host, group->number, &others, &count, NULL);
	if (group->count == 1 && !count)
		print_line(shown, "IOMMU group", "%d, not shared", group->number);
	else
		print_members(shown, group, others, count);
}

static void print_sriov(const struct shown *shown)
{
	const struct pt_details *details = shown->details;
	char text[PT_ADDRESS_TEXT];
	struct wrapped_list wrapped = {.shown = shown};
	size_t i;

	if (shown->function->is_vf)
		print_line(shown, "SR-IOV", "virtual function of %s",
			   pt_address_format(&shown->function->physfn, text));
	if (!details->sriov_total)
		return;
	print_line(shown, "SR-IOV", "%u of %u virtual functions", details->sriov_enabled,
		   details->sriov_total);
	if (!details->sriov_enabled)
		return;
	show_begin(shown, "");
	for (i = 0; i < details->sriov_enabled; i++)
		add_word(&wrapped, pt_address_format(&details->vfs[i], text));
	(void)fputc('\n', shown->cli->out);
}

/* "8 GT/s x4" */
static char *format_link(const struct pt_link *link, char text[32])
{
	if (!link->width || !link->speed_mtps)
		(void)text_format(text, 32, "down");
	else
		(void)text_format(text, 32, "%g GT/s x%u", link->speed_mtps / 1000.0, link->width);
	return text;
}

static void print_link(const struct shown *shown)
{
	const struct pt_details *details = shown->details;
	char now[32], max[32];
	bool is_below = details->link_now.speed_mtps < details->link_max.speed_mtps ||
			details->link_now.width < details->link_max.width;

	if (!details->has_link)
		return;
	show_begin(shown, "Link");
	(void)fprintf(shown->cli->out, "%s", format_link(&details->link_now, now));
	if (is_below && details->link_now.width)
		(void)fprintf(shown->cli->out, ", %sbelow its maximum of %s%s",
			      cli_yellow(shown->cli), format_link(&details->link_max, max),
			      cli_plain(shown->cli));
	else if (is_below)
		(void)fprintf(shown->cli->out, ", at most %s",
			      format_link(&details->link_max, max));
	(void)fputc('\n', shown->cli->out);
}

static void print_reset(const struct shown *shown)
{
	const struct pt_reset *reset = shown->reset;
	/* they are listed further down */
	bool takes_vfs = reset->affected_count == shown->details->sriov_enabled + 1U;
	struct wrapped_list wrapped = {.shown = shown};
	char text[PT_ADDRESS_TEXT];
	size_t i;

	/* a port is only reset for the devices below it */
	if (pt_function_kind(shown->function) == PT_BRIDGE)
		return;
	if (reset->is_disabled)
		print_line(shown, "Reset", "%sswitched off%s (reset_method is empty)",
			   cli_yellow(shown->cli), cli_plain(shown->cli));
	else if (reset->scope == PT_RESET_NONE)
		print_line(shown, "Reset", "%snot possible%s", cli_yellow(shown->cli),
			   cli_plain(shown->cli));
	else if (reset->affected_count < 2)
		print_line(shown, "Reset", "%s, resets this function only", reset->method);
	else if (reset->scope == PT_RESET_BUS)
		print_line(shown, "Reset", "%s, resets the bus: %sassign it together with%s",
			   reset->method, cli_yellow(shown->cli), cli_plain(shown->cli));
	else if (takes_vfs)
		print_line(shown, "Reset", "%s, also resets its virtual functions", reset->method);
	else
		print_line(shown, "Reset", "%s, also resets:", reset->method);
	if (reset->affected_count > 1 && !takes_vfs) {
		show_begin(shown, "");
		for (i = 0; i < reset->affected_count; i++)
			if (pt_address_compare(&reset->affected[i], &shown->function->address) != 0)
				add_word(&wrapped, pt_address_format(&reset->affected[i], text));
		(void)fputc('\n', shown->cli->out);
	}
	if (*shown->details->reset_methods)
		print_list(shown, "Kernel lists", shown->details->reset_methods);
}

static void print_bar(const struct shown *shown, const char *label, const struct pt_bar *bar)
{
	char size[PRINT_SIZE];

	if (!bar->size)
		return;
	show_begin(shown, label);
	(void)fprintf(shown->cli->out, "%8s  %s", print_size(bar->size, size),
		      bar->is_io      ? "I/O ports"
		      : bar->is_64bit ? "memory, 64-bit"
				      : "memory, 32-bit");
	if (bar->is_prefetchable)
		(void)fputs(", prefetchable", shown->cli->out);
	if (bar->start)
		(void)fprintf(shown->cli->out, ", at %#" PRIx64 "\n", bar->start);
	else
		(void)fprintf(shown->cli->out, ", %snot assigned%s\n", cli_yellow(shown->cli),
			      cli_plain(shown->cli));
}

static void print_resources(const struct shown *shown)
{
	const struct pt_details *details = shown->details;
	struct wrapped_list wrapped = {.shown = shown};
	char text[48];
	size_t i;

	show_begin(shown, "Interrupts");
	if (details->msix_vectors) {
		(void)text_format(text, sizeof(text), "MSI-X %u", details->msix_vectors);
		add_word(&wrapped, text);
	}
	if (details->msi_vectors) {
		(void)text_format(text, sizeof(text), "MSI %u", details->msi_vectors);
		add_word(&wrapped, text);
	}
	if (details->irq) {
		(void)text_format(text, sizeof(text), "IRQ %d", details->irq);
		add_word(&wrapped, text);
	}
	(void)fprintf(shown->cli->out, "%s\n", wrapped.used ? "" : "none");
	for (i = 0; i < 6; i++) {
		(void)text_format(text, sizeof(text), "BAR %zu", i);
		print_bar(shown, text, &details->bars[i]);
	}
	print_bar(shown, "ROM", &details->rom);
}

/* What stands in brackets behind a capability's name. */
static void describe_capability(const struct pt_details *details, const char *name, char *text,
				size_t size)
{
	*text = '\0';
	if (!strcmp(name, "pcie"))
		(void)text_format(text, size, " (%s%s)", details->port_type,
				  details->has_flr ? ", FLR" : "");
	else if (!strcmp(name, "pm") && details->has_pm_reset)
		(void)text_format(text, size, " (D3hot resets)");
	else if (!strcmp(name, "af") && details->has_af_flr)
		(void)text_format(text, size, " (FLR)");
}

/* In the order of the bits of the ACS registers (PCIe 7.7.11.2). */
static const char *const acs_names[] = {"SV", "TB", "RR", "CR", "UF", "EC", "DT"};

static void print_acs(const struct shown *shown)
{
	const struct pt_details *details = shown->details;
	const char *separator = "";
	size_t i;

	if (!details->acs_capable)
		return;
	show_begin(shown, "ACS");
	for (i = 0; i < sizeof(acs_names) / sizeof(acs_names[0]); i++) {
		if (!(details->acs_capable >> i & 1))
			continue;
		(void)fprintf(shown->cli->out, "%s%s%c", separator, acs_names[i],
			      details->acs_enabled >> i & 1 ? '+' : '-');
		separator = " ";
	}
	(void)fputc('\n', shown->cli->out);
}

static void print_capabilities(const struct shown *shown)
{
	const struct pt_details *details = shown->details;
	struct wrapped_list wrapped = {.shown = shown};
	char more[48], word[96];
	size_t i;

	if (!details->is_config_whole) {
		print_line(shown, "Capabilities", "%sonly root can read them%s",
			   cli_yellow(shown->cli), cli_plain(shown->cli));
		return;
	}
	show_begin(shown, "Capabilities");
	for (i = 0; i < details->capability_count; i++) {
		const struct pt_capability *capability = &details->capabilities[i];

		describe_capability(details, capability->name, more, sizeof(more));
		if (!strcmp(capability->name, "unknown"))
			(void)text_format(word, sizeof(word), "%s%02x",
					  capability->is_extended ? "extended " : "",
					  capability->id);
		else
			(void)text_format(word, sizeof(word), "%s%s", capability->name, more);
		add_word(&wrapped, word);
	}
	(void)fprintf(shown->cli->out, "%s\n", details->capability_count ? "" : "none");
	print_acs(shown);
}

static void print_text(const struct shown *shown)
{
	const struct pt_group *group =
		pt_snapshot_group(shown->snapshot, shown->function->iommu_group);
	char text[PT_ADDRESS_TEXT], name[PRINT_NAME];
	struct cli *cli = shown->cli;

	(void)fprintf(cli->out, "%s%s%s  %s\n", cli_bold(cli),
		      pt_address_format(&shown->function->address, text), cli_plain(cli),
		      print_name(cli, shown->function, name));
	print_identity(shown);
	(void)fputc('\n', cli->out);
	print_driver(shown);
	if (group)
		print_group(shown, group);
	else
		print_line(shown, "IOMMU group",
			   "%snone: the device can't be assigned to a guest%s",
			   cli_yellow(shown->cli), cli_plain(shown->cli));
	print_reset(shown);
	print_sriov(shown);
	(void)fputc('\n', cli->out);
	print_place(shown);
	print_link(shown);
	print_resources(shown);
	print_capabilities(shown);
}

/* ---- the verb ---- */

enum form { FORM_TEXT, FORM_XML, FORM_HOSTDEV };

struct show {
	struct cli_devices devices;
	enum form form;
	struct json_object *array; /* with --json */
};

static const struct option options[] = {
	{"xml", no_argument, NULL, 'x'},
	{"hostdev", no_argument, NULL, 'h'},
	{"device", required_argument, NULL, 'V'},
	{"domain", required_argument, NULL, 'd'},
	{"bus", required_argument, NULL, 'b'},
	{"slot", required_argument, NULL, 's'},
	{"function", required_argument, NULL, 'f'},
	{NULL, 0, NULL, 0},
};

static int show_take_option(int option, struct show *show, struct pt_error *err)
{
	switch (option) {
	case 'x':
		show->form = FORM_XML;
		return 0;
	case 'h':
		show->form = FORM_HOSTDEV;
		return 0;
	case 'V': /* as virsh takes it */
		return cli_devices_add(&show->devices, optarg, err);
	default:
		return cli_devices_decimal(&show->devices, (char)option, optarg, err);
	}
}

/* Returns the exit status, 0 to go on. */
static int show_parse(struct cli *cli, int argc, char **argv, struct show *show)
{
	struct pt_error err;
	int c;

	if (!strcmp(argv[0], "nodedev-dumpxml"))
		show->form = FORM_XML;
	while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (c == '?' || c == ':')
			return cli_bad_option(cli, argv, c);
		if (show_take_option(c, show, &err) < 0)
			return cli_fail(cli, &err);
	}
	if (cli_devices_add_rest(&show->devices, argc, argv, &err) < 0)
		return cli_fail(cli, &err);
	if (!show->devices.count)
		return cli_usage(cli,
				 "%s: name a device. To see all devices:\n"
				 "  passthru list",
				 argv[0]);
	if (cli->is_json && show->form != FORM_TEXT)
		return cli_usage(cli, "--json and --xml exclude each other");
	return 0;
}

static int show_one(struct show *show, struct shown *shown, struct pt_error *err)
{
	AUTO(auto_details) struct pt_details *details = NULL;
	AUTO(auto_reset) struct pt_reset *reset = NULL;
	struct cli *cli = shown->cli;
	int r;

	if (show->form == FORM_XML) {
		AUTO_FREE char *xml = NULL;

		r = pt_nodedev_xml(cli->host, &shown->function->address, &xml, err);
		if (r == 0)
			(void)fputs(xml, cli->out);
		return r;
	}
	/* needs no more than the address, but of a device that is there */
	if (show->form == FORM_HOSTDEV) {
		print_hostdev_xml(cli, &shown->function->address);
		return 0;
	}
	r = pt_details_read(cli->host, &shown->function->address, &details, err);
	if (r < 0)
		return r;
	r = pt_reset_choose(cli->host, shown->snapshot, &shown->function->address, &reset, err);
	if (r < 0)
		return r;
	shown->details = details;
	shown->reset = reset;
	if (cli->is_json)
		json_object_array_add(
			show->array,
			cli_json_details(cli, shown->snapshot, shown->function, details, reset));
	else
		print_text(shown);
	return 0;
}

static int show_all(struct cli *cli, struct show *show)
{
	AUTO(auto_snapshot) struct pt_snapshot *snapshot = NULL;
	struct pt_error err;
	size_t i;

	if (pt_snapshot_read(cli->host, &snapshot, &err) < 0)
		return cli_fail(cli, &err);
	/* all of them or none: nothing is printed before all were found */
	for (i = 0; i < show->devices.count; i++)
		if (!cli_find_function(snapshot, &show->devices.addresses[i], &err))
			return cli_fail(cli, &err);
	show->array = json_object_new_array();
	for (i = 0; i < show->devices.count; i++) {
		struct shown shown = {
			.cli = cli,
			.snapshot = snapshot,
			.function = pt_snapshot_find(snapshot, &show->devices.addresses[i]),
		};

		if (i && !cli->is_json && show->form == FORM_TEXT)
			(void)fputc('\n', cli->out);
		if (show_one(show, &shown, &err) < 0) {
			json_object_put(show->array);
			return cli_fail(cli, &err);
		}
	}
	/* what was asked for as one comes as one */
	if (cli->is_json && show->devices.count == 1)
		(void)cli_print_json(cli,
				     json_object_get(json_object_array_get_idx(show->array, 0)));
	else if (cli->is_json)
		return cli_print_json(cli, show->array);
	json_object_put(show->array);
	return 0;
}

int verb_show(struct cli *cli, int argc, char **argv)
{
	struct show show = {0};
	int status = show_parse(cli, argc, argv, &show);

	if (!status)
		status = show_all(cli, &show);
	cli_devices_free(&show.devices);
	return status;
}
