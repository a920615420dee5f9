/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Permit one more user to use a file, and take that back, by an entry of its access control list
 * (acl(5)): owner, group and everybody else keep what they have, so several users can be permitted
 * at once.
 */
#ifndef DOMAIN_CONFINE_ACCESS_H
#define DOMAIN_CONFINE_ACCESS_H

#include <sys/types.h>

/* As in permission bits. */
enum { ACCESS_EXECUTE = 1, ACCESS_WRITE = 2, ACCESS_READ = 4 };

/**
 * access_permit() - add an entry for a user
 * @fd: the object, also with O_PATH
 * @uid: another user than its owner
 * @access: ACCESS_READ | …; an entry that is there already gains what it lacks
 *
 * Return: 0 or a negative errno: -EOPNOTSUPP where the filesystem has no such lists, -EBUSY where
 * the list's mask keeps from others what it would have to let through for @uid.
 */
int access_permit(int fd, uid_t uid, unsigned int access);

/* What access_permit() would return, changing nothing. */
int access_may_permit(int fd, uid_t uid, unsigned int access);

/**
 * access_forbid() - remove a user's entry
 *
 * Nothing of it stays, not even a list, if there was none before. Return: 0, also if there is no
 * entry, or a negative errno.
 */
int access_forbid(int fd, uid_t uid);

/** access_of() - what the user's entry permits; 0 without one, or a negative errno */
int access_of(int fd, uid_t uid);

#endif
