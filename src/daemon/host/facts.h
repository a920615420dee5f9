/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processors, memory and firmware of the host, from its /sys and /proc. */
#ifndef DAEMON_HOST_FACTS_H
#define DAEMON_HOST_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "domain/resources/emulator.h"
#include "pci/host.h"

struct cpu {
	unsigned int number, package, core;
};

struct cpus {
	struct cpu *items; /* those online */
	size_t count;
	unsigned int present; /* the highest number there could be, plus one */
	unsigned int packages, cores, threads;
	unsigned int mhz; /* 0: unknown */
};

/* Freed with cpus_free(). 0 or -ENOMEM. */
int cpus_read(struct pt_host *host, struct cpus *ret_cpus);
void cpus_free(struct cpus *cpus);

/* A line of /proc/meminfo or of a node's meminfo in KiB: "MemTotal"; 0 if it is missing. */
uint64_t memory_read_kib(struct pt_host *host, const char *file, const char *key);

/* Numbers of the NUMA nodes in order, at most @max of them; returns how many. */
size_t numa_nodes_read(struct pt_host *host, unsigned int *ret_nodes, size_t max);

/* True when the kernel has an IOMMU in use. */
bool iommu_is_used(struct pt_host *host);

/*
 * Documents of virsh capabilities and virsh sysinfo; malloc()ed, NULL: no memory. @emulator has
 * the machines, or none where it couldn't be asked. The second is "" on a machine whose firmware
 * provides no data.
 */
char *capabilities_xml(struct pt_host *host, const struct emulator *emulator);
char *sysinfo_xml(struct pt_host *host);

#endif
