/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a uevent file. */
#include <assert.h>

#include "pci/uevent_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct uevent uevent;

	(void)uevent_parse(text, size, &uevent);
	assert(uevent.class_code <= 0xffffff);
	if (uevent.driver)
		assert(uevent.driver >= text &&
		       uevent.driver_len <= size - (size_t)(uevent.driver - text));
	else
		assert(!uevent.driver_len);
	return 0;
}
