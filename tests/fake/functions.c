/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PCI functions of the fake machine: finding, removing, discovering, SR-IOV. */
#include "kernel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

bool function_find(const struct fake *fake, const char *name, struct function *ret_function)
{
	struct function function = {.name = ""};
	char path[TREE_PATH];
	size_t len = strlen(name);

	if (len && name[len - 1] == '\n')
		len--;
	if (len == 0 || len >= sizeof(function.name) || memchr(name, '/', len))
		return false;
	memcpy(function.name, name, len);
	function.name[len] = '\0';
	/* names are compared as they are: upper case is another name */
	tree_path(fake, path, "sys/bus/pci/devices/%s", function.name);
	if (pt_address_parse(function.name, &function.address, NULL) < 0 ||
	    !realpath(path, function.dir))
		return false;
	*ret_function = function;
	return true;
}

char *function_path(const struct function *function, char path[TREE_PATH], const char *name)
{
	if (text_format(path, TREE_PATH, "%s/%s", function->dir, name) < 0)
		tree_die("path too long: %s", function->dir);
	return path;
}

bool function_read(const struct function *function, const char *name, char *text, size_t size)
{
	char path[TREE_PATH];

	return tree_read(function_path(function, path, name), text, size);
}

bool function_link(const struct function *function, const char *name, char *target, size_t size)
{
	char path[TREE_PATH];

	return tree_read_link(function_path(function, path, name), target, size);
}

int function_group(const struct function *function)
{
	char number[16];

	return function_link(function, "iommu_group", number, sizeof(number)) ? atoi(number) : -1;
}

bool function_is_bridge(const struct function *function)
{
	unsigned char header[16];
	char path[TREE_PATH];

	return tree_read_bytes(function_path(function, path, "config"), header, sizeof(header)) ==
		       (long)sizeof(header) &&
	       (header[0x0e] & 0x7f) != 0;
}

void functions_visit(const struct fake *fake, const char *dir,
		     void (*visit)(const struct fake *fake, const struct function *function,
				   void *context),
		     void *context)
{
	char path[TREE_PATH];
	struct tree_names names = tree_list(tree_path(fake, path, "sys/bus/pci/devices"));
	struct function function;
	size_t i, len = strlen(dir);

	for (i = 0; i < names.count; i++)
		if (function_find(fake, names.names[i], &function) &&
		    (!len || (!strncmp(function.dir, dir, len) && function.dir[len] == '/')))
			visit(fake, &function, context);
	tree_free_names(&names);
}

/* ---- links of a function to the rest of sysfs ---- */

static void connect_function(const struct fake *fake, const char *dir, int group)
{
	const char *name = strrchr(dir, '/') + 1;
	char path[TREE_PATH], target[TREE_PATH];

	tree_link(fake, tree_path(fake, path, "sys/bus/pci/devices/%s", name), dir);
	if (group < 0)
		return;
	tree_path(fake, target, "sys/kernel/iommu_groups/%d", group);
	tree_path(fake, path, "sys/kernel/iommu_groups/%d/devices", group);
	tree_make_directories(path);
	tree_link(fake, tree_path(fake, path, "sys/kernel/iommu_groups/%d/devices/%s", group, name),
		  dir);
	if (text_format(path, sizeof(path), "%s/iommu_group", dir) < 0)
		tree_die("path too long");
	tree_link(fake, path, target);
}

static void disconnect_function(const struct fake *fake, const struct function *function,
				bool is_locked)
{
	int group = function_group(function);
	char path[TREE_PATH];

	/* first of all it leaves the bus; only then its driver is told */
	(void)unlink(tree_path(fake, path, "sys/bus/pci/devices/%s", function->name));
	if (is_locked) {
		driver_detach(fake, function);
	} else {
		int lock = device_lock(fake, function);

		driver_detach(fake, function);
		close(lock);
	}
	if (group < 0)
		return;
	(void)unlink(tree_path(fake, path, "sys/kernel/iommu_groups/%d/devices/%s", group,
			       function->name));
	if (tree_is_empty(tree_path(fake, path, "sys/kernel/iommu_groups/%d/devices", group)))
		tree_remove(tree_path(fake, path, "sys/kernel/iommu_groups/%d", group));
}

/* ---- remove and rescan ---- */

static void visit_disconnect(const struct fake *fake, const struct function *function,
			     void *context)
{
	(void)context;
	function_drop_vfs(fake, function);
	disconnect_function(fake, function, false);
}

static void disconnect_all(const struct fake *fake, const struct function *function, bool is_locked)
{
	function_drop_vfs(fake, function);
	functions_visit(fake, function->dir, visit_disconnect, NULL);
	disconnect_function(fake, function, is_locked);
}

void function_vanish(const struct fake *fake, const struct function *function)
{
	disconnect_all(fake, function, true);
	tree_remove(function->dir);
}

void function_remove(const struct fake *fake, const struct function *function)
{
	char path[TREE_PATH], flat[TREE_PATH], *p;

	disconnect_all(fake, function, false);
	/* what comes back is a new device: nobody's override */
	(void)text_copy(flat, sizeof(flat), function->dir + strlen(fake->root) + 1);
	for (p = flat; *p; p++)
		if (*p == '/')
			*p = '!';
	tree_path(fake, path, "fake/removed/%s", flat);
	tree_remove(path);
	if (rename(function->dir, path) < 0)
		tree_die("remove %s: %s", function->dir, strerror(errno));
}

/* The function in @dir, and those below it, as discovered anew. */
static void discover(const struct fake *fake, const char *dir)
{
	struct tree_names names = tree_list(dir);
	struct function function;
	struct pt_address address;
	char path[TREE_PATH], number[16];
	size_t i;

	if (text_format(path, sizeof(path), "%s/iommu_group", dir) < 0)
		tree_die("path too long");
	connect_function(fake, dir,
			 tree_read_link(path, number, sizeof(number)) ? atoi(number) : -1);
	if (function_find(fake, strrchr(dir, '/') + 1, &function)) {
		function_path(&function, path, "driver_override");
		if (tree_exists(path))
			tree_write_text(fake, path, 0644, "(null)\n");
		tree_path(fake, path, "sys/bus/pci/drivers_autoprobe");
		if (tree_read(path, number, sizeof(number)) && *number == '1') {
			int lock = device_lock(fake, &function);

			(void)driver_attach_any(fake, &function);
			close(lock);
		}
	}
	for (i = 0; i < names.count; i++) {
		if (pt_address_parse(names.names[i], &address, NULL) < 0)
			continue;
		if (text_format(path, sizeof(path), "%s/%s", dir, names.names[i]) < 0)
			tree_die("path too long");
		discover(fake, path);
	}
	tree_free_names(&names);
}

void functions_rescan(const struct fake *fake)
{
	char path[TREE_PATH], dir[TREE_PATH], flat[TREE_PATH], *p;
	struct tree_names names = tree_list(tree_path(fake, path, "fake/removed"));
	size_t i;

	for (i = 0; i < names.count; i++) {
		(void)text_copy(flat, sizeof(flat), names.names[i]);
		for (p = flat; *p; p++)
			if (*p == '!')
				*p = '/';
		tree_path(fake, path, "fake/removed/%s", names.names[i]);
		tree_path(fake, dir, "%s", flat);
		/* its bridge may be gone itself */
		if (rename(path, dir) == 0)
			discover(fake, dir);
	}
	tree_free_names(&names);
}

/* ---- SR-IOV ---- */

static unsigned int read_in_base(const struct function *function, const char *name, int base)
{
	char text[32];

	return function_read(function, name, text, sizeof(text))
		       ? (unsigned int)strtoul(text, NULL, base)
		       : 0;
}

static unsigned int read_number(const struct function *function, const char *name)
{
	return read_in_base(function, name, 0);
}

static void write_number(const struct fake *fake, const struct function *function, unsigned int n)
{
	char path[TREE_PATH];

	tree_write_text(fake, function_path(function, path, "sriov_numvfs"), 0644, "%u\n", n);
}

static int free_group(const struct fake *fake)
{
	char path[TREE_PATH];
	int n = 0;

	while (tree_exists(tree_path(fake, path, "sys/kernel/iommu_groups/%d", n)))
		n++;
	return n;
}

static void copy_attribute(const struct fake *fake, const struct function *from, const char *dir,
			   const char *name)
{
	char text[4096], path[TREE_PATH];

	if (!function_read(from, name, text, sizeof(text)))
		return;
	if (text_format(path, sizeof(path), "%s/%s", dir, name) < 0)
		tree_die("path too long");
	tree_write_text(fake, path, 0444, "%s\n", text);
}

static void write_attribute(const struct fake *fake, const char *dir, const char *name,
			    unsigned int mode, const char *text)
{
	char path[TREE_PATH];

	if (text_format(path, sizeof(path), "%s/%s", dir, name) < 0)
		tree_die("path too long");
	tree_write_text(fake, path, mode, "%s\n", text);
}

/* Identity and configuration space of a VF: ids ffff in the latter (PCIe 9.3.4.1.1). */
static void fill_vf(const struct fake *fake, const struct function *pf, const char *dir,
		    const char *name)
{
	static const char *const same[] = {
		"vendor",	    "class",	 "revision",   "subsystem_vendor",
		"subsystem_device", "numa_node", "local_cpus", "local_cpulist"};
	unsigned int device = read_in_base(pf, "sriov_vf_device", 16);
	unsigned int vendor = read_number(pf, "vendor"), class = read_number(pf, "class");
	unsigned int sub_vendor = read_number(pf, "subsystem_vendor");
	unsigned int sub_device = read_number(pf, "subsystem_device");
	unsigned char config[4096] = {0xff, 0xff, 0xff, 0xff};
	char path[TREE_PATH], text[512];
	size_t i;

	for (i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		copy_attribute(fake, pf, dir, same[i]);
	(void)snprintf(text, sizeof(text), "0x%04x", device);
	write_attribute(fake, dir, "device", 0444, text);
	(void)snprintf(text, sizeof(text), "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X", vendor,
		       device, sub_vendor, sub_device, class >> 16, class >> 8 & 0xff,
		       class & 0xff);
	write_attribute(fake, dir, "modalias", 0444, text);
	if (text_format(path, sizeof(path), "%s/uevent", dir) < 0)
		tree_die("path too long");
	tree_write_text(fake, path, 0644,
			"PCI_CLASS=%X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\n"
			"PCI_SLOT_NAME=%s\nMODALIAS=%s\n",
			class, vendor, device, sub_vendor, sub_device, name, text);
	write_attribute(fake, dir, "driver_override", 0644, "(null)");
	write_attribute(fake, dir, "reset", 0200, "");
	write_attribute(fake, dir, "reset_method", 0644, "flr");
	write_attribute(fake, dir, "remove", 0220, "");
	write_attribute(fake, dir, "rescan", 0220, "");
	write_attribute(fake, dir, "irq", 0444, "0");
	for (i = 0; i < 3; i++)
		config[9 + i] = (unsigned char)(class >> (8 * i));
	if (text_format(path, sizeof(path), "%s/config", dir) < 0)
		tree_die("path too long");
	tree_write_file(fake, path, config, sizeof(config), 0644);
}

static void add_vf(const struct fake *fake, const struct function *pf, unsigned int index)
{
	unsigned int offset = read_number(pf, "sriov_offset");
	unsigned int stride = read_number(pf, "sriov_stride");
	unsigned int devfn =
		pf->address.device * 8U + pf->address.function + offset + index * stride;
	struct pt_address address = {.domain = pf->address.domain,
				     .bus = (uint8_t)(pf->address.bus + devfn / 256),
				     .device = (uint8_t)(devfn % 256 / 8),
				     .function = (uint8_t)(devfn % 8)};
	char dir[TREE_PATH], path[TREE_PATH], text[PT_ADDRESS_TEXT], link[32];
	struct function vf;
	int lock;

	pt_address_format(&address, text);
	if (text_format(dir, sizeof(dir), "%.*s/%s", (int)(strrchr(pf->dir, '/') - pf->dir),
			pf->dir, text) < 0)
		tree_die("path too long");
	tree_make_directories(dir);
	fill_vf(fake, pf, dir, text);
	connect_function(fake, dir, function_group(pf) < 0 ? -1 : free_group(fake));
	if (!function_find(fake, text, &vf))
		tree_die("VF %s did not come up", text);
	tree_link(fake, function_path(&vf, path, "physfn"), pf->dir);
	(void)snprintf(link, sizeof(link), "virtfn%u", index);
	tree_link(fake, function_path(pf, path, link), dir);
	tree_link(fake, function_path(&vf, path, "subsystem"), tree_path(fake, dir, "sys/bus/pci"));
	lock = device_lock(fake, &vf);
	(void)driver_attach_any(fake, &vf);
	close(lock);
}

void function_drop_vfs(const struct fake *fake, const struct function *function)
{
	char path[TREE_PATH], link[32], name[PT_ADDRESS_TEXT];
	struct function vf;
	unsigned int i;

	for (i = 0;; i++) {
		(void)snprintf(link, sizeof(link), "virtfn%u", i);
		function_path(function, path, link);
		if (!tree_read_link(path, name, sizeof(name)))
			break;
		if (function_find(fake, name, &vf)) {
			disconnect_all(fake, &vf, false);
			tree_remove(vf.dir);
		}
		(void)unlink(path);
	}
	if (i)
		write_number(fake, function, 0);
}

int function_set_vfs(const struct fake *fake, const struct function *function, const char *text)
{
	unsigned int total = read_number(function, "sriov_totalvfs");
	unsigned int before = read_number(function, "sriov_numvfs"), i;
	char driver[NAME_SIZE], what[FAULT_SIZE], *end;
	unsigned long wanted = strtoul(text, &end, 0);
	int r;

	if (end == text || (*end && strcmp(end, "\n") != 0) || wanted > 0xffff)
		return -EINVAL;
	if (wanted > total)
		return -ERANGE;
	r = fault_strike(fake, function, "numvfs", what);
	if (r < 0 || !strcmp(what, "lie"))
		return r;
	if (wanted == before)
		return 0;
	if (!function_link(function, "driver", driver, sizeof(driver)) ||
	    !driver_has_flag(fake, driver, "sriov"))
		return -ENOENT;
	if (wanted && before)
		return -EBUSY;
	function_drop_vfs(fake, function);
	for (i = 0; i < wanted; i++)
		add_vf(fake, function, i);
	write_number(fake, function, (unsigned int)wanted);
	return 0;
}

/* ---- driver_override ---- */

int driver_override(const struct fake *fake, const struct function *function, const char *data,
		    size_t size)
{
	char what[FAULT_SIZE], path[TREE_PATH], name[4096];
	int lock, r;

	/* the length of a page less one for the newline that reading adds */
	if (size >= 4095)
		return -EINVAL;
	memcpy(name, data, size);
	name[size] = '\0';
	name[strcspn(name, "\n")] = '\0';
	lock = device_lock(fake, function);
	r = fault_strike(fake, function, "override", what);
	if (r == 0 && strcmp(what, "lie") != 0)
		tree_write_text(fake, function_path(function, path, "driver_override"), 0644,
				"%s\n", *name ? name : "(null)");
	close(lock);
	return r;
}
