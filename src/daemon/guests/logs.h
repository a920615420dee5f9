/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What QEMU says is read from a pipe (domain/confine/output.h) and written to its log: so many
 * bytes in a second, because its guest can make it say much, and what is more is lost. The end of a
 * log above the limit is moved to NAME.log.old, of which there is one. The QEMU of an earlier
 * daemon may write its log itself: the logs are checked periodically, too.
 */
#ifndef DAEMON_GUESTS_LOGS_H
#define DAEMON_GUESTS_LOGS_H

#include "daemon/guests/guests.h"

#define GUEST_LOG_MAX (8 * 1024 * 1024)
/* Of one guest: four reads in a second. */
#define GUEST_LOG_READ	     (64 * 1024)
#define GUEST_LOG_READS	     4
#define GUEST_LOG_CHECK_USEC (60 * (uint64_t)1000000)

/* Look after the logs of all that runs, from now on. */
int logs_begin(struct guests *guests);
void logs_end(struct guests *guests);

struct log_reader;

/*
 * Read what a guest's QEMU says, from now on, until logs_stop() reads the rest; in the loop. NULL
 * where it has no pipe, or it can't be read, which is logged.
 */
struct log_reader *logs_read(struct domain *domain, struct guest *guest);
void logs_stop(struct log_reader *reader); /* NULL is allowed */

/*
 * If @name's log in @directory is longer than @max bytes, keep its last @max bytes in
 * NAME.log.old and truncate it: a process that has it open for appending continues at its start.
 * Bytes written between the two steps are lost. 0 or a negative errno; the log is truncated even
 * if its end could not be kept, because the disk may be full.
 */
int logs_trim(struct pt_host *host, const char *directory, const char *name, size_t max);

#endif
