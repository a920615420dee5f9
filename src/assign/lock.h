/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One lock per IOMMU group (or function without a group): flock() on run/passthru/locks/group-N.
 * The process that changes a device of the group and its helpers (see host.h) hold it, so a free
 * lock means that no write is in progress, even if the process has died.
 */
#ifndef ASSIGN_LOCK_H
#define ASSIGN_LOCK_H

#include <passthru/device.h>

#include "base/error.h"

#define LOCK_MAX     64
#define LOCK_WAIT_MS 10000

#define LOCK_NAME 64

/* Room for the locks that LOCK_MAX devices have now, and for those that a journal names. */
#define LOCK_FILES_MAX (2 * LOCK_MAX)

/* For the names of so many locks, a space after each. */
#define LOCK_NAMES_TEXT (LOCK_FILES_MAX * LOCK_NAME)

struct locks {
	int fds[LOCK_FILES_MAX];
	char names[LOCK_FILES_MAX][LOCK_NAME];
	size_t count;
	/* which of them is whose */
	struct {
		struct pt_address address;
		size_t fd;
	} devices[LOCK_MAX];
	size_t device_count;
	bool is_whole; /* what is done under them goes under all of them */
};

/*
 * Lock the groups of all @addresses, in one order everywhere, waiting at most
 * @wait_ms. PT_BUSY names the process that holds one; then none is held.
 */
int locks_take(struct pt_host *host, const struct pt_address *addresses, size_t count,
	       unsigned int wait_ms, struct locks *ret_locks, struct pt_error *err);

/*
 * The same, and the locks @names ("group-22 group-3", as locks_format_names() wrote it; NULL for
 * none): a device that was removed is in no group any more, but whoever changes it still holds the
 * lock of its group. PT_CORRUPT for names that are none.
 */
int locks_take_named(struct pt_host *host, const struct pt_address *addresses, size_t count,
		     const char *names, unsigned int wait_ms, struct locks *ret_locks,
		     struct pt_error *err);

/* The names of all locks that are held, for the journal; "" for none. */
void locks_format_names(const struct pt_host *host, char names[LOCK_NAMES_TEXT]);

/*
 * The next writes concern only @address (NULL: all devices of the operation again): helpers get
 * only the lock of its group, so a helper that hangs keeps only this lock.
 */
void locks_narrow(struct pt_host *host, const struct pt_address *address);

void locks_drop(struct pt_host *host, struct locks *locks);

#endif
