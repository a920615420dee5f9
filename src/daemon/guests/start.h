/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starting a guest for a client, or with the host. */
#ifndef DAEMON_GUESTS_START_H
#define DAEMON_GUESTS_START_H

#include "daemon/guests/guests.h"

/* The caller has the job. Sends events to clients, and starts to watch the guest (monitor.h). */
int domain_start(struct pt_host *host, struct domain *domain, const struct definition *definition,
		 bool is_paused, struct pt_error *err);

#endif
