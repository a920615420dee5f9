/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One function as virsh nodedev-dumpxml writes it, so that what reads that reads this. Reads
 * nothing that waits for the device's lock (driver_override, sriov_numvfs): a stuck
 * driver must not keep people from looking at its device.
 */
#include <passthru/nodedev.h>

#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/error.h"
#include "base/io.h"
#include "base/text.h"
#include "base/xml.h"
#include "pci/config.h"
#include "pci/snapshot.h"
#include "pci/sysfs.h"
#include "pci/vpd.h"

AUTO_DEFINE(snapshot, struct pt_snapshot *, pt_snapshot_free)

/* All that is shown stands in the part that conventional PCI has too. */
#define CONFIG_SHOWN 256

#define HEADER_BRIDGE  PCI_HEADER_TYPE_BRIDGE
#define HEADER_CARDBUS PCI_HEADER_TYPE_CARDBUS

/* One function on its way to the document. */
struct writer {
	struct pt_host *host;
	const struct pt_snapshot *snapshot;
	const struct pt_function *function;
	FILE *out;
};

char *pt_nodedev_name(const struct pt_address *address, char name[PT_NODEDEV_NAME])
{
	(void)snprintf(name, PT_NODEDEV_NAME, "pci_%04x_%02x_%02x_%x", address->domain,
		       address->bus, address->device, address->function);
	return name;
}

static void write_address(FILE *out, const struct pt_address *address)
{
	(void)fprintf(out,
		      "      <address domain='0x%04x' bus='0x%02x' slot='0x%02x' "
		      "function='0x%x'/>\n",
		      address->domain, address->bus, address->device, address->function);
}

/*
 * The nearest PCI function above, for a root bus below a function (VMD) too, which
 * is no parent to pt_function; else "computer".
 */
static void write_parent(const struct writer *writer)
{
	const char *path = writer->function->path;
	const char *last = strrchr(path, '/');
	size_t end = last ? (size_t)(last - path) : 0;
	char name[PT_NODEDEV_NAME];

	while (end > 0) {
		char word[PT_ADDRESS_TEXT];
		struct pt_address address;
		size_t part = end, len;

		while (part > 0 && path[part - 1] != '/')
			part--;
		len = end - part;
		if (len < sizeof(word)) {
			memcpy(word, path + part, len);
			word[len] = '\0';
			if (pt_address_parse(word, &address, NULL) == 0) {
				xml_element(writer->out, 2, "parent",
					    pt_nodedev_name(&address, name));
				return;
			}
		}
		end = part > 0 ? part - 1 : 0;
	}
	xml_element(writer->out, 2, "parent", "computer");
}

static void write_id(const struct writer *writer, const char *element, uint16_t id,
		     const char *name)
{
	(void)fprintf(writer->out, "    <%s id='0x%04x'", element, id);
	if (!name) {
		(void)fputs("/>\n", writer->out);
		return;
	}
	(void)fputc('>', writer->out);
	xml_text(writer->out, name);
	(void)fprintf(writer->out, "</%s>\n", element);
}

/* ---- SR-IOV ---- */

static bool read_address_link(const struct writer *writer, const char *name,
			      struct pt_address *ret_address)
{
	char target[PT_ADDRESS_TEXT];

	return sysfs_read_link(writer->host, &writer->function->address, name, target,
			       sizeof(target)) == 0 &&
	       pt_address_parse(target, ret_address, NULL) == 0;
}

static void write_relations(const struct writer *writer)
{
	struct pt_address other;
	char text[16], name[32];
	uint64_t total = 0;
	bool is_open = false;
	unsigned int i;

	if (read_address_link(writer, "physfn", &other)) {
		(void)fputs("    <capability type='phys_function'>\n", writer->out);
		write_address(writer->out, &other);
		(void)fputs("    </capability>\n", writer->out);
	}
	if (sysfs_read(writer->host, &writer->function->address, "sriov_totalvfs", text,
		       sizeof(text)) < 0 ||
	    text_parse_number(text, 10, UINT16_MAX, &total) < 0 || !total)
		return;
	(void)fprintf(writer->out, "    <capability type='virt_functions' maxCount='%u'",
		      (unsigned int)total);
	for (i = 0; i < total; i++) {
		(void)text_format(name, sizeof(name), "virtfn%u", i);
		if (!read_address_link(writer, name, &other))
			break;
		if (!is_open)
			(void)fputs(">\n", writer->out);
		is_open = true;
		write_address(writer->out, &other);
	}
	(void)fputs(is_open ? "    </capability>\n" : "/>\n", writer->out);
}

/* ---- vital product data ---- */

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

static void write_vpd(const struct writer *writer)
{
	AUTO_FREE uint8_t *bytes = malloc(VPD_SIZE_MAX);
	FILE *out = writer->out;
	struct vpd vpd;

	if (!bytes || !read_vpd(writer->host, &writer->function->address, bytes, &vpd))
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

/* ---- group, node, link ---- */

static void write_group(const struct writer *writer)
{
	const struct pt_group *group =
		pt_snapshot_group(writer->snapshot, writer->function->iommu_group);
	size_t i;

	if (!group)
		return;
	(void)fprintf(writer->out, "    <iommuGroup number='%d'>\n", group->number);
	for (i = 0; i < group->count; i++)
		write_address(writer->out, &group->members[i]->address);
	(void)fputs("    </iommuGroup>\n", writer->out);
}

static void write_numa(const struct writer *writer)
{
	char text[16];
	uint64_t node;

	/* "-1" where the firmware doesn't say is no number here */
	if (sysfs_read(writer->host, &writer->function->address, "numa_node", text, sizeof(text)) >
		    0 &&
	    text_parse_number(text, 10, INT32_MAX, &node) == 0)
		(void)fprintf(writer->out, "    <numa node='%u'/>\n", (unsigned int)node);
}

static void write_link(FILE *out, const char *validity, int port, const struct pt_link *link)
{
	(void)fprintf(out, "      <link validity='%s'", validity);
	if (port >= 0)
		(void)fprintf(out, " port='%d'", port);
	if (link->speed_mtps)
		(void)fprintf(out, " speed='%g'", link->speed_mtps / 1000.0);
	(void)fprintf(out, " width='%u'/>\n", link->width);
}

static void write_pcie(FILE *out, const struct config *config)
{
	if (!config->is_pcie)
		return;
	if (!config->has_link) {
		(void)fputs("    <pci-express/>\n", out);
		return;
	}
	(void)fputs("    <pci-express>\n", out);
	write_link(out, "cap", config->port_number, &config->link_max);
	write_link(out, "sta", -1, &config->link_now);
	(void)fputs("    </pci-express>\n", out);
}

/* ---- all of it ---- */

static bool read_piece(int fd, uint8_t *bytes, size_t offset, size_t size)
{
	if (offset + size > CONFIG_SHOWN)
		size = CONFIG_SHOWN - offset;
	return pread(fd, bytes + offset, size, (off_t)offset) == (ssize_t)size;
}

/*
 * Every word is asked of the device, which takes microseconds each, in a virtual machine
 * tens of them: read what is shown, and leave the rest zero.
 */
static bool read_shown(int fd, uint8_t bytes[CONFIG_SHOWN])
{
	unsigned int at, steps;

	/*
	 * Ids, command and status, class, header type. All ones: nobody answers (the ids alone
	 * read so of virtual functions).
	 */
	if (!read_piece(fd, bytes, 0, 16) || !memcmp(bytes + 4, "\xff\xff\xff\xff", 4))
		return false;
	if (!(bytes[PCI_STATUS] & PCI_STATUS_CAP_LIST))
		return true;
	at = (bytes[PCI_HEADER_TYPE] & 0x7f) == HEADER_CARDBUS ? PCI_CB_CAPABILITY_LIST
							       : PCI_CAPABILITY_LIST;
	if (!read_piece(fd, bytes, at, 1))
		return false;
	at = bytes[at] & ~3u;
	for (steps = 0; at >= CONFIG_HEADER_SIZE && steps < CONFIG_SHOWN / 4; steps++) {
		if (!read_piece(fd, bytes, at, 2))
			return true; /* unprivileged readers get the header alone */
		if (bytes[at] == PCI_CAP_ID_EXP && !read_piece(fd, bytes, at, PCI_EXP_LNKSTA + 2))
			return true;
		at = bytes[at + 1] & ~3u;
	}
	return true;
}

/* Left zeroed when the device doesn't answer or the file can't be read. */
static void read_config(const struct writer *writer, struct config *ret_config)
{
	uint8_t bytes[CONFIG_SHOWN] = {0};
	AUTO_CLOSE int fd = -1;
	char path[SYSFS_PATH];

	if (sysfs_device_path(path, &writer->function->address, "config") == 0)
		fd = openat(writer->host->root_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || !read_shown(fd, bytes) || config_parse(bytes, sizeof(bytes), ret_config) < 0)
		memset(ret_config, 0, sizeof(*ret_config));
}

static void write_capability(const struct writer *writer, const struct config *config)
{
	const struct pt_function *function = writer->function;
	const struct pt_address *address = &function->address;
	FILE *out = writer->out;

	(void)fprintf(out,
		      "  <capability type='pci'>\n    <class>0x%06x</class>\n"
		      "    <domain>%u</domain>\n    <bus>%u</bus>\n    <slot>%u</slot>\n"
		      "    <function>%u</function>\n",
		      function->class_code, address->domain, address->bus, address->device,
		      address->function);
	write_id(writer, "product", function->device_id,
		 pt_name_device(writer->host, function->vendor_id, function->device_id));
	write_id(writer, "vendor", function->vendor_id,
		 pt_name_vendor(writer->host, function->vendor_id));
	write_relations(writer);
	if (config->header_type == HEADER_BRIDGE)
		(void)fputs("    <capability type='pci-bridge'/>\n", out);
	else if (config->header_type == HEADER_CARDBUS)
		(void)fputs("    <capability type='cardbus-bridge'/>\n", out);
	if (config->has_vpd)
		write_vpd(writer);
	write_group(writer);
	write_numa(writer);
	write_pcie(out, config);
	(void)fputs("  </capability>\n", out);
}

static int write_device(const struct writer *writer)
{
	const struct pt_function *function = writer->function;
	AUTO_FREE struct config *config = malloc(sizeof(*config));
	char name[PT_NODEDEV_NAME];

	if (!config)
		return -ENOMEM;
	read_config(writer, config);
	(void)fputs("<device>\n", writer->out);
	xml_element(writer->out, 2, "name", pt_nodedev_name(&function->address, name));
	xml_element(writer->out, 2, "path", function->path);
	write_parent(writer);
	if (function->driver) {
		(void)fputs("  <driver>\n", writer->out);
		xml_element(writer->out, 4, "name", function->driver);
		(void)fputs("  </driver>\n", writer->out);
	}
	write_capability(writer, config);
	(void)fputs("</device>\n", writer->out);
	return 0;
}

/* The document as text: 0 or -ENOMEM. */
static int compose(struct writer *writer, char **ret_xml)
{
	char *xml = NULL;
	size_t size = 0;
	int r;

	writer->out = open_memstream(&xml, &size);
	if (!writer->out)
		return -ENOMEM;
	r = write_device(writer);
	if (fclose(writer->out) != 0 || r < 0) {
		free(xml);
		return -ENOMEM;
	}
	*ret_xml = xml;
	return 0;
}

int pt_nodedev_xml(struct pt_host *host, const struct pt_address *address, char **ret_xml,
		   struct pt_error *err)
{
	AUTO(auto_snapshot) struct pt_snapshot *snapshot = NULL;
	struct writer writer = {.host = host};
	char text[PT_ADDRESS_TEXT];
	int r = snapshot_read_group(host, address, &snapshot, err);

	if (r < 0)
		return r;
	writer.snapshot = snapshot;
	writer.function = pt_snapshot_find(snapshot, address);
	if (!writer.function)
		return pt_fail(err, PT_NO_DEVICE, ENODEV,
			       "%s: there is no such PCI function; passthru list shows those "
			       "there are",
			       pt_address_format(address, text));
	return compose(&writer, ret_xml) < 0 ? pt_fail_memory(err) : 0;
}
