/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A recording (lab/record.py, format 1) as a directory tree. */
#include "kernel.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

static struct json_object *member(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;

	if (!json_object_is_type(object, json_type_object))
		return NULL;
	(void)json_object_object_get_ex(object, name, &value);
	return value;
}

static const char *string(struct json_object *value)
{
	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

/* The texts of an array; NULL past its end, or when it is none. */
static const char *element(struct json_object *array, size_t i)
{
	if (!json_object_is_type(array, json_type_array) || i >= json_object_array_length(array))
		return NULL;
	return string(json_object_array_get_idx(array, i));
}

/* Decodes in place of a library: four characters give three bytes. */
static size_t decode_base64(const char *text, unsigned char *data, size_t size)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned int bits = 0, have = 0;
	size_t n = 0;

	for (; *text && *text != '='; text++) {
		const char *digit = strchr(digits, *text);

		if (!digit)
			tree_die("bad base64");
		bits = bits << 6 | (unsigned int)(digit - digits);
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (n == size)
			tree_die("base64 too long");
		data[n++] = (unsigned char)(bits >> have);
	}
	return n;
}

/* What record.py's read() gave: text, {"base64": …} or {"errno": …} (then there is no file). */
static void write_value(const struct fake *fake, const char *path, struct json_object *value,
			unsigned int mode)
{
	unsigned char data[4096];
	const char *text = string(value), *base64 = string(member(value, "base64"));

	if (text)
		tree_write_file(fake, path, text, strlen(text), mode);
	else if (base64)
		tree_write_file(fake, path, data, decode_base64(base64, data, sizeof(data)), mode);
}

static void write_attributes(const struct fake *fake, const char *dir,
			     struct json_object *attributes)
{
	json_object_object_foreach(attributes, name, attribute)
	{
		const char *mode = string(member(attribute, "mode"));
		struct json_object *value = member(attribute, "value");
		unsigned int bits = mode ? (unsigned int)strtoul(mode, NULL, 8) : 0444;
		char path[TREE_PATH];

		if (text_format(path, sizeof(path), "%s/%s", dir, name) < 0)
			tree_die("path too long");
		/* one that can't be read was recorded without its value */
		if (value)
			write_value(fake, path, value, bits);
		else
			tree_write_text(fake, path, bits, "%s", "");
	}
}

static void write_directories(const struct fake *fake, const char *dir,
			      struct json_object *directories)
{
	char path[TREE_PATH];
	size_t i;

	json_object_object_foreach(directories, name, content)
	{
		if (text_format(path, sizeof(path), "%s/%s", dir, name) < 0)
			tree_die("path too long");
		tree_make_directories(path);
		if (json_object_is_type(content, json_type_array)) {
			/* names of the class devices below it; what they hold isn't recorded */
			for (i = 0; element(content, i); i++) {
				const char *child = element(content, i);

				if (!child || text_format(path, sizeof(path), "%s/%s/%s", dir, name,
							  child) < 0)
					tree_die("bad recording: directory %s", name);
				tree_make_directories(path);
			}
			continue;
		}
		json_object_object_foreach(content, file, value)
		{
			if (text_format(path, sizeof(path), "%s/%s/%s", dir, name, file) < 0)
				tree_die("path too long");
			write_value(fake, path, value, 0644);
		}
	}
}

static void write_links(const char *dir, struct json_object *links)
{
	char path[TREE_PATH];

	json_object_object_foreach(links, name, target)
	{
		const char *text = string(target);

		if (!text || text_format(path, sizeof(path), "%s/%s", dir, name) < 0 ||
		    symlink(text, path) < 0)
			tree_die("link %s/%s: %s", dir, name, strerror(errno));
	}
}

static void write_devices(const struct fake *fake, struct json_object *devices)
{
	char dir[TREE_PATH], link[TREE_PATH];

	json_object_object_foreach(devices, name, device)
	{
		const char *path = string(member(device, "path"));

		if (!path)
			tree_die("bad recording: %s has no path", name);
		tree_make_directories(tree_path(fake, dir, "sys/%s", path));
		write_attributes(fake, dir, member(device, "attributes"));
		write_directories(fake, dir, member(device, "directories"));
		write_links(dir, member(device, "links"));
		tree_link(fake, tree_path(fake, link, "sys/bus/pci/devices/%s", name), dir);
	}
}

static void write_groups(const struct fake *fake, struct json_object *groups)
{
	char path[TREE_PATH], dir[PATH_MAX];
	size_t i;

	json_object_object_foreach(groups, number, group)
	{
		struct json_object *devices = member(group, "devices");

		tree_path(fake, path, "sys/kernel/iommu_groups/%s/devices", number);
		tree_make_directories(path);
		tree_path(fake, path, "sys/kernel/iommu_groups/%s/type", number);
		write_value(fake, path, member(group, "type"), 0644);
		tree_path(fake, path, "sys/kernel/iommu_groups/%s/reserved_regions", number);
		write_value(fake, path, member(group, "reserved_regions"), 0444);
		for (i = 0; element(devices, i); i++) {
			const char *name = element(devices, i);

			tree_path(fake, path, "sys/bus/pci/devices/%s", name);
			/* members need not be PCI functions */
			if (!realpath(path, dir))
				continue;
			tree_path(fake, path, "sys/kernel/iommu_groups/%s/devices/%s", number,
				  name);
			tree_link(fake, path, dir);
		}
	}
}

/* What a driver takes: the functions it had, and what is known of it otherwise. */
static void write_driver_rules(const struct fake *fake, const char *driver,
			       struct json_object *devices)
{
	static const struct {
		const char *driver;
		const char *lines;
	} known[] = {
		{"igb", "sriov\ndrops-vfs\n"},
		{"nvme", "sriov\npci:v*d*sv*sd*bc01sc08i02\n"},
		{"vfio-pci", "override-only\n"},
		{"virtio-pci", "pci:v00001AF4d*\n"},
		{"xhci_hcd", "pci:v*d*sv*sd*bc0Csc03i30\n"},
	};
	char path[TREE_PATH], modalias[256];
	struct function function;
	size_t i;

	tree_path(fake, path, "fake/drivers/%s", driver);
	tree_write_text(fake, path, 0644, "%s", "");
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(driver, known[i].driver))
			tree_append(path, "%s", known[i].lines);
	for (i = 0; element(devices, i); i++)
		if (function_find(fake, element(devices, i), &function) &&
		    function_read(&function, "modalias", modalias, sizeof(modalias)))
			tree_append(path, "%s\n", modalias);
}

static void write_drivers(const struct fake *fake, struct json_object *drivers)
{
	char path[TREE_PATH];
	struct function function;
	size_t i;

	json_object_object_foreach(drivers, name, driver)
	{
		struct json_object *devices = member(driver, "devices");
		const char *module = string(member(driver, "module"));

		write_driver_rules(fake, name, devices);
		if (module)
			driver_add_module(fake, module, name);
		driver_register(fake, name, module);
		for (i = 0; element(devices, i); i++) {
			const char *address = element(devices, i);

			if (!function_find(fake, address, &function))
				tree_die("bad recording: %s of %s", address, name);
			tree_path(fake, path, "sys/bus/pci/drivers/%s/%s", name, address);
			tree_link(fake, path, function.dir);
		}
	}
	/* every kernel's, also when it was not loaded when recorded */
	write_driver_rules(fake, "vfio-pci", NULL);
	driver_add_module(fake, "vfio_pci", "vfio-pci");
	driver_add_module(fake, "pci_stub", "pci-stub");
	tree_write_text(fake, tree_path(fake, path, "fake/drivers/pci-stub"), 0644, "%s", "");
}

/* {"/sys/…": text}: files by their names. */
static void write_files(const struct fake *fake, struct json_object *files)
{
	char path[TREE_PATH], dir[TREE_PATH];

	json_object_object_foreach(files, name, value)
	{
		tree_path(fake, path, "%s", name + 1);
		(void)text_copy(dir, sizeof(dir), path);
		*strrchr(dir, '/') = '\0';
		tree_make_directories(dir);
		write_value(fake, path, value, 0644);
	}
}

static void write_iommus(const struct fake *fake, struct json_object *iommus)
{
	char path[TREE_PATH], dir[PATH_MAX];
	size_t i;

	json_object_object_foreach(iommus, name, iommu)
	{
		struct json_object *devices = member(iommu, "devices");

		write_files(fake, member(iommu, "attributes"));
		tree_make_directories(tree_path(fake, path, "sys/class/iommu/%s/devices", name));
		for (i = 0; element(devices, i); i++) {
			const char *address = element(devices, i);

			if (realpath(tree_path(fake, path, "sys/bus/pci/devices/%s", address), dir))
				tree_link(fake,
					  tree_path(fake, path, "sys/class/iommu/%s/devices/%s",
						    name, address),
					  dir);
		}
	}
}

/* Network interfaces and block devices: down, unmounted, unused. */
static void write_class(const struct fake *fake, const char *class, struct json_object *devices)
{
	char path[TREE_PATH], dir[TREE_PATH];
	int number = 1;

	json_object_object_foreach(devices, name, where)
	{
		tree_make_directories(tree_path(fake, dir, "sys/%s", string(where)));
		tree_make_directories(tree_path(fake, path, "sys/class/%s", class));
		tree_link(fake, tree_path(fake, path, "sys/class/%s/%s", class, name), dir);
		if (!strcmp(class, "net")) {
			tree_append(tree_path(fake, path, "proc/1/net/dev"), "%6s: 0 0\n", name);
			tree_path(fake, path, "sys/%s/flags", string(where));
			tree_write_text(fake, path, 0644, "0x1002\n");
			tree_path(fake, path, "sys/%s/ifindex", string(where));
			tree_write_text(fake, path, 0444, "%d\n", number);
			tree_path(fake, path, "sys/%s/operstate", string(where));
			tree_write_text(fake, path, 0444, "down\n");
			tree_path(fake, path, "sys/%s/uevent", string(where));
			tree_write_text(fake, path, 0644, "INTERFACE=%s\nIFINDEX=%d\n", name,
					number);
			tree_link(fake, tree_path(fake, path, "sys/%s/subsystem", string(where)),
				  tree_path(fake, dir, "sys/class/net"));
		} else {
			tree_path(fake, path, "sys/%s/dev", string(where));
			tree_write_text(fake, path, 0444, "259:%d\n", number);
			tree_make_directories(
				tree_path(fake, path, "sys/%s/holders", string(where)));
			tree_make_directories(
				tree_path(fake, path, "sys/%s/slaves", string(where)));
		}
		number++;
	}
}

static void write_rest(const struct fake *fake, struct json_object *recording)
{
	static const struct {
		const char *key, *path;
	} files[] = {
		{"cmdline", "proc/cmdline"},
		{"modules", "proc/modules"},
		{"iomem", "proc/iomem"},
		{"lockdown", "sys/kernel/security/lockdown"},
	};
	const char *release = string(member(member(recording, "uname"), "release"));
	struct json_object *aliases = member(recording, "vfio_aliases"),
			   *slots = member(recording, "slots"), *buses = member(recording, "buses");
	char path[TREE_PATH];
	size_t i;

	tree_make_directories(tree_path(fake, path, "sys/kernel/security"));
	tree_make_directories(tree_path(fake, path, "proc/sys/kernel"));
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		write_value(fake, tree_path(fake, path, "%s", files[i].path),
			    member(recording, files[i].key), 0444);
	tree_write_text(fake, tree_path(fake, path, "proc/sys/kernel/osrelease"), 0444, "%s\n",
			release);
	tree_make_directories(tree_path(fake, path, "lib/modules/%s", release));
	tree_write_text(fake, tree_path(fake, path, "lib/modules/%s/modules.alias", release), 0644,
			"%s", "");
	for (i = 0; element(aliases, i); i++)
		tree_append(path, "%s\n", element(aliases, i));
	for (i = 0; element(buses, i); i++)
		tree_make_directories(
			tree_path(fake, path, "sys/class/pci_bus/%s", element(buses, i)));
	json_object_object_foreach(slots, name, slot)
	{
		tree_make_directories(tree_path(fake, path, "sys/bus/pci/slots/%s", name));
		json_object_object_foreach(slot, file, value) write_value(
			fake, tree_path(fake, path, "sys/bus/pci/slots/%s/%s", name, file), value,
			0444);
	}
	write_files(fake, member(recording, "module_parameters"));
	write_files(fake, member(recording, "numa_nodes"));
	write_iommus(fake, member(recording, "iommu"));
	write_class(fake, "net", member(recording, "net"));
	write_class(fake, "block", member(recording, "block"));
}

/* What every machine has, and no recording. */
static void write_skeleton(const struct fake *fake)
{
	static const char *const directories[] = {
		"sys/bus/pci/devices",
		"sys/bus/pci/drivers",
		"sys/bus/pci/slots",
		"sys/kernel/iommu_groups",
		"sys/class",
		"sys/module",
		"proc/1/ns",
		"proc/self/ns",
		"proc/1/net",
		"dev",
		"run",
		"etc",
	};
	char path[TREE_PATH];
	size_t i;

	for (i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		tree_make_directories(tree_path(fake, path, "%s", directories[i]));
	tree_write_text(fake, tree_path(fake, path, "sys/bus/pci/drivers_probe"), 0200, "%s", "");
	tree_write_text(fake, tree_path(fake, path, "sys/bus/pci/rescan"), 0200, "%s", "");
	/* drivers come with the functions they had; nothing is to be bound anew */
	tree_write_text(fake, tree_path(fake, path, "sys/bus/pci/drivers_autoprobe"), 0644, "0\n");
	tree_write_text(fake, tree_path(fake, path, "proc/1/mountinfo"), 0444,
			"21 1 0:20 / /sys rw - sysfs sysfs rw\n");
	tree_write_text(fake, tree_path(fake, path, "proc/1/net/dev"), 0644, "%s",
			"Inter-|   Receive\n face |bytes    packets\n    lo: 0 0\n");
	tree_write_text(fake, tree_path(fake, path, "proc/swaps"), 0444,
			"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
}

void recording_materialise(const struct fake *fake, const char *recording)
{
	struct json_object *root = json_object_from_file(recording);
	char path[TREE_PATH];

	if (!root)
		tree_die("%s: %s", recording, json_util_get_last_err());
	if (json_object_get_int(member(root, "format")) != 1)
		tree_die("%s: not a recording of format 1", recording);
	write_skeleton(fake);
	write_devices(fake, member(root, "devices"));
	write_groups(fake, member(root, "iommu_groups"));
	write_drivers(fake, member(root, "drivers"));
	write_rest(fake, root);
	tree_write_text(fake, tree_path(fake, path, "sys/bus/pci/drivers_autoprobe"), 0644, "1\n");
	json_object_put(root);
}
