/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "domain/command_line_parts.h"

/* ---- all of it ---- */

/*
 * QEMU's own configuration files and default devices stay out, and what a guest's process never
 * needs is taken from it (seccomp): new programs, more privileges, setting priorities.
 */
static void add_frame(struct command_line *line)
{
	struct option_text name;

	line_add(line, definition_emulator(line->live));
	option_begin(&name, line, "");
	option_add(&name, "guest", definition_name(line->live));
	option_add(&name, "debug-threads", "on");
	option_end(&name, "-name");
	if (line->files->is_paused)
		line_add(line, "-S");
	line_add(line, "-no-user-config");
	line_add(line, "-nodefaults");
	line_add_value(line, "-sandbox", "%s",
		       "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
}

/* In this order: what others refer to goes first, an IOMMU before the devices behind it. */
static const struct {
	const char *name;
	int round;
	void (*add)(struct command_line *line, const xmlNode *node);
} devices[] = {
	{"iommu", 0, line_iommu},	{"audio", 1, line_audio},
	{"graphics", 1, line_graphics}, {"serial", 2, line_serial},
	{"console", 2, line_console},	{"channel", 2, line_channel},
	{"disk", 2, line_disk},		{"interface", 2, line_interface},
	{"hostdev", 2, line_hostdev},	{"tpm", 2, line_tpm},
	{"input", 2, line_input},	{"video", 2, line_video},
	{"sound", 2, line_sound},	{"rng", 2, line_rng},
	{"watchdog", 2, line_watchdog}, {"memballoon", 2, line_memballoon},
	{"shmem", 2, line_shmem},	{"panic", 2, line_panic},
	{"redirdev", 2, line_redirdev},
};

static bool add_device(struct command_line *line, const xmlNode *node, int round)
{
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
		if (node_is(node, devices[i].name) && (round < 0 || round == devices[i].round)) {
			devices[i].add(line, node);
			return true;
		}
	return false;
}

static void add_devices(struct command_line *line, int round)
{
	for (const xmlNode *at = node_child(line->devices, NULL); at; at = node_next(at, NULL))
		(void)add_device(line, at, round);
}

/* What the definition says to QEMU itself. */
static void add_own_words(struct command_line *line)
{
	const xmlNode *child;

	for (child = line->root->children; child; child = child->next)
		if (child->ns && strcmp((const char *)child->name, "commandline") == 0)
			break;
	for (child = child ? child->children : NULL; child; child = child->next)
		if (strcmp((const char *)child->name, "arg") == 0)
			line_add(line, node_attribute(child, "value"));
}

static struct command_line begin(const struct definition *live,
				 const struct command_line_files *files, struct pt_error *err)
{
	return (struct command_line){
		.live = live,
		.files = files,
		.root = definition_root(live),
		.devices = node_child(definition_root(live), "devices"),
		.err = err,
	};
}

int command_line_build(const struct definition *live, const struct command_line_files *files,
		       char ***ret_argv, struct pt_error *err)
{
	struct command_line line = begin(live, files, err);

	add_frame(&line);
	line_machine(&line);
	line_cpu(&line);
	line_memory(&line);
	line_system(&line);
	line_monitors(&line);
	add_devices(&line, 0);
	line_controllers(&line);
	add_devices(&line, 1);
	add_devices(&line, 2);
	add_own_words(&line);
	if (line.failure) {
		command_line_free(line.argv);
		return line.failure;
	}
	*ret_argv = line.argv;
	return 0;
}

void command_line_free(char **argv)
{
	for (char **at = argv; at && *at; at++)
		free(*at);
	free(argv);
}

/* As a shell would read it. */
static void write_word(FILE *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_@%+=:,./-";

	if (*word && !word[strspn(word, plain)]) {
		(void)fputs(word, out);
		return;
	}
	(void)fputc('\'', out);
	for (; *word; word++)
		(void)fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, out);
	(void)fputc('\'', out);
}

int command_line_format(char *const *argv, char **ret_text, struct pt_error *err)
{
	AUTO_FREE char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return pt_fail_memory(err);
	for (size_t i = 0; argv[i]; i++) {
		bool is_value = i > 0 && argv[i][0] != '-';

		(void)fputs(i == 0 ? "" : is_value ? " " : " \\\n", out);
		write_word(out, argv[i]);
	}
	(void)fputc('\n', out);
	if (fclose(out) != 0)
		return pt_fail_memory(err);
	*ret_text = TAKE_POINTER(text);
	return 0;
}

/* ---- one device ---- */

int command_line_plug(const struct definition *live, const xmlNode *node,
		      const struct command_line_files *files, struct json_object **ret_commands,
		      struct pt_error *err)
{
	struct command_line line = begin(live, files, err);

	line.commands = json_object_new_array();
	if (!line.commands)
		return pt_fail_memory(err);
	if (!add_device(&line, node, -1) || line.argv)
		line_fail(
			&line, EOPNOTSUPP, node,
			"domain/devices/%s: a device of this kind can't be plugged into a running "
			"guest",
			(const char *)node->name);
	command_line_free(line.argv);
	if (line.failure) {
		json_object_put(line.commands);
		return line.failure;
	}
	*ret_commands = line.commands;
	return 0;
}

/* How to take away what a command made, and which of its arguments names it. */
static const struct {
	const char *made;
	const char *name;
	const char *undo;
	const char *argument;
} undoings[] = {
	{"object-add", "id", "object-del", "id"},
	{"blockdev-add", "node-name", "blockdev-del", "node-name"},
	{"netdev_add", "id", "netdev_del", "id"},
};

static void put_undoing(struct command_line *line, struct json_object *command)
{
	const char *made = json_object_get_string(json_object_object_get(command, "execute"));
	struct json_object *arguments = json_object_object_get(command, "arguments");

	for (size_t i = 0; i < sizeof(undoings) / sizeof(undoings[0]); i++) {
		struct json_object *undo;

		if (strcmp(made, undoings[i].made) != 0)
			continue;
		undo = line_object(line, "execute", undoings[i].undo);
		json_add(line, undo, "arguments",
			 line_object(line, undoings[i].argument,
				     json_object_get_string(
					     json_object_object_get(arguments, undoings[i].name))));
		if (!undo || json_object_array_add(line->commands, undo) < 0) {
			json_object_put(undo);
			line_fail_memory(line);
		}
	}
}

int command_line_unplugged(const struct definition *live, const xmlNode *node,
			   struct json_object **ret_commands, struct pt_error *err)
{
	const struct command_line_files none = {.commands.fd = -1, .events.fd = -1};
	struct command_line line = begin(live, &none, err);
	struct json_object *made = NULL;
	int r = command_line_plug(live, node, &none, &made, err);

	if (r < 0)
		return r;
	line.commands = json_object_new_array();
	if (!line.commands)
		line_fail_memory(&line);
	for (size_t i = json_object_array_length(made); i-- > 0 && !line.failure;)
		put_undoing(&line, json_object_array_get_idx(made, i));
	json_object_put(made);
	if (line.failure) {
		json_object_put(line.commands);
		return line.failure;
	}
	*ret_commands = line.commands;
	return 0;
}
