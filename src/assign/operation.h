/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Running steps under a journal. What happens when one fails:
 *
 *	verb, failure                  the device itself             the others
 *	any, driver stuck              left; its steps stay in a     as below
 *	                               journal of their own, its
 *	                               claim says stuck
 *	take, reset: reset failed      kept on its VFIO driver,      undone
 *	                               claim says quarantined
 *	give back: reset failed        the same                      go on
 *	give back, anything else       undone: on its VFIO driver,   go on
 *	                               claimed by hand, with why
 *	otherwise                      undone                        undone
 *	undoing fails too              the journal stays for pt_recover()
 *
 * If the step is a reset, "the device itself" means all devices of the operation that the reset
 * affects. The caller holds the locks of all devices.
 */
#ifndef ASSIGN_OPERATION_H
#define ASSIGN_OPERATION_H

#include "assign/journal.h"
#include "assign/step.h"

int operation_run(struct pt_host *host, enum pt_verb verb, const struct step *steps, size_t count,
		  struct pt_error *err);

/*
 * Recover an interrupted operation: undo a detach or take, finish a reattach or give back.
 * @journal was read under the locks.
 */
int operation_resume(struct pt_host *host, struct journal *journal, struct pt_error *err);

#endif
