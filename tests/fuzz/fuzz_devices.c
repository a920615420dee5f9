/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes of the file of what a guest's host devices are. */
#include <stdlib.h>
#include <string.h>

#include "domain/store/devices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store_devices *devices = NULL;
	struct pt_error err = {0};

	if (store_parse_devices((const char *)data, size, &devices, &err) < 0) {
		if (devices || !*err.message)
			abort();
		return 0;
	}
	if (devices->count > STORE_DEVICES_MAX)
		abort();
	for (size_t i = 0; i < devices->count; i++) {
		struct pt_address again;
		char text[PT_ADDRESS_TEXT];

		/* what was read is an address, which is written into messages */
		if (pt_address_parse(pt_address_format(&devices->items[i].address, text), &again,
				     NULL) < 0 ||
		    pt_address_compare(&devices->items[i].address, &again) != 0)
			abort();
	}
	free(devices);
	return 0;
}
