/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Directories of the host's: vhost-user-fs-pci, and -fsdev with virtio-9p-pci. */
#include "base/text.h"
#include "domain/command_line/parts.h"
#include "domain/definition/filesystem.h"

/* QEMU's end of what virtiofsd is connected to. */
static void add_socket(struct command_line *line, const xmlNode *node)
{
	const struct command_line_files *files = line->files;
	const char *folder = files->run_directory, *path = node_get(node, "source@socket");
	const struct command_line_output *inherited =
		line_find_inherited(files->filesystems, files->filesystem_count, node, false);
	struct option_text option;
	char id[96], own[256];

	if (text_format(id, sizeof(id), "chr-vu-%s", line_alias(node)) < 0)
		line_fail(line, EINVAL, node, "the alias %.64s… is too long", line_alias(node));
	if (!inherited && !path && !line->is_for_show)
		line_fail(line, EOPNOTSUPP, node,
			  "domain/devices/filesystem: no virtiofsd was prepared");
	option_begin(&option, line, "socket");
	option_add(&option, "id", id);
	if (inherited) {
		option_add_number(&option, "fd", (uint64_t)inherited->fd);
	} else if (!path) {
		if (text_format(own, sizeof(own), "%s/%s-fs.sock",
				folder ? folder : "/run/passthru/guest", line_alias(node)) >= 0)
			option_add(&option, "path", own);
	} else {
		option_add(&option, "path", path);
	}
	option_end(&option, "-chardev");
}

static void add_virtiofs(struct command_line *line, const xmlNode *node)
{
	struct json_object *object = line_device(line, "vhost-user-fs-pci", node);

	if (!line_memory_is_shared(line))
		line_fail(
			line, EOPNOTSUPP, node,
			"domain/devices/filesystem: virtiofsd reads and writes the guest's memory "
			"itself, which is private; share it: <memoryBacking><source "
			"type='memfd'/><access mode='shared'/></memoryBacking>");
	add_socket(line, node);
	props_add_format(line, object, "chardev", "chr-vu-%s", line_alias(node));
	props_add_number_of(line, object, "queue-size", node, "driver@queue");
	props_add_text(line, object, "tag", node_get(node, "target@dir"));
	line_virtio_driver(line, object, node);
	line_pci_address(line, object, node);
	line_put(line, LINE_DEVICE, object);
}

/* An octal number, however it is written: QEMU takes what begins with 0 for one. */
static void add_mode(struct option_text *option, const xmlNode *node, const char *name)
{
	const char *mode = node_attribute(node, name);
	char octal[16];

	if (mode && text_format(octal, sizeof(octal), "0%s", mode) >= 0)
		option_add(option, name, octal);
}

/* QEMU serves it itself, as its own user. */
static void add_9p(struct command_line *line, const xmlNode *node)
{
	static const struct {
		const char *access, *model;
	} models[] = {{"passthrough", "passthrough"}, {"mapped", "mapped"}, {"squash", "none"}};
	const char *access = node_attribute(node, "accessmode"), *model = models[0].model;
	struct json_object *object = line_device(line, "virtio-9p-pci", node);
	struct option_text option;
	char id[96];

	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		if (text_equal(access, models[i].access))
			model = models[i].model;
	if ((node_attribute(node, "fmode") || node_attribute(node, "dmode")) &&
	    !text_equal(access, "mapped"))
		line_fail(line, EOPNOTSUPP, node,
			  "domain/devices/filesystem: fmode and dmode need accessmode='mapped'");
	if (text_format(id, sizeof(id), "fsdev-%s", line_alias(node)) < 0)
		line_fail(line, EINVAL, node, "the alias %.64s… is too long", line_alias(node));
	option_begin(&option, line, "local");
	option_add(&option, "security_model", model);
	option_add(&option, "multidevs", node_attribute(node, "multidevs"));
	add_mode(&option, node, "fmode");
	add_mode(&option, node, "dmode");
	option_add(&option, "writeout", node_get(node, "driver@wrpolicy"));
	option_add(&option, "id", id);
	option_add(&option, "path", filesystem_directory(node));
	option_add(&option, "readonly", node_child(node, "readonly") ? "on" : NULL);
	option_end(&option, "-fsdev");
	props_add_text(line, object, "fsdev", id);
	props_add_text(line, object, "mount_tag", node_get(node, "target@dir"));
	line_virtio_driver(line, object, node);
	line_pci_address(line, object, node);
	line_put(line, LINE_DEVICE, object);
}

void line_filesystem(struct command_line *line, const xmlNode *node)
{
	if (filesystem_is_virtiofs(node))
		add_virtiofs(line, node);
	else
		add_9p(line, node);
}
