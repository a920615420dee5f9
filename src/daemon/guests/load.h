/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_GUESTS_LOAD_H
#define DAEMON_GUESTS_LOAD_H

#include "daemon/guests/guests.h"

/*
 * Read what is defined and what runs; connecting to what runs, finishing what was interrupted and
 * starting what starts with the host is left to workers. Fails where memory or descriptors run
 * short: a guest that runs must not be taken for one that does not.
 *
 * What starts with the host is started once a boot. Which of them were begun is kept in files below
 * /run, so a daemon that is killed meanwhile leaves the others to the next one.
 */
int guests_load(struct guests *guests, struct pt_error *err);

#endif
