/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The door: which file is written, and what reacts. */
#include "fake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "kernel.h"

/* ---- writes ---- */

static int write_driver_file(const struct fake *fake, const char *rest, const char *text)
{
	char driver[NAME_SIZE];
	const char *file = strchr(rest, '/');

	if (!file || (size_t)(file - rest) >= sizeof(driver))
		return -EINVAL;
	memcpy(driver, rest, (size_t)(file - rest));
	driver[file - rest] = '\0';
	if (!strcmp(file, "/bind"))
		return driver_bind(fake, driver, text);
	if (!strcmp(file, "/unbind"))
		return driver_unbind(fake, driver, text);
	tree_die("writing %s is not part of the fake", rest);
}

static int write_bus_file(const struct fake *fake, const char *file, const char *path,
			  const char *text)
{
	if (!strcmp(file, "drivers_probe"))
		return driver_probe_any(fake, text);
	if (!strcmp(file, "drivers_autoprobe")) {
		tree_write_text(fake, path, 0644, "%d\n", *text != '0');
		return 0;
	}
	if (!strcmp(file, "rescan")) {
		if (atoi(text))
			functions_rescan(fake);
		return 0;
	}
	tree_die("writing %s is not part of the fake", path);
}

static int write_numvfs(const struct fake *fake, const struct function *function, const char *text)
{
	int lock = device_lock(fake, function);
	int r = function_set_vfs(fake, function, text);

	close(lock);
	return r;
}

/* kstrtoul(): all of it, but for one newline. */
static bool is_number(const char *text, unsigned long *ret_value)
{
	char *end;

	*ret_value = strtoul(text, &end, 0);
	return end != text && (!*end || !strcmp(end, "\n"));
}

static int write_remove(const struct fake *fake, const struct function *function, const char *text)
{
	char what[FAULT_SIZE];
	unsigned long value;
	int lock, r;

	if (!is_number(text, &value))
		return -EINVAL;
	if (!value)
		return 0;
	lock = device_lock(fake, function);
	r = fault_strike(fake, function, "remove", what);
	close(lock);
	if (r == 0 && strcmp(what, "lie") != 0)
		function_remove(fake, function);
	return r == -ENODEV ? 0 : r;
}

static int write_function_file(const struct fake *fake, const struct function *function,
			       const char *file, const char *data, size_t size, const char *text)
{
	char path[TREE_PATH];

	if (!strcmp(file, "driver_override"))
		return driver_override(fake, function, data, size);
	if (!strcmp(file, "reset"))
		return reset_write(fake, function, text);
	if (!strcmp(file, "reset_method"))
		return reset_set_methods(fake, function, text);
	if (!strcmp(file, "remove"))
		return write_remove(fake, function, text);
	if (!strcmp(file, "sriov_numvfs"))
		return write_numvfs(fake, function, text);
	if (!strcmp(file, "rescan")) {
		functions_rescan(fake);
		return 0;
	}
	/* settings that only keep what they are told: power/control … */
	tree_write_file(fake, function_path(function, path, file), data, size, 0644);
	return 0;
}

/* "EROFS" and the like for all of /sys: what a container sees. */
static int strike_all(const struct fake *fake)
{
	char path[TREE_PATH], what[FAULT_SIZE];

	if (!tree_read(tree_path(fake, path, "fake/faults/sys"), what, sizeof(what)))
		return 0;
	return -fault_errno(what);
}

/* drivers/base/bus.c: drivers_probe_store(); each interface here is one for usb-storage. */
static int write_usb_file(const struct fake *fake, const char *rest, const char *text)
{
	char path[TREE_PATH];

	if (strcmp(rest, "drivers_probe") != 0) {
		tree_write_text(fake, tree_path(fake, path, "sys/bus/usb/%s", rest), 0644, "%s",
				text);
		return 0;
	}
	if (access(tree_path(fake, path, "sys/bus/usb/devices/%s", text), F_OK) < 0)
		return -ENODEV;
	tree_path(fake, path, "sys/bus/usb/devices/%s/driver", text);
	return symlink("../../drivers/usb-storage", path) < 0 && errno != EEXIST ? -errno : 0;
}

static int fake_write(struct pt_host *host, const char *path, const char *data, size_t size)
{
	const struct fake *fake = host->ops_context;
	char link[TREE_PATH], real[PATH_MAX], text[256], *rest, *file, *slash;
	struct function function;
	struct stat st;
	int r;

	memory_forbid_in_helper();
	/* links are followed as open() does, "devices/ADDRESS/driver/unbind" among them */
	if (!realpath(tree_path(fake, link, "%s", path), real))
		return -errno;
	r = strike_all(fake);
	if (r < 0)
		return r;
	if (stat(real, &st) < 0)
		return -errno;
	if (!(st.st_mode & 0222))
		return -EACCES; /* sysfs refuses even root what has no store function */
	if (size == 0)
		return 0; /* never reaches the attribute */
	(void)snprintf(text, sizeof(text), "%.*s", (int)size, data);
	rest = real + strlen(fake->root) + 1;
	if (!strncmp(rest, "sys/bus/pci/drivers/", 20))
		return write_driver_file(fake, rest + 20, text);
	if (!strncmp(rest, "sys/bus/pci/", 12))
		return write_bus_file(fake, rest + 12, real, text);
	if (!strncmp(rest, "sys/bus/usb/", 12))
		return write_usb_file(fake, rest + 12, text);
	if (strncmp(rest, "sys/devices/", 12) != 0)
		tree_die("writing %s is not part of the fake", rest);
	/* DIRECTORY/0000:01:00.0/file or …/power/control: the last address is whose file it is */
	for (slash = strrchr(rest, '/'); slash; slash = strrchr(rest, '/')) {
		file = slash + 1;
		*slash = '\0';
		if (function_find(fake, strrchr(rest, '/') + 1, &function)) {
			char name[256];

			(void)text_copy(name, sizeof(name), path + strlen(path) - strlen(file));
			return write_function_file(fake, &function, name, data, size, text);
		}
	}
	return -ENODEV;
}

static int fake_load_module(struct pt_host *host, const char *name, char message[HOST_MESSAGE])
{
	memory_forbid_in_helper();
	return driver_load_module(host->ops_context, name, message);
}

static int fake_hot_reset_info(struct pt_host *host, const struct pt_address *address,
			       struct pt_address *affected, size_t max, size_t *ret_count)
{
	memory_forbid_in_helper();
	return reset_hot_info(host->ops_context, address, affected, max, ret_count);
}

static int fake_hot_reset(struct pt_host *host, const struct pt_address *address)
{
	memory_forbid_in_helper();
	return reset_hot(host->ops_context, address);
}

const struct host_ops fake_ops = {
	.write = fake_write,
	.load_module = fake_load_module,
	.hot_reset_info = fake_hot_reset_info,
	.hot_reset = fake_hot_reset,
};

/* ---- its life ---- */

/* An owner that is this process shall count as alive. */
static void link_self(const struct fake *fake)
{
	char target[64], path[TREE_PATH];

	(void)snprintf(target, sizeof(target), "/proc/%ld", (long)getpid());
	tree_path(fake, path, "proc/%ld", (long)getpid());
	if (symlink(target, path) < 0 && errno != EEXIST)
		tree_die("%s: %s", path, strerror(errno));
}

static struct fake *open_tree(const char *tree)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	char real[PATH_MAX];
	struct pt_error err;

	memory_watch();
	if (!fake || !realpath(tree, real) || !text_copy(fake->root, sizeof(fake->root), real))
		tree_die("%s: %s", tree, strerror(errno));
	if (pt_host_new(fake->root, &fake->host, &err) < 0)
		tree_die("%s", err.message);
	fake->host->ops = &fake_ops;
	fake->host->ops_context = fake;
	return fake;
}

struct fake *fake_open(const char *tree)
{
	struct fake *fake = open_tree(tree);

	link_self(fake);
	return fake;
}

static void materialise(const struct fake *fake, const char *recording)
{
	static const char *const directories[] = {
		"blocked",	 "children", "crashed",	    "drivers",	    "faults/module",
		"locks",	 "modules",  "open-groups", "open-devices", "removed",
		"reset-methods", "resets",   "tmp"};
	char path[TREE_PATH];
	size_t i;

	for (i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		tree_make_directories(tree_path(fake, path, "fake/%s", directories[i]));
	tree_write_text(fake, tree_path(fake, path, "fake/tree"), 0644, "%s", "");
	recording_materialise(fake, recording);
	link_self(fake);
}

struct fake *fake_new(const char *recording, const char *tree)
{
	char temporary[TREE_PATH];
	struct kept *kept;
	struct fake *fake;

	if (access(recording, R_OK) < 0)
		tree_die("%s: %s", recording, strerror(errno));
	if (tree) {
		if (mkdir(tree, 0755) < 0)
			tree_die("%s: %s", tree, strerror(errno));
		fake = open_tree(tree);
		materialise(fake, recording);
		return fake;
	}
	kept = reuse_take(recording, temporary);
	if (!kept)
		reuse_new_root(temporary);
	fake = open_tree(temporary);
	if (!kept) {
		materialise(fake, recording);
		kept = reuse_remember(recording, fake->root);
	}
	fake->kept = kept;
	return fake;
}

void fake_free(struct fake *fake)
{
	char path[TREE_PATH];

	if (!fake)
		return;
	pt_host_free(fake->host);
	if (fake->kept) {
		/* first of all the mark by which hanging processes know that it is over */
		(void)unlink(tree_path(fake, path, "fake/tree"));
		reuse_give(fake->kept);
	}
	free(fake);
}

const char *fake_root(const struct fake *fake)
{
	return fake->root;
}

struct pt_host *fake_host(struct fake *fake)
{
	return fake->host;
}

void fake_fault(struct fake *fake, const char *address, const char *operation, const char *what)
{
	char path[TREE_PATH];

	tree_make_directories(tree_path(fake, path, "fake/faults/%s", address));
	tree_path(fake, path, "fake/faults/%s/%s", address, operation);
	if (what)
		tree_write_text(fake, path, 0644, "%s\n", what);
	else
		(void)unlink(path);
}

void fake_fault_all(struct fake *fake, const char *what)
{
	char path[TREE_PATH];

	tree_path(fake, path, "fake/faults/sys");
	if (what)
		tree_write_text(fake, path, 0644, "%s\n", what);
	else
		(void)unlink(path);
}

void fake_unregister(struct fake *fake, const char *driver)
{
	driver_unregister(fake, driver);
}

/* The guest opens what of the group is on a VFIO driver by then. */
static void visit_open(const struct fake *tree, const struct function *function, void *context)
{
	char driver[NAME_SIZE], path[TREE_PATH];

	if (function_group(function) == *(const int *)context &&
	    function_link(function, "driver", driver, sizeof(driver)) && strstr(driver, "vfio"))
		tree_write_text(tree, tree_path(tree, path, "fake/open-devices/%s", function->name),
				0644, "open\n");
}

static void visit_close(const struct fake *tree, const struct function *function, void *context)
{
	char path[TREE_PATH];

	if (function_group(function) == *(const int *)context)
		(void)unlink(tree_path(tree, path, "fake/open-devices/%s", function->name));
}

void fake_open_group(struct fake *fake, int group, bool is_open)
{
	char path[TREE_PATH];

	functions_visit(fake, "", is_open ? visit_open : visit_close, &group);
	tree_path(fake, path, "fake/open-groups/%d", group);
	if (is_open)
		tree_write_text(fake, path, 0644, "open\n");
	else
		(void)unlink(path);
}

int fake_resets(struct fake *fake, const char *address, char *method)
{
	char path[TREE_PATH], text[4096], *line, *next;
	int count = 0;

	if (!tree_read(tree_path(fake, path, "fake/resets/%s", address), text, sizeof(text)))
		return 0;
	for (line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
		count++;
		if (method)
			(void)text_copy(method, 32, line);
	}
	return count;
}
