/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as Vital Product Data. */
#include <assert.h>

#include "pci/vpd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const uint8_t *data, size_t size, const uint8_t *text, size_t len)
{
	size_t i;

	assert(text >= data && len && len <= size - (size_t)(text - data));
	for (i = 0; i < len; i++)
		assert(text[i] >= 0x20 && text[i] <= 0x7e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vpd vpd;
	size_t i;

	if (vpd_parse(data, size, &vpd) < 0)
		return 0;
	assert(vpd.field_count <= VPD_FIELDS_MAX);
	if (vpd.name)
		check(data, size, vpd.name, vpd.name_len);
	for (i = 0; i < vpd.field_count; i++)
		check(data, size, vpd.fields[i].value, vpd.fields[i].len);
	return 0;
}
