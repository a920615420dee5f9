/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes beside a guest's QEMU: its swtpm (tpm.h) and its recorder (recorder.h). They outlive
 * passthrud, and end by themselves when QEMU has ended.
 */
#ifndef DOMAIN_RESOURCES_COMPANION_H
#define DOMAIN_RESOURCES_COMPANION_H

#include "domain/confine/spawn.h"
#include "domain/store/store.h"

/*
 * Its process, held as QEMU's is (spawn.h); spawn_release() lets it become what @request says.
 * *@ret_process is noted for the next daemon. @what begins the words of a failure.
 */
int companion_hold(struct pt_host *host, const struct spawn_request *request, const char *what,
		   struct store_process *ret_process, struct spawn *ret_spawn,
		   struct pt_error *err);

/* A pidfd; -ESRCH when there is none, or it has ended and was reaped. */
int companion_open(struct pt_host *host, const struct store_process *process);

/*
 * QEMU has ended: wait a moment for these to do so too, or else end them. What QEMU may have done
 * to them, being the same user's, doesn't stop that. Can be done again.
 */
void companions_end(struct pt_host *host, const struct store_live *record);

#endif
