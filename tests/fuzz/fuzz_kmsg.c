/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records of the kernel's log: whatever they hold, words for a terminal come out. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pci/kmsg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kmsg_error error;
	size_t i;

	memset(&error, 0xff, sizeof(error));
	if (!kmsg_parse((const char *)data, size, &error))
		return 0;
	if (strnlen(error.text, sizeof(error.text)) == sizeof(error.text))
		abort();
	for (i = 0; error.text[i]; i++) {
		if ((unsigned char)error.text[i] < ' ')
			abort();
	}
	if (error.address.device > 31 || error.address.function > 7)
		abort();
	return 0;
}
