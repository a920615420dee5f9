/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What QEMU says on its standard output and error comes by a pipe, so that it has no file of the
 * host's: it could fill the disk, also with what the file's size doesn't show, and erase what it
 * said before. QEMU has an end that never blocks and is never broken: what is said while nobody
 * reads, and no longer fits, is lost.
 */
#ifndef DOMAIN_CONFINE_OUTPUT_H
#define DOMAIN_CONFINE_OUTPUT_H

#include <sys/types.h>

#include "pci/host.h"

/* A pipe: our end, and QEMU's. 0 or a negative errno. */
int output_open(int *ret_ours, int *ret_theirs);

/*
 * Our end of the pipe of a QEMU that was started by a daemon before this one. -ENOTSUP where its
 * standard error is no pipe.
 */
int output_find(struct pt_host *host, pid_t pid);

/*
 * Move at most @max bytes to the end of a file. The number of bytes; 0: there is nothing now;
 * -ENODATA: there never will be; or another negative errno: what was read then is lost.
 */
ssize_t output_move(int ours, int log_fd, size_t max);

#endif
