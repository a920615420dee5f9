/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "cli/auto.h"
#include "cli/cli.h"
#include "cli/print.h"

/* More virtual functions than this below one physical function are shown as a number. */
#define VFS_SHOWN 8

/* Behind the branches each level takes this many columns. */
#define INDENT 3

#define DEPTH_MAX 64

/* A function, or the root bus above the first ones. */
struct node {
	const struct pt_function *function; /* NULL for a root bus */
	uint32_t domain;		    /* of a root bus, as @bus */
	uint8_t bus;
	struct node *child; /* the first one below */
	struct node *last_child;
	struct node *next; /* beside */
};

struct tree {
	struct cli *cli;
	bool shows_all;
	bool has_virsh_names;	/* as nodedev-list --tree: pci_0000_01_00_0 */
	struct node *functions; /* in address order, as the snapshot */
	size_t count;
	struct node *roots; /* as many as there may be */
	size_t root_count;
	size_t label; /* columns of branches and address */
	size_t driver;
	size_t class_word;
};

/* ---- who is below whom ---- */

static void hang(struct node *above, struct node *node)
{
	if (above->last_child)
		above->last_child->next = node;
	else
		above->child = node;
	above->last_child = node;
}

static int compare_node(const void *key, const void *element)
{
	return pt_address_compare(key, &((const struct node *)element)->function->address);
}

static struct node *find_node(struct tree *tree, const struct pt_address *address)
{
	return bsearch(address, tree->functions, tree->count, sizeof(*tree->functions),
		       compare_node);
}

static struct node *find_root(struct tree *tree, const struct pt_address *address)
{
	struct node *root;

	for (root = tree->roots; root < tree->roots + tree->root_count; root++)
		if (root->domain == address->domain && root->bus == address->bus)
			return root;
	root = &tree->roots[tree->root_count++];
	root->domain = address->domain;
	root->bus = address->bus;
	return root;
}

/* Address order means that siblings come in order too. */
static int grow(struct tree *tree, const struct pt_snapshot *snapshot)
{
	size_t i;

	tree->count = pt_snapshot_count(snapshot);
	tree->functions = calloc(tree->count + 1, sizeof(*tree->functions));
	tree->roots = calloc(tree->count + 1, sizeof(*tree->roots));
	if (!tree->functions || !tree->roots)
		return -1;
	for (i = 0; i < tree->count; i++)
		tree->functions[i].function = pt_snapshot_at(snapshot, i);
	for (i = 0; i < tree->count; i++) {
		struct node *node = &tree->functions[i], *above = NULL;
		const struct pt_function *function = node->function;

		/* a virtual function belongs below its physical one, not beside it */
		if (function->is_vf)
			above = find_node(tree, &function->physfn);
		else if (function->has_parent)
			above = find_node(tree, &function->parent);
		/* whose parent isn't there stands on a root bus of its own */
		hang(above && above != node ? above : find_root(tree, &function->address), node);
	}
	return 0;
}

/* ---- virtual functions as a number ---- */

static bool is_folded(const struct tree *tree, const struct node *node)
{
	size_t count = 0;

	for (node = node->child; node; node = node->next)
		count += node->function->is_vf;
	return !tree->shows_all && count > VFS_SHOWN;
}

struct tally {
	const char *driver;
	size_t count;
};

#define DRIVERS_SHOWN 4

/* "127 virtual functions 0000:01:00.1 … 0000:01:10.0: 120 nvme, 7 vfio-pci" */
static void describe_vfs(const struct tree *tree, const struct node *above, char *text, size_t size)
{
	struct tally tally[DRIVERS_SHOWN] = {0};
	size_t count = 0, used, i;
	const struct node *node, *first = NULL, *last = NULL;
	char from[PT_ADDRESS_TEXT], to[PT_ADDRESS_TEXT];

	for (node = above->child; node; node = node->next) {
		const char *driver = node->function->driver ? node->function->driver : "no driver";

		if (!node->function->is_vf)
			continue;
		first = first ? first : node;
		last = node;
		count++;
		for (i = 0; i < DRIVERS_SHOWN - 1; i++)
			if (!tally[i].driver || !strcmp(tally[i].driver, driver))
				break;
		/* the last place is for all the others */
		tally[i].driver = i == DRIVERS_SHOWN - 1 ? "other" : driver;
		tally[i].count++;
	}
	if (!first)
		return;
	used = (size_t)snprintf(text, size, "%zu virtual functions %s %s %s", count,
				pt_address_format(&first->function->address, from),
				tree->cli->is_utf8 ? "…" : "...",
				pt_address_format(&last->function->address, to));
	for (i = 0; i < DRIVERS_SHOWN && tally[i].count && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%zu %s", i ? ", " : ": ",
					 tally[i].count, tally[i].driver);
}

/* ---- drawing ---- */

static const char *node_name(const struct tree *tree, const struct pt_function *function,
			     char name[PT_NODEDEV_NAME])
{
	if (tree->has_virsh_names)
		return pt_nodedev_name(&function->address, name);
	return pt_address_format(&function->address, name);
}

static void measure(struct tree *tree, const struct node *node, size_t depth)
{
	char text[PT_NODEDEV_NAME], word[PRINT_CLASS];
	bool folded = is_folded(tree, node);

	for (node = node->child; node; node = node->next) {
		const struct pt_function *function = node->function;
		size_t label = strlen(node_name(tree, function, text)) + INDENT * (depth + 1);
		size_t driver = function->driver ? strlen(function->driver) : 1;
		size_t class_word = strlen(print_class(function->class_code, word));

		if (folded && function->is_vf)
			continue;
		tree->label = label > tree->label ? label : tree->label;
		tree->driver = driver > tree->driver ? driver : tree->driver;
		tree->class_word = class_word > tree->class_word ? class_word : tree->class_word;
		if (depth + 1 < DEPTH_MAX)
			measure(tree, node, depth + 1);
	}
}

/* The branches to the left of a node. @is_last: bit N, the branch at depth N ends there. */
static void print_branches(const struct tree *tree, size_t depth, uint64_t is_last)
{
	bool is_utf8 = tree->cli->is_utf8;
	size_t i;

	(void)fputs(cli_dim(tree->cli), tree->cli->out);
	for (i = 0; i < depth; i++)
		(void)fputs(is_last >> i & 1 ? "   " : is_utf8 ? "│  " : "|  ", tree->cli->out);
	(void)fputs(is_last >> depth & 1 ? is_utf8 ? "└─ " : "`- "
		    : is_utf8		 ? "├─ "
					 : "|- ",
		    tree->cli->out);
	(void)fputs(cli_plain(tree->cli), tree->cli->out);
}

static void print_node(const struct tree *tree, const struct pt_function *function, size_t depth)
{
	struct cli *cli = tree->cli;
	char text[PT_NODEDEV_NAME], word[PRINT_CLASS], group[16] = "-", name[PRINT_NAME];
	const char *address = node_name(tree, function, text);
	size_t used = tree->label + tree->driver + tree->class_word + 2 + 5 + 2 + 2 + 2;
	size_t room = cli->width > used ? cli->width - used : 0;
	bool is_bridge = pt_function_kind(function) == PT_BRIDGE;
	bool is_vfio = pt_driver_is_vfio(function->driver);

	if (function->iommu_group >= 0)
		(void)text_format(group, sizeof(group), "%d", function->iommu_group);
	(void)fprintf(cli->out, "%s%s%s", is_bridge ? "" : cli_bold(cli), address,
		      is_bridge ? "" : cli_plain(cli));
	print_spaces(cli->out, tree->label - strlen(address) - INDENT * (depth + 1));
	(void)fprintf(cli->out, "  %5s  %s%-*s%s  %-*s  ", group, is_vfio ? cli_green(cli) : "",
		      (int)tree->driver, function->driver ? function->driver : "-",
		      is_vfio ? cli_plain(cli) : "", (int)tree->class_word,
		      print_class(function->class_code, word));
	if (is_bridge)
		(void)fputs(cli_dim(cli), cli->out);
	print_cut(cli, print_name_within(cli, function, room, name), room);
	(void)fprintf(cli->out, "%s\n", is_bridge ? cli_plain(cli) : "");
}

static void print_below(const struct tree *tree, const struct node *above, size_t depth,
			uint64_t is_last)
{
	bool folded = is_folded(tree, above);
	const struct node *node;
	char text[256];

	for (node = above->child; node; node = node->next) {
		const struct node *next = node->next;

		if (folded && node->function->is_vf)
			continue;
		while (folded && next && next->function->is_vf)
			next = next->next;
		is_last &= ~(UINT64_C(1) << depth);
		is_last |= (uint64_t)(!next && !folded) << depth;
		print_branches(tree, depth, is_last);
		print_node(tree, node->function, depth);
		if (depth + 1 < DEPTH_MAX)
			print_below(tree, node, depth + 1, is_last);
	}
	if (folded) {
		print_branches(tree, depth, is_last | UINT64_C(1) << depth);
		describe_vfs(tree, above, text, sizeof(text));
		print_cut(tree->cli, text,
			  tree->cli->width > INDENT * (depth + 1)
				  ? tree->cli->width - INDENT * (depth + 1)
				  : 0);
		(void)fputc('\n', tree->cli->out);
	}
}

static int print_text(struct tree *tree)
{
	struct cli *cli = tree->cli;
	size_t i;

	tree->label = strlen("0000:00:00.0") + INDENT;
	tree->driver = strlen("DRIVER");
	tree->class_word = strlen("CLASS");
	for (i = 0; i < tree->root_count; i++)
		measure(tree, &tree->roots[i], 0);
	if (tree->root_count)
		(void)fprintf(cli->out, "%s%-*s  GROUP  %-*s  %-*s  NAME%s\n", cli_dim(cli),
			      (int)tree->label, "ADDRESS", (int)tree->driver, "DRIVER",
			      (int)tree->class_word, "CLASS", cli_plain(cli));
	for (i = 0; i < tree->root_count; i++) {
		(void)fprintf(cli->out, "%sroot bus %04x:%02x%s\n", cli_bold(cli),
			      tree->roots[i].domain, tree->roots[i].bus, cli_plain(cli));
		print_below(tree, &tree->roots[i], 0, 0);
	}
	return 0;
}

/* ---- JSON ---- */

static struct json_object *json_below(struct tree *tree, const struct node *above, size_t depth)
{
	struct json_object *array = json_object_new_array();
	const struct node *node;

	for (node = above->child; node; node = node->next) {
		struct json_object *object = cli_json_function(tree->cli, node->function);

		if (depth < DEPTH_MAX)
			json_object_object_add(object, "children",
					       json_below(tree, node, depth + 1));
		json_object_array_add(array, object);
	}
	return array;
}

static int tree_print_json(struct tree *tree)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < tree->root_count; i++) {
		struct json_object *root = json_object_new_object();
		char name[16];

		(void)text_format(name, sizeof(name), "%04x:%02x", tree->roots[i].domain,
				  tree->roots[i].bus);
		json_object_object_add(root, "root_bus", json_new_text(name));
		json_object_object_add(root, "children", json_below(tree, &tree->roots[i], 0));
		json_object_array_add(array, root);
	}
	return cli_print_json(tree->cli, array);
}

/* ---- the verb ---- */

static const struct option options[] = {
	{"all", no_argument, NULL, 'a'},
	{NULL, 0, NULL, 0},
};

int verb_tree(struct cli *cli, int argc, char **argv)
{
	AUTO(auto_snapshot) struct pt_snapshot *snapshot = NULL;
	struct tree tree = {.cli = cli, .has_virsh_names = !strcmp(argv[0], "nodedev-list")};
	struct pt_error err;
	int c, status;

	while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (c == '?' || c == ':')
			return cli_bad_option(cli, argv, c);
		tree.shows_all = true;
	}
	if (optind < argc)
		return cli_usage(cli,
				 "tree takes no devices. To see one device:\n"
				 "  passthru list %s",
				 argv[optind]);
	if (pt_snapshot_read(cli->host, &snapshot, &err) < 0)
		return cli_fail(cli, &err);
	if (grow(&tree, snapshot) < 0) {
		(void)pt_fail_memory(&err);
		status = cli_fail(cli, &err);
	} else {
		status = cli->is_json ? tree_print_json(&tree) : print_text(&tree);
	}
	free(tree.functions);
	free(tree.roots);
	return status;
}
