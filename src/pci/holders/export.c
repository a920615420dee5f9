/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Targets of the kernel that export a device to other machines. They open it inside the kernel,
 * so no process has it open, and no "holders" link shows it; their configuration names it.
 * Servers that are processes (tcmu-runner, nbd-server, ublk) are found by their open files.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/text.h"
#include "pci/holders/block.h"

static void add_export(struct holder_scan *scan, const struct holder_node *node, const char *what,
		       const char *advice)
{
	holders_add(scan, node->target, PT_HOLDER_STORAGE, 0, what, node->through, advice);
}

/* The path names the node. */
static bool is_path_of(struct holder_scan *scan, const char *path, const struct holder_node *node)
{
	const char *block;
	struct stat st;

	if (path[0] != '/')
		return false;
	if (node->is_block) {
		block = holders_block_of_path(scan, path);
		return block && !strcmp(block, node->name);
	}
	if (!strncmp(path, "/dev/", 5) && !strcmp(path + 5, node->name))
		return true;
	return scan->has_procfs && !strncmp(path, "/dev/", 5) &&
	       fstatat(scan->host->root_fd, path + 1, &st, 0) == 0 && S_ISCHR(st.st_mode) &&
	       major(st.st_rdev) == node->major && minor(st.st_rdev) == node->minor;
}

/* The first line of a file is a path of the node. */
static bool names_node(struct holder_scan *scan, const struct holder_node *node, const char *file)
{
	char path[1024];

	if (!holders_read_file(scan, path, sizeof(path), "%s", file))
		return false;
	path[strcspn(path, "\n")] = '\0';
	return is_path_of(scan, path, node);
}

/* "namespaces/1", a disk; or "passthru", a whole controller by its char node. */
static bool read_nvme_export(struct holder_scan *scan, const struct holder_node *node,
			     const char *subsystem, const char *part, const char *what)
{
	const char *path =
		holders_text(scan, "sys/kernel/config/nvmet/subsystems/%s/%s", subsystem, part);
	char enabled[8];

	if (!holders_read_file(scan, enabled, sizeof(enabled), "%s/enable", path) ||
	    enabled[0] != '1' ||
	    !names_node(scan, node, holders_text(scan, "%s/device_path", path)))
		return false;
	add_export(scan, node, holders_text(scan, "NVMe target %s, %s", subsystem, what),
		   holders_text(scan, "echo 0 > /%s/enable", path));
	return true;
}

static bool read_nvme_target(struct holder_scan *scan, const struct holder_node *node)
{
	static const char root[] = "sys/kernel/config/nvmet/subsystems";
	const char *const *subsystem, *const *space;
	bool is_used = false;

	for (subsystem = holders_list(scan, root); *subsystem; subsystem++) {
		if (!node->is_block) {
			is_used |= read_nvme_export(scan, node, *subsystem, "passthru",
						    "the whole controller");
			continue;
		}
		space = holders_list(scan, "%s/%s/namespaces", root, *subsystem);
		for (; *space; space++)
			is_used |= read_nvme_export(scan, node, *subsystem,
						    holders_text(scan, "namespaces/%s", *space),
						    holders_text(scan, "namespace %s", *space));
	}
	return is_used;
}

/*
 * A backstore tells the path that the administrator gave it, and what it has: "iBlock device:
 * sda" or "File: /dev/sda". (drivers/target: *_show_configfs_dev_params())
 */
static bool is_backstore_of(struct holder_scan *scan, const char *path,
			    const struct holder_node *node)
{
	static const char disk[] = "iBlock device: ", file[] = "File: ";
	char info[4096], *at;

	if (names_node(scan, node, holders_text(scan, "%s/udev_path", path)))
		return true;
	if (!holders_read_file(scan, info, sizeof(info), "%s/info", path))
		return false;
	at = strstr(info, disk);
	if (at) {
		at += strlen(disk);
		at[strcspn(at, " \n")] = '\0';
		return node->is_block && !strcmp(at, node->name);
	}
	at = strstr(info, file);
	if (!at)
		return false;
	at += strlen(file);
	at[strcspn(at, " \n")] = '\0';
	return is_path_of(scan, at, node);
}

static bool read_scsi_target(struct holder_scan *scan, const struct holder_node *node)
{
	static const char root[] = "sys/kernel/config/target/core";
	static const struct {
		const char *adapter, *shell; /* its name in targetcli */
	} kinds[] = {{"iblock_", "block"}, {"pscsi_", "pscsi"}, {"fileio_", "fileio"}};
	const char *const *adapter, *const *store;
	bool is_used = false;
	size_t i;

	for (adapter = holders_list(scan, root); *adapter; adapter++) {
		for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
			if (!strncmp(*adapter, kinds[i].adapter, strlen(kinds[i].adapter)))
				break;
		if (i == sizeof(kinds) / sizeof(*kinds))
			continue;
		for (store = holders_list(scan, "%s/%s", root, *adapter); *store; store++) {
			if (!is_backstore_of(scan,
					     holders_text(scan, "%s/%s/%s", root, *adapter, *store),
					     node))
				continue;
			add_export(scan, node, holders_text(scan, "SCSI target %s", *store),
				   holders_text(scan, "targetcli /backstores/%s delete %s",
						kinds[i].shell, *store));
			is_used = true;
		}
	}
	return is_used;
}

/* SCSI targets of SCST, which is not in the kernel's tree. */
static bool read_scst(struct holder_scan *scan, const struct holder_node *node)
{
	static const char root[] = "sys/kernel/scst_tgt/devices";
	const char *const *device;
	bool is_used = false;

	for (device = holders_list(scan, root); *device; device++) {
		if (!names_node(scan, node, holders_text(scan, "%s/%s/filename", root, *device)))
			continue;
		add_export(scan, node, holders_text(scan, "SCST target device %s", *device),
			   holders_text(scan, "scstadmin -close_dev %s", *device));
		is_used = true;
	}
	return is_used;
}

/* RDMA network block devices (Documentation/ABI/testing/sysfs-class-rnbd-server). */
static bool read_rnbd(struct holder_scan *scan, const struct holder_node *node)
{
	static const char root[] = "sys/class/rnbd-server/ctl/devices";
	const char *const *device, *const *session;
	char disk[64];
	bool is_used = false;

	if (!node->is_block)
		return false;
	for (device = holders_list(scan, root); *device; device++) {
		if (!holders_read_link(scan, disk, sizeof(disk), "%s/%s/block_dev", root,
				       *device) ||
		    strcmp(disk, node->name) != 0)
			continue;
		session = holders_list(scan, "%s/%s/sessions", root, *device);
		add_export(scan, node, holders_text(scan, "RNBD server, device %s", *device),
			   *session ? holders_text(scan, "echo 1 > /%s/%s/sessions/%s/force_close",
						   root, *device, holders_quote(scan, *session))
				    : "");
		is_used = true;
	}
	return is_used;
}

/* The disk of a USB gadget (Documentation/ABI/testing/configfs-usb-gadget-mass-storage). */
static bool read_gadgets(struct holder_scan *scan, const struct holder_node *node)
{
	static const char root[] = "sys/kernel/config/usb_gadget";
	const char *const *gadget, *const *function, *const *lun;
	bool is_used = false;

	for (gadget = holders_list(scan, root); *gadget; gadget++) {
		function = holders_list(scan, "%s/%s/functions", root, *gadget);
		for (; *function; function++) {
			lun = holders_list(scan, "%s/%s/functions/%s", root, *gadget, *function);
			for (; *lun; lun++) {
				const char *file = holders_text(scan, "%s/%s/functions/%s/%s/file",
								root, *gadget, *function, *lun);

				if (strncmp(*function, "mass_storage.", 13) != 0 ||
				    !names_node(scan, node, file))
					continue;
				add_export(
					scan, node,
					holders_text(scan, "USB gadget %s, %s", *gadget, *function),
					holders_text(scan, "echo > /%s", file));
				is_used = true;
			}
		}
	}
	return is_used;
}

bool holders_read_exports(struct holder_scan *scan, const struct holder_node *node)
{
	bool is_used = read_nvme_target(scan, node);

	is_used |= read_scsi_target(scan, node);
	is_used |= read_scst(scan, node);
	is_used |= read_rnbd(scan, node);
	is_used |= read_gadgets(scan, node);
	return is_used;
}

/* Of char nodes: an NVMe controller, and SCSI devices that aren't disks. */
void holders_read_char_exports(struct holder_scan *scan)
{
	size_t i, count = scan->node_count;

	for (i = 0; i < count; i++)
		if (!scan->nodes[i].is_block)
			(void)holders_read_exports(scan, &scan->nodes[i]);
}
