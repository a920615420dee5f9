/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A write that runs driver code, done in a separate process, because it can hang forever, and
 * then not even SIGKILL ends it.
 *
 * Reading driver_override or sriov_numvfs can hang, too: the kernel takes the device's lock for
 * them, which stuck driver code never releases.
 */
#ifndef PCI_HELPER_H
#define PCI_HELPER_H

#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "pci/host.h"

/*
 * sysfs_write() in a helper process. Returns what the write returned, or -ETIMEDOUT if it has not
 * returned by the deadline: the helper is then left behind, in its own session and without our
 * descriptors, except the locks it holds (host.h). -EOWNERDEAD: the helper died before the write
 * returned (killed, or the driver crashed).
 *
 * The caller of the library sees neither SIGCHLD nor a child to wait for.
 */
int helper_write(struct pt_host *host, const char *path, const char *text,
		 unsigned int deadline_ms);

/* The same, telling the helper's pid (0 when none could be started). */
int helper_write_by(struct pt_host *host, const char *path, const char *text,
		    unsigned int deadline_ms, pid_t *ret_helper);

/* The most that goes to a helper and comes back. */
#define HELPER_REPLY 4096

/*
 * Run any work in a helper process and return what it returns, or -ETIMEDOUT or
 * -EOWNERDEAD as above. @argument (@size bytes, at most HELPER_REPLY) is sent there, and back when
 * the work is done, so that is where it leaves what it found; it is untouched otherwise.
 * @ret_helper may be NULL.
 *
 * The helper may be one that was forked before, so the argument may hold no pointers. And
 * another thread of the caller may have held any lock when it was, so the work may only
 * make async-signal-safe calls: no malloc, no stdio, no logging.
 */
int helper_run(struct pt_host *host, int (*work)(struct pt_host *host, void *argument),
	       void *argument, size_t size, unsigned int deadline_ms, pid_t *ret_helper);

/*
 * For the work that runs in a helper: run the program @path with these words and wait for its
 * end. Its input is empty, its environment LC_ALL=C and the usual PATH. 0 when its status is 0,
 * otherwise -EIO and @output what it wrote, on stderr or else, so far as it fits; or why it
 * couldn't be started.
 */
int helper_exec(const char *path, char *const argv[], char *output, size_t size);

/* End the helper that waits for more, reap those that have ended; for pt_host_free(). */
void helper_end(struct pt_host *host);

/* What was tried in a helper, for helper_explain(). */
struct helper_attempt {
	const struct pt_address *address;
	const char *driver; /* whose code ran, "" when unknown or none */
	const char *what;   /* "unbind", "reset" … */
	unsigned int deadline_ms;
	pid_t helper;
	int result;
};

/*
 * Fail with the reasons that every such write shares: PT_DRIVER_STUCK,
 * PT_DEVICE_GONE, PT_NOT_PERMITTED. Returns 0, and leaves @err alone, when the
 * result is none of these.
 */
int helper_explain(struct pt_host *host, const struct helper_attempt *attempt,
		   struct pt_error *err);

#endif
