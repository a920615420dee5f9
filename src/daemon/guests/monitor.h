/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events of a running guest: QEMU's events, and its end. All in the loop. */
#ifndef DAEMON_GUESTS_MONITOR_H
#define DAEMON_GUESTS_MONITOR_H

#include "daemon/guests/guests.h"
#include "qmp/qmp.h"

/*
 * Begin to listen to a guest, soon; from any thread. Takes @events; NULL when QEMU
 * can't be talked to, and then only its end is seen.
 */
void monitor_post(struct domain *domain, struct guest *guest, struct qmp *events);

/* In the loop. */
void monitors_free(struct guests *guests);

#endif
