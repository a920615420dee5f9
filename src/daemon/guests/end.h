/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of a guest's QEMU. */
#ifndef DAEMON_GUESTS_END_H
#define DAEMON_GUESTS_END_H

#include "daemon/guests/guests.h"

/*
 * Handle the end of QEMU: return its devices, remove its state, send events. The caller has the
 * job. Does nothing if @guest is no longer the domain's guest.
 */
int domain_ended(struct pt_host *host, struct domain *domain, struct guest *guest,
		 struct pt_error *err);

/* The guest's user may be given to another guest, unless there is TPM state that belongs to it. */
void domain_forget_user(struct pt_host *host, const struct definition *live);

/*
 * Of a guest that isn't defined: remove its TPM state, unless its definition keeps it, and forget
 * its user.
 */
void domain_forget_state(struct pt_host *host, const struct domain *domain,
			 const struct definition *live);

#endif
