/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where clients come in. */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include "daemon/daemon.h"

/*
 * Listen on @path for people of @gid who may change devices, and on "PATH-ro" for everyone.
 * A socket left by a daemon that died is replaced; one that is answered is not.
 */
int listen_at(struct daemon *daemon, const char *path, gid_t gid, struct pt_error *err);

/* Sockets given by the service manager: those whose path ends in "-ro" are read-only. */
int listen_inherited(struct daemon *daemon, int first_fd, int count, struct pt_error *err);

/* Close them; sockets of our own making are removed. */
void listeners_free(struct daemon *daemon);

#endif
