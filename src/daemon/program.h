/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* passthrud as a program: its options, its signals, its sockets. Tests run it on a made-up machine.
 */
#ifndef DAEMON_PROGRAM_H
#define DAEMON_PROGRAM_H

#include "daemon/context.h"

/* Serves until SIGTERM; the exit status. The options change what @machine says of guests. */
int program_run(int argc, char **argv, const struct context_config *machine);

#endif
