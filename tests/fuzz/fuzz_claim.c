/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes of a claim file: what is read can be written, and read again to the same claim. */
#include <stdlib.h>
#include <string.h>

#include "assign/claim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pt_claim claim, again;
	struct pt_error err;
	struct json_object *object;
	char *text;
	size_t length;

	if (claim_parse((const char *)data, size, &claim, &err) < 0)
		return 0;
	object = claim_to_json(&claim);
	if (!object)
		abort();
	if (json_format(object, JSON_C_TO_STRING_PLAIN, &text, &length) < 0)
		abort();
	if (claim_parse(text, length, &again, &err) < 0)
		abort();
	if (pt_address_compare(&claim.address, &again.address) != 0 ||
	    strcmp(claim.driver_before, again.driver_before) != 0 ||
	    claim.owner.start_time != again.owner.start_time || claim.state != again.state)
		abort();
	json_object_put(object);
	free(text);
	return 0;
}
