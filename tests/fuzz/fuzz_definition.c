/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * XML from anyone: what is taken comes out as text that is taken too, and comes out the same. The
 * live copy of a guest is taken again, and has a command line or a reason why not.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "domain/command_line/command_line.h"
#include "domain/definition/complete.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int parse_function(const char *text, unsigned int flags, struct definition **ret_def,
			   struct pt_error *err);

static void try(const char *text, parse_function *parse, unsigned int flags)
{
	AUTO(auto_definition) struct definition *def = NULL;
	AUTO(auto_definition) struct definition *again = NULL;
	AUTO_FREE char *out = NULL;
	AUTO_FREE char *twice = NULL;
	struct pt_error err = {0};
	int r = parse(text, flags, &def, &err);

	if (r < 0 && (!err.message[0] || def))
		abort();
	if (r < 0)
		return;
	if (definition_format(def, flags | DEFINITION_SECURE, &out, &err) < 0 ||
	    parse(out, flags, &again, &err) < 0 ||
	    definition_format(again, flags | DEFINITION_SECURE, &twice, &err) < 0 ||
	    strcmp(out, twice) != 0)
		abort();
}

static void start(const char *text)
{
	const struct command_line_files files = {.commands.fd = -1, .events.fd = -1};
	AUTO(auto_definition) struct definition *def = NULL;
	AUTO(auto_definition) struct definition *live = NULL;
	AUTO(auto_definition) struct definition *again = NULL;
	AUTO(auto_command_line) char **argv = NULL;
	AUTO_FREE char *out = NULL;
	struct json_object *commands = NULL;
	struct pt_error err = {0};

	if (definition_parse(text, 0, &def, &err) < 0)
		return;
	if (definition_make_live(def, 1, &live, &err) < 0) {
		if (!err.message[0] || live)
			abort();
		return;
	}
	if (definition_format(live, DEFINITION_LIVE, &out, &err) < 0 ||
	    definition_parse(out, DEFINITION_LIVE, &again, &err) < 0)
		abort();
	err.message[0] = '\0';
	if (command_line_build(live, &files, &argv, &err) < 0 && (!err.message[0] || argv))
		abort();
	if (command_line_settle(live, &commands, &err) == 0)
		json_object_put(commands);
}

static void plug(const char *text)
{
	static const char guest[] = "<domain type='kvm'><name>g</name><memory>65536</memory><os>"
				    "<type>hvm</type></os></domain>";
	const struct command_line_files files = {.commands.fd = -1, .events.fd = -1};
	AUTO(auto_definition) struct definition *def = NULL;
	AUTO(auto_definition) struct definition *live = NULL;
	AUTO(auto_definition) struct definition *device = NULL;
	struct json_object *commands = NULL;
	struct pt_error err = {0};
	xmlNode *node = NULL;

	if (definition_parse_device(text, 0, &device, &err) < 0)
		return;
	if (definition_parse(guest, 0, &def, &err) < 0 ||
	    definition_make_live(def, 1, &live, &err) < 0)
		abort();
	if (definition_place_device(live, device, &err) < 0 ||
	    definition_add_device(live, device, &node, &err) < 0)
		return;
	if (command_line_plug(live, node, &files, &commands, &err) == 0)
		json_object_put(commands);
	commands = NULL;
	if (command_line_unplugged(live, node, &commands, &err) == 0)
		json_object_put(commands);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	try(text, definition_parse, 0);
	try(text, definition_parse, DEFINITION_LIVE);
	try(text, definition_parse_device, 0);
	start(text);
	plug(text);
	return 0;
}
