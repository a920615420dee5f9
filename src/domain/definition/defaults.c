/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/defaults.h"

#include <stdio.h>

#include "base/text.h"
#include "domain/definition/units.h"
#include "domain/definition/xml_node.h"

#define KIB 1024

/* ---- sizes ---- */

/* Elements whose text is a size, of any unit. */
static const char *const sizes[] = {"memory", "currentMemory", "memtune/hard_limit",
				    "memtune/swap_hard_limit"};

static unsigned long long to_kib(uint64_t bytes)
{
	return bytes / KIB + (bytes % KIB != 0);
}

static int set_size(xmlNode *node)
{
	uint64_t bytes;
	char text[32];

	if (!node || size_of_node(node, &bytes, NULL) < 0)
		return 0;
	(void)text_format(text, sizeof(text), "%llu", to_kib(bytes));
	return node_set_text(node, text) < 0 || node_set(node, "unit", "KiB") < 0 ? -ENOMEM : 0;
}

/* The same of an attribute; the unit is beside it. */
static int set_size_attribute(xmlNode *node, const char *name)
{
	uint64_t bytes;

	if (size_parse(node_attribute(node, name), node_attribute(node, "unit"), &bytes, NULL) < 0)
		return 0;
	return node_set_format(node, name, "%llu", to_kib(bytes)) < 0 ||
			       node_set(node, "unit", "KiB") < 0
		       ? -ENOMEM
		       : 0;
}

static int set_sizes(xmlNode *domain)
{
	int r = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && r == 0; i++)
		r = set_size(node_find(domain, sizes[i]));
	for (xmlNode *at = node_find(domain, "cpu/numa/cell"); at && r == 0;
	     at = node_next(at, "cell"))
		r = set_size_attribute(at, "memory");
	for (xmlNode *at = node_find(domain, "memoryBacking/hugepages/page"); at && r == 0;
	     at = node_next(at, "page"))
		r = set_size_attribute(at, "size");
	return r;
}

/* ---- elements ---- */

/* One that is missing, behind the last of @before (NULL-terminated) that is there. */
static xmlNode *add_missing(xmlNode *domain, const char *name, const char *text,
			    const char *const *before)
{
	xmlNode *made, *last = NULL;

	if (node_child(domain, name))
		return node_child(domain, name);
	made = node_add(domain, name, text);
	for (; *before; before++)
		if (node_child(domain, *before))
			last = node_child(domain, *before);
	if (made && last)
		(void)xmlAddNextSibling(last, made);
	return made;
}

static const char *const behind_memory[] = {"memory", NULL};
static const char *const behind_backing[] = {"currentMemory", "memtune", "memoryBacking", NULL};
static const char *const behind_cpu[] = {"os", "features", "cpu", NULL};
static const char *const behind_clock[] = {"clock", NULL};
static const char *const behind_poweroff[] = {"on_poweroff", NULL};
static const char *const behind_reboot[] = {"on_reboot", NULL};

static int add_elements(xmlNode *domain)
{
	xmlNode *memory = node_child(domain, "memory"), *current, *vcpu, *clock;

	current = add_missing(domain, "currentMemory", node_text(memory), behind_memory);
	vcpu = add_missing(domain, "vcpu", "1", behind_backing);
	clock = add_missing(domain, "clock", NULL, behind_cpu);
	if (!current || !vcpu || !clock ||
	    !add_missing(domain, "on_poweroff", "destroy", behind_clock) ||
	    !add_missing(domain, "on_reboot", "restart", behind_poweroff) ||
	    !add_missing(domain, "on_crash", "destroy", behind_reboot))
		return -ENOMEM;
	if ((!node_attribute(current, "unit") && node_set(current, "unit", "KiB") < 0) ||
	    (!node_attribute(vcpu, "placement") && node_set(vcpu, "placement", "static") < 0) ||
	    (!node_attribute(clock, "offset") && node_set(clock, "offset", "utc") < 0))
		return -ENOMEM;
	return 0;
}

/* A disk, unless it is said otherwise, or a kernel is started without any. */
static int add_boot(xmlNode *domain)
{
	xmlNode *os = node_child(domain, "os"), *boot;

	if (!os || node_child(os, "boot") || node_child(os, "kernel"))
		return 0;
	for (const xmlNode *at = node_child(node_child(domain, "devices"), NULL); at;
	     at = node_next(at, NULL))
		if (node_child(at, "boot"))
			return 0;
	boot = node_add(os, "boot", NULL);
	return boot ? node_set(boot, "dev", "hd") : -ENOMEM;
}

int definition_set_sizes(struct definition *def, struct pt_error *err)
{
	return set_sizes(definition_root(def)) < 0 ? pt_fail_memory(err) : 0;
}

int definition_set_defaults(struct definition *def, struct pt_error *err)
{
	xmlNode *domain = definition_root(def);
	int r = set_sizes(domain);

	if (r == 0)
		r = add_elements(domain);
	if (r == 0)
		r = add_boot(domain);
	return r < 0 ? pt_fail_memory(err) : 0;
}
