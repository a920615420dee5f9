/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QEMU writes its own log, so that it needs nobody to run on; and its guest can make it write
 * much. What grows beyond a bound is looked for now and then, and moved to NAME.log.old, of which
 * there is one.
 */
#ifndef DAEMON_GUESTS_LOGS_H
#define DAEMON_GUESTS_LOGS_H

#include "daemon/guests/guests.h"

#define GUEST_LOG_MAX	     (8 * 1024 * 1024)
#define GUEST_LOG_CHECK_USEC (60 * (uint64_t)1000000)

/* Look after the logs of all that runs, from now on. */
int logs_begin(struct guests *guests);
void logs_end(struct guests *guests);

/*
 * Where @name's log in @directory is longer than @max bytes, keep its last @max in NAME.log.old and
 * empty it: whoever has it open for appending goes on at its start. What is written in the very
 * moment between the two is lost. 0 or a negative errno; the log is emptied even when its end
 * couldn't be kept, for the disk may be full of it.
 */
int logs_trim(struct pt_host *host, const char *directory, const char *name, size_t max);

#endif
