/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/command_line/parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

/* ---- failing ---- */

void line_fail(struct command_line *line, int errnum, const xmlNode *node, const char *format, ...)
{
	char text[512];
	va_list args;

	if (line->failure)
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	line->failure = pt_fail(line->err, PT_INVALID, errnum, "%s", text);
	if (node)
		pt_error_append(line->err, " (line %ld)", xmlGetLineNo(node));
}

void line_fail_memory(struct command_line *line)
{
	if (!line->failure)
		line->failure = pt_fail_memory(line->err);
}

/* ---- what QEMU inherits ---- */

const struct command_line_output *line_find_inherited(const struct command_line_output *outputs,
						      size_t count, const xmlNode *node,
						      bool is_log)
{
	for (size_t i = 0; i < count; i++)
		if (outputs[i].is_log == is_log && strcmp(outputs[i].alias, line_alias(node)) == 0)
			return &outputs[i];
	return NULL;
}

/* ---- arguments ---- */

/* Takes @argument. */
static void add_argument(struct command_line *line, char *argument)
{
	if (line->count + 1 >= line->room && argument) {
		size_t room = line->room ? 2 * line->room : 64;
		char **argv = realloc(line->argv, room * sizeof(*argv));

		if (argv) {
			line->argv = argv;
			line->room = room;
		}
	}
	if (!argument || line->count + 1 >= line->room) {
		free(argument);
		line_fail_memory(line);
		return;
	}
	line->argv[line->count++] = argument;
	line->argv[line->count] = NULL;
}

void line_add(struct command_line *line, const char *option)
{
	add_argument(line, strdup(option));
}

void line_add_format(struct command_line *line, const char *format, ...)
{
	char *value = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&value, format, args) < 0)
		value = NULL;
	va_end(args);
	add_argument(line, value);
}

void line_add_value(struct command_line *line, const char *option, const char *format, ...)
{
	char *value = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&value, format, args) < 0)
		value = NULL;
	va_end(args);
	line_add(line, option);
	add_argument(line, value);
}

void option_begin(struct option_text *option, struct command_line *line, const char *first)
{
	*option = (struct option_text){.line = line, .has_begun = *first};
	option->out = open_memstream(&option->text, &option->size);
	if (option->out)
		(void)fputs(first, option->out);
	else
		line_fail_memory(line);
}

void option_add(struct option_text *option, const char *key, const char *value)
{
	if (!option->out || !value)
		return;
	(void)fprintf(option->out, "%s%s=", option->has_begun ? "," : "", key);
	option->has_begun = true;
	for (; *value; value++)
		(void)fputs(*value == ',' ? ",," : (char[]){*value, '\0'}, option->out);
}

void option_add_number(struct option_text *option, const char *key, uint64_t number)
{
	char text[32];

	(void)text_format(text, sizeof(text), "%llu", (unsigned long long)number);
	option_add(option, key, text);
}

void option_end(struct option_text *option, const char *name)
{
	if (!option->out)
		return;
	if (fclose(option->out) != 0)
		line_fail_memory(option->line);
	line_add(option->line, name);
	add_argument(option->line, option->text);
}

/* ---- JSON ---- */

void props_add(struct command_line *line, struct json_object *object, const char *key,
	       struct json_object *taken)
{
	if (!object || !taken || json_object_object_add(object, key, taken) < 0) {
		json_object_put(taken);
		line_fail_memory(line);
	}
}

void props_add_text(struct command_line *line, struct json_object *object, const char *key,
		    const char *text)
{
	if (text)
		props_add(line, object, key, json_new_text(text));
}

void props_add_format(struct command_line *line, struct json_object *object, const char *key,
		      const char *format, ...)
{
	AUTO_FREE char *text = NULL;
	va_list args;
	int r;

	va_start(args, format);
	r = vasprintf(&text, format, args);
	va_end(args);
	if (r < 0) {
		text = NULL;
		line_fail_memory(line);
		return;
	}
	props_add_text(line, object, key, text);
}

void props_add_bool(struct command_line *line, struct json_object *object, const char *key,
		    bool value)
{
	props_add(line, object, key, json_object_new_boolean(value));
}

void props_add_int(struct command_line *line, struct json_object *object, const char *key,
		   uint64_t value)
{
	props_add(line, object, key, json_object_new_uint64(value));
}

void props_add_number_of(struct command_line *line, struct json_object *object, const char *key,
			 const xmlNode *node, const char *path)
{
	const char *text = node_get(node, path);
	uint64_t number;

	if (!text)
		return;
	if (text_parse_number(text, strncmp(text, "0x", 2) == 0 ? 16 : 10, INT64_MAX, &number) < 0)
		line_fail(line, EINVAL, node, "domain/devices/%s/%s is not a number",
			  (const char *)node->name, path);
	else
		props_add_int(line, object, key, number);
}

void props_add_bool_of(struct command_line *line, struct json_object *object, const char *key,
		       const xmlNode *node, const char *path)
{
	const char *text = node_get(node, path);

	if (text)
		props_add_bool(line, object, key,
			       strcmp(text, "yes") == 0 || strcmp(text, "on") == 0);
}

void props_add_text_of(struct command_line *line, struct json_object *object, const char *key,
		       const xmlNode *node, const char *path)
{
	props_add_text(line, object, key, node_get(node, path));
}

void line_virtio_driver(struct command_line *line, struct json_object *object, const xmlNode *node)
{
	static const struct {
		const char *name, *key;
	} options[] = {
		{"driver@ioeventfd", "ioeventfd"},  {"driver@event_idx", "event_idx"},
		{"driver@iommu", "iommu_platform"}, {"driver@ats", "ats"},
		{"driver@packed", "packed"},	    {"driver@page_per_vq", "page-per-vq"},
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		props_add_bool_of(line, object, options[i].key, node, options[i].name);
}

struct json_object *line_object(struct command_line *line, const char *key, const char *value)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		line_fail_memory(line);
	props_add_text(line, object, key, value);
	return object;
}

const char *line_alias(const xmlNode *node)
{
	const char *alias = node_get(node, "alias@name");

	return alias ? alias : "";
}

struct json_object *line_device(struct command_line *line, const char *driver, const xmlNode *node)
{
	struct json_object *object = line_object(line, "driver", driver);

	props_add_text(line, object, "id", line_alias(node));
	return object;
}

/* ---- the definition's own words for a device ---- */

/* The next element of QEMU's namespace with this name, from @at on. */
static const xmlNode *next_of_qemu(const xmlNode *at, const char *name)
{
	while (at && !(at->ns && at->type == XML_ELEMENT_NODE &&
		       strcmp((const char *)at->name, name) == 0))
		at = at->next;
	return at;
}

static void override_property(struct command_line *line, struct json_object *object,
			      const xmlNode *property)
{
	const char *name = node_attribute(property, "name"),
		   *type = node_attribute(property, "type");
	const char *value = node_attribute(property, "value");
	char *end = NULL;
	long long number = 0;

	json_object_object_del(object, name);
	if (strcmp(type, "remove") == 0)
		return;
	if (strcmp(type, "string") == 0) {
		props_add_text(line, object, name, value ? value : "");
		return;
	}
	if (strcmp(type, "bool") == 0 &&
	    (text_equal(value, "true") || text_equal(value, "false"))) {
		props_add_bool(line, object, name, strcmp(value, "true") == 0);
		return;
	}
	errno = 0;
	if (value && *value)
		number = strtoll(value, &end, 0);
	if (!end || *end || errno || strcmp(type, "bool") == 0 ||
	    (strcmp(type, "unsigned") == 0 && number < 0))
		line_fail(line, EINVAL, property,
			  "qemu:override: the value '%s' of the property %s isn't %s",
			  value ? value : "", name,
			  strcmp(type, "bool") == 0 ? "true or false" : type);
	else
		props_add(line, object, name, json_object_new_int64(number));
}

/* <qemu:override>: of the device with this "id". */
static void override_device(struct command_line *line, struct json_object *object)
{
	const char *id = json_object_get_string(json_object_object_get(object, "id"));
	const xmlNode *override = next_of_qemu(line->root->children, "override");
	const xmlNode *device = override ? next_of_qemu(override->children, "device") : NULL;

	for (; id && device; device = next_of_qemu(device->next, "device")) {
		const xmlNode *front = next_of_qemu(device->children, "frontend");
		const xmlNode *property = front ? next_of_qemu(front->children, "property") : NULL;

		if (!node_has(device, "alias", id))
			continue;
		for (; property; property = next_of_qemu(property->next, "property"))
			override_property(line, object, property);
	}
}

static const struct {
	const char *option;
	const char *command;
} whats[] = {
	[LINE_DEVICE] = {"-device", "device_add"},	 [LINE_OBJECT] = {"-object", "object-add"},
	[LINE_BLOCKDEV] = {"-blockdev", "blockdev-add"}, [LINE_NETDEV] = {"-netdev", "netdev_add"},
	[LINE_AUDIODEV] = {"-audiodev", NULL},
};

void line_command(struct command_line *line, const char *name, struct json_object *arguments)
{
	struct json_object *command = line_object(line, "execute", name);

	props_add(line, command, "arguments", arguments);
	if (!line->commands || !command || json_object_array_add(line->commands, command) < 0) {
		json_object_put(command);
		line_fail_memory(line);
	}
}

static void add_object(struct command_line *line, const char *option, struct json_object *object)
{
	const int flags = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;
	AUTO_FREE char *text = NULL;

	if (json_format(object, flags, &text, NULL) < 0)
		line_fail_memory(line);
	else
		line_add_value(line, option, "%s", text);
	json_object_put(object);
}

void line_check_overrides(struct command_line *line)
{
	const xmlNode *override = next_of_qemu(line->root->children, "override");
	const xmlNode *device = override ? next_of_qemu(override->children, "device") : NULL;

	for (; device; device = next_of_qemu(device->next, "device"))
		if (!definition_find_alias(line->live, node_attribute(device, "alias")))
			line_fail(line, ENOENT, device,
				  "qemu:override: the guest has no device with the alias %s",
				  node_attribute(device, "alias"));
}

void line_put(struct command_line *line, enum line_what what, struct json_object *object)
{
	if (object && what == LINE_DEVICE)
		override_device(line, object);
	if (object && line->commands)
		line_command(line, whats[what].command, object);
	else if (object)
		add_object(line, whats[what].option, object);
}

/* ---- words ---- */

int cpuset_parse(const char *text, bool ret_set[CPUSET_MAX])
{
	memset(ret_set, 0, CPUSET_MAX * sizeof(*ret_set));
	while (*text) {
		bool is_out = *text == '^';
		unsigned long first, last;
		char *end;

		first = last = strtoul(text + is_out, &end, 10);
		if (end == text + is_out)
			return -EINVAL;
		if (*end == '-') {
			text = end + 1;
			last = strtoul(text, &end, 10);
			if (end == text)
				return -EINVAL;
		}
		if (first > last || last >= CPUSET_MAX || (*end && *end != ','))
			return -EINVAL;
		for (; first <= last; first++)
			ret_set[first] = !is_out;
		text = end + (*end == ',');
	}
	return 0;
}
