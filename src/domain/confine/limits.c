/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/confine/limits.h"

#include <string.h>
#include <sys/resource.h>

#include "domain/definition/units.h"
#include "domain/definition/xml_node.h"
#include "domain/machine/machine.h"

#define GIB ((uint64_t)1024 * 1024 * 1024)

/* Beside the guest's own memory: video memory, ROMs, QEMU's queues. Generous, as it is a limit. */
#define SLACK GIB

/* Without VFIO: what io_uring and the like take. */
#define WITHOUT_VFIO (64 * 1024 * 1024)

uint64_t limits_lock_bytes(const struct definition *def, size_t hostdevs)
{
	uint64_t limit = definition_memory_hard_limit(def), memory = definition_memory(def);

	if (limit)
		return limit;
	if (definition_memory_is_locked(def))
		return UINT64_MAX;
	if (!hostdevs)
		return WITHOUT_VFIO;
	/* behind an IOMMU of the guest's each device has an address space of its own, and VFIO
	 * counts the memory for each of them */
	if (definition_get(def, "devices/iommu@model"))
		memory *= hostdevs;
	return memory + SLACK;
}

bool limits_must_lock(const struct definition *def, size_t hostdevs)
{
	return hostdevs || definition_memory_is_locked(def);
}

void limits_of_group(const struct definition *def, uint64_t *ret_memory, uint64_t *ret_swap)
{
	uint64_t memory = definition_memory_hard_limit(def), both = 0;

	(void)size_of_node(node_find(definition_root(def), "memtune/swap_hard_limit"), &both, NULL);
	*ret_memory = memory ? memory : UINT64_MAX;
	*ret_swap = memory && both >= memory ? both - memory : UINT64_MAX;
}

unsigned int limits_start_ms(const struct definition *def, size_t hostdevs)
{
	/* 0.25 s for each GiB was measured for pinning and clearing it in small pages */
	uint64_t gib = limits_must_lock(def, hostdevs) ? definition_memory(def) / GIB + 1 : 0;

	if (gib > 4096)
		gib = 4096;
	return 60000 + (unsigned int)gib * 2000;
}

int limits_raise_lock(struct pt_host *host, pid_t pid, const struct definition *def,
		      size_t hostdevs, struct pt_error *err)
{
	uint64_t wanted = limits_lock_bytes(def, hostdevs);
	struct rlimit limit;
	int r = machine_of(host)->limit_locking(host, pid, NULL, &limit);

	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "can't read QEMU's limit of locked memory: %s",
			       strerror(-r));
	if (limit.rlim_cur >= wanted)
		return 0;
	limit.rlim_cur = limit.rlim_max = wanted;
	r = machine_of(host)->limit_locking(host, pid, &limit, NULL);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r,
			       "can't raise QEMU's limit of locked memory to %llu MiB: %s",
			       (unsigned long long)(wanted >> 20), strerror(-r));
	return 0;
}
