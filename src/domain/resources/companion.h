/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes beside a guest's QEMU: its swtpm (tpm.h), its recorder (recorder.h), its virtiofsds
 * (virtiofs.h). They outlive passthrud, and end by themselves when QEMU has ended.
 */
#ifndef DOMAIN_RESOURCES_COMPANION_H
#define DOMAIN_RESOURCES_COMPANION_H

#include "domain/confine/spawn.h"
#include "domain/store/store.h"

/* Those of a guest that is being started. Zeroed: none. */
struct companions {
	struct spawn spawns[STORE_COMPANIONS];
	const char *words[STORE_COMPANIONS]; /* that begin what is said of a failure */
	size_t count;
};

/*
 * One more, held as QEMU is (spawn.h) until it is released, when it becomes what @request says.
 * *@ret_process is noted for the next daemon.
 */
int companions_hold(struct companions *companions, struct pt_host *host,
		    const struct spawn_request *request, const char *words,
		    struct store_process *ret_process, struct pt_error *err);
int companions_release(struct companions *companions, struct pt_error *err);

/* Those that are still held end; others end by themselves, or by companions_end(). */
void companions_close(struct companions *companions);

/* A pidfd; -ESRCH when there is none, or it has ended and was reaped. */
int companion_open(struct pt_host *host, const struct store_process *process);

/*
 * QEMU has ended: wait a moment for these to do so too, or else end them, with what they have
 * started. What QEMU may have done to them, being the same user's, doesn't stop that. Can be done
 * again.
 */
void companions_end(struct pt_host *host, const struct store_live *record);

#endif
