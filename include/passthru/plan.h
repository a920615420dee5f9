/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PASSTHRU_PLAN_H
#define PASSTHRU_PLAN_H

#include <passthru/claim.h>
#include <passthru/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: Plans
 *
 * Everything that changes the machine goes the same way: read it, make a plan
 * (steps, or refusals with all their reasons), apply the plan. Each step is
 * journalled before it is done, verified after, and undone when a later one
 * fails; what a crash leaves is put right by pt_recover().
 */

/**
 * enum pt_verb - what is asked for
 * @PT_DETACH: take from the host driver, bind to a VFIO driver
 * @PT_REATTACH: give back to the driver that was there before
 * @PT_RESET: reset, where it is
 * @PT_TAKE: detach and reset, for an owner
 * @PT_GIVE_BACK: reset and reattach what an owner had
 */
enum pt_verb { PT_DETACH, PT_REATTACH, PT_RESET, PT_TAKE, PT_GIVE_BACK };

/**
 * struct pt_request - what is asked for, of which devices
 * @verb: what
 * @devices: which; all of them or none
 * @count: how many, at least 1
 * @driver: the driver to bind on detach and take; NULL for the best VFIO driver
 * @is_forced: go ahead although the host hangs on a device, or may
 * @why: the reason for @is_forced (required with it), kept in claim and log
 * @owner: for whom, with PT_TAKE and PT_GIVE_BACK; ignored otherwise
 * @is_unreset_allowed: with PT_TAKE, take a device that has no reset at all;
 *	what one guest left in it is then the next one's to find
 * @is_quarantine_lifted: with PT_REATTACH, give a device back although it is in
 *	quarantine
 */
struct pt_request {
	enum pt_verb verb;
	const struct pt_address *devices;
	size_t count;
	const char *driver;
	bool is_forced;
	const char *why;
	struct pt_owner owner;
	bool is_unreset_allowed;
	bool is_quarantine_lifted;
};

/**
 * struct pt_refusal - one reason why a plan can't be applied
 * @reason: the class
 * @address: the device it is about
 * @message: why, and what to do, in words
 */
struct pt_refusal {
	enum pt_reason reason;
	struct pt_address address;
	const char *message;
};

/**
 * struct pt_step - one change of the machine
 * @name: "claim", "override", "unbind", "probe", "reset", "release" …
 * @address: the device it changes
 * @description: in words
 */
struct pt_step {
	const char *name;
	struct pt_address address;
	const char *description;
};

struct pt_plan;

/**
 * pt_plan_make() - find out what a request would do
 * @host: the host
 * @request: what is asked for; copied
 * @ret_plan: freed by the caller with pt_plan_free(); set also when the plan
 *	holds refusals
 * @err: only for what stops the planning itself: PT_INVALID, PT_CORRUPT, PT_SYSTEM
 *
 * Reads only, and takes no lock: applying reads again under the locks and
 * fails with PT_BUSY when the machine has changed in between.
 *
 * When not all that may hold a device can be looked at (pt_holders_unseen()), the
 * plan says so: to an ordinary user by a notice, since root sees more when it applies the
 * request; to root by a refusal with PT_IN_USE, which @is_forced overrides.
 * PT_REATTACH and PT_GIVE_BACK only get the notice.
 *
 * Return: 0 or a negative errno.
 */
int pt_plan_make(struct pt_host *host, const struct pt_request *request, struct pt_plan **ret_plan,
		 struct pt_error *err);

/**
 * pt_plan_free() - forget it
 * @plan: NULL is allowed
 */
void pt_plan_free(struct pt_plan *plan);

/**
 * pt_plan_step_count() - how many steps
 * @plan: a plan
 *
 * Return: the number; 0 when the machine is already as asked.
 */
size_t pt_plan_step_count(const struct pt_plan *plan);

/**
 * pt_plan_step_at() - one step
 * @plan: a plan
 * @index: below pt_plan_step_count()
 *
 * Return: the step, owned by @plan; NULL past the end.
 */
const struct pt_step *pt_plan_step_at(const struct pt_plan *plan, size_t index);

/**
 * pt_plan_refusal_count() - how many reasons against it
 * @plan: a plan
 *
 * Return: 0 when it can be applied.
 */
size_t pt_plan_refusal_count(const struct pt_plan *plan);

/**
 * pt_plan_refusal_at() - one reason against it
 * @plan: a plan
 * @index: below pt_plan_refusal_count()
 *
 * Return: the refusal, owned by @plan; NULL past the end.
 */
const struct pt_refusal *pt_plan_refusal_at(const struct pt_plan *plan, size_t index);

/**
 * pt_plan_notice_count() - how many things worth knowing
 * @plan: a plan
 *
 * Return: the number.
 */
size_t pt_plan_notice_count(const struct pt_plan *plan);

/**
 * pt_plan_notice_at() - one thing worth knowing, that is no obstacle
 * @plan: a plan
 * @index: below pt_plan_notice_count()
 *
 * Return: text owned by @plan; NULL past the end.
 */
const char *pt_plan_notice_at(const struct pt_plan *plan, size_t index);

/**
 * typedef pt_progress_fn - told of each step that was done and verified
 * @context: as given to pt_host_set_progress()
 * @step: the step; valid during the call
 *
 * The description says what came of it: "bound to nvme", "reset by flr, answers
 * as before". Steps that are undone later are not taken back.
 */
typedef void (*pt_progress_fn)(void *context, const struct pt_step *step);

/**
 * pt_host_set_progress() - be told of steps as they are done
 * @host: the host
 * @progress: NULL for nobody
 * @context: handed to @progress as it is
 */
void pt_host_set_progress(struct pt_host *host, pt_progress_fn progress, void *context);

/**
 * pt_plan_expected_ms() - how long applying should take, roughly
 * @plan: a plan
 *
 * Return: milliseconds, from the documented times of its resets and the usual
 * time of a bind; a driver can take longer.
 */
unsigned int pt_plan_expected_ms(const struct pt_plan *plan);

/**
 * pt_plan_apply() - do it, all or nothing
 * @host: the host
 * @plan: a plan for this host
 * @err: the first refusal when the plan has any; otherwise what failed. When
 *	putting things back failed too, the message says what is left and how
 *	to go on
 *
 * Changes drivers, driver_override and claims of the plan's devices, and loads
 * the VFIO modules. On failure the devices are as they were before.
 * Needs root.
 *
 * Return: 0 or a negative errno.
 */
int pt_plan_apply(struct pt_host *host, const struct pt_plan *plan, struct pt_error *err);

/**
 * pt_request_apply() - plan and apply in one call
 * @host: the host
 * @request: what is asked for
 * @err: all refusals, a line each, or what failed
 *
 * Return: 0 or a negative errno.
 */
int pt_request_apply(struct pt_host *host, const struct pt_request *request, struct pt_error *err);

/**
 * typedef pt_recover_fn - told of each thing that recovery puts right
 * @context: as given to pt_recover()
 * @address: the device
 * @what: what was put right, in words; valid during the call
 */
typedef void (*pt_recover_fn)(void *context, const struct pt_address *address, const char *what);

/**
 * pt_recover() - put right what crashed processes left behind
 * @host: the host
 * @report: called for each device put right; NULL for silence
 * @context: handed to @report
 * @err: the first failure; recovery goes on with the other devices. PT_CORRUPT names the claims and
 *	journals that can't be read
 *
 * Interrupted operations are rolled back or finished; devices of owners that
 * died are reset and given back; claims by hand on devices that have left the machine are
 * forgotten. What a living process is working on is left alone. Needs root.
 *
 * Return: 0 or a negative errno.
 */
int pt_recover(struct pt_host *host, pt_recover_fn report, void *context, struct pt_error *err);

#ifdef __cplusplus
}
#endif
#endif
