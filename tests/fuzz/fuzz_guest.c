/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A definition that is started: the live copy of a guest is taken again, and has a command line or
 * a reason why not.
 */
#include "definition.h"

#include "domain/command_line/command_line.h"
#include "domain/definition/complete.h"

static void start(const struct definition *live)
{
	const struct command_line_files files = {.commands.fd = -1, .events.fd = -1};
	AUTO(auto_definition) struct definition *again = NULL;
	AUTO(auto_command_line) char **argv = NULL;
	AUTO_FREE char *out = NULL;
	struct json_object *commands = NULL;
	struct pt_error err = {0};

	if (definition_format(live, DEFINITION_LIVE, &out, &err) < 0 ||
	    definition_parse(out, DEFINITION_LIVE, &again, &err) < 0)
		abort();
	err.message[0] = '\0';
	if (command_line_build(live, &files, &argv, &err) < 0 && (!err.message[0] || argv))
		abort();
	if (command_line_settle(live, &commands, &err) == 0)
		json_object_put(commands);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(auto_definition) struct definition *def = NULL;
	AUTO(auto_definition) struct definition *live = NULL;
	AUTO_FREE char *text = text_of(data, size);
	struct pt_error err = {0};

	if (definition_parse(text, 0, &def, &err) < 0)
		return 0;
	if (definition_make_live(def, 1, &live, &err) == 0)
		start(live);
	else if (!err.message[0] || live)
		abort();
	return 0;
}
