/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files that QEMU opens by name. It runs as its own user without any capability, so files of
 * other users must be lent to it (its disks, the nodes of its input devices) or at least be
 * readable (installation media, kernels, firmware). A lent file is recorded in the guest's file
 * before its owner is changed, and the owner is restored when the guest has ended, even if the
 * daemon has died in between.
 *
 * No file is lent in a directory in which that user could replace it, nor by a path that another
 * user can redirect (safe_path.h): these are refused, with the directory. Only the owner changes,
 * never group or mode: other users keep their access.
 */
#ifndef DOMAIN_CONFINE_FILES_H
#define DOMAIN_CONFINE_FILES_H

#include <sys/stat.h>

#include "domain/confine/confine.h"
#include "domain/definition/definition.h"
#include "domain/store/store.h"

/*
 * Before QEMU's process is created: can @user open all files that @live names? A file that it
 * can't write but that may be lent is added to @record. Other inaccessible files are refused, one
 * per line, with the element, the file or directory that denies access, and the remedy. @device:
 * only this device of @live (hot-plug); NULL: all of it.
 */
int files_check(struct pt_host *host, const struct definition *live, const xmlNode *device,
		const struct confine_user *user, struct store_live *record, struct pt_error *err);

/*
 * Each file that @live names, that is there and that files_check() would let pass, and what
 * its images lie on: as it is @named to QEMU, its @path without symbolic links, and whether QEMU,
 * as user @guest, writes to it. @record says what is lent to it; NULL: nothing. @tell returns 0 or
 * -ENOMEM.
 */
typedef int (*files_tell_fn)(void *context, const char *named, const char *path,
			     const struct stat *st, bool is_written);
int files_each(struct pt_host *host, const struct definition *live, uid_t guest,
	       const struct store_live *record, files_tell_fn tell, void *context,
	       struct pt_error *err);

/* Give it what @record lists from @first on. Can be done again. */
int files_lend(struct pt_host *host, const struct store_live *record, size_t first,
	       const struct confine_user *user, struct pt_error *err);

/*
 * Restore the owners of the files in @record from @first on. A file that is also lent to another
 * running guest stays lent until that guest ends. Can be repeated.
 */
void files_take_back(struct pt_host *host, struct store_live *record, size_t first);

/* The same, and remove them from @record: a hot-plug failed. */
void files_forget(struct pt_host *host, struct store_live *record, size_t first);

/* One of them. A file that was removed, or has another owner now, is not touched. */
void files_take_back_one(struct pt_host *host, struct store_live *record, struct store_file *file);

/*
 * Is this file lent to a running guest other than @name, and who was its previous owner? 1 or 0; a
 * negative errno: the file of a guest can't be read, and it may be lent to that one.
 */
int files_is_lent(struct pt_host *host, const char *name, const struct stat *st, uid_t *ret_uid);

/*
 * @device of @live is about to be removed, for QEMU says that it has let it go: files of it that
 * QEMU still has open are noted in @record, whether they were lent or not. Until they are closed,
 * files_check() refuses them to other guests.
 */
void files_keep(struct pt_host *host, const struct definition *live, const xmlNode *device,
		uid_t guest, struct store_live *record);

/*
 * Devices were removed from @live: the same for files that it no longer names, and that QEMU has no
 * longer open. Others stay in @record until the next time, or the guest's end.
 */
void files_settle(struct pt_host *host, const struct definition *live, uid_t guest,
		  struct store_live *record);

#endif
