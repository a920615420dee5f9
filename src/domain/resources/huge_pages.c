/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Are there huge pages enough? QEMU finds out too, after it has touched them one by one, and says
 * neither how many there are nor how many it wants (Documentation/admin-guide/mm/hugetlbpage.rst).
 */
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/text.h"
#include "domain/command_line/parts.h"
#include "domain/resources/resources.h"
#include "domain/definition/units.h"

#define HOST_PAGES "sys/kernel/mm/hugepages"
#define NODE_PAGES "sys/devices/system/node/node%u/hugepages"

static uint64_t read_count(struct pt_host *host, const char *folder, uint64_t page_kib,
			   const char *name)
{
	char path[192], text[32] = "";
	uint64_t count = 0;

	if (text_format(path, sizeof(path), "%s/hugepages-%llukB/%s", folder,
			(unsigned long long)page_kib, name) < 0 ||
	    io_read_text_at(host->root_fd, path, text, sizeof(text)) < 0)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	(void)text_parse_number(text, 10, UINT32_MAX, &count);
	return count;
}

/* Pages that are neither in use nor reserved, plus the surplus pages that may be allocated. */
static uint64_t count_free(struct pt_host *host, uint64_t page_kib)
{
	uint64_t have = read_count(host, HOST_PAGES, page_kib, "free_hugepages");
	uint64_t promised = read_count(host, HOST_PAGES, page_kib, "resv_hugepages");
	uint64_t more = read_count(host, HOST_PAGES, page_kib, "nr_overcommit_hugepages");
	uint64_t made = read_count(host, HOST_PAGES, page_kib, "surplus_hugepages");

	return (have > promised ? have - promised : 0) + (more > made ? more - made : 0);
}

static uint64_t count_free_of_nodes(struct pt_host *host, const char *nodeset, uint64_t page_kib)
{
	bool nodes[CPUSET_MAX];
	uint64_t sum = 0;

	if (cpuset_parse(nodeset, nodes) < 0)
		return 0; /* refused when the command line is built */
	for (unsigned int i = 0; i < CPUSET_MAX; i++) {
		char folder[96];

		(void)text_format(folder, sizeof(folder), NODE_PAGES, i);
		if (nodes[i])
			sum += read_count(host, folder, page_kib, "free_hugepages");
	}
	return sum;
}

/* KiB; without a size in the definition the kernel's own choice. */
static uint64_t page_size(struct pt_host *host, const struct definition *live)
{
	const xmlNode *page = node_find(definition_root(live), "memoryBacking/hugepages/page");
	char text[8192] = "", *at;
	uint64_t size;

	if (page)
		return size_parse(node_attribute(page, "size"), node_attribute(page, "unit"), &size,
				  NULL) < 0
			       ? 0
			       : size / 1024;
	if (io_read_text_at(host->root_fd, "proc/meminfo", text, sizeof(text)) < 0)
		return 0;
	at = strstr(text, "Hugepagesize:");
	return at ? strtoull(at + strlen("Hugepagesize:"), NULL, 10) : 0;
}

int resources_check_pages(struct pt_host *host, const struct definition *live, struct pt_error *err)
{
	const xmlNode *policy = node_find(definition_root(live), "numatune/memory");
	const char *nodeset = node_attribute(policy, "nodeset");
	bool is_bound =
		nodeset && (!node_attribute(policy, "mode") || node_has(policy, "mode", "strict"));
	uint64_t size = definition_memory_is_huge(live) ? page_size(host, live) : 0, wanted, have;

	if (!size)
		return 0;
	wanted = (definition_memory(live) / 1024 + size - 1) / size;
	have = count_free(host, size);
	if (is_bound && count_free_of_nodes(host, nodeset, size) < have)
		have = count_free_of_nodes(host, nodeset, size);
	if (have >= wanted)
		return 0;
	return pt_fail(
		err, PT_SYSTEM, ENOMEM,
		"domain/memoryBacking/hugepages: the guest needs %llu pages of %llu KiB, but only "
		"%llu are free%s%s: reserve more (/" HOST_PAGES
		"/hugepages-%llukB/nr_hugepages, or hugepages= on the kernel command line)",
		(unsigned long long)wanted, (unsigned long long)size, (unsigned long long)have,
		is_bound ? " on nodes " : "", is_bound ? nodeset : "", (unsigned long long)size);
}
