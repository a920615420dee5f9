/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/resources/smbios.h"

#include "base/io.h"
#include "base/text.h"

#define DMI "sys/class/dmi/id"

static const struct {
	const char *element;
	const char *name;
	const char *file;
} entries[] = {
	{"bios", "vendor", "bios_vendor"},
	{"bios", "version", "bios_version"},
	{"bios", "date", "bios_date"},
	{"bios", "release", "bios_release"},
	{"system", "manufacturer", "sys_vendor"},
	{"system", "product", "product_name"},
	{"system", "version", "product_version"},
	{"system", "serial", "product_serial"},
	{"system", "uuid", "product_uuid"},
	{"system", "sku", "product_sku"},
	{"system", "family", "product_family"},
	{"baseBoard", "manufacturer", "board_vendor"},
	{"baseBoard", "product", "board_name"},
	{"baseBoard", "version", "board_version"},
	{"baseBoard", "serial", "board_serial"},
	{"baseBoard", "asset", "board_asset_tag"},
	{"chassis", "manufacturer", "chassis_vendor"},
	{"chassis", "version", "chassis_version"},
	{"chassis", "serial", "chassis_serial"},
	{"chassis", "asset", "chassis_asset_tag"},
};

_Static_assert(sizeof(entries) / sizeof(entries[0]) <= SMBIOS_MAX, "there is room for all of them");

size_t smbios_read(struct pt_host *host, struct smbios_value values[SMBIOS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		struct smbios_value *value = &values[count];
		char path[96];

		(void)text_format(path, sizeof(path), DMI "/%s", entries[i].file);
		if (io_read_text_at(host->root_fd, path, value->text, sizeof(value->text)) <= 0)
			continue;
		text_clean(value->text);
		value->element = entries[i].element;
		value->name = entries[i].name;
		count++;
	}
	return count;
}
