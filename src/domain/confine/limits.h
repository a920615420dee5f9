/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much memory a guest's QEMU may lock: VFIO pins all of the guest's. */
#ifndef DOMAIN_CONFINE_LIMITS_H
#define DOMAIN_CONFINE_LIMITS_H

#include "domain/definition/definition.h"
#include "pci/host.h"

/* Bytes for RLIMIT_MEMLOCK with @hostdevs host devices, UINT64_MAX for no limit. */
uint64_t limits_lock_bytes(const struct definition *def, size_t hostdevs);

/* Can't it do with less? */
bool limits_must_lock(const struct definition *def, size_t hostdevs);

/*
 * For its control group: bytes of memory, and of swap beside that, UINT64_MAX for no limit. Only
 * the limits of the definition: QEMU's own need is unknown, and a limit that is too low kills the
 * guest.
 */
void limits_of_group(const struct definition *def, uint64_t *ret_memory, uint64_t *ret_swap);

/* How long QEMU may take, in ms, until it answers: it pins all of the memory before that. */
unsigned int limits_start_ms(const struct definition *def, size_t hostdevs);

/* Raise the limit of a running QEMU to hold @hostdevs devices; never lowers it. */
int limits_raise_lock(struct pt_host *host, pid_t pid, const struct definition *def,
		      size_t hostdevs, struct pt_error *err);

#endif
