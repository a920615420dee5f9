/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QEMU writes its own log, so that it runs without the daemon; and its guest can make it write
 * much. The logs are checked periodically, and the end of a log above the limit is moved to
 * NAME.log.old, of which there is one.
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
 * If @name's log in @directory is longer than @max bytes, keep its last @max bytes in
 * NAME.log.old and truncate it: a process that has it open for appending continues at its start.
 * Bytes written between the two steps are lost. 0 or a negative errno; the log is truncated even
 * if its end could not be kept, because the disk may be full.
 */
int logs_trim(struct pt_host *host, const char *directory, const char *name, size_t max);

#endif
