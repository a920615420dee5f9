/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-serve ROOT SOCKET: passthrud for a made-up machine below ROOT, until it is killed. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/daemon.h"
#include "daemon/server.h"

int main(int argc, char **argv)
{
	struct context_config config = {.root = argc == 3 ? argv[1] : NULL};
	struct daemon *daemon;
	struct pt_error err;

	if (argc != 3) {
		(void)fputs("usage: bench-serve ROOT SOCKET\n", stderr);
		return 2;
	}
	(void)mallopt(M_ARENA_MAX, 2); /* as in main.c */
	if (daemon_new(&config, &daemon, &err) < 0 ||
	    server_listen_at(daemon->server, argv[2], 0, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.message);
		return EXIT_FAILURE;
	}
	return sd_event_loop(daemon->context->loop) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
