/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a process has mapped: BARs of a function through sysfs, and nodes. A mapping outlives its
 * descriptor: libpciaccess, flashrom, mstflint and DPDK map the BARs and close the file.
 */
#include <string.h>

#include "pci/holders/batch.h"

bool holders_parse_bar(const char *path, struct pt_address *ret_address, unsigned int *ret_bar)
{
	static const char base[] = "/resource";
	const char *end = strrchr(path, '/'), *start = end;
	char address[PT_ADDRESS_TEXT];
	size_t size = strlen(base), length;

	if (!end || strncmp(end, base, size) != 0 || end[size] < '0' ||
	    end[size] >= '0' + HOLDERS_BARS ||
	    (end[size + 1] && end[size + 1] != '_' && end[size + 1] != ' '))
		return false;
	while (start > path && start[-1] != '/')
		start--;
	length = (size_t)(end - start);
	if (length >= sizeof(address))
		return false;
	memcpy(address, start, length);
	address[length] = '\0';
	if (pt_address_parse(address, ret_address, NULL) < 0)
		return false;
	*ret_bar = (unsigned int)(end[size] - '0');
	return true;
}

void holders_add_bar(struct holder_scan *scan, struct process *process,
		     const struct pt_address *address, unsigned int bar)
{
	size_t i;

	for (i = 0; i < scan->target_count; i++)
		if (pt_address_compare(&scan->targets[i].address, address) == 0)
			holders_add(scan, i, PT_HOLDER_PROCESS, process->pid,
				    holders_text(scan, "%s (pid %d)",
						 holders_process_name(scan, process), process->pid),
				    holders_chain(scan, scan->targets[i].prefix,
						  holders_text(scan, "BAR %u (resource%u in sysfs)",
							       bar, bar)),
				    holders_process_advice(scan, process));
}

static void take_node(const struct batch_cursor *cursor, const char *path)
{
	struct batch_job *job = cursor->job;
	size_t size = strlen(path) + 1;
	unsigned int i;

	if (!strncmp(path, "/dev/shm/", 9) || !strncmp(path, "/dev/zero", 9))
		return;
	for (i = 0; i < job->node_size; i += (unsigned int)strlen(job->nodes + i + 1) + 2)
		if ((unsigned char)job->nodes[i] == cursor->process &&
		    !strcmp(job->nodes + i + 1, path))
			return;
	if (size + 1 > sizeof(job->nodes) - job->node_size) {
		job->is_full = true;
		return;
	}
	job->nodes[job->node_size] = (char)cursor->process;
	memcpy(job->nodes + job->node_size + 1, path, size);
	job->node_size += (unsigned int)size + 1;
}

/* 7f0000000000-7f0000001000 rw-s 00000000 00:15 12345     /sys/devices/…/resource0 */
void batch_take_mapping(const struct batch_cursor *cursor, const char *line)
{
	struct batch_job *job = cursor->job;
	const char *path = strchr(line, '/');
	struct pt_address address;
	unsigned int bar, i;

	if (!path)
		return;
	if (!strncmp(path, "/dev/", 5))
		take_node(cursor, path);
	if (!holders_parse_bar(path, &address, &bar))
		return;
	for (i = 0; i < job->bar_count; i++)
		if (job->bars[i].process == cursor->process && job->bars[i].bar == bar &&
		    pt_address_compare(&job->bars[i].address, &address) == 0)
			return;
	if (job->bar_count == BATCH_BARS) {
		job->is_full = true;
		return;
	}
	job->bars[job->bar_count].process = (uint8_t)cursor->process;
	job->bars[job->bar_count].bar = (uint8_t)bar;
	job->bars[job->bar_count++].address = address;
}
