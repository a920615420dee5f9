/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Steps: the only way drivers, overrides, resets and claims are changed. A table
 * of {name, do, undo}; each do and undo is idempotent and verified (it looks at
 * what the kernel shows and fails unless that is as wanted), so an operation that was
 * interrupted anywhere can be undone from its highest begun step downwards, or
 * done again from there upwards.
 *
 *	step      do                                   undo
 *	claim     write the claim                      put the old claim back, or none
 *	load      load the driver's module             nothing: a module more does no harm
 *	override  set driver_override                  set the old one; then, if the old driver
 *	                                               hasn't the device, bind it
 *	unbind    take from a driver that isn't the    nothing: only "override" can bind the
 *	          wanted one                           old driver, once the override is back; but
 *	                                               where the override stays the same, there is
 *	                                               no such step, and this one binds it
 *	probe     bind the wanted driver               take from it, unless it is the old one too
 *	reset     reset, check that it answers         nothing: a reset can't be unreset
 *	release   remove the claim                     write it again
 */
#ifndef ASSIGN_STEP_H
#define ASSIGN_STEP_H

#include <json-c/json.h>

#include "assign/claim.h"
#include "pci/binding.h"
#include "pci/reset.h"

enum step_kind {
	STEP_CLAIM,
	STEP_LOAD,
	STEP_OVERRIDE,
	STEP_UNBIND,
	STEP_PROBE,
	STEP_RESET,
	STEP_RELEASE,
	STEP_KIND_COUNT,
};

/* A driver that is whatever the kernel picks: give-back without a claim to go by. */
#define STEP_ANY_DRIVER "*"

struct step {
	enum step_kind kind;
	struct pt_address address;
	/* the first function that its reset affects; itself if there is only one */
	struct pt_address reset_set;
	/* where the device comes from and goes to: override, unbind, probe, load */
	struct binding from;
	struct binding to;
	/* claim, release: what stood there before, what shall stand after */
	bool had_claim;
	struct pt_claim old_claim;
	struct pt_claim new_claim;
};

const char *step_name(enum step_kind kind);

/* "set driver_override to vfio-pci", in words for plans; into @buffer. */
const char *step_describe(const struct step *step, char *buffer, size_t size);

/* The same after it was done, with the note of step_do(): "bound to nvme". */
const char *step_describe_done(const struct step *step, const char *note, char *buffer,
			       size_t size);

/* Milliseconds a step usually takes, for pt_plan_expected_ms(). */
unsigned int step_expected_ms(const struct step *step);

/*
 * Do and verify a step. @note (STEP_NOTE bytes) is the part of the outcome that the step does not
 * contain: the bound driver, the method of the reset; otherwise "". Helpers get only the lock of
 * the step's device, or all locks for a reset that affects more.
 */
#define STEP_NOTE 64
int step_do(struct pt_host *host, const struct step *step, char note[STEP_NOTE],
	    struct pt_error *err);
int step_undo(struct pt_host *host, const struct step *step, struct pt_error *err);

struct json_object *step_to_json(const struct step *step);
int step_from_json(struct json_object *object, struct step *ret_step, struct pt_error *err);

#endif
