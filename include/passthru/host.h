/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PASSTHRU_HOST_H
#define PASSTHRU_HOST_H

#include <passthru/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: The host
 *
 * A &struct pt_host gives access to one machine: its /sys, /proc, /dev and the state directory
 * /run/passthru. It is the first argument of all other functions. It caches no facts about
 * devices: drivers, groups and power states are read each time.
 *
 * A host belongs to one thread at a time; different hosts are independent.
 */
struct pt_host;

/**
 * enum pt_log_level - the importance of a message
 * @PT_LOG_DEBUG: each file read or written
 * @PT_LOG_INFO: each step
 * @PT_LOG_NOTICE: a fact that the user should see although nothing failed
 * @PT_LOG_WARNING: a failure that did not make the call fail
 */
enum pt_log_level { PT_LOG_DEBUG, PT_LOG_INFO, PT_LOG_NOTICE, PT_LOG_WARNING };

/**
 * typedef pt_log_fn - receives one message
 * @context: as given to pt_host_set_log()
 * @level: its importance
 * @message: without a newline; valid during the call
 *
 * The library itself never prints. Resets run in parallel, so this may be called from another
 * thread while the caller waits for them, but never by two threads at once.
 */
typedef void (*pt_log_fn)(void *context, enum pt_log_level level, const char *message);

/**
 * pt_host_new() - open a machine
 * @root: NULL for this machine; otherwise a directory that contains the sys, proc, dev and run of
 *	another machine (a recording, a container's host)
 * @ret_host: freed by the caller with pt_host_free()
 * @err: PT_SYSTEM when @root can't be opened, PT_NO_MEMORY
 *
 * Changes nothing. Needs no privilege.
 *
 * Return: 0 or a negative errno.
 */
int pt_host_new(const char *root, struct pt_host **ret_host, struct pt_error *err);

/**
 * pt_host_free() - close a machine
 * @host: NULL is allowed
 */
void pt_host_free(struct pt_host *host);

/**
 * pt_host_set_log() - set the receiver of messages; none by default
 * @host: the host
 * @log: NULL for none
 * @context: passed to @log
 */
void pt_host_set_log(struct pt_host *host, pt_log_fn log, void *context);

#ifdef __cplusplus
}
#endif
#endif
