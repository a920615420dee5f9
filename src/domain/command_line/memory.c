/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* -m, the memory's backends, -numa. */
#include <stdio.h>
#include <string.h>

#include "domain/command_line/parts.h"
#include "base/text.h"
#include "domain/definition/units.h"

const char *line_memory_backend(const struct command_line *line)
{
	return node_find(line->root, "cpu/numa/cell") ? NULL : "pc.ram";
}

/* The host's nodes in @nodeset, as a list of numbers. */
static void memory_add_nodes(struct command_line *line, struct json_object *object,
			     const xmlNode *from)
{
	static const struct {
		const char *mode;
		const char *policy;
	} policies[] = {
		{"strict", "bind"}, {"preferred", "preferred"}, {"interleave", "interleave"}};
	const char *mode = node_attribute(from, "mode"), *nodeset = node_attribute(from, "nodeset");
	struct json_object *nodes;
	bool set[CPUSET_MAX];

	if (!from || !nodeset)
		return;
	if (cpuset_parse(nodeset, set) < 0)
		line_fail(line, EINVAL, from,
			  "domain/numatune/%s@nodeset '%s' is not a set of nodes",
			  (const char *)from->name, nodeset);
	nodes = json_object_new_array();
	for (unsigned int i = 0; nodes && i < CPUSET_MAX; i++)
		if (set[i])
			json_object_array_add(nodes, json_object_new_int((int)i));
	props_add(line, object, "host-nodes", nodes);
	for (size_t i = 0; i < 3; i++)
		if (strcmp(mode ? mode : "strict", policies[i].mode) == 0)
			props_add_text(line, object, "policy", policies[i].policy);
}

static const xmlNode *nodes_of_cell(const struct command_line *line, const char *id)
{
	const xmlNode *at = node_find(line->root, "numatune/memnode");

	for (; at && id; at = node_next(at, "memnode"))
		if (node_has(at, "cellid", id))
			return at;
	return node_find(line->root, "numatune/memory");
}

static void add_pages(struct command_line *line, struct json_object *object, const xmlNode *pages)
{
	const xmlNode *page = node_child(pages, "page");
	uint64_t size;

	props_add_bool(line, object, "hugetlb", true);
	if (!page)
		return;
	if (size_parse(node_attribute(page, "size"), node_attribute(page, "unit"), &size, NULL) < 0)
		line_fail(line, EINVAL, page,
			  "domain/memoryBacking/hugepages/page@size is not a size");
	else
		props_add_int(line, object, "hugetlbsize", size);
}

/* @cell: NULL for all of the memory. */
static const char *access_of(const struct command_line *line, const xmlNode *cell)
{
	const char *access = node_attribute(cell, "memAccess");

	return access ? access : node_get(line->root, "memoryBacking/access@mode");
}

bool line_memory_is_shared(const struct command_line *line)
{
	const xmlNode *cell = node_find(line->root, "cpu/numa/cell");

	if (!cell)
		return text_equal(access_of(line, NULL), "shared");
	while (cell && text_equal(access_of(line, cell), "shared"))
		cell = node_next(cell, "cell");
	return !cell;
}

/*
 * Huge pages by memfd: no mount point, and no file that QEMU's user would need a right to. They
 * are asked for at once (prealloc), or the guest would die of a missing one in the middle.
 */
static void add_backend(struct command_line *line, const char *id, uint64_t size,
			const xmlNode *cell)
{
	const xmlNode *backing = node_child(line->root, "memoryBacking");
	const xmlNode *pages = node_child(backing, "hugepages");
	const char *access = access_of(line, cell);
	/* what another process maps, too, has a descriptor */
	bool is_memfd =
		pages || node_says(backing, "source@type", "memfd") || text_equal(access, "shared");
	struct json_object *object = line_object(
		line, "qom-type", is_memfd ? "memory-backend-memfd" : "memory-backend-ram");

	props_add_text(line, object, "id", id);
	if (pages)
		add_pages(line, object, pages);
	/* QEMU's memfds are shared unless told otherwise; a guest's memory is private by default */
	if (is_memfd || access)
		props_add_bool(line, object, "share", text_equal(access, "shared"));
	if (pages || node_says(backing, "allocation@mode", "immediate"))
		props_add_bool(line, object, "prealloc", true);
	if (node_get(backing, "allocation@threads"))
		props_add_number_of(line, object, "prealloc-threads", backing,
				    "allocation@threads");
	props_add_int(line, object, "size", size);
	memory_add_nodes(line, object, nodes_of_cell(line, node_attribute(cell, "id")));
	line_put(line, LINE_OBJECT, object);
}

static void add_cell(struct command_line *line, const xmlNode *cell, uint64_t *sum)
{
	const char *id = node_attribute(cell, "id");
	struct option_text numa;
	bool cpus[CPUSET_MAX];
	char backend[32];
	uint64_t size;

	if (size_parse(node_attribute(cell, "memory"), node_attribute(cell, "unit"), &size, NULL) <
		    0 ||
	    cpuset_parse(node_attribute(cell, "cpus"), cpus) < 0) {
		line_fail(line, EINVAL, cell,
			  "domain/cpu/numa/cell: its memory or cpus are invalid");
		return;
	}
	*sum += size;
	(void)text_format(backend, sizeof(backend), "ram-node%s", id);
	add_backend(line, backend, size, cell);
	option_begin(&numa, line, "node");
	option_add(&numa, "nodeid", id);
	for (unsigned int first = 0, last; first < CPUSET_MAX; first = last + 1) {
		char range[32];

		for (last = first; cpus[first] && last + 1 < CPUSET_MAX && cpus[last + 1];)
			last++;
		if (!cpus[first])
			continue;
		(void)text_format(range, sizeof(range), first == last ? "%u" : "%u-%u", first,
				  last);
		option_add(&numa, "cpus", range);
	}
	option_add(&numa, "memdev", backend);
	option_end(&numa, "-numa");
}

void line_memory(struct command_line *line)
{
	const xmlNode *cell = node_find(line->root, "cpu/numa/cell");
	uint64_t size = definition_memory(line->live), sum = 0;

	line_add_value(line, "-m", "size=%lluk", (unsigned long long)(size / 1024));
	line_add_value(line, "-overcommit", "mem-lock=%s",
		       definition_memory_is_locked(line->live) ? "on" : "off");
	if (!cell) {
		add_backend(line, "pc.ram", size, NULL);
		return;
	}
	for (const xmlNode *at = cell; at; at = node_next(at, "cell"))
		add_cell(line, at, &sum);
	if (sum != size)
		line_fail(line, EINVAL, cell,
			  "domain/cpu/numa: the cells have %llu KiB of memory in total, but "
			  "domain/memory is %llu KiB",
			  (unsigned long long)(sum / 1024), (unsigned long long)(size / 1024));
}
