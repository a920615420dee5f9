/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* XML from anyone, as a device: by itself, and plugged into a guest that runs. */
#include "definition.h"

#include "domain/command_line/command_line.h"
#include "domain/definition/complete.h"

static struct definition *make_guest(void)
{
	static const char guest[] = "<domain type='kvm'><name>g</name><memory>65536</memory><os>"
				    "<type>hvm</type></os></domain>";
	AUTO(auto_definition) struct definition *def = NULL;
	struct definition *live = NULL;
	struct pt_error err = {0};

	if (definition_parse(guest, 0, &def, &err) < 0 ||
	    definition_make_live(def, 1, &live, &err) < 0)
		abort();
	return live;
}

static void plug(struct definition *live, struct definition *device)
{
	const struct command_line_files files = {.commands.fd = -1, .events.fd = -1};
	struct json_object *commands = NULL;
	struct pt_error err = {0};
	xmlNode *node = NULL;

	if (definition_place_device(live, device, &err) < 0 ||
	    definition_add_device(live, device, &node, &err) < 0)
		return;
	if (command_line_plug(live, node, &files, &commands, &err) == 0)
		json_object_put(commands);
	commands = NULL;
	if (command_line_unplugged(live, node, &commands, &err) == 0)
		json_object_put(commands);
	definition_remove_device(live, node);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* the same guest each time: a device that was taken out leaves nothing */
	static struct definition *live;
	AUTO(auto_definition) struct definition *device = NULL;
	AUTO_FREE char *text = text_of(data, size);
	struct pt_error err = {0};

	if (!live)
		live = make_guest();
	if (definition_parse_device(text, 0, &device, &err) < 0) {
		if (!err.message[0] || device)
			abort();
		return 0;
	}
	go_round(text, definition_parse_device, 0);
	plug(live, device);
	return 0;
}
