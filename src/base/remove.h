/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Removing directories in which somebody less trusted has put whatever he likes. */
#ifndef BASE_REMOVE_H
#define BASE_REMOVE_H

/*
 * Remove the directory @path below @dir_fd with all that is in it, to any depth. The directories
 * on the way must be trusted. No link in it is followed, and nothing outside changes. 0 also when
 * there is none; -ENOTDIR for anything else of that name, which stays; -ENOTEMPTY when there is
 * more than REMOVE_MAX, or others add to it all the time.
 */
#define REMOVE_MAX 1000000
int remove_tree_at(int dir_fd, const char *path);

#endif
