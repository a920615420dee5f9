/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parallel resets. A reset waits 100 ms or more for its device (PCIe 6.6.2), and no device needs
 * to wait for another: eight devices of a guest need the time of one. Only devices on the same
 * bus are reset one after the other: a reset of the bus fails (EAGAIN) while another reset is in
 * progress on it. Virtual functions have no bus reset, so they need no order.
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
 * step_do() for each of the @count steps, all of them resets, that is not marked as done. The
 * caller holds the locks. Other threads write to the log, one at a time.
 */
void resets_do(struct pt_host *host, const struct step *steps, size_t count,
	       struct reset_result *results);

#endif
