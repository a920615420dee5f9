/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes of a journal file. */
#include <stdlib.h>

#include "assign/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct journal journal;
	struct pt_error err;

	if (journal_parse((const char *)data, size, &journal, &err) < 0)
		return 0;
	if (journal.begun > journal.count)
		abort();
	journal_free(&journal);
	return 0;
}
