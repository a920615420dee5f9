/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The same as a running guest's, with aliases and all. */
#include "definition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = text_of(data, size);

	go_round(text, definition_parse, DEFINITION_LIVE);
	return 0;
}
