/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where clients come in. */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include "daemon/client.h"

struct server;

/* How long no client is accepted after descriptors or memory have run out. */
#define SERVER_PAUSE_USEC 1000000

int server_new(struct clients *clients, struct server **ret_server, struct pt_error *err);

/* Closes its sockets; those of our own making are removed. NULL is allowed. */
void server_free(struct server *server);

/*
 * Listen on @path for people of @gid who may change devices, and on "PATH-ro" for everyone.
 * A socket left by a daemon that died is replaced; one that is answered is not.
 */
int server_listen_at(struct server *server, const char *path, gid_t gid, struct pt_error *err);

/* Sockets given by the service manager: those whose path ends in "-ro" are read-only. */
int server_listen_inherited(struct server *server, int first_fd, int count, struct pt_error *err);

#endif
