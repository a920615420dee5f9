/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a daemon that was killed had begun to change in a guest and in its definition at once. */
#ifndef DAEMON_GUESTS_BOTH_H
#define DAEMON_GUESTS_BOTH_H

#include "daemon/guests/guests.h"

/*
 * With the domain's job, once what was pending in its guest is decided: the definition is as it was
 * before, unless the guest was changed too.
 */
void both_recover(struct pt_host *host, struct domain *domain);

#endif
