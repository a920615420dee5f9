/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "assign/audit.h"
#include "assign/lock.h"
#include "assign/operation.h"
#include "assign/plan.h"
#include "assign/recover.h"
#include "base/auto.h"
#include "pci/host.h"

AUTO_DEFINE(plan, struct pt_plan *, pt_plan_free)

/* All refusals, a line each; the first one's reason is the error's. */
static int fail_refused(const struct pt_plan *plan, struct pt_error *err)
{
	size_t i;
	int r = pt_fail(err, plan->refusals[0].reason, EBUSY, "%s", plan->refusals[0].message);

	for (i = 1; i < plan->refusal_count; i++)
		pt_error_append(err, "\n%s", plan->refusals[i].message);
	return r;
}

static bool same_steps(const struct pt_plan *a, const struct pt_plan *b)
{
	size_t i;

	if (a->step_count != b->step_count)
		return false;
	for (i = 0; i < a->step_count; i++) {
		const struct step *x = &a->steps[i], *y = &b->steps[i];

		if (x->kind != y->kind || pt_address_compare(&x->address, &y->address) != 0 ||
		    memcmp(&x->from, &y->from, sizeof(x->from)) != 0 ||
		    memcmp(&x->to, &y->to, sizeof(x->to)) != 0)
			return false;
	}
	return true;
}

static int apply_locked(struct pt_host *host, const struct pt_request *request,
			const struct pt_plan *expected, struct pt_error *err)
{
	AUTO(auto_plan) struct pt_plan *plan = NULL;
	size_t i;
	int r;

	r = recover_check(host, request->devices, request->count, err);
	if (!r)
		r = pt_plan_make(host, request, &plan, err);
	if (r)
		return r;
	if (plan->refusal_count)
		return fail_refused(plan, err);
	if (expected && !same_steps(plan, expected))
		return pt_fail(err, PT_BUSY, EBUSY,
			       "the machine has changed since the plan was made: make a new plan");
	for (i = 0; i < plan->notice_count; i++)
		host_log(host, PT_LOG_NOTICE, "%s", plan->notices[i]);
	return operation_run(host, request->verb, plan->steps, plan->step_count, err);
}

static int lock_and_apply(struct pt_host *host, const struct pt_request *request,
			  const struct pt_plan *expected, struct pt_error *err)
{
	struct locks locks;
	int r = state_prepare(host, err);

	if (!r)
		r = recover_devices(host, request->devices, request->count, err);
	if (!r)
		r = locks_take(host, request->devices, request->count, LOCK_WAIT_MS, &locks, err);
	if (r < 0)
		return r;
	r = apply_locked(host, request, expected, err);
	locks_drop(host, &locks);
	return r;
}

/* Whatever comes of it, what was asked is logged. */
static int apply_and_audit(struct pt_host *host, const struct pt_request *request,
			   const struct pt_plan *expected, struct pt_error *err)
{
	struct pt_error failure = {0};
	int r;

	if (!request->count)
		return pt_fail(err, PT_INVALID, EINVAL, "no device named");
	if (expected && expected->refusal_count)
		r = fail_refused(expected, &failure);
	else
		r = lock_and_apply(host, request, expected, &failure);
	if (r < 0 && err)
		*err = failure;
	audit_operation(host, request, r, &failure);
	return r;
}

int pt_request_apply(struct pt_host *host, const struct pt_request *request, struct pt_error *err)
{
	return apply_and_audit(host, request, NULL, err);
}

int pt_plan_apply(struct pt_host *host, const struct pt_plan *plan, struct pt_error *err)
{
	return apply_and_audit(host, &plan->request, plan, err);
}
