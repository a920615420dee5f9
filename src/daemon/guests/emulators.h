/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The QEMUs of this host, each asked once for what it is (domain/resources/emulator.h), and again
 * when its file is another one: it can be upgraded under a running daemon.
 */
#ifndef DAEMON_GUESTS_EMULATORS_H
#define DAEMON_GUESTS_EMULATORS_H

#include "daemon/context.h"
#include "domain/resources/emulator.h"

struct emulators;

int emulators_new(const struct context *context, struct emulators **ret_emulators,
		  struct pt_error *err);
void emulators_free(struct emulators *emulators); /* NULL is allowed */

/*
 * In a worker. *ret_emulator is the caller's, freed with emulator_free(). A failure is kept too,
 * for ten seconds, since every client may be the cause of a question. PT_NOT_PERMITTED: there is no
 * user that guests could run as.
 */
int emulators_get(struct emulators *emulators, struct pt_host *host, const char *program,
		  struct emulator *ret_emulator, struct pt_error *err);

/* emulator_pin_machine() by the QEMU of @def; nothing is done where that one can't be asked. */
int emulators_pin_machine(struct emulators *emulators, struct pt_host *host, struct definition *def,
			  struct pt_error *err);

#endif
