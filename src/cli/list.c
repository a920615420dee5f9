/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/print.h"

AUTO_DEFINE(snapshot, struct pt_snapshot *, pt_snapshot_free)

/* What a function must be to be listed. */
struct filter {
	const char *class_name;
	uint32_t class_code; /* with class_name NULL: under class_mask */
	uint32_t class_mask;
	const char *driver;
	int vendor_id; /* -1: any, as with the next two */
	int device_id;
	int group;
	bool is_vfio;
	struct cli_devices devices;
};

/* ---- filters ---- */

/* Words for whole base classes. */
static const struct {
	const char *word;
	uint32_t base;
} families[] = {
	{"storage", 0x01}, {"network", 0x02}, {"gpu", 0x03}, {"display", 0x03}, {"bridge", 0x06},
};

static void parse_class(const char *text, struct filter *filter)
{
	const char *digits = !strncmp(text, "0x", 2) ? text + 2 : text;
	size_t len = strlen(digits), i;
	uint64_t code;

	for (i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		if (strcasecmp(text, families[i].word) != 0)
			continue;
		filter->class_name = NULL;
		filter->class_code = families[i].base << 16;
		filter->class_mask = 0xff0000;
		return;
	}
	filter->class_name = text;
	if ((len != 2 && len != 4 && len != 6) || !strcmp(text, "3d") ||
	    text_parse_number(digits, 16, 0xffffff, &code) < 0)
		return;
	filter->class_name = NULL;
	filter->class_code = (uint32_t)code << (24 - 4 * len);
	filter->class_mask = 0xffffffU << (24 - 4 * len) & 0xffffff;
}

static int parse_id_part(const char *text, int *ret_id)
{
	uint64_t id;

	if (!strcmp(text, "*"))
		return 0;
	if (text_parse_number(text, 16, UINT16_MAX, &id) < 0)
		return -EINVAL;
	*ret_id = (int)id;
	return 0;
}

static int parse_id(const char *text, struct filter *filter, struct pt_error *err)
{
	char vendor[16];
	const char *colon = strchr(text, ':');

	if (colon && (size_t)(colon - text) < sizeof(vendor)) {
		memcpy(vendor, text, (size_t)(colon - text));
		vendor[colon - text] = '\0';
		if (parse_id_part(vendor, &filter->vendor_id) == 0 &&
		    parse_id_part(colon + 1, &filter->device_id) == 0)
			return 0;
	}
	return pt_fail(err, PT_INVALID, EINVAL,
		       "--id %s: expected hex ids such as 8086:10d3, 8086:* or *:10d3", text);
}

static int parse_group(const char *text, struct filter *filter, struct pt_error *err)
{
	uint64_t number;

	if (text_parse_number(text, 10, INT_MAX, &number) < 0)
		return pt_fail(err, PT_INVALID, EINVAL,
			       "--group %s: expected the number of an IOMMU group", text);
	filter->group = (int)number;
	return 0;
}

/* The word of the CLASS column, the whole of it, or any part of one of the class's names. */
static bool is_of_class(struct cli *cli, const struct filter *filter, uint32_t class_code)
{
	char word[PRINT_CLASS];
	const char *name;

	if (!filter->class_name)
		return (class_code & filter->class_mask) == filter->class_code;
	if (!strcasecmp(print_class(class_code, word), filter->class_name))
		return true;
	name = pt_name_class(cli->host, class_code);
	if (name && strcasestr(name, filter->class_name))
		return true;
	name = pt_name_interface(cli->host, class_code);
	return name && strcasestr(name, filter->class_name);
}

static bool is_of_driver(const char *driver, const char *wanted)
{
	return driver ? !strcmp(driver, wanted) : !strcmp(wanted, "none");
}

static bool is_named(const struct cli_devices *devices, const struct pt_address *address)
{
	size_t i;

	for (i = 0; i < devices->count; i++)
		if (pt_address_compare(&devices->addresses[i], address) == 0)
			return true;
	return !devices->count;
}

static bool list_is_wanted(struct cli *cli, const struct filter *filter,
			   const struct pt_function *function)
{
	return is_named(&filter->devices, &function->address) &&
	       (filter->vendor_id < 0 || filter->vendor_id == function->vendor_id) &&
	       (filter->device_id < 0 || filter->device_id == function->device_id) &&
	       (filter->group < 0 || filter->group == function->iommu_group) &&
	       (!filter->is_vfio || pt_driver_is_vfio(function->driver)) &&
	       (!filter->driver || is_of_driver(function->driver, filter->driver)) &&
	       (!(filter->class_name || filter->class_mask) ||
		is_of_class(cli, filter, function->class_code));
}

/* ---- output ---- */

struct columns {
	size_t address;
	size_t group;
	size_t driver;
	size_t class_word;
};

static void widen(size_t *column, size_t width)
{
	if (width > *column)
		*column = width;
}

static void measure(const struct pt_function *const *functions, size_t count,
		    struct columns *columns)
{
	char text[PT_ADDRESS_TEXT], word[PRINT_CLASS];
	size_t i;

	*columns = (struct columns){strlen("ADDRESS"), strlen("GROUP"), strlen("DRIVER"),
				    strlen("CLASS")};
	for (i = 0; i < count; i++) {
		widen(&columns->address, strlen(pt_address_format(&functions[i]->address, text)));
		widen(&columns->driver, functions[i]->driver ? strlen(functions[i]->driver) : 1);
		widen(&columns->class_word, strlen(print_class(functions[i]->class_code, word)));
	}
}

static void print_row(struct cli *cli, const struct pt_function *function,
		      const struct columns *columns)
{
	char text[PT_ADDRESS_TEXT], word[PRINT_CLASS], group[16] = "-";
	char name[PRINT_NAME], line[PRINT_NAME + 64];
	const char *driver = function->driver ? function->driver : "-";
	size_t used = columns->address + columns->group + columns->driver + 9 +
		      columns->class_word + 2 * 5;
	size_t room = cli->width > used ? cli->width - used : 0;
	bool is_bridge = pt_function_kind(function) == PT_BRIDGE;

	print_name_within(cli, function, room, name);
	if (function->iommu_group >= 0)
		(void)text_format(group, sizeof(group), "%d", function->iommu_group);
	(void)fprintf(cli->out, "%s%-*s%s  %*s  ", is_bridge ? cli_dim(cli) : cli_bold(cli),
		      (int)columns->address, pt_address_format(&function->address, text),
		      is_bridge ? "" : cli_plain(cli), (int)columns->group, group);
	(void)fprintf(cli->out, "%s%-*s%s  %04x:%04x  %-*s  ",
		      pt_driver_is_vfio(function->driver) ? cli_green(cli) : "",
		      (int)columns->driver, driver,
		      pt_driver_is_vfio(function->driver) ? cli_plain(cli) : "",
		      function->vendor_id, function->device_id, (int)columns->class_word,
		      print_class(function->class_code, word));
	if (function->is_vf)
		(void)text_format(line, sizeof(line), "%s (VF of %s)", name,
				  pt_address_format(&function->physfn, text));
	else
		(void)text_format(line, sizeof(line), "%s", name);
	print_cut(cli, line, room);
	(void)fprintf(cli->out, "%s\n", is_bridge ? cli_plain(cli) : "");
}

static int print_table(struct cli *cli, const struct pt_function *const *functions, size_t count)
{
	struct columns columns;
	size_t i;

	if (!count) {
		(void)fprintf(cli->err, "No device matches.\n");
		return 0;
	}
	measure(functions, count, &columns);
	(void)fprintf(cli->out, "%s%-*s  %*s  %-*s  %-9s  %-*s  NAME%s\n", cli_dim(cli),
		      (int)columns.address, "ADDRESS", (int)columns.group, "GROUP",
		      (int)columns.driver, "DRIVER", "ID", (int)columns.class_word, "CLASS",
		      cli_plain(cli));
	for (i = 0; i < count; i++)
		print_row(cli, functions[i], &columns);
	return 0;
}

static int list_print_json(struct cli *cli, const struct pt_function *const *functions,
			   size_t count)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < count; i++)
		json_object_array_add(array, cli_json_function(cli, functions[i]));
	return cli_print_json(cli, array);
}

/* As virsh nodedev-list does. */
static int print_nodedev_names(struct cli *cli, const struct pt_function *const *functions,
			       size_t count)
{
	char name[PT_NODEDEV_NAME];
	size_t i;

	for (i = 0; i < count; i++)
		(void)fprintf(cli->out, "%s\n", pt_nodedev_name(&functions[i]->address, name));
	return 0;
}

/* ---- the verb ---- */

enum { OPTION_CLASS = 256, OPTION_DRIVER, OPTION_ID, OPTION_GROUP, OPTION_VFIO };

static const struct option list_options[] = {
	{"class", required_argument, NULL, OPTION_CLASS},
	{"driver", required_argument, NULL, OPTION_DRIVER},
	{"id", required_argument, NULL, OPTION_ID},
	{"group", required_argument, NULL, OPTION_GROUP},
	{"vfio", no_argument, NULL, OPTION_VFIO},
	{NULL, 0, NULL, 0},
};

static int list_take_option(int option, struct filter *filter, struct pt_error *err)
{
	switch (option) {
	case OPTION_CLASS:
		parse_class(optarg, filter);
		return 0;
	case OPTION_DRIVER:
		filter->driver = optarg;
		return 0;
	case OPTION_ID:
		return parse_id(optarg, filter, err);
	case OPTION_GROUP:
		return parse_group(optarg, filter, err);
	default:
		filter->is_vfio = true;
		return 0;
	}
}

/* Returns the exit status, 0 to go on. */
static int parse_list(struct cli *cli, int argc, char **argv, struct filter *filter)
{
	struct pt_error err;
	int c;

	while ((c = getopt_long(argc, argv, ":", list_options, NULL)) != -1) {
		if (c == '?' || c == ':')
			return cli_bad_option(cli, argv, c);
		if (list_take_option(c, filter, &err) < 0)
			return cli_fail(cli, &err);
	}
	for (; optind < argc; optind++)
		if (cli_devices_add(&filter->devices, argv[optind], &err) < 0)
			return cli_fail(cli, &err);
	return 0;
}

static int list(struct cli *cli, const struct filter *filter,
		int (*print)(struct cli *cli, const struct pt_function *const *functions,
			     size_t count))
{
	AUTO(auto_snapshot) struct pt_snapshot *snapshot = NULL;
	AUTO_FREE const struct pt_function **functions = NULL;
	struct pt_error err;
	size_t i, count = 0;

	if (pt_snapshot_read(cli->host, &snapshot, &err) < 0)
		return cli_fail(cli, &err);
	for (i = 0; i < filter->devices.count; i++)
		if (!cli_find_function(snapshot, &filter->devices.addresses[i], &err))
			return cli_fail(cli, &err);
	functions = calloc(pt_snapshot_count(snapshot) + 1, sizeof(*functions));
	if (!functions) {
		(void)pt_fail_memory(&err);
		return cli_fail(cli, &err);
	}
	for (i = 0; i < pt_snapshot_count(snapshot); i++) {
		const struct pt_function *function = pt_snapshot_at(snapshot, i);

		if (list_is_wanted(cli, filter, function))
			functions[count++] = function;
	}
	return print(cli, functions, count);
}

static const struct option virsh_options[] = {
	{"tree", no_argument, NULL, 't'},
	{"cap", required_argument, NULL, 'c'},
	{NULL, 0, NULL, 0},
};

/* nodedev-list [--tree] [--cap pci] */
static int virsh_list(struct cli *cli, int argc, char **argv)
{
	const struct filter all = {.vendor_id = -1, .device_id = -1, .group = -1};
	bool is_tree = false;
	char *tree_argv[] = {argv[0], NULL};
	int c;

	while ((c = getopt_long(argc, argv, ":", virsh_options, NULL)) != -1) {
		if (c == '?' || c == ':')
			return cli_bad_option(cli, argv, c);
		if (c == 't')
			is_tree = true;
		else if (strcmp(optarg, "pci") != 0)
			return cli_usage(cli, "--cap %s: passthru lists only pci devices", optarg);
	}
	if (optind < argc)
		return cli_usage(cli, "%s takes no %s", argv[0], argv[optind]);
	if (is_tree) {
		optind = 0;
		return verb_tree(cli, 1, tree_argv);
	}
	return list(cli, &all, cli->is_json ? list_print_json : print_nodedev_names);
}

int verb_list(struct cli *cli, int argc, char **argv)
{
	struct filter filter = {.vendor_id = -1, .device_id = -1, .group = -1};
	int status;

	if (!strcmp(argv[0], "nodedev-list"))
		return virsh_list(cli, argc, argv);
	status = parse_list(cli, argc, argv, &filter);
	if (!status)
		status = list(cli, &filter, cli->is_json ? list_print_json : print_table);
	cli_devices_free(&filter.devices);
	return status;
}
