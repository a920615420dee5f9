/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/domain_capabilities.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/text.h"
#include "base/xml.h"
#include "domain/definition/device.h"
#include "domain/definition/definition.h"
#include "domain/definition/rows.h"
#include "domain/definition/firmware.h"

#define VCPUS_MAX 1024u /* as the table of definitions has it */

/* ---- what the table of definitions has ---- */

/* The words that @attribute of @row may be, "a|b", up to the next blank; NULL. */
static const char *choices_in(const struct supported *row, const char *attribute)
{
	size_t size = strlen(attribute);
	const char *at = row->attributes;

	while (at && *at) {
		const char *name = *at == '*' ? at + 1 : at;

		if (!strncmp(name, attribute, size) && (name[size] == '=' || name[size] == '!'))
			return name + size + (name[size] == '!' ? 2 : 1);
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return NULL;
}

static const char *find_choices(const struct supported *rows, size_t count, const char *path,
				const char *attribute)
{
	const char *choices = NULL;
	size_t i;

	for (i = 0; !choices && i < count; i++)
		if (!strcmp(rows[i].path, path))
			choices = choices_in(&rows[i], attribute);
	return choices;
}

static const char *supported_choices(const char *path, const char *attribute)
{
	const char *choices =
		find_choices(supported_devices, supported_devices_count, path, attribute);

	return choices ? choices
		       : find_choices(supported_guest, supported_guest_count, path, attribute);
}

/* ---- writing ---- */

/* @choices as far as the first blank, separated by '|'; none for NULL. */
static void write_enum_but(FILE *out, int indent, const char *name, const char *choices,
			   const char *left_out)
{
	size_t size;

	(void)fprintf(out, "%*s<enum name='%s'>\n", indent, "", name);
	for (; choices && *choices && *choices != ' '; choices += size + (choices[size] == '|')) {
		size = strcspn(choices, "| ");
		if (strlen(left_out) == size && !strncmp(choices, left_out, size))
			continue;
		(void)fprintf(out, "%*s<value>%.*s</value>\n", indent + 2, "", (int)size, choices);
	}
	(void)fprintf(out, "%*s</enum>\n", indent, "");
}

static void write_enum(FILE *out, int indent, const char *name, const char *choices)
{
	write_enum_but(out, indent, name, choices, "");
}

/*
 * libvirt's name of a list, and where the table has it, or its words themselves; no name for what
 * there isn't. In the order of libvirt's schema (domaincaps.rng).
 */
struct list {
	const char *element, *name, *path, *attribute, *choices;
};

static const struct list lists[] = {
	{"disk", "diskDevice", "devices/disk", "device", NULL},
	{"disk", "bus", "devices/disk/target", "bus", NULL},
	{"disk", "model", NULL, NULL, "virtio"},
	{"graphics", "type", "devices/graphics", "type", NULL},
	{"video", "modelType", "devices/video/model", "type", NULL},
	{"hostdev", "mode", "devices/hostdev", "mode", NULL},
	{"hostdev", "startupPolicy", NULL, NULL, "default|mandatory|requisite|optional"},
	{"hostdev", "subsysType", "devices/hostdev", "type", NULL},
	{"hostdev", "capsType", NULL, NULL, NULL},
	{"hostdev", "pciBackend", NULL, NULL, "default|vfio"},
	{"rng", "model", "devices/rng", "model", NULL},
	{"rng", "backendModel", "devices/rng/backend", "model", NULL},
	{"filesystem", "driverType", "devices/filesystem/driver", "type", NULL},
	{"tpm", "model", "devices/tpm", "model", NULL},
	{"tpm", "backendModel", "devices/tpm/backend", "type", NULL},
	{"tpm", "backendVersion", "devices/tpm/backend[emulator]", "version", NULL},
	{"redirdev", "bus", "devices/redirdev", "bus", NULL},
	{"channel", "type", "devices/channel", "type", NULL},
	{"crypto", NULL, NULL, NULL, NULL},
	{"interface", "backendType", NULL, NULL, "default"},
	{"panic", "model", "devices/panic", "model", NULL},
};

static void write_devices(const struct domain_kind *kind, FILE *out)
{
	/* a part of the machine pc, and of no other */
	const char *left_out = machine_is_i440fx(kind->machine) ? "" : "ide";
	const size_t count = sizeof(lists) / sizeof(lists[0]);
	size_t i = 0;

	(void)fputs("  <devices>\n", out);
	while (i < count) {
		const char *element = lists[i].element;

		if (!lists[i].name) {
			(void)fprintf(out, "    <%s supported='no'/>\n", element);
			i++;
			continue;
		}
		(void)fprintf(out, "    <%s supported='yes'>\n", element);
		for (; i < count && !strcmp(lists[i].element, element); i++)
			write_enum_but(
				out, 6, lists[i].name,
				lists[i].path ? supported_choices(lists[i].path, lists[i].attribute)
					      : lists[i].choices,
				left_out);
		(void)fprintf(out, "    </%s>\n", element);
	}
	(void)fputs("  </devices>\n", out);
}

/* The firmware that a guest gets that asks for it, with Secure Boot or without; "" for none. */
static void read_firmware(struct pt_host *host, bool is_secure, char path[FIRMWARE_PATH])
{
	static const char form[] =
		"<domain type='qemu'><name>x</name><memory>65536</memory><vcpu>1</vcpu>"
		"<os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type>"
		"<loader secure='%s'/></os><features><acpi/><smm state='%s'/></features></domain>";
	AUTO(auto_definition) struct definition *def = NULL;
	const char *word = is_secure ? "yes" : "no", *loader;
	struct pt_error err;
	char xml[512];

	*path = '\0';
	(void)text_format(xml, sizeof(xml), form, word, is_secure ? "on" : "off");
	if (definition_parse(xml, 0, &def, &err) < 0 ||
	    definition_choose_firmware(host, def, &err) < 0)
		return;
	loader = definition_get(def, "os/loader");
	if (loader)
		(void)text_format(path, FIRMWARE_PATH, "%s", loader);
}

static void write_os(struct pt_host *host, FILE *out)
{
	char plain[FIRMWARE_PATH], secure[FIRMWARE_PATH];

	read_firmware(host, false, plain);
	read_firmware(host, true, secure);
	(void)fputs("  <os supported='yes'>\n", out);
	write_enum(out, 4, "firmware", *plain || *secure ? "efi" : NULL);
	(void)fputs("    <loader supported='yes'>\n", out);
	if (*plain)
		xml_element(out, 6, "value", plain);
	if (*secure && strcmp(plain, secure) != 0)
		xml_element(out, 6, "value", secure);
	write_enum(out, 6, "type", supported_choices("os/loader", "type"));
	write_enum(out, 6, "readonly", supported_choices("os/loader", "readonly"));
	write_enum(out, 6, "secure", *secure ? "yes|no" : "no");
	(void)fputs("    </loader>\n  </os>\n", out);
}

static void write_cpu(const struct domain_kind *kind, FILE *out)
{
	(void)fputs("  <cpu>\n", out);
	(void)fprintf(out, "    <mode name='host-passthrough' supported='%s'>\n",
		      kind->is_kvm ? "yes" : "no");
	if (kind->is_kvm)
		write_enum(out, 6, "hostPassthroughMigratable", "on|off");
	(void)fputs("    </mode>\n    <mode name='maximum' supported='yes'>\n", out);
	write_enum(out, 6, "maximumMigratable", "on|off");
	/* any model that QEMU knows: which these are it would have to be asked */
	(void)fprintf(out,
		      "    </mode>\n    <mode name='host-model' supported='%s'/>\n"
		      "    <mode name='custom' supported='yes'/>\n  </cpu>\n",
		      kind->is_kvm ? "yes" : "no");
}

char *domain_capabilities_xml(struct pt_host *host, const struct domain_kind *kind)
{
	AUTO_FREE char *xml = NULL;
	size_t size;
	FILE *out = open_memstream(&xml, &size);

	if (!out)
		return NULL;
	(void)fputs("<domainCapabilities>\n", out);
	xml_element(out, 2, "path", kind->emulator);
	xml_element(out, 2, "domain", kind->is_kvm ? "kvm" : "qemu");
	xml_element(out, 2, "machine", kind->machine);
	xml_element(out, 2, "arch", "x86_64");
	(void)fprintf(out, "  <vcpu max='%u'/>\n  <iothreads supported='yes'/>\n",
		      kind->vcpus_max && kind->vcpus_max < VCPUS_MAX ? kind->vcpus_max : VCPUS_MAX);
	write_os(host, out);
	write_cpu(kind, out);
	(void)fputs("  <memoryBacking supported='yes'>\n", out);
	write_enum(out, 4, "sourceType", supported_choices("memoryBacking/source", "type"));
	(void)fputs("  </memoryBacking>\n", out);
	write_devices(kind, out);
	(void)fputs("  <features>\n    <gic supported='no'/>\n    <vmcoreinfo supported='yes'/>\n"
		    "    <genid supported='yes'/>\n    <backingStoreInput supported='no'/>\n"
		    "    <backup supported='no'/>\n    <sev supported='no'/>\n  </features>\n"
		    "</domainCapabilities>\n",
		    out);
	return fclose(out) == 0 ? TAKE_POINTER(xml) : NULL;
}
