/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text as an address: what is accepted comes back the same by another spelling. */
#include <assert.h>
#include <passthru/nodedev.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), spelled[PT_ADDRESS_TEXT], name[PT_NODEDEV_NAME];
	struct pt_address address, again;
	struct pt_error err = {0};

	assert(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (pt_address_parse(text, &address, &err) == 0) {
		assert(address.device <= 31 && address.function <= 7);
		assert(pt_address_parse(pt_address_format(&address, spelled), &again, NULL) == 0);
		assert(pt_address_compare(&address, &again) == 0);
		assert(pt_address_parse(pt_nodedev_name(&address, name), &again, NULL) == 0);
		assert(pt_address_compare(&address, &again) == 0);
	} else {
		assert(err.reason == PT_INVALID && *err.message);
	}
	free(text);
	return 0;
}
