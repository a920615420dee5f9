/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* XML from anyone: what is taken comes out as text that is taken too, and comes out the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "domain/definition.h"

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
	return 0;
}
