/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Resets of the fake machine, by the function's file and through VFIO. */
#include "kernel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

static void note_reset(const struct fake *fake, const struct function *function, const char *method)
{
	char path[TREE_PATH];

	tree_append(tree_path(fake, path, "fake/resets/%s", function->name), "%s\n", method);
}

/* The bridge above; false on a root bus. */
static bool find_parent(const struct fake *fake, const struct function *function,
			struct function *ret_parent)
{
	char dir[PATH_MAX], *base;

	(void)text_copy(dir, sizeof(dir), function->dir);
	*strrchr(dir, '/') = '\0';
	base = strrchr(dir, '/') + 1;
	return function_find(fake, base, ret_parent);
}

struct count {
	const struct function *function;
	size_t on_bus;
};

static void visit_count(const struct fake *fake, const struct function *function, void *context)
{
	struct count *count = context;

	(void)fake;
	if (function->address.domain == count->function->address.domain &&
	    function->address.bus == count->function->address.bus)
		count->on_bus++;
}

/* pci_parent_bus_reset() acts only for one who is alone on the bus below a bridge. */
static bool may_reset_bus(const struct fake *fake, const struct function *function)
{
	struct count count = {function, 0};
	struct function parent;

	if (function_is_bridge(function) || !find_parent(fake, function, &parent))
		return false;
	functions_visit(fake, "", visit_count, &count);
	return count.on_bus == 1;
}

static void damage_config(const struct fake *fake, const struct function *function, bool is_bar)
{
	unsigned char config[4096];
	char path[TREE_PATH];
	long n = tree_read_bytes(function_path(function, path, "config"), config, sizeof(config));

	if (n < 64)
		return;
	if (is_bar)
		memset(config + 0x10, 0, 4);
	else
		memset(config, 0xff, (size_t)n);
	tree_write_file(fake, path, config, (size_t)n, 0644);
}

/* What a fault leaves of the function after a reset that was done. */
static int finish(const struct fake *fake, const struct function *function, const char *method,
		  const char *what)
{
	note_reset(fake, function, method);
	if (!strcmp(what, "ffff"))
		damage_config(fake, function, false);
	else if (!strcmp(what, "change"))
		damage_config(fake, function, true);
	else if (!strncmp(what, "dead ", 5)) {
		damage_config(fake, function, false);
		return -fault_errno(what + 5);
	}
	return 0;
}

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);
	const char *p;

	for (p = strstr(list, word); p; p = strstr(p + 1, word))
		if ((p == list || p[-1] == ' ') && (!p[len] || p[len] == ' '))
			return true;
	return false;
}

static int reset_locked(const struct fake *fake, const struct function *function)
{
	char list[256], what[FAULT_SIZE], *method, *next;
	int r;

	if (!function_read(function, "reset_method", list, sizeof(list)) || !*list)
		return -ENOTTY;
	r = fault_strike(fake, function, "reset", what);
	if (r < 0 || !strcmp(what, "lie"))
		return r;
	for (method = strtok_r(list, " ", &next); method; method = strtok_r(NULL, " ", &next)) {
		bool is_bus = !strcmp(method, "bus") || !strcmp(method, "cxl_bus");

		if (is_bus && !may_reset_bus(fake, function))
			continue;
		return finish(fake, function, method, what);
	}
	return -ENOTTY;
}

/* A choice among the methods it had at first; "default" for these, nothing for none. */
int reset_set_methods(const struct fake *fake, const struct function *function, const char *text)
{
	char at_first[256], wanted[256], list[256] = "", path[TREE_PATH], *method, *next;
	size_t len;

	tree_path(fake, path, "fake/reset-methods/%s", function->name);
	if (!tree_read(path, at_first, sizeof(at_first))) {
		(void)function_read(function, "reset_method", at_first, sizeof(at_first));
		tree_write_text(fake, path, 0644, "%s\n", at_first);
	}
	(void)text_copy(wanted, sizeof(wanted), text);
	if (!strcmp(wanted, "default") || !strcmp(wanted, "default\n"))
		(void)text_copy(wanted, sizeof(wanted), at_first);
	for (method = strtok_r(wanted, " \n", &next); method;
	     method = strtok_r(NULL, " \n", &next)) {
		if (!has_word(at_first, method))
			return -EINVAL;
		len = strlen(list);
		(void)snprintf(list + len, sizeof(list) - len, "%s%s", len ? " " : "", method);
	}
	/* an empty list reads as nothing at all */
	tree_write_text(fake, function_path(function, path, "reset_method"), 0644, "%s%s", list,
			*list ? "\n" : "");
	return 0;
}

int reset_write(const struct fake *fake, const struct function *function, const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 0);
	int lock, r;

	if (end == text || (*end && strcmp(end, "\n") != 0) || value != 1)
		return -EINVAL;
	lock = device_lock(fake, function);
	r = reset_locked(fake, function);
	close(lock);
	return r;
}

/* ---- through VFIO ---- */

struct set {
	const struct function *function;
	struct pt_address members[64]; /* a helper's stack has no room for whole functions */
	size_t count;
};

/*
 * The functions on the bus and those below them; VFs on a virtual bus of their own
 * are below nobody.
 */
static void visit_member(const struct fake *fake, const struct function *function, void *context)
{
	struct set *set = context;
	struct function up = *function;

	while (up.address.bus != set->function->address.bus)
		if (!find_parent(fake, &up, &up) || up.address.domain != function->address.domain)
			return;
	/* a bridge's own bus number can come up on the way from elsewhere: same directory it is */
	if (strncmp(up.dir, set->function->dir,
		    (size_t)(strrchr(set->function->dir, '/') + 1 - set->function->dir)) != 0)
		return;
	if (set->count == sizeof(set->members) / sizeof(set->members[0]))
		tree_die("bus with too many functions");
	set->members[set->count++] = function->address;
}

static bool has_vfio_driver(const struct function *function)
{
	char driver[NAME_SIZE];

	return function_link(function, "driver", driver, sizeof(driver)) && strstr(driver, "vfio");
}

/* Members of the group that are on drivers doing their own DMA make it "not viable". */
static bool is_viable(const struct fake *fake, int group)
{
	char path[TREE_PATH], driver[NAME_SIZE];
	struct tree_names names =
		tree_list(tree_path(fake, path, "sys/kernel/iommu_groups/%d/devices", group));
	struct function member;
	bool is_viable = true;
	size_t i;

	for (i = 0; i < names.count; i++)
		if (function_find(fake, names.names[i], &member) &&
		    function_link(&member, "driver", driver, sizeof(driver)) &&
		    !strstr(driver, "vfio") && strcmp(driver, "pci-stub") != 0 &&
		    strcmp(driver, "pcieport") != 0)
			is_viable = false;
	tree_free_names(&names);
	return is_viable;
}

/* What opening the device through its group says. */
static int open_device(const struct fake *fake, const struct function *function)
{
	int group = function_group(function);
	char path[TREE_PATH];

	if (group < 0 || !tree_exists(tree_path(fake, path, "dev/vfio/%d", group)))
		return -ENOENT;
	if (tree_exists(tree_path(fake, path, "fake/open-groups/%d", group)))
		return -EBUSY;
	if (!is_viable(fake, group))
		return -EPERM;
	return has_vfio_driver(function) ? 0 : -ENODEV;
}

static int find_set(const struct fake *fake, const struct pt_address *address,
		    struct function *function, struct set *set)
{
	char text[PT_ADDRESS_TEXT];
	struct function parent;
	int r;

	if (!function_find(fake, pt_address_format(address, text), function))
		return -ENOENT;
	r = open_device(fake, function);
	if (r < 0)
		return r;
	if (!find_parent(fake, function, &parent))
		return -ENODEV;
	set->function = function;
	set->count = 0;
	functions_visit(fake, "", visit_member, set);
	return 0;
}

int reset_hot_info(const struct fake *fake, const struct pt_address *address,
		   struct pt_address *affected, size_t max, size_t *ret_count)
{
	struct function function;
	struct set set;
	size_t i;
	int r = find_set(fake, address, &function, &set);

	if (r == 0 && set.count > max)
		r = -E2BIG;
	for (i = 0; r == 0 && i < set.count; i++)
		affected[i] = set.members[i];
	if (r == 0)
		*ret_count = set.count;
	return r;
}

static void find_member(const struct fake *fake, const struct set *set, size_t i,
			struct function *ret_member)
{
	char text[PT_ADDRESS_TEXT];

	if (!function_find(fake, pt_address_format(&set->members[i], text), ret_member))
		tree_die("%s has gone", text);
}

static int reset_set(const struct fake *fake, const struct function *function,
		     const struct set *set)
{
	char what[FAULT_SIZE];
	struct function member;
	size_t i;
	int r;

	for (i = 0; i < set->count; i++) {
		find_member(fake, set, i, &member);
		r = open_device(fake, &member);
		if (r < 0)
			return r;
	}
	r = fault_strike(fake, function, "hot-reset", what);
	if (r < 0 || !strcmp(what, "lie"))
		return r;
	for (i = 0; i < set->count; i++) {
		bool is_asked = pt_address_compare(&set->members[i], &function->address) == 0;
		int failed;

		find_member(fake, set, i, &member);
		failed = finish(fake, &member, "vfio-hot", is_asked ? what : "");
		if (failed < 0)
			r = failed;
	}
	return r;
}

int reset_hot(const struct fake *fake, const struct pt_address *address)
{
	struct function function;
	struct set set;
	int r = find_set(fake, address, &function, &set);

	if (r == 0) {
		int lock = device_lock(fake, &function);

		r = reset_set(fake, &function, &set);
		close(lock);
	}
	return r;
}
