/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The document of virsh domcapabilities: what a guest's definition may say here. */
#ifndef DAEMON_HOST_DOMAIN_CAPABILITIES_H
#define DAEMON_HOST_DOMAIN_CAPABILITIES_H

#include <stdbool.h>

#include "pci/host.h"

struct domain_kind {
	const char *emulator;
	const char *machine;
	bool is_kvm;
};

/*
 * Its lists are those that definitions are checked against (domain/definition/check.h), so it says
 * what passthrud takes; what a QEMU was built without shows at the start. malloc()ed; NULL: no
 * memory.
 */
char *domain_capabilities_xml(struct pt_host *host, const struct domain_kind *kind);

#endif
