/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guest's QEMU, and its swtpm, see of the host's files: in a mount namespace of their own,
 * under the names that they have on the host, the directories of programs, libraries and
 * configuration, /proc, /sys, a few nodes of /dev, its own directory, and what reach.h lists.
 * Other files aren't there, whoever may read them; DAC and AppArmor decide about those that are.
 *
 * What QEMU makes itself (a socket), or what is made anew meanwhile (that of a server), is in a
 * directory of the host's, which is in the view as a whole then. A link on the way to a file is
 * the same link there.
 */
#ifndef DOMAIN_CONFINE_VIEW_H
#define DOMAIN_CONFINE_VIEW_H

#include "base/error.h"
#include "domain/confine/reach.h"

/*
 * In the child between fork() and exec(), as root: a view of its own, with what all have and the
 * directory @own (NULL: none). Async-signal-safe; 0 or a negative errno.
 */
int view_make(struct pt_host *host, const char *own);

/*
 * In the view of that process, which view_make() made: what @reach lists and what else @live needs
 * is there afterwards, and what was there of another device is not. A process that sees the host's
 * files stays as it is. PT_SYSTEM names the file; what is missing then is as if it weren't listed.
 */
int view_show(struct pt_host *host, pid_t pid, int pidfd, const struct definition *live,
	      const struct reach *reach, struct pt_error *err);

#endif
