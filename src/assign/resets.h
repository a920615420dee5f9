/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Resets side by side. Each waits 100 ms and more for its device (PCIe 6.6.2), and no device has to
 * wait for another: a guest with eight of them has them in the time of one. Only what is on one bus
 * is reset one after the other: where the bus itself is reset, the kernel gives up (EAGAIN) when
 * another reset is under way on it. Virtual functions have no bus to reset, and so no such turn.
 */
#ifndef ASSIGN_RESETS_H
#define ASSIGN_RESETS_H

#include "assign/step.h"

struct reset_result {
	bool is_done; /* before: it isn't asked for */
	bool is_vf;   /* found on the way */
	int r;
	char note[STEP_NOTE];
	struct pt_error err;
};

/*
 * step_do() for each of the @count steps, all of them resets, whose result isn't marked as done.
 * The caller holds the locks. The log is written from other threads, by one at a time.
 */
void resets_do(struct pt_host *host, const struct step *steps, size_t count,
	       struct reset_result *results);

#endif
