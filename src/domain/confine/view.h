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
 *
 * A file in a view keeps its filesystem alive, but doesn't keep the host from unmounting it, which
 * would only seem to let go of it. So whoever shows it also has it open: struct view_pins.
 */
#ifndef DOMAIN_CONFINE_VIEW_H
#define DOMAIN_CONFINE_VIEW_H

#include "base/error.h"
#include "domain/confine/reach.h"

/* For each filesystem but the root directory's that a guest has a file of, one of these files. */
struct view_pins {
	int *fds;
	size_t count;
};

void view_unpin(struct view_pins *pins);

/*
 * In the child between fork() and exec(), as root: a view of its own, with what all have and the
 * directory @own (NULL: none). Async-signal-safe; 0 or a negative errno.
 */
int view_make(struct pt_host *host, const char *own);

/*
 * In the view of that process, which view_make() made: what @reach lists and what else @live needs
 * is there afterwards, and what was there of another device is not. PT_SYSTEM names the file; what
 * is missing then is as if it weren't listed.
 * @pins are those of before, or none, and are replaced on success.
 */
int view_show(struct pt_host *host, pid_t pid, int pidfd, const struct definition *live,
	      const struct reach *reach, struct view_pins *pins, struct pt_error *err);

#endif
