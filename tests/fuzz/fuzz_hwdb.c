/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a hardware database. */
#include <assert.h>
#include <string.h>

#include "pci/hwdb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const patterns[] = {"", "pci:v00008086*", "pci:v00008086d000010D3*",
					       "pci:v*d*sv*sd*bc02*"};
	static const char *const properties[] = {"ID_VENDOR_FROM_DATABASE",
						 "ID_MODEL_FROM_DATABASE", ""};
	const struct hwdb hwdb = {.bytes = data, .size = size};
	size_t i;

	for (i = 0; i < 12; i++) {
		const char *text = hwdb_find(&hwdb, patterns[i % 4], properties[i / 4]);

		if (!text)
			continue;
		assert((const uint8_t *)text >= data && (const uint8_t *)text < data + size);
		assert(memchr(text, '\0', size - (size_t)((const uint8_t *)text - data)));
	}
	return 0;
}
