/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* XML from anyone, as a definition. */
#include "definition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = text_of(data, size);

	go_round(text, definition_parse, 0);
	return 0;
}
