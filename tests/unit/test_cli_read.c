/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * list, tree, show and the frame around them, on the recorded machine. Whole outputs are kept in
 * golden/: with UPDATE_GOLDEN=1 in the environment they are written anew, to be read before they
 * are committed. They hold no names, which come from a database that differs between systems.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/cli.h"
#include "pci/names.h"
#include "read_tree.h"

#define NVME "0000:01:00.0"

struct output {
	int status;
	char *out;
	char *err;
};

struct world {
	struct fake *fake;
	struct cli cli; /* what each run starts from */
	struct output last;
};

static int make(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	world->fake = open_vtd();
	world->cli.host = fake_host(world->fake);
	assert_int_equal(names_do_without(world->cli.host), 0);
	*state = world;
	return 0;
}

static int unmake(void **state)
{
	struct world *world = *state;

	free(world->last.out);
	free(world->last.err);
	fake_free(world->fake);
	free(world);
	return 0;
}

/* Run a command line of words with single spaces; what it gave stays until the next run. */
static const struct output *run(struct world *world, const char *line)
{
	char buffer[512], *argv[32] = {"passthru"}, *rest = NULL;
	struct output *last = &world->last;
	struct cli cli = world->cli;
	size_t out_size, err_size;
	int argc = 1;

	free(last->out);
	free(last->err);
	(void)snprintf(buffer, sizeof(buffer), "%s", line);
	for (argv[argc] = strtok_r(buffer, " ", &rest); argv[argc];
	     argv[argc] = strtok_r(NULL, " ", &rest))
		argc++;
	cli.out = open_memstream(&last->out, &out_size);
	cli.err = open_memstream(&last->err, &err_size);
	last->status = cli_main(&cli, argc, argv);
	assert_int_equal(fclose(cli.out), 0);
	assert_int_equal(fclose(cli.err), 0);
	return last;
}

static bool contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		print_error("no \"%s\" in:\n%s\n", part, text);
	return strstr(text, part);
}

/* json-c 0.17 and later write an empty array as "[]", earlier ones over two lines. */
static void close_empty_arrays(char *text)
{
	char *from = text;

	while (*from) {
		size_t blank = from[0] == '[' ? strspn(from + 1, " \n") : 0;

		*text++ = *from++;
		if (blank && from[blank] == ']')
			from += blank;
	}
	*text = '\0';
}

static void assert_golden(struct world *world, const char *name, const char *line)
{
	const struct output *output = run(world, line);
	char path[4096], *wanted = NULL;

	assert_int_equal(output->status, 0);
	assert_string_equal(output->err, "");
	(void)snprintf(path, sizeof(path), "%s/../unit/golden/%s", getenv("MACHINES"), name);
	if (getenv("UPDATE_GOLDEN")) {
		FILE *file = fopen(path, "w");

		assert_non_null(file);
		assert_true(fputs(output->out, file) >= 0);
		assert_int_equal(fclose(file), 0);
		return;
	}
	assert_int_equal(io_read_all_at(AT_FDCWD, path, 1 << 20, &wanted, NULL), 0);
	close_empty_arrays(wanted);
	close_empty_arrays(output->out);
	if (strcmp(output->out, wanted) != 0)
		print_error("passthru %s, which isn't golden/%s:\n%s\n", line, name, output->out);
	assert_string_equal(output->out, wanted);
	free(wanted);
}

static void enable_vfs(struct world *world, const char *count)
{
	struct pt_host *host = world->cli.host;

	assert_int_equal(host->ops->write(host, "sys/bus/pci/devices/0000:03:00.0/sriov_numvfs",
					  count, strlen(count)),
			 0);
}

/* ---- whole outputs ---- */

static void test_list(void **state)
{
	struct world *world = *state;

	assert_golden(world, "list.txt", "list");
	assert_golden(world, "list.json", "list 08:01.0 pci_0000_00_01_0 0000:00:0c.0 --json");
	assert_golden(world, "nodedev-list.txt", "nodedev-list --cap pci");
	world->cli.width = 72;
	world->cli.is_color = true;
	world->cli.is_utf8 = true;
	enable_vfs(world, "2");
	assert_golden(world, "list-terminal.txt", "list --class network");
}

static void test_tree(void **state)
{
	struct world *world = *state;

	enable_vfs(world, "2");
	assert_golden(world, "tree-ascii.txt", "tree");
	world->cli.is_utf8 = true;
	assert_golden(world, "nodedev-tree.txt", "nodedev-list --tree");
	assert_golden(world, "tree.txt", "tree --all");
}

static void test_show(void **state)
{
	struct world *world = *state;

	assert_golden(world, "show.txt",
		      "show 01:00.0 04:00.0 06:00.0 08:01.0 0d:00.0 00:01.0 00:0e.0 00:0c.0");
	assert_golden(world, "show-nvme.json", "show --json 01:00.0");
	assert_golden(world, "show-many.json", "show --json 06:00.0 00:0a.0");
	enable_vfs(world, "3");
	assert_golden(world, "show-sriov.txt", "show 03:00.0 03:10.2");
	assert_golden(world, "show-sriov.json", "show --json 03:00.0");
	world->cli.width = 60;
	world->cli.is_color = true;
	assert_golden(world, "show-terminal.txt", "show 03:00.0 0d:00.0");
}

static void test_xml(void **state)
{
	struct world *world = *state;

	assert_golden(world, "nodedev-nvme.xml", "nodedev-dumpxml pci_0000_01_00_0");
	assert_golden(world, "nodedev-nvme.xml", "show --xml 01:00.0");
	assert_golden(world, "nodedev-nvme.xml", "nodedev-dumpxml --device pci_0000_01_00_0");
	assert_golden(world, "nodedev-port.xml", "show --xml 00:01.0");
	enable_vfs(world, "2");
	assert_golden(world, "nodedev-sriov.xml", "show --xml 03:00.0 03:10.0");
	assert_golden(world, "hostdev.xml", "show --hostdev 08:01.0 08:02.0");
	/* the seed's device, by its decimal numbers */
	assert_golden(world, "hostdev.xml",
		      "show --hostdev --domain 0 --bus 8 --slot 1 --function 0 --bus 8 --slot 2 "
		      "--function 0");
}

static void test_help(void **state)
{
	static const char *const verbs[] = {"list",	"tree",		"show",	  "detach",
					    "reattach", "reset",	"plan",	  "run",
					    "status",	"nodedev-list", "recover"};
	char line[64], usage[64];
	size_t i;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		(void)snprintf(line, sizeof(line), "\n  %s ", verbs[i]);
		assert_true(contains(run(*state, "help")->out, line));
		(void)snprintf(line, sizeof(line), "%s --help", verbs[i]);
		(void)snprintf(usage, sizeof(usage), "usage: passthru %s ", verbs[i]);
		assert_int_equal(run(*state, line)->status, 0);
		if (strcmp(verbs[i], "tree") != 0 && strcmp(verbs[i], "recover") != 0)
			assert_true(contains(run(*state, line)->out, usage));
	}
	assert_golden(*state, "help-list.txt", "list --help");
	assert_golden(*state, "help-list.txt", "help list");
	assert_true(contains(run(*state, "--version")->out, "passthru 0."));
}

/* ---- the tree's corners ---- */

/* More VFs than are worth a line each: ten, two of them handed over, on a tree made by hand. */
static void test_folded_vfs(void **state)
{
	struct world *world = *state;
	struct pt_host *fake = world->cli.host;
	struct empty empty;
	char path[64], target[128], text[128];
	int i;

	open_empty(&empty);
	for (i = 0; i <= 10; i++) {
		(void)snprintf(path, sizeof(path), "sys/devices/pci0000:05/0000:05:00.%d", i);
		if (i > 7)
			(void)snprintf(path, sizeof(path), "sys/devices/pci0000:05/0000:05:01.%d",
				       i - 8);
		(void)snprintf(target, sizeof(target), "../../../%s", path + strlen("sys/"));
		(void)snprintf(text, sizeof(text), "sys/bus/pci/devices/%s",
			       strrchr(path, '/') + 1);
		put_link(empty.host, text, target);
		(void)snprintf(text, sizeof(text), "%s/uevent", path);
		put_text(empty.host, text,
			 i == 0	  ? "DRIVER=ice\nPCI_CLASS=20000\nPCI_ID=8086:1592\n"
			 : i < 3  ? "DRIVER=vfio-pci\nPCI_CLASS=20000\nPCI_ID=8086:1889\n"
			 : i < 10 ? "DRIVER=iavf\nPCI_CLASS=20000\nPCI_ID=8086:1889\n"
				  : "PCI_CLASS=20000\nPCI_ID=8086:1889\n");
		(void)snprintf(text, sizeof(text), "%s/physfn", path);
		if (i)
			put_link(empty.host, text, "../0000:05:00.0");
	}
	world->cli.host = empty.host;
	assert_int_equal(names_do_without(empty.host), 0);
	world->cli.is_utf8 = true;
	assert_golden(world, "tree-folded.txt", "tree");
	assert_golden(world, "tree-unfolded.txt", "tree --all");
	world->cli.width = 40;
	assert_golden(world, "tree-narrow.txt", "tree");
	world->cli.host = fake;
	close_empty(&empty);
}

static size_t count_nodes(struct json_object *array)
{
	size_t i, count = 0;

	for (i = 0; i < json_object_array_length(array); i++)
		count += 1 + count_nodes(json_object_object_get(json_object_array_get_idx(array, i),
								"children"));
	return count;
}

static void test_tree_in_json(void **state)
{
	struct json_object *tree = json_tokener_parse(run(*state, "tree --json")->out);
	struct json_object *root = json_object_array_get_idx(tree, 1);

	assert_int_equal(json_object_array_length(tree), 2);
	assert_string_equal(json_object_get_string(json_object_object_get(root, "root_bus")),
			    "0000:40");
	assert_int_equal(count_nodes(tree), 44 + 2);
	json_object_put(tree);
}

/* ---- filters ---- */

static void test_filters(void **state)
{
	static const struct {
		const char *line;
		int count;
	} rows[] = {
		{"list --json", 44},
		{"list --json --driver nvme", 3},
		{"list --json --driver none", 7},
		{"list --json --driver nv", 0},
		{"list --json --class nvme", 3},
		{"list --json --class NVMe", 3},
		{"list --json --class 0108", 3},
		{"list --json --class 0x010802", 3},
		{"list --json --class 01", 5},
		{"list --json --class storage", 5},
		{"list --json --class 010803", 0},
		{"list --json --class network", 7},
		{"list --json --class gpu", 1},
		{"list --json --class no-such-class", 0},
		{"list --json --id 8086:10d3", 4},
		{"list --json --id 8086:*", 12},
		{"list --json --id *:11e8", 4},
		{"list --json --id *:*", 44},
		{"list --json --group 10", 4},
		{"list --json --group 999", 0},
		{"list --json --vfio", 0},
		{"list --json --group 10 --driver nvme", 1},
		{"list --json --group 10 01:00.0", 0},
		{"list --json 01:00.0 02:00.0 --driver nvme", 2},
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct output *output = run(*state, rows[i].line);
		struct json_object *list = json_tokener_parse(output->out);

		assert_int_equal(output->status, 0);
		if ((int)json_object_array_length(list) != rows[i].count)
			print_error("%s\n", rows[i].line);
		assert_int_equal(json_object_array_length(list), rows[i].count);
		json_object_put(list);
	}
	assert_true(contains(run(*state, "list --group 999")->err, "No device matches."));
}

/* ---- errors ---- */

static void test_errors(void **state)
{
	static const struct {
		const char *line;
		int status;
		const char *message;
	} rows[] = {
		{"", 2, "a verb is missing"},
		{"lst", 2, "did you mean \"list\"?"},
		{"zebra", 2, "unknown verb \"zebra\"\n"},
		{"--zebra", 2, "unknown option --zebra"},
		{"--color=blue list", 2, "not \"blue\""},
		{"list --zebra", 2, "list: unknown option --zebra"},
		{"list --driver", 2, "list: --driver needs a value"},
		{"list --group x", 2, "--group x"},
		{"list --group -1", 2, "--group -1"},
		{"list --id 8086", 2, "--id 8086"},
		{"list --id 18086:1", 2, "--id 18086:1"},
		{"list 01:00.0 7f:00.0", 10, "0000:7f:00.0: this host has no such PCI function\n"},
		{"nodedev-list --cap net", 2, "only pci"},
		{"nodedev-list 01:00.0", 2, "takes no 01:00.0"},
		{"tree 01:00.0", 2, "takes no devices"},
		{"tree --al x", 2, "takes no devices"},
		{"show", 2, "name a device"},
		{"show zebra", 2, "\"zebra\" is not a PCI address"},
		{"show 01:00.0 01:00.0", 2, "0000:01:00.0 is named twice"},
		{"show pci_0000_01_00_0 0000:01:00.0", 2, "named twice"},
		{"show 06:00.3", 10, "the same slot has 0000:06:00.0, 0000:06:00.1\n"},
		{"show 08:05.0", 10, "the same bus has 0000:08:01.0, 0000:08:02.0\n"},
		{"show 0001:01:00.0", 10, "another domain has 0000:01:00.0\n"},
		{"show 7f:00.0", 10, "passthru list"},
		{"show 01:00.0 --bus 8", 2, "--slot is missing"},
		{"show --bus 8 --slot 1", 2, "--function is missing"},
		{"show --bus 0x8", 2, "--bus 0x8: not a decimal number from 0 to 255"},
		{"show --bus 256", 2, "from 0 to 255"},
		{"show --slot 32", 2, "from 0 to 31"},
		{"show --function 8", 2, "from 0 to 7"},
		{"show --bus 1 --slot 0 --function 0 01:00.0", 2, "named twice"},
		{"--root /nowhere/at/all list", 1, "/nowhere/at/all"},
		{"--root / detach 01:00.0", 2, "--root is for reading only"},
		{"detach 01:00.0 --root=/", 2, "--root is for reading only"},
		{"nodedev-reset 01:00.0 --root=/", 2, "--root is for reading only"},
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct output *output = run(*state, rows[i].line);

		if (output->status != rows[i].status)
			print_error("%s\n%s", rows[i].line, output->err);
		assert_int_equal(output->status, rows[i].status);
		assert_string_equal(output->out, "");
		assert_memory_equal(output->err, "passthru: ", 10);
		assert_true(contains(output->err, rows[i].message));
	}
}

static const char *error_of(struct json_object *object, const char *key)
{
	return json_object_get_string(
		json_object_object_get(json_object_object_get(object, "error"), key));
}

static void test_errors_in_json(void **state)
{
	const struct output *output = run(*state, "show 06:00.3 --json");
	struct json_object *object = json_tokener_parse(output->out);

	assert_int_equal(output->status, 10);
	assert_string_equal(output->err, "");
	assert_string_equal(error_of(object, "reason"), "no-device");
	assert_string_equal(error_of(object, "device"), "0000:06:00.3");
	assert_true(contains(error_of(object, "message"), "0000:06:00.1"));
	json_object_put(object);

	output = run(*state, "--json list --zebra");
	object = json_tokener_parse(output->out);
	assert_int_equal(output->status, 2);
	assert_string_equal(error_of(object, "reason"), "invalid");
	assert_null(error_of(object, "device"));
	json_object_put(object);
}

/* ---- another machine, and logs ---- */

static void test_root(void **state)
{
	struct world *world = *state;
	char line[512];

	(void)snprintf(line, sizeof(line), "--root %s list --driver igb --json",
		       fake_root(world->fake));
	world->cli.host = NULL; /* nothing but the root is looked at */
	assert_true(contains(run(world, line)->out, "\"0000:03:00.0\""));
}

static void test_verbose(void **state)
{
	struct world *world = *state;

	put_text(world->cli.host, "sys/bus/pci/devices/" NVME "/uevent", "zebra\n");
	assert_true(contains(run(*state, "list")->err, NVME ": its uevent file is malformed\n"));
	assert_null(strstr(run(*state, "list")->err, "IOMMU groups"));
	assert_null(strstr(run(*state, "-v list")->err, "IOMMU groups"));
	assert_true(contains(run(*state, "list -vv")->err, "44 PCI functions in 33 IOMMU groups"));
	assert_true(contains(run(*state, "-v list --verbose")->err, "IOMMU groups"));
	assert_true(contains(run(*state, "--color always list")->out, "\033[1m"));
	world->cli.is_color = true;
	assert_null(strstr(run(*state, "list --color=never")->out, "\033"));
}

/* Files that others have written reach a terminal without their control characters. */
static void test_status_is_clean(void **state)
{
	static const char claim[] =
		"{\"device\":\"" NVME "\",\"state\":\"held\",\"kept\":false,"
		"\"driver\":\"vfio-pci\",\"driver_before\":\"nv\\u001bme\","
		"\"override_before\":\"\",\"vendor_id\":1,\"device_id\":1,\"since\":1,"
		"\"why\":\"a\\nb\\u001b\",\"owner\":{\"kind\":\"process\","
		"\"name\":\"q\\u001b]0;x\\u202eemu\",\"pid\":7,\"start_time\":1}}";
	struct world *world = *state;
	const char *out;

	put_text(world->cli.host, "run/passthru/claims/" NVME, claim);
	put_text(world->cli.host, "run/passthru/claims/0000:02:00.0",
		 "{\"device\":\"0000:02:00.0\",\"state\":\"a\\nb\\u001b\"}");
	out = run(world, "status")->out;
	assert_null(strchr(out, '\033'));
	assert_null(strstr(out, "\u202e"));
	assert_true(contains(out, "q?]0;x?emu (pid 7, gone)"));
	assert_true(contains(out, "nv?me"));
	assert_true(contains(out, "              a b?\n"));
	assert_true(contains(out, "\"state\" is \"a b?\", which this version"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_list, make, unmake),
		cmocka_unit_test_setup_teardown(test_tree, make, unmake),
		cmocka_unit_test_setup_teardown(test_show, make, unmake),
		cmocka_unit_test_setup_teardown(test_xml, make, unmake),
		cmocka_unit_test_setup_teardown(test_help, make, unmake),
		cmocka_unit_test_setup_teardown(test_folded_vfs, make, unmake),
		cmocka_unit_test_setup_teardown(test_tree_in_json, make, unmake),
		cmocka_unit_test_setup_teardown(test_filters, make, unmake),
		cmocka_unit_test_setup_teardown(test_errors, make, unmake),
		cmocka_unit_test_setup_teardown(test_errors_in_json, make, unmake),
		cmocka_unit_test_setup_teardown(test_root, make, unmake),
		cmocka_unit_test_setup_teardown(test_verbose, make, unmake),
		cmocka_unit_test_setup_teardown(test_status_is_clean, make, unmake),
	};

	return cmocka_run_group_tests_name("cli_read", tests, NULL, NULL);
}
