/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QMP commands for a running QEMU. */
#include <string.h>
#include <time.h>

#include "domain/command_line/parts.h"

static const struct command_line_files nothing = {.commands.fd = -1, .events.fd = -1};

static int qmp_commands_end(struct command_line *line, struct json_object **ret_commands)
{
	if (!line->commands)
		line_fail_memory(line);
	if (line->failure) {
		json_object_put(line->commands);
		return line->failure;
	}
	*ret_commands = line->commands;
	return 0;
}

/* ---- before the guest runs ---- */

static void set_password(struct command_line *line, const xmlNode *graphics)
{
	const char *protocol = node_get(graphics, "@type"), *until;
	struct json_object *arguments = line_object(line, "protocol", protocol);
	struct tm tm = {0};

	props_add_text_of(line, arguments, "password", graphics, "@passwd");
	line_command(line, "set_password", arguments);
	until = node_get(graphics, "@passwdValidTo");
	if (!until || !strptime(until, "%Y-%m-%dT%H:%M:%S", &tm))
		return;
	arguments = line_object(line, "protocol", protocol);
	props_add_format(line, arguments, "time", "%lld", (long long)timegm(&tm));
	line_command(line, "expire_password", arguments);
}

static void set_link_down(struct command_line *line, const xmlNode *interface)
{
	struct json_object *arguments = line_object(line, "name", line_alias(interface));

	props_add_bool(line, arguments, "up", false);
	line_command(line, "set_link", arguments);
}

static void set_balloon(struct command_line *line)
{
	uint64_t now = definition_memory_now(line->live);
	struct json_object *arguments;

	if (now == definition_memory(line->live))
		return;
	arguments = line_object(line, "value", NULL);
	props_add_int(line, arguments, "value", now);
	line_command(line, "balloon", arguments);
}

/* How often the guest is asked for its figures, in seconds. */
static void set_statistics(struct command_line *line)
{
	const xmlNode *balloon = node_child(line->devices, "memballoon");
	struct json_object *arguments;

	if (!node_get(balloon, "stats@period") || !node_has(balloon, "model", "virtio"))
		return;
	arguments = line_object(line, "property", "guest-stats-polling-interval");
	props_add_format(line, arguments, "path", "/machine/peripheral/%s", line_alias(balloon));
	props_add_number_of(line, arguments, "value", balloon, "stats@period");
	line_command(line, "qom-set", arguments);
}

int command_line_settle(const struct definition *live, struct json_object **ret_commands,
			struct pt_error *err)
{
	struct command_line line = line_begin(live, &nothing, err);

	line.commands = json_object_new_array();
	for (const xmlNode *at = node_child(line.devices, NULL); at; at = node_next(at, NULL)) {
		if (node_is(at, "graphics") && node_get(at, "@passwd"))
			set_password(&line, at);
		if (node_is(at, "interface") && node_says(at, "link@state", "down"))
			set_link_down(&line, at);
	}
	set_balloon(&line);
	set_statistics(&line);
	return qmp_commands_end(&line, ret_commands);
}

/* ---- one device ---- */

static int plug(struct command_line *line, const xmlNode *node, struct json_object **ret_commands)
{
	line->commands = json_object_new_array();
	if (!line->commands)
		line_fail_memory(line);
	if (!line_add_device(line, node, -1) || line->argv)
		line_fail(line, EOPNOTSUPP, node,
			  "domain/devices/%s: a device of this kind can't be hot-plugged",
			  (const char *)node->name);
	if (node_is(node, "interface") && node_says(node, "link@state", "down"))
		set_link_down(line, node);
	command_line_free(line->argv);
	return qmp_commands_end(line, ret_commands);
}

int command_line_plug(const struct definition *live, const xmlNode *node,
		      const struct command_line_files *files, struct json_object **ret_commands,
		      struct pt_error *err)
{
	int r = command_line_check_device(node, err);
	struct command_line line;

	if (r < 0)
		return r;
	line = line_begin(live, files, err);
	return plug(&line, node, ret_commands);
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

	for (size_t i = 0; i < sizeof(undoings) / sizeof(undoings[0]); i++)
		if (strcmp(made, undoings[i].made) == 0)
			line_command(line, undoings[i].undo,
				     line_object(line, undoings[i].argument,
						 json_object_get_string(json_object_object_get(
							 arguments, undoings[i].name))));
}

int command_line_unplugged(const struct definition *live, const xmlNode *node,
			   struct json_object **ret_commands, struct pt_error *err)
{
	struct command_line made = line_begin(live, &nothing, err);
	struct command_line line = line_begin(live, &nothing, err);
	struct json_object *commands = NULL;
	int r;

	made.is_for_show = true;
	r = plug(&made, node, &commands);
	if (r < 0)
		return r;
	line.commands = json_object_new_array();
	for (size_t i = json_object_array_length(commands); i-- > 0 && !line.failure;)
		put_undoing(&line, json_object_array_get_idx(commands, i));
	json_object_put(commands);
	return qmp_commands_end(&line, ret_commands);
}
