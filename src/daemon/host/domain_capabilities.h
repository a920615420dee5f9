/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The document of virsh domcapabilities: the supported values in a guest's definition. */
#ifndef DAEMON_HOST_DOMAIN_CAPABILITIES_H
#define DAEMON_HOST_DOMAIN_CAPABILITIES_H

#include <stdbool.h>

#include "pci/host.h"

struct domain_kind {
	const char *emulator;
	const char *machine;
	bool is_kvm;
	unsigned int vcpus_max; /* of the machine; 0: unknown */
};

/*
 * Its lists are those of the check of definitions (domain/definition/rows.h), so it contains the
 * values that passthrud accepts; features missing in QEMU fail at the start. malloc()ed; NULL: no
 * memory.
 */
char *domain_capabilities_xml(struct pt_host *host, const struct domain_kind *kind);

#endif
