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
 * Every change of the machine has three phases: read the machine, make a plan (steps, or all
 * refusals), apply the plan. Each step is journalled before it is done, verified afterwards, and
 * undone if a later step fails. pt_recover() recovers from a crash.
 */

/**
 * enum pt_verb - the action of a request
 * @PT_DETACH: unbind from the host driver, bind to a VFIO driver
 * @PT_REATTACH: return to the previous driver
 * @PT_RESET: reset, without a change of the driver
 * @PT_TAKE: detach and reset, for an owner
 * @PT_GIVE_BACK: reset and reattach the devices of an owner
 */
enum pt_verb { PT_DETACH, PT_REATTACH, PT_RESET, PT_TAKE, PT_GIVE_BACK };

/**
 * struct pt_request - an action on devices
 * @verb: the action
 * @devices: the devices; all of them are changed or none
 * @count: the number of devices, at least 1
 * @driver: the driver to bind on detach and take; NULL for the best VFIO driver
 * @is_forced: override the refusal of a device that the host uses, or may use
 * @why: the reason for @is_forced (required with it), recorded in the claim and the log
 * @owner: the owner, with PT_TAKE and PT_GIVE_BACK; ignored otherwise
 * @is_unreset_allowed: with PT_TAKE, accept a device without any reset; data of one guest could
 *	then reach the next
 * @is_quarantine_lifted: with PT_REATTACH, return a device although it is in quarantine
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
 * @reason: the class of the reason
 * @address: the refused device
 * @message: text: why, and a remedy
 */
struct pt_refusal {
	enum pt_reason reason;
	struct pt_address address;
	const char *message;
};

/**
 * struct pt_step - one change of the machine
 * @name: "claim", "override", "unbind", "probe", "reset", "release" …
 * @address: the changed device
 * @description: text for people
 */
struct pt_step {
	const char *name;
	struct pt_address address;
	const char *description;
};

struct pt_plan;

/**
 * pt_plan_make() - make the plan of a request
 * @host: the host
 * @request: the request; copied
 * @ret_plan: freed by the caller with pt_plan_free(); set also if the plan has refusals
 * @err: a failure of the planning itself: PT_INVALID, PT_CORRUPT, PT_SYSTEM
 *
 * This function only reads, and takes no lock. pt_plan_apply() reads again under the locks, and
 * fails with PT_BUSY if the machine has changed in between.
 *
 * If some holders of a device are invisible to the caller (pt_holders_unseen()), an ordinary user
 * gets a notice, because root sees more when it applies the request. Root gets a refusal with
 * PT_IN_USE, which @is_forced overrides. PT_REATTACH and PT_GIVE_BACK only get the notice.
 *
 * Return: 0 or a negative errno.
 */
int pt_plan_make(struct pt_host *host, const struct pt_request *request, struct pt_plan **ret_plan,
		 struct pt_error *err);

/**
 * pt_plan_free() - free a plan
 * @plan: NULL is allowed
 */
void pt_plan_free(struct pt_plan *plan);

/**
 * pt_plan_step_count() - the number of steps
 * @plan: a plan
 *
 * Return: the number; 0 if the machine is already in the requested state.
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
 * pt_plan_refusal_count() - the number of refusals
 * @plan: a plan
 *
 * Return: the number; 0 if the plan can be applied.
 */
size_t pt_plan_refusal_count(const struct pt_plan *plan);

/**
 * pt_plan_refusal_at() - one refusal
 * @plan: a plan
 * @index: below pt_plan_refusal_count()
 *
 * Return: the refusal, owned by @plan; NULL past the end.
 */
const struct pt_refusal *pt_plan_refusal_at(const struct pt_plan *plan, size_t index);

/**
 * pt_plan_notice_count() - the number of notices
 * @plan: a plan
 *
 * Return: the number.
 */
size_t pt_plan_notice_count(const struct pt_plan *plan);

/**
 * pt_plan_notice_at() - one notice, which does not prevent the plan
 * @plan: a plan
 * @index: below pt_plan_notice_count()
 *
 * Return: text owned by @plan; NULL past the end.
 */
const char *pt_plan_notice_at(const struct pt_plan *plan, size_t index);

/**
 * typedef pt_progress_fn - called after each step, when it is verified
 * @context: as given to pt_host_set_progress()
 * @step: the step; valid during the call
 *
 * The description is the outcome: "bound to nvme", "reset by flr, responds as before". There is
 * no call if a step is undone later.
 */
typedef void (*pt_progress_fn)(void *context, const struct pt_step *step);

/**
 * pt_host_set_progress() - set the function that is called after each step
 * @host: the host
 * @progress: NULL for none
 * @context: passed to @progress
 */
void pt_host_set_progress(struct pt_host *host, pt_progress_fn progress, void *context);

/**
 * pt_plan_expected_ms() - the expected time of pt_plan_apply(), roughly
 * @plan: a plan
 *
 * Return: milliseconds, from the documented times of its resets and the usual
 * time of a bind; a driver can take longer.
 */
unsigned int pt_plan_expected_ms(const struct pt_plan *plan);

/**
 * pt_plan_apply() - execute all of a plan or none of it
 * @host: the host
 * @plan: a plan for this host
 * @err: the first refusal if the plan has any; otherwise the failure. If undoing it failed too,
 *	the message describes the remaining state and the next command
 *
 * Changes drivers, driver_override and claims of the plan's devices, and loads the VFIO modules.
 * On failure the devices are in their previous state. Needs root.
 *
 * Return: 0 or a negative errno.
 */
int pt_plan_apply(struct pt_host *host, const struct pt_plan *plan, struct pt_error *err);

/**
 * pt_request_apply() - plan and apply in one call
 * @host: the host
 * @request: the request
 * @err: all refusals, one per line, or the failure
 *
 * Return: 0 or a negative errno.
 */
int pt_request_apply(struct pt_host *host, const struct pt_request *request, struct pt_error *err);

/**
 * typedef pt_recover_fn - called for each device that was recovered
 * @context: as given to pt_recover()
 * @address: the device
 * @what: text that describes the recovery; valid during the call
 */
typedef void (*pt_recover_fn)(void *context, const struct pt_address *address, const char *what);

/**
 * pt_recover() - recover from crashed processes
 * @host: the host
 * @report: called for each recovered device; NULL for none
 * @context: passed to @report
 * @err: the first failure; recovery continues with the other devices. PT_CORRUPT names the
 *	unreadable claims and journals
 *
 * Interrupted operations are rolled back or finished; devices of dead owners are reset and
 * returned to the host; manual claims on removed devices are deleted. Operations of living
 * processes are not touched. Needs root.
 *
 * Return: 0 or a negative errno.
 */
int pt_recover(struct pt_host *host, pt_recover_fn report, void *context, struct pt_error *err);

#ifdef __cplusplus
}
#endif
#endif
