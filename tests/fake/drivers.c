/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Drivers of the fake machine: matching, binding, driver_override, modules. */
#include "kernel.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

static bool is_vfio(const char *driver)
{
	return strstr(driver, "vfio") != NULL;
}

bool driver_is_registered(const struct fake *fake, const char *driver)
{
	char path[TREE_PATH];

	return tree_exists(tree_path(fake, path, "sys/bus/pci/drivers/%s", driver));
}

/* Does a line of the file @path equal @word, or match it as a pattern? */
static bool file_has_line(const char *path, const char *word, bool is_pattern)
{
	char text[8192], *line, *next;

	if (!tree_read(path, text, sizeof(text)))
		return false;
	for (line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next))
		if (is_pattern ? fnmatch(line, word, 0) == 0 : strcmp(line, word) == 0)
			return true;
	return false;
}

static bool has_line(const struct fake *fake, const char *driver, const char *word, bool is_pattern)
{
	char path[TREE_PATH];

	return file_has_line(tree_path(fake, path, "fake/drivers/%s", driver), word, is_pattern);
}

/* Ids added to a driver (ids=, new_id). */
static bool has_dynamic_id(const struct fake *fake, const struct function *function,
			   const char *driver)
{
	char path[TREE_PATH], modalias[256];

	return function_read(function, "modalias", modalias, sizeof(modalias)) &&
	       file_has_line(tree_path(fake, path, "fake/ids/%s", driver), modalias, true);
}

bool driver_has_flag(const struct fake *fake, const char *driver, const char *flag)
{
	return has_line(fake, driver, flag, false);
}

/* The driver_override, also while its readers are kept waiting; "" for none. */
static void read_override(const struct fake *fake, const struct function *function,
			  char override[NAME_SIZE])
{
	char path[TREE_PATH];

	tree_path(fake, path, "fake/blocked/%s.driver_override", function->name);
	if (!tree_exists(path))
		function_path(function, path, "driver_override");
	if (!tree_read(path, override, NAME_SIZE) || !strcmp(override, "(null)"))
		*override = '\0';
}

/* pci_match_device(): an override names the only driver, and that one takes anything. */
static bool is_match(const struct fake *fake, const struct function *function, const char *driver)
{
	char override[NAME_SIZE], modalias[256];

	read_override(fake, function, override);
	if (*override)
		return !strcmp(override, driver);
	if (has_dynamic_id(fake, function, driver))
		return true;
	if (driver_has_flag(fake, driver, "override-only"))
		return false;
	return function_read(function, "modalias", modalias, sizeof(modalias)) &&
	       has_line(fake, driver, modalias, true);
}

/* ---- what hangs on the driver link ---- */

static void write_uevent(const struct fake *fake, const struct function *function,
			 const char *driver)
{
	char path[TREE_PATH], text[4096], out[4096] = "", *line, *next;
	size_t len = 0;

	if (!tree_read(function_path(function, path, "uevent"), text, sizeof(text)))
		return;
	if (*driver)
		len += (size_t)snprintf(out, sizeof(out), "DRIVER=%s\n", driver);
	for (line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next))
		if (strncmp(line, "DRIVER=", 7) != 0)
			len += (size_t)snprintf(out + len, sizeof(out) - len, "%s\n", line);
	tree_write_file(fake, path, out, len, 0644);
}

/* /dev/vfio/N is there while any function of the group is on a VFIO driver. */
static void update_group_file(const struct fake *fake, int group)
{
	char path[TREE_PATH], driver[NAME_SIZE];
	struct tree_names names =
		tree_list(tree_path(fake, path, "sys/kernel/iommu_groups/%d/devices", group));
	struct function function;
	bool has_vfio = false;
	size_t i;

	for (i = 0; i < names.count; i++)
		if (function_find(fake, names.names[i], &function) &&
		    function_link(&function, "driver", driver, sizeof(driver)) && is_vfio(driver))
			has_vfio = true;
	tree_free_names(&names);
	tree_path(fake, path, "dev/vfio/%d", group);
	if (has_vfio && !tree_exists(path))
		tree_write_text(fake, path, 0600, "%s", "");
	else if (!has_vfio)
		(void)unlink(path);
}

static const char *const classes[] = {"net", "block"};

/* Links below sys/class to the driver's devices: remembered in @store and taken away. */
static void hide_class_links(const struct fake *fake, const struct function *function,
			     const char *store)
{
	char path[TREE_PATH], target[TREE_PATH], below[PT_ADDRESS_TEXT + 2];
	struct tree_names names;
	size_t i, j;
	ssize_t n;

	(void)snprintf(below, sizeof(below), "/%s/", function->name);
	for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		names = tree_list(tree_path(fake, path, "sys/class/%s", classes[i]));
		for (j = 0; j < names.count; j++) {
			tree_path(fake, path, "sys/class/%s/%s", classes[i], names.names[j]);
			n = readlink(path, target, sizeof(target) - 1);
			if (n < 0)
				continue;
			target[n] = '\0';
			if (!strstr(target, below))
				continue;
			tree_append(store, "%s %s\n", path, target);
			(void)unlink(path);
		}
		tree_free_names(&names);
	}
}

static void show_class_links(const char *store)
{
	char text[8192], *line, *next, *space;

	if (!tree_read(store, text, sizeof(text)))
		return;
	for (line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
		space = strrchr(line, ' ');
		*space = '\0';
		if (symlink(space + 1, line) < 0 && errno != EEXIST)
			tree_die("%s: %s", line, strerror(errno));
	}
	(void)unlink(store);
}

/* What a driver registers below its function (net, nvme, vfio-dev …) is kept for its return. */
static void move_children(const struct fake *fake, const struct function *function,
			  const char *driver, bool is_return)
{
	static const char *const not_the_drivers[] = {"power", "link", "msi_irqs", "iommu",
						      "wakeup"};
	char store[TREE_PATH], from[TREE_PATH], to[TREE_PATH];
	struct pt_address address;
	struct tree_names names;
	size_t i, j;

	tree_path(fake, store, "fake/children/%s/%s", function->name, driver);
	if (!is_return)
		tree_make_directories(store);
	names = tree_list(is_return ? store : function->dir);
	for (i = 0; i < names.count; i++) {
		const char *name = names.names[i];

		for (j = 0; j < sizeof(not_the_drivers) / sizeof(*not_the_drivers); j++)
			if (!strcmp(name, not_the_drivers[j]))
				break;
		function_path(function, from, name);
		/* a directory that is neither the function's own nor a function below a bridge */
		if (j < sizeof(not_the_drivers) / sizeof(*not_the_drivers) ||
		    pt_address_parse(name, &address, NULL) == 0 || strchr(name, ':'))
			continue;
		if (text_format(to, sizeof(to), "%s/%s", store, name) < 0)
			tree_die("path too long");
		if (is_return)
			(void)rename(to, from);
		else if (tree_is_directory(from))
			(void)rename(from, to);
	}
	tree_free_names(&names);
	tree_path(fake, store, "fake/children/%s/%s.links", function->name, driver);
	if (is_return)
		show_class_links(store);
	else
		hide_class_links(fake, function, store);
}

static void add_vfio_device(const struct fake *fake, const struct function *function)
{
	char path[TREE_PATH], name[64], counter[16] = "0";
	int lock = tree_lock(fake, "vfio-devices");

	tree_path(fake, path, "fake/vfio-devices");
	(void)tree_read(path, counter, sizeof(counter));
	tree_write_text(fake, path, 0600, "%d\n", atoi(counter) + 1);
	close(lock);
	(void)snprintf(name, sizeof(name), "vfio-dev/vfio%d", atoi(counter));
	tree_make_directories(function_path(function, path, name));
}

/*
 * dev->driver of the kernel: the uevent file tells it. It is set before the links come and
 * cleared after they went and the driver's code has run.
 */
static bool current_driver(const struct function *function, char driver[NAME_SIZE])
{
	char text[4096], *line, *next;

	if (!function_read(function, "uevent", text, sizeof(text)))
		return false;
	for (line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next))
		if (!strncmp(line, "DRIVER=", 7))
			return text_copy(driver, NAME_SIZE, line + 7);
	return false;
}

/* First step of a bind: all can see the driver, which has yet to say yes. */
static void show_driver(const struct fake *fake, const struct function *function,
			const char *driver)
{
	char path[TREE_PATH], target[TREE_PATH];

	write_uevent(fake, function, driver);
	tree_path(fake, target, "sys/bus/pci/drivers/%s", driver);
	tree_path(fake, path, "sys/bus/pci/drivers/%s/%s", driver, function->name);
	tree_link(fake, path, function->dir);
	tree_link(fake, function_path(function, path, "driver"), target);
}

/* First step of an unbind: the links go, before the driver is called. */
static void hide_driver(const struct fake *fake, const struct function *function,
			const char *driver)
{
	char path[TREE_PATH];

	(void)unlink(tree_path(fake, path, "sys/bus/pci/drivers/%s/%s", driver, function->name));
	(void)unlink(function_path(function, path, "driver"));
}

static void finish_bind(const struct fake *fake, const struct function *function,
			const char *driver)
{
	int group = function_group(function);

	if (is_vfio(driver))
		add_vfio_device(fake, function);
	else
		move_children(fake, function, driver, true);
	if (group >= 0)
		update_group_file(fake, group);
}

static void finish_unbind(const struct fake *fake, const struct function *function,
			  const char *driver)
{
	int group = function_group(function);
	char path[TREE_PATH];

	if (is_vfio(driver))
		tree_remove(function_path(function, path, "vfio-dev"));
	else
		move_children(fake, function, driver, false);
	write_uevent(fake, function, "");
	if (group >= 0)
		update_group_file(fake, group);
}

/* ---- probe functions of drivers ---- */

static bool is_group_open(const struct fake *fake, int group)
{
	char path[TREE_PATH];

	return group >= 0 && tree_exists(tree_path(fake, path, "fake/open-groups/%d", group));
}

/* vfio-pci's own reasons to refuse, in its order. */
static int probe_vfio(const struct function *function)
{
	char text[32];

	if (function_is_bridge(function))
		return -EINVAL;
	if (function_read(function, "sriov_numvfs", text, sizeof(text)) && atoi(text) > 0)
		return -EBUSY;
	return function_group(function) < 0 ? -EINVAL : 0;
}

/* An override brings any function to a driver, but a real driver declines what isn't its kind. */
static bool knows(const struct fake *fake, const struct function *function, const char *driver)
{
	char modalias[256];

	return !strcmp(driver, "pci-stub") ||
	       (function_read(function, "modalias", modalias, sizeof(modalias)) &&
		has_line(fake, driver, modalias, true));
}

/* A VF whose PF says so is left alone by drivers, unless an override names one. */
static bool may_probe(const struct fake *fake, const struct function *function)
{
	char override[NAME_SIZE], text[16];

	if (!function_read(function, "physfn/sriov_drivers_autoprobe", text, sizeof(text)) ||
	    *text != '0')
		return true;
	read_override(fake, function, override);
	return *override != '\0';
}

/* What the driver's probe function says. */
static int probe(const struct fake *fake, const struct function *function, const char *driver)
{
	char what[FAULT_SIZE];
	int r = fault_strike(fake, function, "probe", what);

	if (r < 0)
		return r;
	if (!strncmp(what, "refuse", 6))
		return what[6] ? -fault_errno(what + 7) : -ENODEV;
	/* the write succeeds and nothing is bound, as when the next driver would be asked */
	if (!strcmp(what, "lie"))
		return 1;
	if (is_vfio(driver))
		return probe_vfio(function);
	return knows(fake, function, driver) ? 0 : -ENODEV;
}

/* The group's DMA belongs to a guest: the search for a driver stops at that. No errno. */
#define ATTACH_OWNED 1

/* Bind; the lock is held, and the driver matches. */
static int attach(const struct fake *fake, const struct function *function, const char *driver)
{
	char before[NAME_SIZE];
	int r;

	if (current_driver(function, before))
		return -EBUSY;
	/* a driver that does its own DMA can't have it while a guest has the group */
	if (!is_vfio(driver) && is_group_open(fake, function_group(function)))
		return ATTACH_OWNED;
	if (!may_probe(fake, function))
		return -ENODEV;
	show_driver(fake, function, driver);
	r = probe(fake, function, driver);
	if (r == 0) {
		finish_bind(fake, function, driver);
		return 0;
	}
	/* unless it left meanwhile */
	if (tree_exists(function->dir)) {
		hide_driver(fake, function, driver);
		write_uevent(fake, function, "");
	}
	return r < 0 ? r : 0;
}

int driver_attach_any(const struct fake *fake, const struct function *function)
{
	char path[TREE_PATH];
	struct tree_names names = tree_list(tree_path(fake, path, "sys/bus/pci/drivers"));
	int r = -ENODEV;
	size_t i;

	/*
	 * What a driver's probe returns does not matter here: the next one is tried. The kernel
	 * tries them in the order of their registration, and what has ids= is loaded early.
	 */
	for (i = 0; i < 2 * names.count && r != 0 && r != ATTACH_OWNED; i++) {
		const char *name = names.names[i % names.count];

		if (has_dynamic_id(fake, function, name) == (i < names.count) &&
		    is_match(fake, function, name))
			r = attach(fake, function, name);
	}
	tree_free_names(&names);
	return r == ATTACH_OWNED ? -EBUSY : 0;
}

void driver_detach(const struct fake *fake, const struct function *function)
{
	char driver[NAME_SIZE], path[TREE_PATH];

	if (!current_driver(function, driver))
		return;
	hide_driver(fake, function, driver);
	/* VFIO waits for its user */
	tree_path(fake, path, "fake/open-devices/%s", function->name);
	device_hang(fake, function, path, "open");
	if (driver_has_flag(fake, driver, "drops-vfs"))
		function_drop_vfs(fake, function);
	finish_unbind(fake, function, driver);
}

/* ---- the files bind, unbind, drivers_probe ---- */

int driver_bind(const struct fake *fake, const char *driver, const char *name)
{
	struct function function;
	int lock, r;

	if (!function_find(fake, name, &function) || !is_match(fake, &function, driver))
		return -ENODEV;
	lock = device_lock(fake, &function);
	r = attach(fake, &function, driver);
	close(lock);
	return r == ATTACH_OWNED ? -EBUSY : r;
}

/* How an unbind goes; the lock is held. */
static int unbind(const struct fake *fake, const struct function *function, const char *driver)
{
	char what[FAULT_SIZE];
	int r;

	/* a driver that takes its time takes it with its links gone already */
	if (fault_is_slow(fake, function, "unbind"))
		hide_driver(fake, function, driver);
	r = fault_strike(fake, function, "unbind", what);
	if (r < 0 || !strcmp(what, "lie"))
		return r;
	driver_detach(fake, function);
	if (!strncmp(what, "steal ", 6)) {
		show_driver(fake, function, what + 6);
		finish_bind(fake, function, what + 6);
	}
	return 0;
}

int driver_unbind(const struct fake *fake, const char *driver, const char *name)
{
	struct function function;
	char now[NAME_SIZE];
	int lock, r = 0;

	/* the kernel compares before it takes the lock, and again under it */
	if (!function_find(fake, name, &function) || !current_driver(&function, now) ||
	    strcmp(now, driver) != 0)
		return -ENODEV;
	lock = device_lock(fake, &function);
	if (current_driver(&function, now) && !strcmp(now, driver))
		r = unbind(fake, &function, driver);
	close(lock);
	return r;
}

int driver_probe_any(const struct fake *fake, const char *name)
{
	struct function function;
	char driver[NAME_SIZE];
	int lock, r;

	if (!function_find(fake, name, &function))
		return -ENODEV;
	if (current_driver(&function, driver))
		return 0;
	lock = device_lock(fake, &function);
	r = driver_attach_any(fake, &function);
	close(lock);
	/* drivers_probe has one errno for all that goes wrong */
	return r < 0 ? -EINVAL : 0;
}

/* ---- modules ---- */

static void bind_all(const struct fake *fake, const char *driver)
{
	char path[TREE_PATH], now[NAME_SIZE];
	struct tree_names names = tree_list(tree_path(fake, path, "sys/bus/pci/devices"));
	struct function function;
	size_t i;

	for (i = 0; i < names.count; i++) {
		int lock;

		if (!function_find(fake, names.names[i], &function) ||
		    current_driver(&function, now) || !is_match(fake, &function, driver))
			continue;
		lock = device_lock(fake, &function);
		(void)attach(fake, &function, driver);
		close(lock);
	}
	tree_free_names(&names);
}

static void link_module(const struct fake *fake, const char *driver, const char *module)
{
	char path[TREE_PATH], target[TREE_PATH];

	tree_make_directories(tree_path(fake, path, "sys/module/%s/drivers", module));
	tree_path(fake, path, "sys/module/%s/drivers/pci:%s", module, driver);
	tree_link(fake, path, tree_path(fake, target, "sys/bus/pci/drivers/%s", driver));
	tree_path(fake, path, "sys/bus/pci/drivers/%s/module", driver);
	tree_link(fake, path, tree_path(fake, target, "sys/module/%s", module));
	tree_path(fake, path, "sys/module/%s/initstate", module);
	tree_write_text(fake, path, 0444, "live\n");
}

void driver_register(const struct fake *fake, const char *driver, const char *module)
{
	static const char *const files[] = {"bind", "unbind", "new_id", "remove_id", "uevent"};
	char path[TREE_PATH], text[16];
	size_t i;

	tree_make_directories(tree_path(fake, path, "sys/bus/pci/drivers/%s", driver));
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		tree_path(fake, path, "sys/bus/pci/drivers/%s/%s", driver, files[i]);
		tree_write_text(fake, path, 0200, "%s", "");
	}
	if (module)
		link_module(fake, driver, module);
	if (is_vfio(driver)) {
		tree_make_directories(tree_path(fake, path, "dev/vfio"));
		tree_write_text(fake, tree_path(fake, path, "dev/vfio/vfio"), 0666, "%s", "");
	}
	tree_path(fake, path, "sys/bus/pci/drivers_autoprobe");
	if (tree_read(path, text, sizeof(text)) && *text == '1')
		bind_all(fake, driver);
}

void driver_unregister(const struct fake *fake, const char *driver)
{
	char path[TREE_PATH], module[NAME_SIZE];

	tree_path(fake, path, "sys/bus/pci/drivers/%s/module", driver);
	if (tree_read_link(path, module, sizeof(module)))
		tree_remove(tree_path(fake, path, "sys/module/%s", module));
	tree_remove(tree_path(fake, path, "sys/bus/pci/drivers/%s", driver));
	if (is_vfio(driver))
		tree_remove(tree_path(fake, path, "dev/vfio"));
}

/* Module names are the same with '-' and '_'. */
static void module_path(const struct fake *fake, char path[TREE_PATH], const char *module)
{
	char *p;

	tree_path(fake, path, "fake/modules/%s", module);
	for (p = strrchr(path, '/'); *p; p++)
		if (*p == '-')
			*p = '_';
}

void driver_add_module(const struct fake *fake, const char *module, const char *driver)
{
	char path[TREE_PATH];

	module_path(fake, path, module);
	tree_append(path, "%s\n", driver);
}

int driver_load_module(const struct fake *fake, const char *module, char message[HOST_MESSAGE])
{
	char path[TREE_PATH], text[1024], what[FAULT_SIZE], *line, *next;

	*message = '\0';
	tree_path(fake, path, "fake/faults/module/%s", module);
	while (tree_read(path, what, sizeof(what)) && !strcmp(what, "hang"))
		fault_wait(fake);
	if (tree_read(path, what, sizeof(what)))
		return -fault_errno(what);
	module_path(fake, path, module);
	if (!tree_read(path, text, sizeof(text)))
		return -ENOENT;
	for (line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next))
		if (!driver_is_registered(fake, line))
			driver_register(fake, line, strrchr(path, '/') + 1);
	return 0;
}
