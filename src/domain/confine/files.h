/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files that QEMU opens by name. It runs as a user of its own without any capability, so what
 * belongs to somebody else must be given to it (its disks, the nodes of its input devices) or at
 * least be readable (installation media, kernels, firmware). What was given is remembered in the
 * guest's file before it changes hands, and put back when the guest has ended, whoever died
 * meanwhile.
 *
 * Nothing is lent out of a directory in which that user could exchange it for something else, nor
 * by a path that another user can lead elsewhere (safe_path.h): that is refused, with the
 * directory. Only the owner changes, never group or mode: whoever else could use a file still can.
 */
#ifndef DOMAIN_CONFINE_FILES_H
#define DOMAIN_CONFINE_FILES_H

#include <sys/stat.h>

#include "domain/confine/confine.h"
#include "domain/definition/definition.h"
#include "domain/store/store.h"

/*
 * Before QEMU's process: can @user reach all that @live names? What it can't write but may be
 * given is added to @record. What it can't reach otherwise is refused with its element, the file or
 * directory that is in the way, and what to do about it, a line each. @device: only this device
 * of @live (plugging in); NULL: all of it. Makes files for the output of serial ports and the like.
 */
int files_check(struct pt_host *host, const struct definition *live, const xmlNode *device,
		const struct confine_user *user, struct store_live *record, struct pt_error *err);

/*
 * Each file that @live names, that is there and that files_check() would let pass, and what
 * its images lie on: without symbolic links, and whether QEMU, as user @guest, writes to it.
 * @record says what is lent to it; NULL: nothing. @tell returns 0 or -ENOMEM.
 */
int files_each(struct pt_host *host, const struct definition *live, uid_t guest,
	       const struct store_live *record,
	       int (*tell)(void *context, const char *path, const struct stat *st, bool is_written),
	       void *context, struct pt_error *err);

/* Give it what @record lists from @first on. Can be done again. */
int files_lend(struct pt_host *host, const struct store_live *record, size_t first,
	       const struct confine_user *user, struct pt_error *err);

/*
 * Put back what @record lists from @first on. A file that another running guest was given too
 * stays, and goes back when that one ends. Can be done again.
 */
void files_take_back(struct pt_host *host, const struct store_live *record, size_t first);

/* The same, and @record forgets them: a device couldn't be plugged in. */
void files_forget(struct pt_host *host, struct store_live *record, size_t first);

/* One of them. What is gone, or somebody else's by now, is none of our business. */
void files_take_back_one(struct pt_host *host, const struct store_live *record,
			 const struct store_file *file);

/* Was a running guest other than @name given this file, and whose was it before? */
bool files_is_lent(struct pt_host *host, const char *name, const struct stat *st, uid_t *ret_uid);

/* Devices have left @live: the same for those that nothing in it names any more. */
void files_settle(struct pt_host *host, const struct definition *live, uid_t guest,
		  struct store_live *record);

#endif
