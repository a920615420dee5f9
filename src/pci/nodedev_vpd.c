/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Vital product data in the document of a node device. */
#include "pci/nodedev.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/xml.h"
#include "pci/sysfs.h"
#include "pci/vpd.h"

/* The keywords that have elements of their own. */
static const struct {
	const char *keyword;
	const char *element;
} vpd_elements[] = {
	{"EC", "change_level"},	 {"MN", "manufacture_id"}, {"PN", "part_number"},
	{"SN", "serial_number"}, {"YA", "asset_tag"},
};

static bool is_shown(const struct vpd_field *field)
{
	size_t i;

	for (i = 0; i < sizeof(vpd_elements) / sizeof(vpd_elements[0]); i++)
		if (!strcmp(vpd_elements[i].keyword, field->keyword))
			return true;
	return field->keyword[0] == 'V' || field->keyword[0] == 'Y';
}

static void write_vpd_field(FILE *out, const struct vpd_field *field)
{
	const char *keyword = field->keyword, *element = NULL;
	char value[256];
	size_t i, len = field->len < sizeof(value) ? field->len : sizeof(value) - 1;

	for (i = 0; i < sizeof(vpd_elements) / sizeof(vpd_elements[0]); i++)
		if (!strcmp(vpd_elements[i].keyword, keyword))
			element = vpd_elements[i].element;
	memcpy(value, field->value, len);
	value[len] = '\0';
	if (element) {
		xml_element(out, 8, element, value);
		return;
	}
	element = keyword[0] == 'V' ? "vendor_field" : "system_field";
	(void)fprintf(out, "        <%s index='%c'>", element, keyword[1]);
	xml_text(out, value);
	(void)fprintf(out, "</%s>\n", element);
}

static void write_vpd_fields(FILE *out, const struct vpd *vpd, bool is_writable)
{
	bool is_open = false;
	size_t i;

	for (i = 0; i < vpd->field_count; i++) {
		const struct vpd_field *field = &vpd->fields[i];

		if (field->is_writable != is_writable || !is_shown(field))
			continue;
		if (!is_open)
			(void)fprintf(out, "      <fields access='%s'>\n",
				      is_writable ? "readwrite" : "readonly");
		is_open = true;
		write_vpd_field(out, field);
	}
	if (is_open)
		(void)fputs("      </fields>\n", out);
}

/* The @bytes (VPD_SIZE_MAX) are what @ret_vpd points into. */
static bool read_vpd(struct pt_host *host, const struct pt_address *address, uint8_t *bytes,
		     struct vpd *ret_vpd)
{
	char path[SYSFS_PATH];
	ssize_t len;

	if (sysfs_device_path(path, address, "vpd") < 0)
		return false;
	len = io_read_at(host->root_fd, path, bytes, VPD_SIZE_MAX);
	return len > 0 && vpd_parse(bytes, (size_t)len, ret_vpd) == 0 &&
	       (ret_vpd->name || ret_vpd->field_count);
}

bool pt_nodedev_has_vpd(struct pt_host *host, const struct pt_address *address)
{
	AUTO_FREE uint8_t *bytes = malloc(VPD_SIZE_MAX);
	struct vpd vpd;

	return bytes && read_vpd(host, address, bytes, &vpd);
}

void nodedev_write_vpd(struct pt_host *host, const struct pt_address *address, FILE *out)
{
	AUTO_FREE uint8_t *bytes = malloc(VPD_SIZE_MAX);
	struct vpd vpd;

	if (!bytes || !read_vpd(host, address, bytes, &vpd))
		return;
	(void)fputs("    <capability type='vpd'>\n", out);
	if (vpd.name) {
		AUTO_FREE char *name = strndup((const char *)vpd.name, vpd.name_len);

		xml_element(out, 6, "name", name ? name : "");
	}
	write_vpd_fields(out, &vpd, false);
	write_vpd_fields(out, &vpd, true);
	(void)fputs("    </capability>\n", out);
}
