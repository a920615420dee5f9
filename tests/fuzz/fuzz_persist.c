/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes of a persisted device's file: what is read can be written, and read again the same. */
#include <stdlib.h>
#include <string.h>

#include "assign/persist/persist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pt_persisted persisted, again;
	char formatted[PT_IDENTITY_TEXT];
	struct json_object *object;
	struct pt_error err;
	char *text;
	size_t length;

	if (persist_parse((const char *)data, size, &persisted, &err) < 0)
		return 0;
	(void)pt_identity_format(&persisted.identity, formatted);
	object = persist_to_json(&persisted);
	if (!object)
		abort();
	if (json_format(object, JSON_C_TO_STRING_PLAIN, &text, &length) < 0)
		abort();
	if (persist_parse(text, length, &again, &err) < 0 ||
	    pt_identity_compare(&persisted.identity, &again.identity, NULL, 0) !=
		    PT_IDENTITY_SAME ||
	    strcmp(persisted.driver, again.driver) != 0 || persisted.since != again.since ||
	    strcmp(persisted.why, again.why) != 0)
		abort();
	json_object_put(object);
	free(text);
	return 0;
}
