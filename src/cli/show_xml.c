/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One function as virsh nodedev-dumpxml writes it, so that what reads that reads
 * this: https://libvirt.org/formatnode.html.
 */
#include <inttypes.h>
#include <string.h>

#include "cli/print.h"

/* ---- text in XML ---- */

static void print_escaped(struct cli *cli, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '&')
			(void)fputs("&amp;", cli->out);
		else if (c == '<')
			(void)fputs("&lt;", cli->out);
		else if (c == '>')
			(void)fputs("&gt;", cli->out);
		else if (c == '\'')
			(void)fputs("&apos;", cli->out);
		else if (c == '"')
			(void)fputs("&quot;", cli->out);
		else if (c < 0x20 && c != '\t' && c != '\n')
			(void)fputc('?', cli->out); /* not a character of XML 1.0 in any spelling */
		else
			(void)fputc(c, cli->out);
	}
}

/* "<NAME>TEXT</NAME>" on a line of its own. */
static void print_element(struct cli *cli, int indent, const char *name, const char *text)
{
	(void)fprintf(cli->out, "%*s<%s>", indent, "", name);
	print_escaped(cli, text);
	(void)fprintf(cli->out, "</%s>\n", name);
}

static void print_address(struct cli *cli, int indent, const struct pt_address *address)
{
	(void)fprintf(cli->out,
		      "%*s<address domain='0x%04x' bus='0x%02x' slot='0x%02x' function='0x%x'/>\n",
		      indent, "", address->domain, address->bus, address->device,
		      address->function);
}

/* ---- parts ---- */

/*
 * The nearest PCI function above, for a root bus below a function (VMD) too, which
 * is no parent to pt_function; else "computer".
 */
static void print_parent(struct cli *cli, const struct pt_function *function)
{
	const char *part, *end = strrchr(function->path, '/');
	char name[PRINT_NODEDEV];

	while (end && end > function->path) {
		char word[PT_ADDRESS_TEXT];
		struct pt_address address;
		size_t len;

		for (part = end; part > function->path && part[-1] != '/';)
			part--;
		len = (size_t)(end - part);
		if (len < sizeof(word)) {
			memcpy(word, part, len);
			word[len] = '\0';
			if (pt_address_parse(word, &address, NULL) == 0) {
				print_element(cli, 2, "parent", print_nodedev_name(&address, name));
				return;
			}
		}
		end = part > function->path ? part - 1 : NULL;
	}
	print_element(cli, 2, "parent", "computer");
}

static void print_id(struct cli *cli, const char *element, uint16_t id, const char *name)
{
	(void)fprintf(cli->out, "    <%s id='0x%04x'", element, id);
	if (!name) {
		(void)fputs("/>\n", cli->out);
		return;
	}
	(void)fputc('>', cli->out);
	print_escaped(cli, name);
	(void)fprintf(cli->out, "</%s>\n", element);
}

static void print_relations(struct cli *cli, const struct pt_function *function,
			    const struct pt_details *details)
{
	size_t i;

	if (function->is_vf) {
		(void)fputs("    <capability type='phys_function'>\n", cli->out);
		print_address(cli, 6, &function->physfn);
		(void)fputs("    </capability>\n", cli->out);
	}
	if (details->sriov_total) {
		(void)fprintf(cli->out, "    <capability type='virt_functions' maxCount='%u'%s>\n",
			      details->sriov_total, details->sriov_enabled ? "" : "/");
		for (i = 0; i < details->sriov_enabled; i++)
			print_address(cli, 6, &details->vfs[i]);
		if (details->sriov_enabled)
			(void)fputs("    </capability>\n", cli->out);
	}
	if (details->header_type == 1)
		(void)fputs("    <capability type='pci-bridge'/>\n", cli->out);
	else if (details->header_type == 2)
		(void)fputs("    <capability type='cardbus-bridge'/>\n", cli->out);
}

/* The keywords that have elements of their own. */
static const struct {
	const char *keyword;
	const char *element;
} vpd_elements[] = {
	{"EC", "change_level"},	 {"MN", "manufacture_id"}, {"PN", "part_number"},
	{"SN", "serial_number"}, {"YA", "asset_tag"},
};

static void print_vpd_field(struct cli *cli, const char *keyword, const char *value)
{
	size_t i;

	for (i = 0; i < sizeof(vpd_elements) / sizeof(vpd_elements[0]); i++)
		if (!strcmp(vpd_elements[i].keyword, keyword)) {
			print_element(cli, 8, vpd_elements[i].element, value);
			return;
		}
	if (keyword[0] != 'V' && keyword[0] != 'Y')
		return;
	(void)fprintf(cli->out, "        <%s index='%c'>",
		      keyword[0] == 'V' ? "vendor_field" : "system_field", keyword[1]);
	print_escaped(cli, value);
	(void)fprintf(cli->out, "</%s>\n", keyword[0] == 'V' ? "vendor_field" : "system_field");
}

static void print_vpd(struct cli *cli, const struct pt_details *details)
{
	const char *const *fields = details->vpd_fields;
	size_t readonly = 2 * details->vpd_readonly_count, i;

	if (!details->vpd_name && !fields[0])
		return;
	(void)fputs("    <capability type='vpd'>\n", cli->out);
	if (details->vpd_name)
		print_element(cli, 6, "name", details->vpd_name);
	for (i = 0; fields[i]; i += 2) {
		if (i == 0 || i == readonly)
			(void)fprintf(cli->out, "      <fields access='%s'>\n",
				      i < readonly ? "readonly" : "readwrite");
		print_vpd_field(cli, fields[i], fields[i + 1]);
		if (!fields[i + 2] || i + 2 == readonly)
			(void)fputs("      </fields>\n", cli->out);
	}
	(void)fputs("    </capability>\n", cli->out);
}

static void print_group(struct cli *cli, const struct pt_group *group)
{
	size_t i;

	if (!group)
		return;
	(void)fprintf(cli->out, "    <iommuGroup number='%d'>\n", group->number);
	for (i = 0; i < group->count; i++)
		print_address(cli, 6, &group->members[i]->address);
	(void)fputs("    </iommuGroup>\n", cli->out);
}

static void print_link(struct cli *cli, const char *validity, int port, const struct pt_link *link)
{
	(void)fprintf(cli->out, "      <link validity='%s'", validity);
	if (port >= 0)
		(void)fprintf(cli->out, " port='%d'", port);
	if (link->speed_mtps)
		(void)fprintf(cli->out, " speed='%g'", link->speed_mtps / 1000.0);
	(void)fprintf(cli->out, " width='%u'/>\n", link->width);
}

static void print_pcie(struct cli *cli, const struct pt_details *details)
{
	if (!details->is_pcie)
		return;
	if (!details->has_link) {
		(void)fputs("    <pci-express/>\n", cli->out);
		return;
	}
	(void)fputs("    <pci-express>\n", cli->out);
	print_link(cli, "cap", details->port_number, &details->link_max);
	print_link(cli, "sta", -1, &details->link_now);
	(void)fputs("    </pci-express>\n", cli->out);
}

/* ---- whole elements ---- */

void print_nodedev_xml(struct cli *cli, const struct pt_snapshot *snapshot,
		       const struct pt_function *function, const struct pt_details *details)
{
	const struct pt_address *address = &function->address;
	char name[PRINT_NODEDEV];

	(void)fputs("<device>\n", cli->out);
	print_element(cli, 2, "name", print_nodedev_name(address, name));
	print_element(cli, 2, "path", function->path);
	print_parent(cli, function);
	if (function->driver) {
		(void)fputs("  <driver>\n", cli->out);
		print_element(cli, 4, "name", function->driver);
		(void)fputs("  </driver>\n", cli->out);
	}
	(void)fprintf(cli->out,
		      "  <capability type='pci'>\n    <class>0x%06x</class>\n"
		      "    <domain>%u</domain>\n    <bus>%u</bus>\n    <slot>%u</slot>\n"
		      "    <function>%u</function>\n",
		      function->class_code, address->domain, address->bus, address->device,
		      address->function);
	print_id(cli, "product", function->device_id,
		 pt_name_device(cli->host, function->vendor_id, function->device_id));
	print_id(cli, "vendor", function->vendor_id,
		 pt_name_vendor(cli->host, function->vendor_id));
	print_relations(cli, function, details);
	print_vpd(cli, details);
	print_group(cli, pt_snapshot_group(snapshot, function->iommu_group));
	if (details->numa_node >= 0)
		(void)fprintf(cli->out, "    <numa node='%d'/>\n", details->numa_node);
	print_pcie(cli, details);
	(void)fputs("  </capability>\n</device>\n", cli->out);
}

void print_hostdev_xml(struct cli *cli, const struct pt_address *address)
{
	(void)fputs("<hostdev mode='subsystem' type='pci' managed='yes'>\n  <source>\n", cli->out);
	print_address(cli, 4, address);
	(void)fputs("  </source>\n</hostdev>\n", cli->out);
}
