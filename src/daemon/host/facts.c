/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/facts.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "base/xml.h"
#include "domain/confine/secmodel.h"
#include "domain/confine/selinux.h"
#include "domain/resources/smbios.h"

#define CPUS	  "sys/devices/system/cpu"
#define NODES	  "sys/devices/system/node"
#define DMI	  "sys/class/dmi/id"
#define CPUS_MAX  65536u
#define NODES_MAX 1024u
#define FILE_MAX  (4u * 1024 * 1024)

static bool facts_read_number(struct pt_host *host, const char *path, uint64_t *ret_value)
{
	char text[64];

	return io_read_text_at(host->root_fd, path, text, sizeof(text)) > 0 &&
	       text_parse_number(text, 10, UINT32_MAX, ret_value) == 0;
}

/* "0-3,8": calls @visit for each number below @max. */
static int visit_list(struct pt_host *host, const char *path, unsigned int max,
		      int (*visit)(void *context, unsigned int number), void *context)
{
	char text[4096], *at = text;
	int r = 0;

	if (io_read_text_at(host->root_fd, path, text, sizeof(text)) <= 0)
		return 0;
	while (r == 0 && *at) {
		unsigned long first = strtoul(at, &at, 10), last = first;

		if (*at == '-')
			last = strtoul(at + 1, &at, 10);
		for (; r == 0 && first <= last && first < max; first++)
			r = visit(context, (unsigned int)first);
		if (*at != ',')
			break;
		at++;
	}
	return r;
}

/* ---- processors ---- */

struct cpu_reader {
	struct pt_host *host;
	struct cpus *cpus;
};

static int add_cpu(void *context, unsigned int number)
{
	struct cpu_reader *reader = context;
	struct cpus *cpus = reader->cpus;
	uint64_t package = 0, core = number;
	char path[128];
	struct cpu *items = reallocarray(cpus->items, cpus->count + 1, sizeof(*items));

	if (!items)
		return -ENOMEM;
	cpus->items = items;
	(void)text_format(path, sizeof(path), CPUS "/cpu%u/topology/physical_package_id", number);
	(void)facts_read_number(reader->host, path, &package);
	(void)text_format(path, sizeof(path), CPUS "/cpu%u/topology/core_id", number);
	(void)facts_read_number(reader->host, path, &core);
	items[cpus->count++] = (struct cpu){number, (unsigned int)package, (unsigned int)core};
	return 0;
}

static int highest(void *context, unsigned int number)
{
	unsigned int *present = context;

	*present = number + 1;
	return 0;
}

static int compare_places(const void *a, const void *b)
{
	const struct cpu *x = a, *y = b;

	if (x->package != y->package)
		return x->package < y->package ? -1 : 1;
	if (x->core != y->core)
		return x->core < y->core ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

/* Packages, cores of each and threads of each, or a flat machine where they don't multiply. */
static void count_places(struct cpus *cpus)
{
	unsigned int packages = 0, cores = 0;
	size_t i;

	if (cpus->count)
		qsort(cpus->items, cpus->count, sizeof(*cpus->items), compare_places);
	for (i = 0; i < cpus->count; i++) {
		const struct cpu *cpu = &cpus->items[i];
		bool is_new = i == 0 || cpu[-1].package != cpu->package;

		packages += is_new;
		cores += is_new || cpu[-1].core != cpu->core;
	}
	cpus->packages = packages;
	cpus->cores = packages ? cores / packages : 0;
	cpus->threads = cores ? (unsigned int)cpus->count / cores : 0;
	if ((size_t)cpus->packages * cpus->cores * cpus->threads != cpus->count) {
		cpus->packages = 1;
		cpus->cores = (unsigned int)cpus->count;
		cpus->threads = 1;
	}
}

static unsigned int read_mhz(struct pt_host *host)
{
	AUTO_FREE char *text = NULL;
	const char *line;
	size_t size;

	if (io_read_all_at(host->root_fd, "proc/cpuinfo", FILE_MAX, &text, &size) < 0)
		return 0;
	line = strstr(text, "cpu MHz");
	line = line ? strchr(line, ':') : NULL;
	return line ? (unsigned int)strtoul(line + 1, NULL, 10) : 0;
}

int cpus_read(struct pt_host *host, struct cpus *ret_cpus)
{
	struct cpus cpus = {0};
	struct cpu_reader reader = {host, &cpus};

	(void)visit_list(host, CPUS "/present", CPUS_MAX, highest, &cpus.present);
	if (visit_list(host, CPUS "/online", CPUS_MAX, add_cpu, &reader) < 0) {
		cpus_free(&cpus);
		return -ENOMEM;
	}
	count_places(&cpus);
	cpus.mhz = read_mhz(host);
	*ret_cpus = cpus;
	return 0;
}

void cpus_free(struct cpus *cpus)
{
	free(cpus->items);
	*cpus = (struct cpus){0};
}

/* ---- memory ---- */

uint64_t memory_read_kib(struct pt_host *host, const char *file, const char *key)
{
	AUTO_FREE char *text = NULL;
	size_t size, len = strlen(key);
	char *at;

	if (io_read_all_at(host->root_fd, file, FILE_MAX, &text, &size) < 0)
		return 0;
	/* in a node's file the keys come after "Node 0 " */
	for (at = text; (at = strstr(at, key)); at += len)
		if (at[len] == ':' && (at == text || at[-1] == '\n' || at[-1] == ' '))
			return strtoull(at + len + 1, NULL, 10);
	return 0;
}

struct node_list {
	unsigned int *numbers;
	size_t count, max;
};

static int add_node(void *context, unsigned int number)
{
	struct node_list *list = context;

	if (list->count < list->max)
		list->numbers[list->count++] = number;
	return 0;
}

size_t numa_nodes_read(struct pt_host *host, unsigned int *ret_nodes, size_t max)
{
	struct node_list list = {ret_nodes, 0, max};

	(void)visit_list(host, NODES "/online", NODES_MAX, add_node, &list);
	return list.count;
}

bool iommu_is_used(struct pt_host *host)
{
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;

	(void)io_open_directory_at(host->root_fd, "sys/kernel/iommu_groups", &dir);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			return true;
	return false;
}

/* ---- documents ---- */

static void read_dmi(struct pt_host *host, const char *name, char value[256])
{
	char path[128];

	if (text_format(path, sizeof(path), DMI "/%s", name) < 0 ||
	    io_read_text_at(host->root_fd, path, value, 256) < 0)
		*value = '\0';
}

/* The firmware's number of the machine; where it has none, what systemd made up for it. */
static void write_uuid(struct pt_host *host, FILE *out)
{
	char value[256];

	read_dmi(host, "product_uuid", value);
	if (!*value && io_read_text_at(host->root_fd, "etc/machine-id", value, sizeof(value)) == 32)
		(void)fprintf(out, "    <uuid>%.8s-%.4s-%.4s-%.4s-%.12s</uuid>\n", value, value + 8,
			      value + 12, value + 16, value + 20);
	else if (*value)
		xml_element(out, 4, "uuid", value);
}

static void write_cells(struct pt_host *host, FILE *out)
{
	unsigned int nodes[64];
	size_t count = numa_nodes_read(host, nodes, sizeof(nodes) / sizeof(nodes[0])), i;
	char path[128];

	if (!count)
		return;
	(void)fprintf(out, "    <topology>\n      <cells num='%zu'>\n", count);
	for (i = 0; i < count; i++) {
		(void)text_format(path, sizeof(path), NODES "/node%u/meminfo", nodes[i]);
		(void)fprintf(out,
			      "        <cell id='%u'>\n          <memory unit='KiB'>%" PRIu64
			      "</memory>\n        </cell>\n",
			      nodes[i], memory_read_kib(host, path, "MemTotal"));
	}
	(void)fputs("      </cells>\n    </topology>\n", out);
}

/* Those that guests can have here, and by which name they stay the same. */
static void write_machines(const struct emulator *emulator, FILE *out)
{
	if (!emulator->machine_count)
		(void)fputs("      <machine>q35</machine>\n", out);
	for (size_t i = 0; i < emulator->machine_count; i++) {
		const struct emulator_machine *machine = &emulator->machines[i];
		const char *deprecated = machine->is_deprecated ? " deprecated='yes'" : "";

		(void)fprintf(out, "      <machine maxCpus='%u'%s>%s</machine>\n",
			      machine->cpus_max, deprecated, machine->name);
		if (*machine->alias)
			(void)fprintf(out,
				      "      <machine canonical='%s' maxCpus='%u'%s>%s</machine>\n",
				      machine->name, machine->cpus_max, deprecated, machine->alias);
	}
}

/* What kinds of guests there can be: clients that make definitions won't without one. */
static void write_guests(struct pt_host *host, const char *arch, const struct emulator *emulator,
			 FILE *out)
{
	if (strcmp(arch, "x86_64") != 0 || faccessat(host->root_fd, EMULATOR + 1, X_OK, 0) < 0)
		return;
	(void)fputs("  <guest>\n    <os_type>hvm</os_type>\n    <arch name='x86_64'>\n"
		    "      <wordsize>64</wordsize>\n      <emulator>" EMULATOR "</emulator>\n",
		    out);
	write_machines(emulator, out);
	(void)fputs("      <domain type='qemu'/>\n", out);
	if (faccessat(host->root_fd, "dev/kvm", F_OK, 0) == 0)
		(void)fputs("      <domain type='kvm'/>\n", out);
	(void)fputs("    </arch>\n    <features>\n      <acpi default='on' toggle='yes'/>\n"
		    "      <apic default='on' toggle='no'/>\n    </features>\n  </guest>\n",
		    out);
}

static void write_model(struct pt_host *host, FILE *out)
{
	static const char *const kinds[] = {"qemu", "kvm"};
	const char *name = secmodel_name(host);
	struct selinux_types types;

	if (!name)
		return;
	(void)fprintf(out, "    <secmodel>\n      <model>%s</model>\n      <doi>%s</doi>\n", name,
		      SECMODEL_DOI);
	for (unsigned int i = 0; selinux_is_loaded(host) && i < 2; i++) {
		if (selinux_read_types(host, i, &types, NULL) == 0)
			(void)fprintf(out, "      <baselabel type='%s'>%s</baselabel>\n", kinds[i],
				      types.process);
	}
	(void)fputs("    </secmodel>\n", out);
}

char *capabilities_xml(struct pt_host *host, const struct emulator *emulator)
{
	AUTO_FREE char *xml = NULL;
	struct utsname name = {0};
	struct cpus cpus;
	size_t size;
	FILE *out;

	if (cpus_read(host, &cpus) < 0)
		return NULL;
	out = open_memstream(&xml, &size);
	if (!out) {
		cpus_free(&cpus);
		return NULL;
	}
	(void)uname(&name);
	(void)fputs("<capabilities>\n  <host>\n", out);
	write_uuid(host, out);
	(void)fputs("    <cpu>\n", out);
	xml_element(out, 6, "arch", name.machine);
	if (cpus.count)
		(void)fprintf(out, "      <topology sockets='%u' cores='%u' threads='%u'/>\n",
			      cpus.packages, cpus.cores, cpus.threads);
	(void)fprintf(out, "    </cpu>\n    <power_management/>\n    <iommu support='%s'/>\n",
		      iommu_is_used(host) ? "yes" : "no");
	write_cells(host, out);
	write_model(host, out);
	(void)fputs("  </host>\n", out);
	write_guests(host, name.machine, emulator, out);
	(void)fputs("</capabilities>\n", out);
	cpus_free(&cpus);
	return fclose(out) == 0 ? TAKE_POINTER(xml) : NULL;
}

char *sysinfo_xml(struct pt_host *host)
{
	AUTO_FREE char *xml = NULL;
	const char *part = NULL;
	struct smbios_value values[SMBIOS_MAX];
	size_t size, count = smbios_read(host, values);
	FILE *out = open_memstream(&xml, &size);

	if (!out)
		return NULL;
	(void)fputs("<sysinfo type='smbios'>\n", out);
	for (size_t i = 0; i < count; i++) {
		if (!part || strcmp(part, values[i].element) != 0) {
			if (part)
				(void)fprintf(out, "  </%s>\n", part);
			part = values[i].element;
			(void)fprintf(out, "  <%s>\n", part);
		}
		(void)fprintf(out, "    <entry name='%s'>", values[i].name);
		xml_text(out, values[i].text);
		(void)fputs("</entry>\n", out);
	}
	if (part)
		(void)fprintf(out, "  </%s>\n", part);
	(void)fputs("</sysinfo>\n", out);
	if (fclose(out) != 0)
		return NULL;
	return part ? TAKE_POINTER(xml) : strdup("");
}
