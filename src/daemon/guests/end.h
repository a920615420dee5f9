/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is to be done when a guest's QEMU has ended. */
#ifndef DAEMON_GUESTS_END_H
#define DAEMON_GUESTS_END_H

#include "daemon/guests/guests.h"

/*
 * Its QEMU has ended: give back, forget, tell. With the job; nothing when @guest isn't the one
 * that the domain has any more.
 */
int domain_ended(struct pt_host *host, struct domain *domain, struct guest *guest,
		 struct pt_error *err);

/* What its emulated TPM keeps goes with a guest that isn't defined, unless it says otherwise. */
void domain_forget_tpm(struct pt_host *host, const struct domain *domain,
		       const struct definition *live);

#endif
