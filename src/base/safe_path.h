/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Paths of untrusted users that root acts on. A definition can name any file, also below a
 * directory of an ordinary user, who may at any moment replace a file or directory by a symbolic
 * link. If root opened such a path, or changed the owner of its target, that user could choose
 * any file as the target.
 *
 * So a path is walked component by component from the root directory, without letting the kernel
 * follow links, and the owners of its directories and links are recorded. Root may act on the
 * target only if nobody but root could have redirected the path, or if the target belongs to the
 * one user who could: then that user gains nothing. (systemd's chase() has a similar rule,
 * CHASE_SAFE.) Afterwards only the descriptors are used, never the path again.
 *
 * Root and the user of this process are trusted. So are, among each other, those who may write to
 * one directory of root's (by its group, say): each may exchange the files of the others.
 */
#ifndef BASE_SAFE_PATH_H
#define BASE_SAFE_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/auto.h"

/* Room for a sentence of safe_path_explain(), which is cut to fit. */
#define SAFE_PATH_TEXT 4096

/* Nobody's user ID. */
#define SAFE_PATH_NOBODY ((uid_t) - 1)

struct safe_path {
	int fd;			 /* O_PATH, the object itself and never a link; -1: not there */
	int parent;		 /* O_PATH, the directory that holds it, or would */
	char name[NAME_MAX + 1]; /* its entry in @parent */
	char real[PATH_MAX];	 /* its path without links */
	struct stat st;		 /* of @fd */
	struct stat parent_st;

	/* the first directory or link on the way that belongs to a user who isn't trusted */
	bool is_redirectable;
	uid_t redirector;
	char redirected[PATH_MAX];
	bool has_others; /* and another one belongs to another such user */

	/* the first link on the way on a filesystem that may be a user's own */
	bool is_foreign;
	dev_t foreign_device;
	char foreign[PATH_MAX];

	bool is_shared_link; /* one of several names, in a directory that others write to */
};

/* For AUTO(): nothing is open. */
#define SAFE_PATH_CLOSED {.fd = -1, .parent = -1}

/**
 * safe_path_open() - find the target of an absolute path
 * @root_fd: the root directory that the path and absolute links start from; AT_FDCWD: "/"
 *
 * A missing object in an existing directory is not a failure: @ret_path->fd is -1 then, and the
 * other fields are set. Nothing is opened for reading or writing, so no device is started and no
 * FIFO blocks. This function does not decide whether root may act on the target.
 *
 * Return: 0, or a negative errno (-ENOENT, -ENOTDIR, -ELOOP, -EACCES …) and nothing to close.
 */
int safe_path_open(int root_fd, const char *path, struct safe_path *ret_path);

/* The same for the last component itself, also when it is a link: to remove it. */
int safe_path_open_entry(int root_fd, const char *path, struct safe_path *ret_path);

/*
 * The same walk for what else has to be where it is for the path to lead to its object: @tell gets
 * each link on it, in turn, by its place, a path without links, and its target; and each directory
 * that ".." leaves, without a target. Not 0 from it ends the walk. What is missing ends it too,
 * with 0.
 */
int safe_path_each_link(int root_fd, const char *path,
			int (*tell)(void *context, const char *place, const char *target),
			void *context);

void safe_path_close(struct safe_path *path);
static inline void auto_safe_path(struct safe_path *path)
{
	safe_path_close(path);
}

/**
 * safe_path_is_trusted() - may root act on what the path leads to?
 * @guest: the user that the guest's QEMU runs as, or SAFE_PATH_NOBODY
 *
 * False when a user could have led the path to something that isn't that user's: of the object or,
 * when it isn't there, of the directory it would be made in. A file of @guest's own may also
 * be in a directory of that user's: it was lent before, or given for good.
 */
bool safe_path_is_trusted(const struct safe_path *path, uid_t guest);

/* The same of an object that is lent, as if it belonged to @owner, to whom it goes back. */
bool safe_path_is_trusted_of(const struct safe_path *path, uid_t owner);

/* May root make or remove entries of the directory that the path's last component is in? */
bool safe_path_has_trusted_parent(const struct safe_path *path);

/* What root would have acted on: the object, if it is there, or its directory. */
enum safe_path_part { SAFE_PATH_OBJECT, SAFE_PATH_PARENT };

/* Why it isn't, and what to do about it, in a sentence. @named: as the definition has it. */
void safe_path_explain(const struct safe_path *path, const char *named, enum safe_path_part part,
		       char text[SAFE_PATH_TEXT]);

/**
 * safe_path_reopen() - open the object that was found, for reading, say
 *
 * Never waits for another process, as it would with a FIFO. Return: a descriptor or a negative
 * errno.
 */
int safe_path_reopen(const struct safe_path *path, int flags);

/**
 * safe_path_make_file() - make the file that isn't there
 *
 * It belongs to the owner and group of its directory, and is never one that was there. @path then
 * describes it. Return: 0 or a negative errno (-EEXIST).
 */
int safe_path_make_file(struct safe_path *path, mode_t mode);

/**
 * safe_path_make_parents() - make the directories above @named that aren't there
 * @ret_untrusted: set, and -EPERM returned, for a directory that a user chose
 *
 * Each belongs to the owner and group of the one it is in. Return: 0 or a negative errno.
 */
int safe_path_make_parents(int root_fd, const char *named, mode_t mode,
			   struct safe_path *ret_untrusted);

#endif
