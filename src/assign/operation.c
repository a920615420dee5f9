/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "assign/operation.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <passthru/group.h>

#include "assign/resets.h"
#include "base/auto.h"
#include "base/text.h"
#include "pci/host.h"
#include "pci/sysfs.h"

/* What has become of a step. */
struct outcome {
	bool is_begun;	      /* also where one before it was passed over */
	bool is_held;	      /* its device is left where it is */
	bool is_stuck;	      /* and it still needs its journal */
	bool has_failed_undo; /* its undo failed */
};

struct operation {
	struct pt_host *host;
	struct journal *journal;
	struct outcome *outcomes; /* by step */
	bool is_resumed;
	bool is_unfinished;
	struct pt_error *err; /* the first failure */
	int result;
};

static bool same_device(const struct step *a, const struct step *b)
{
	return pt_address_compare(&a->address, &b->address) == 0;
}

static bool same_reset(const struct step *a, const struct step *b)
{
	return pt_address_compare(&a->reset_set, &b->reset_set) == 0;
}

static bool is_return(const struct journal *journal)
{
	return journal->verb == PT_REATTACH || journal->verb == PT_GIVE_BACK;
}

static void hold(struct operation *op, size_t index, bool is_stuck,
		 bool (*is_like)(const struct step *a, const struct step *b))
{
	const struct step *steps = op->journal->steps;
	size_t i;

	for (i = 0; i < op->journal->count; i++) {
		if (is_like(&steps[i], &steps[index])) {
			op->outcomes[i].is_held = true;
			op->outcomes[i].is_stuck |= is_stuck;
		}
	}
}

/* Note in the claim what became of the device; where there is none yet, make one. */
static void mark(struct operation *op, const struct step *step, enum pt_claim_state state,
		 const char *why)
{
	struct pt_claim claim = {.address = step->address, .since = (int64_t)time(NULL)};
	struct pt_error err;
	bool exists = false;

	if (claim_read(op->host, &step->address, &exists, &claim, &err) < 0 || !exists) {
		text_copy(claim.driver, sizeof(claim.driver), step->from.driver);
		text_copy(claim.driver_before, sizeof(claim.driver_before), STEP_ANY_DRIVER);
	}
	claim.state = state;
	claim.owner = (struct pt_owner){.kind = PT_OWNER_MANUAL};
	claim.is_kept = false;
	(void)text_copy(claim.why, sizeof(claim.why), why);
	if (claim_write(op->host, &claim, &err) < 0)
		host_log(op->host, PT_LOG_WARNING, "%s", err.message);
}

static bool is_first_of_device(const struct journal *journal, size_t index)
{
	size_t i = 0;

	while (!same_device(&journal->steps[i], &journal->steps[index]))
		i++;
	return i == index;
}

/* The same for each device that is like that of @step. */
static void mark_all(struct operation *op, const struct step *step,
		     bool (*is_like)(const struct step *a, const struct step *b),
		     enum pt_claim_state state, const char *why)
{
	const struct journal *journal = op->journal;
	size_t i;

	for (i = 0; i < journal->count; i++) {
		if (is_like(&journal->steps[i], step) && is_first_of_device(journal, i))
			mark(op, &journal->steps[i], state, why);
	}
}

/* A removed device has no driver to change; its claim is still deleted. */
static bool applies(struct operation *op, const struct step *step)
{
	return step->kind == STEP_CLAIM || step->kind == STEP_RELEASE || step->kind == STEP_LOAD ||
	       sysfs_has_device(op->host, &step->address);
}

static void undo_from(struct operation *op, size_t begun, const struct step *only)
{
	char text[PT_ADDRESS_TEXT];
	size_t i;

	for (i = begun; i-- > 0;) {
		const struct step *step = &op->journal->steps[i];
		struct pt_error err;

		if (op->outcomes[i].is_held || (only && !same_device(step, only)) ||
		    !applies(op, step))
			continue;
		host_log(op->host, PT_LOG_INFO, "%s: undo %s",
			 pt_address_format(&step->address, text), step_name(step->kind));
		if (step_undo(op->host, step, &err) == 0)
			continue;
		if (err.reason == PT_DRIVER_STUCK) {
			hold(op, i, true, same_device);
			mark(op, step, PT_CLAIM_STUCK, err.message);
		}
		op->outcomes[i].has_failed_undo = true;
		op->is_unfinished = true;
		/* of a resumed operation this is the first failure */
		if (!op->result)
			op->result = pt_fail(op->err, err.reason, err.errnum,
					     "an interrupted operation could not be undone");
		pt_error_append(op->err,
				"\n"
				"Restoring %s failed too: %s\n"
				"To try again:\n"
				"  passthru recover",
				text, err.message);
	}
}

/* A device that can't be returned stays detached, with a manual claim and the reason. */
static void keep_back(struct operation *op, size_t index,
		      bool (*is_like)(const struct step *a, const struct step *b), const char *why)
{
	const struct journal *journal = op->journal;
	size_t i;

	for (i = 0; i < journal->count; i++) {
		const struct step *step = &journal->steps[i];

		if (!is_like(step, &journal->steps[index]) || !is_first_of_device(journal, i))
			continue;
		undo_from(op, index + 1, step);
		if (!sysfs_has_device(op->host, &step->address))
			(void)claim_remove(op->host, &step->address, NULL);
		else if (!op->outcomes[i].is_stuck)
			mark(op, step, PT_CLAIM_HELD, why);
	}
	hold(op, index, false, is_like);
}

static void note_failure(struct operation *op, const struct pt_error *err)
{
	if (op->result) {
		pt_error_append(op->err, "\n%s", err->message);
		return;
	}
	op->result = -err->errnum;
	if (op->err)
		*op->err = *err;
}

/* Step @index failed with @err. Returns true if the operation continues with the other devices. */
static bool take_failure(struct operation *op, size_t index, const struct pt_error *err)
{
	const struct step *step = &op->journal->steps[index];
	bool goes_on = op->journal->verb == PT_GIVE_BACK;
	bool (*is_like)(const struct step *a, const struct step *b) = same_device;

	/* one step resets all devices that the reset affects */
	if (step->kind == STEP_RESET)
		is_like = same_reset;
	note_failure(op, err);
	if (err->reason == PT_DRIVER_STUCK) {
		hold(op, index, true, is_like);
		mark_all(op, step, is_like, PT_CLAIM_STUCK, err->message);
		op->is_unfinished = true;
	} else if (step->kind == STEP_RESET && err->reason == PT_RESET_FAILED) {
		/* a device on a host driver has no claim to keep, and its driver to complain */
		if (op->journal->verb == PT_RESET && !pt_driver_is_vfio(step->from.driver))
			return goes_on;
		hold(op, index, false, is_like);
		mark_all(op, step, is_like, PT_CLAIM_QUARANTINED, err->message);
		pt_error_append(op->err, "\n"
					 "The device is in quarantine: no guest and no host driver "
					 "gets it until passthru reset succeeds, or passthru "
					 "release --quarantine lifts the quarantine.");
	} else if (goes_on) {
		keep_back(op, index, is_like, err->message);
	}
	return goes_on;
}

void pt_host_set_progress(struct pt_host *host, pt_progress_fn progress, void *context)
{
	host->progress = (void (*)(void))progress;
	host->progress_context = context;
}

static void tell_progress(struct operation *op, const struct step *step, const char *note)
{
	pt_progress_fn progress = (pt_progress_fn)op->host->progress;
	char description[256], text[PT_ADDRESS_TEXT];
	struct pt_step done = {.name = step_name(step->kind), .address = step->address};

	done.description = step_describe_done(step, note, description, sizeof(description));
	host_log(op->host, PT_LOG_INFO, "%s: %s", pt_address_format(&step->address, text),
		 description);
	if (progress)
		progress(op->host->progress_context, &done);
}

/*
 * The steps of a stuck device are passed over, and where the marks of a journal have such a gap,
 * what comes after it is done again. A device that is back with its host driver had its reset.
 */
static bool is_reset_done(struct operation *op, const struct step *step)
{
	char driver[BINDING_NAME];

	return op->is_resumed && step->kind == STEP_RESET &&
	       binding_read_driver(op->host, &step->address, driver, NULL) == 0 && *driver &&
	       !pt_driver_is_vfio(driver);
}

/* Note that step @index begins. 1 when there is nothing to do, or no more. */
static int operation_begin(struct operation *op, size_t index, struct pt_error *err)
{
	const struct step *step = &op->journal->steps[index];
	int r;

	if (op->outcomes[index].is_held)
		return 1;
	r = journal_begin(op->journal, index, err);
	op->outcomes[index].is_begun = !r;
	if (r < 0)
		return r;
	/* returning a removed device deletes its claim */
	return is_reset_done(op, step) || (is_return(op->journal) && !applies(op, step));
}

/* Resets follow each other in a plan; as many as there are from @first on. */
static size_t count_resets(const struct journal *journal, size_t first)
{
	size_t count = 0;

	while (first + count < journal->count && journal->steps[first + count].kind == STEP_RESET)
		count++;
	return count;
}

/* Returns true if the operation continues. */
static bool operation_end(struct operation *op, size_t index, const struct reset_result *result)
{
	if (result->r < 0)
		return take_failure(op, index, &result->err);
	tell_progress(op, &op->journal->steps[index], result->note);
	return true;
}

/* All are marked as started before the first is done, so recovery repeats all of them. */
static bool run_resets(struct operation *op, size_t first, size_t count)
{
	struct reset_result *results = calloc(count, sizeof(*results));
	bool goes_on = true;
	struct pt_error err;
	size_t i;

	if (!results) {
		(void)pt_fail_memory(&err);
		return take_failure(op, first, &err);
	}
	for (i = 0; i < count && goes_on; i++) {
		int r = operation_begin(op, first + i, &err);

		results[i].is_done = r != 0;
		goes_on = r >= 0 || take_failure(op, first + i, &err);
	}
	for (i = 0; i < count; i++)
		results[i].is_done |= !goes_on || op->outcomes[first + i].is_held;
	resets_do(op->host, &op->journal->steps[first], count, results);
	for (i = 0; i < count; i++)
		if (!results[i].is_done && !operation_end(op, first + i, &results[i]))
			goes_on = false;
	free(results);
	return goes_on;
}

static void run_from(struct operation *op, size_t first)
{
	struct journal *journal = op->journal;
	size_t i = first;

	while (i < journal->count) {
		size_t count = count_resets(journal, i);
		struct reset_result result = {0};
		bool goes_on = true;

		if (count > 1) {
			goes_on = run_resets(op, i, count);
		} else {
			count = 1;
			result.r = operation_begin(op, i, &result.err);
			if (result.r == 0)
				result.r = step_do(op->host, &journal->steps[i], result.note,
						   &result.err);
			if (result.r <= 0)
				goes_on = operation_end(op, i, &result);
		}
		i += count;
		if (!goes_on) {
			undo_from(op, i, NULL);
			return;
		}
	}
}

/*
 * Is step @index still to be undone, or done? What was never begun needs no undoing, but it is what
 * finishes a return.
 */
static bool is_open(const struct operation *op, size_t index)
{
	const struct outcome *outcome = &op->outcomes[index];

	return outcome->has_failed_undo ||
	       (outcome->is_stuck && (outcome->is_begun || is_return(op->journal)));
}

/*
 * A stuck device keeps its own steps, and any its step that could not be undone; those of the
 * others must not be undone a second time.
 */
static void split_journal(struct operation *op)
{
	struct journal *journal = op->journal;
	struct step *steps = calloc(journal->count, sizeof(*steps));
	size_t i, count = 0, begun = 0;
	bool is_gap = false;
	struct journal rest;

	if (!steps)
		return;
	for (i = 0; i < journal->count; i++) {
		if (!is_open(op, i))
			continue;
		is_gap |= !op->outcomes[i].is_begun;
		begun += !is_gap;
		steps[count++] = journal->steps[i];
	}
	if (count < (is_return(journal) ? journal->count : journal->begun) &&
	    journal_create(op->host, journal->verb, steps, count, &rest, NULL) == 0) {
		for (i = 0; i < begun; i++)
			(void)journal_begin(&rest, i, NULL);
		journal_abandon(&rest);
		(void)journal_finish(op->host, journal, NULL);
	}
	free(steps);
}

static bool any_stuck(const struct operation *op)
{
	size_t i;

	for (i = 0; i < op->journal->count; i++) {
		if (op->outcomes[i].is_stuck)
			return true;
	}
	return false;
}

static int operation_finish(struct operation *op)
{
	struct pt_error err;

	if (!op->is_unfinished) {
		if (journal_finish(op->host, op->journal, &err) < 0)
			host_log(op->host, PT_LOG_WARNING, "%s", err.message);
	} else {
		if (any_stuck(op))
			split_journal(op);
		journal_abandon(op->journal);
	}
	free(op->outcomes);
	return op->result;
}

static int start(struct operation *op, struct pt_host *host, struct journal *journal,
		 struct pt_error *err)
{
	size_t i;

	*op = (struct operation){.host = host, .journal = journal, .err = err};
	op->outcomes = calloc(journal->count + 1, sizeof(*op->outcomes));
	if (!op->outcomes)
		return pt_fail_memory(err);
	for (i = 0; i < journal->begun; i++)
		op->outcomes[i].is_begun = true;
	return 0;
}

int operation_run(struct pt_host *host, enum pt_verb verb, const struct step *steps, size_t count,
		  struct pt_error *err)
{
	struct journal journal;
	struct operation op;
	int r;

	if (!count)
		return 0;
	r = journal_create(host, verb, steps, count, &journal, err);
	if (r < 0)
		return r;
	r = start(&op, host, &journal, err);
	if (r < 0) {
		(void)journal_finish(host, &journal, NULL);
		return r;
	}
	run_from(&op, 0);
	return operation_finish(&op);
}

/*
 * Devices that an interrupted operation had already decided to leave where they are. In quarantine
 * is not where a reattach leaves one: it was allowed to take it out of there.
 */
static void hold_decided(struct operation *op)
{
	size_t i;

	for (i = 0; i < op->journal->count; i++) {
		struct pt_claim claim;
		bool exists;

		if (claim_read(op->host, &op->journal->steps[i].address, &exists, &claim, NULL) <
			    0 ||
		    !exists)
			continue;
		if ((op->journal->verb != PT_REATTACH && claim.state == PT_CLAIM_QUARANTINED) ||
		    (op->journal->verb == PT_GIVE_BACK && claim.state == PT_CLAIM_HELD &&
		     claim.owner.kind == PT_OWNER_MANUAL))
			op->outcomes[i].is_held = true;
	}
}

/*
 * All is recovered, so no device is stuck any more. Most steps update the claim, but a reset has
 * no claim of its own, nor has the return of an unclaimed device.
 */
static void settle_claims(struct operation *op)
{
	size_t i;

	for (i = 0; i < op->journal->count; i++) {
		const struct step *step = &op->journal->steps[i];
		struct pt_claim claim, old = step->old_claim;
		struct pt_error err;
		bool exists;
		int r;

		if (!is_first_of_device(op->journal, i) ||
		    claim_read(op->host, &step->address, &exists, &claim, &err) < 0 || !exists ||
		    claim.state != PT_CLAIM_STUCK)
			continue;
		if (old.state == PT_CLAIM_STUCK)
			old.state = PT_CLAIM_HELD;
		r = step->had_claim ? claim_write(op->host, &old, &err)
				    : claim_remove(op->host, &step->address, &err);
		if (r < 0)
			host_log(op->host, PT_LOG_WARNING, "%s", err.message);
	}
}

static size_t first_of_resets(const struct journal *journal, size_t index)
{
	while (index && journal->steps[index].kind == STEP_RESET &&
	       journal->steps[index - 1].kind == STEP_RESET)
		index--;
	return index;
}

int operation_resume(struct pt_host *host, struct journal *journal, struct pt_error *err)
{
	struct operation op;
	int r = journal_reopen(host, journal, err);

	if (r)
		return r;
	r = start(&op, host, journal, err);
	if (r)
		return r;
	op.is_resumed = true;
	hold_decided(&op);
	switch (journal->verb) {
	case PT_DETACH:
	case PT_TAKE:
		undo_from(&op, journal->begun, NULL);
		break;
	case PT_REATTACH:
	case PT_GIVE_BACK:
		/* the step begun last may be half done, and with it resets that began with it;
		 * those before are done */
		if (journal->begun)
			run_from(&op, first_of_resets(journal, journal->begun - 1));
		break;
	case PT_RESET:
		break;
	}
	if (!op.is_unfinished)
		settle_claims(&op);
	return operation_finish(&op);
}
