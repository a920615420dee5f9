/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_GUESTS_LOAD_H
#define DAEMON_GUESTS_LOAD_H

#include "daemon/guests/guests.h"

/*
 * Read the defined and the running guests. Workers reconnect to running guests, finish
 * interrupted operations and start the autostarted guests. Fails without memory or descriptors,
 * because a running guest must not be treated as one that is off.
 *
 * Guests are autostarted once per boot. Files below /run record which were started, so if the
 * daemon is killed in between, the next one starts the others.
 */
int guests_load(struct guests *guests, struct pt_error *err);

#endif
