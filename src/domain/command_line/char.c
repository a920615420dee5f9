/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Character devices, and what else speaks by one: monitors, USB redirection, the TPM. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "domain/command_line/parts.h"
#include "domain/definition/device.h"

/* ---- the host's side ---- */

/* A socket that the definition doesn't name is in the guest's own folder, by the alias. */
static void add_socket_path(struct option_text *option, const xmlNode *node)
{
	const struct command_line_files *files = option->line->files;
	const struct command_line_output *listener =
		line_find_inherited(files->listeners, files->listener_count, node, false);
	const char *path = node_get(node, "source@path");
	const char *folder = files->run_directory;
	char own[256];

	if (listener) {
		option_add_number(option, "fd", (uint64_t)listener->fd);
		option_add(option, "server", "on");
		option_add(option, "wait", "off");
		return;
	}
	if (!path) {
		if (text_format(own, sizeof(own), "%s/%s", folder ? folder : "/run/passthru/guest",
				line_alias(node)) < 0)
			line_fail(option->line, ENAMETOOLONG, node, "the path %s is too long",
				  folder);
		path = own;
	}
	option_add(option, "path", path);
	if (node_says(node, "source@mode", "connect")) {
		option_add(option, "reconnect-ms", NULL);
		return;
	}
	option_add(option, "server", "on");
	option_add(option, "wait", "off");
}

static const char *backend_of(const xmlNode *node)
{
	if (node_has(node, "type", "unix"))
		return "socket";
	return node_get(node, "@type");
}

static const struct command_line_output *find_output(const struct command_line *line,
						     const xmlNode *node, bool is_log)
{
	return line_find_inherited(line->files->outputs, line->files->output_count, node, is_log);
}

/* QEMU truncates what it doesn't append to, and a pipe can't be. */
static void add_pipe(struct option_text *option, const struct command_line_output *output)
{
	char path[32];

	line_add_value(option->line, "-add-fd", "fd=%d,set=%d", output->fd, output->fd);
	(void)text_format(path, sizeof(path), "/dev/fdset/%d", output->fd);
	option_add(option, output->is_log ? "logfile" : "path", path);
	option_add(option, output->is_log ? "logappend" : "append", "on");
}

static void add_file(struct option_text *option, const xmlNode *node)
{
	const struct command_line_output *output = find_output(option->line, node, false);
	const char *append = node_get(node, "source@append");

	if (output) {
		add_pipe(option, output);
		return;
	}
	option_add(option, "path", node_get(node, "source@path"));
	option_add(option, "append", append ? append : "off");
}

static void add_log(struct option_text *option, const xmlNode *node)
{
	const struct command_line_output *output = find_output(option->line, node, true);

	if (output) {
		add_pipe(option, output);
		return;
	}
	option_add(option, "logfile", node_get(node, "log@file"));
	option_add(option, "logappend", node_says(node, "log@append", "on") ? "on" : "off");
}

static void add_chardev(struct command_line *line, const xmlNode *node)
{
	struct option_text option;
	char id[96];

	if (text_format(id, sizeof(id), "char%s", line_alias(node)) < 0)
		line_fail(line, EINVAL, node, "the alias %.64s… is too long", line_alias(node));
	option_begin(&option, line, backend_of(node));
	option_add(&option, "id", id);
	if (node_has(node, "type", "unix"))
		add_socket_path(&option, node);
	else if (node_has(node, "type", "file"))
		add_file(&option, node);
	if (node_has(node, "type", "spicevmc"))
		option_add(&option, "name", node_is(node, "redirdev") ? "usbredir" : "vdagent");
	if (node_get(node, "log@file"))
		add_log(&option, node);
	option_end(&option, "-chardev");
}

static void add_chardev_of(struct command_line *line, struct json_object *object,
			   const xmlNode *node)
{
	props_add_format(line, object, "chardev", "char%s", line_alias(node));
}

/* ---- the guest's side ---- */

static void add_isa_serial(struct command_line *line, const xmlNode *node, const char *alias)
{
	struct json_object *object = line_object(line, "driver", "isa-serial");

	add_chardev(line, node);
	props_add_text(line, object, "id", alias);
	add_chardev_of(line, object, node);
	props_add_number_of(line, object, "index", node, "target@port");
	line_put(line, LINE_DEVICE, object);
}

void line_serial(struct command_line *line, const xmlNode *node)
{
	add_isa_serial(line, node, line_alias(node));
}

static void add_port(struct command_line *line, const xmlNode *node, const char *driver)
{
	const char *controller = node_get(node, "address@controller");
	const char *name = node_get(node, "target@name");
	struct json_object *object = line_device(line, driver, node);

	add_chardev(line, node);
	props_add_format(line, object, "bus", "virtio-serial%s.0", controller ? controller : "0");
	props_add_number_of(line, object, "nr", node, "address@port");
	add_chardev_of(line, object, node);
	if (!name && node_has(node, "type", "spicevmc"))
		name = "com.redhat.spice.0";
	props_add_text(line, object, "name", name);
	line_put(line, LINE_DEVICE, object);
}

void line_console(struct command_line *line, const xmlNode *node)
{
	if (node_says(node, "target@type", "virtio"))
		add_port(line, node, "virtconsole");
	else if (!device_is_second_name(node))
		add_isa_serial(line, node, line_alias(node));
}

void line_channel(struct command_line *line, const xmlNode *node)
{
	add_port(line, node, "virtserialport");
}

void line_redirdev(struct command_line *line, const xmlNode *node)
{
	struct json_object *object = line_device(line, "usb-redir", node);

	add_chardev(line, node);
	add_chardev_of(line, object, node);
	line_usb_seat(line, object, node);
	line_boot_order(line, object, node);
	line_put(line, LINE_DEVICE, object);
}

/* Its socket is inherited; without one nothing is started, and it is shown where one would be. */
/*
 * What swtpm's TPM can do; libvirt writes down the one that there was. Its state keeps it, and all
 * of them here are the first.
 */
static void check_profile(struct command_line *line, const xmlNode *node)
{
	const char *name = node_get(node, "backend/profile@name");
	const char *source = node_get(node, "backend/profile@source");

	if ((name && strcmp(name, "default-v1") != 0 && strcmp(name, "null") != 0) ||
	    (source && strcmp(source, "default-v1") != 0 &&
	     strcmp(source, "local:default-v1") != 0))
		line_fail(
			line, EOPNOTSUPP, node,
			"domain/devices/tpm/backend/profile: only default-v1 is supported; remove "
			"the profile");
}

static void add_swtpm(struct command_line *line, const xmlNode *node)
{
	const char *folder = line->files->run_directory;
	struct option_text option;
	char path[256];

	if (!line->files->tpm_fd && !line->is_for_show)
		line_fail(line, EOPNOTSUPP, node, "domain/devices/tpm: no swtpm was prepared");
	option_begin(&option, line, "socket");
	option_add(&option, "id", "chrtpm");
	if (line->files->tpm_fd)
		option_add_number(&option, "fd", (uint64_t)line->files->tpm_fd);
	else if (text_format(path, sizeof(path), "%s/swtpm.sock",
			     folder ? folder : "/run/passthru/guest") >= 0)
		option_add(&option, "path", path);
	option_end(&option, "-chardev");
	option_begin(&option, line, "emulator");
	option_add(&option, "id", "tpm-tpm0");
	option_add(&option, "chardev", "chrtpm");
	option_end(&option, "-tpmdev");
}

static void add_host_tpm(struct command_line *line, const xmlNode *node)
{
	struct option_text option;

	option_begin(&option, line, "passthrough");
	option_add(&option, "id", "tpm-tpm0");
	option_add(&option, "path", node_get(node, "backend/device@path"));
	option_end(&option, "-tpmdev");
}

void line_tpm(struct command_line *line, const xmlNode *node)
{
	const char *model = node_get(node, "@model");
	struct json_object *object = line_device(line, model ? model : "tpm-tis", node);

	check_profile(line, node);
	if (node_says(node, "backend@type", "emulator"))
		add_swtpm(line, node);
	else
		add_host_tpm(line, node);
	props_add_text(line, object, "tpmdev", "tpm-tpm0");
	line_put(line, LINE_DEVICE, object);
}

/* ---- monitors ---- */

static void add_monitor(struct command_line *line, const struct command_line_socket *from,
			const char *chardev, const char *id)
{
	struct option_text option;

	if (from->fd < 0 && !from->path)
		return;
	option_begin(&option, line, "socket");
	option_add(&option, "id", chardev);
	if (from->fd >= 0)
		option_add_number(&option, "fd", (uint64_t)from->fd);
	else
		option_add(&option, "path", from->path);
	option_add(&option, "server", "on");
	option_add(&option, "wait", "off");
	option_end(&option, "-chardev");
	line_add_value(line, "-mon", "chardev=%s,id=%s,mode=control", chardev, id);
}

void line_monitors(struct command_line *line)
{
	add_monitor(line, &line->files->commands, "charmonitor", "monitor");
	add_monitor(line, &line->files->events, "charevents", "events");
}
