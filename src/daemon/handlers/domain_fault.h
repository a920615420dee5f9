/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Failures with guests in libvirt's words. */
#ifndef DAEMON_HANDLERS_DOMAIN_FAULT_H
#define DAEMON_HANDLERS_DOMAIN_FAULT_H

#include "daemon/call.h"
#include "domain/definition/definition.h"
#include "domain/definition/units.h"

#define UUID_TEXT DEFINITION_UUID_TEXT

/* All of these return -1, as fault_set() does. */
int fault_no_domain(struct fault *fault, const unsigned char uuid[16], const char *name);

/* A failure of src/domain, qmp or assign; the message names the guest that has a device. */
int fault_of_guest(struct pt_host *host, struct call *call, const struct pt_error *err);

/* Unknown flags of a call: refused, never ignored. 0 when there are none but @known. */
int fault_check_flags(struct call *call, unsigned int flags, unsigned int known);

#endif
