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
 * Listen on @path for members of @gid, who may change devices, and on "PATH-ro" for every user.
 * The socket of a dead daemon is replaced; the socket of a running one is not.
 */
int server_listen_at(struct server *server, const char *path, gid_t gid, struct pt_error *err);

/* Sockets from the service manager: a socket with a path that ends in "-ro" is read-only. */
int server_listen_inherited(struct server *server, int first_fd, int count, struct pt_error *err);

#endif
