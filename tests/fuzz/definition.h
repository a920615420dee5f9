/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the targets of definitions share. Each does one job for an input, so that it does it often:
 * definition and definition_live a round trip, guest the command line, device a round trip and a
 * hotplug.
 */
#ifndef TESTS_FUZZ_DEFINITION_H
#define TESTS_FUZZ_DEFINITION_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "domain/definition/definition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int parse_function(const char *text, unsigned int flags, struct definition **ret_def,
			   struct pt_error *err);

/* The input as text, in memory of just its size; freed with free(). */
static inline char *text_of(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

/* What is taken comes out as text that is taken too, and comes out the same. */
static inline void go_round(const char *text, parse_function *parse, unsigned int flags)
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

#endif
