/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "assign/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "assign/auto.h"
#include "base/auto.h"
#include "base/text.h"

/* load, claim, override, unbind, probe, reset: no verb needs more for one device */
#define STEPS_PER_DEVICE 6

static const struct pt_owner manual_owner = {.kind = PT_OWNER_MANUAL};

/* ---- building ---- */

int plan_add_refusal(struct pt_plan *plan, enum pt_reason reason, const struct pt_address *address,
		     const char *format, ...)
{
	struct pt_refusal *grown;
	va_list args;
	char *message;
	int r;

	grown = reallocarray(plan->refusals, plan->refusal_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	plan->refusals = grown;
	va_start(args, format);
	r = vasprintf(&message, format, args);
	va_end(args);
	if (r < 0)
		return -ENOMEM;
	text_clean_lines(message);
	grown[plan->refusal_count++] = (struct pt_refusal){
		.reason = reason,
		.address = *address,
		.message = message,
	};
	return 0;
}

int plan_add_notice(struct pt_plan *plan, const char *format, ...)
{
	char **grown = reallocarray(plan->notices, plan->notice_count + 1, sizeof(*grown));
	va_list args;
	int r;

	if (!grown)
		return -ENOMEM;
	plan->notices = grown;
	va_start(args, format);
	r = vasprintf(&grown[plan->notice_count], format, args);
	va_end(args);
	if (r < 0)
		return -ENOMEM;
	text_clean_lines(grown[plan->notice_count]);
	plan->notice_count++;
	return 0;
}

bool plan_has_device(const struct pt_plan *plan, const struct pt_address *address)
{
	size_t i;

	for (i = 0; i < plan->request.count; i++) {
		if (pt_address_compare(&plan->devices[i], address) == 0)
			return true;
	}
	return false;
}

static struct step *add_step(struct pt_plan *plan, enum step_kind kind,
			     const struct device_facts *device)
{
	struct step *step = &plan->steps[plan->step_count++];
	const struct pt_reset *reset = device->reset;

	*step = (struct step){
		.kind = kind,
		.address = device->address,
		.reset_set = device->address,
		.from = device->binding,
		.had_claim = device->has_claim,
	};
	if (reset && reset->scope == PT_RESET_BUS && reset->affected_count)
		step->reset_set = reset->affected[0];
	if (device->has_claim)
		step->old_claim = device->claim;
	/* "changing" is derived from the journal, never stored: see pt_claims_read() */
	if (step->old_claim.state == PT_CLAIM_CHANGING)
		step->old_claim.state = PT_CLAIM_HELD;
	return step;
}

/* Loading a driver once is enough. */
static void add_load(struct pt_plan *plan, const struct device_facts *device,
		     const struct binding *to)
{
	size_t i;

	for (i = 0; i < plan->step_count; i++) {
		if (plan->steps[i].kind == STEP_LOAD &&
		    !strcmp(plan->steps[i].to.driver, to->driver))
			return;
	}
	add_step(plan, STEP_LOAD, device)->to = *to;
}

/* One bus reset serves all of its functions; what has no reset was consented to by now. */
static void add_resets(struct pt_plan *plan, const struct facts *facts)
{
	size_t i, k;

	for (i = 0; i < facts->count; i++) {
		const struct pt_reset *reset = facts->devices[i].reset;
		bool is_done = !reset || reset->scope == PT_RESET_NONE;

		for (k = 0; k < i && !is_done && reset->scope == PT_RESET_BUS; k++) {
			const struct pt_reset *other = facts->devices[k].reset;

			is_done = other && other->scope == PT_RESET_BUS &&
				  pt_address_compare(&other->affected[0], &reset->affected[0]) == 0;
		}
		if (!is_done)
			add_step(plan, STEP_RESET, &facts->devices[i]);
	}
}

/* override, unbind, probe: bring @device to driver and override @to */
static void add_move(struct pt_plan *plan, const struct device_facts *device,
		     const struct binding *to, enum step_kind kind)
{
	/* a step that changes nothing isn't one */
	if (kind == STEP_OVERRIDE && !strcmp(device->binding.override, to->override))
		return;
	if (kind == STEP_UNBIND && !device->binding.driver[0])
		return;
	if (kind == STEP_PROBE && !to->driver[0])
		return;
	if (kind != STEP_OVERRIDE && !strcmp(device->binding.driver, to->driver))
		return;
	add_step(plan, kind, device)->to = *to;
}

static struct pt_claim make_claim(const struct device_facts *device,
				  const struct pt_request *request)
{
	struct pt_claim claim = {
		.address = device->address,
		.state = PT_CLAIM_HELD,
		.owner = request->verb == PT_TAKE ? request->owner : manual_owner,
		.vendor_id = device->function->vendor_id,
		.device_id = device->function->device_id,
		.since = (int64_t)time(NULL),
	};

	text_clean(claim.owner.name);
	text_copy(claim.driver, sizeof(claim.driver), device->vfio_driver);
	if (device->has_claim) {
		/* detached manually before: restore the state in that claim */
		claim.is_kept = request->verb == PT_TAKE;
		text_copy(claim.driver_before, sizeof(claim.driver_before),
			  device->claim.driver_before);
		text_copy(claim.override_before, sizeof(claim.override_before),
			  device->claim.override_before);
	} else {
		text_copy(claim.driver_before, sizeof(claim.driver_before), device->binding.driver);
		text_copy(claim.override_before, sizeof(claim.override_before),
			  device->binding.override);
	}
	if (request->is_forced && request->why)
		text_copy(claim.why, sizeof(claim.why), request->why);
	text_clean_lines(claim.why);
	return claim;
}

static void plan_take(struct pt_plan *plan, const struct facts *facts)
{
	static const enum step_kind moves[] = {STEP_OVERRIDE, STEP_UNBIND, STEP_PROBE};
	const struct pt_request *request = &plan->request;
	bool is_take = request->verb == PT_TAKE;
	size_t i, m;

	for (i = 0; i < facts->count; i++) {
		const struct device_facts *device = &facts->devices[i];

		if (!is_take && pt_driver_is_vfio(device->binding.driver) &&
		    !(request->driver && strcmp(request->driver, device->binding.driver)))
			continue; /* detached already */
		add_step(plan, STEP_CLAIM, device)->new_claim = make_claim(device, request);
	}
	for (i = 0; i < facts->count; i++) {
		const struct device_facts *device = &facts->devices[i];
		struct binding to = {{0}, {0}};

		if (pt_driver_is_vfio(device->binding.driver) &&
		    !(request->driver && strcmp(request->driver, device->binding.driver)))
			continue;
		text_copy(to.driver, sizeof(to.driver), device->vfio_driver);
		text_copy(to.override, sizeof(to.override), device->vfio_driver);
		add_load(plan, device, &to);
		for (m = 0; m < sizeof(moves) / sizeof(moves[0]); m++)
			add_move(plan, device, &to, moves[m]);
	}
	if (is_take)
		add_resets(plan, facts);
}

/*
 * Where a device goes when it is given back. Not back to an override that keeps its driver from it:
 * that one was set while the driver had the device (persist), for a future that has come and gone.
 */
static struct binding destination(const struct device_facts *device)
{
	struct binding to = {{0}, {0}};

	if (device->has_claim) {
		text_copy(to.driver, sizeof(to.driver), device->claim.driver_before);
		if (!to.driver[0] || !strcmp(device->claim.override_before, to.driver))
			text_copy(to.override, sizeof(to.override), device->claim.override_before);
	} else {
		text_copy(to.driver, sizeof(to.driver), STEP_ANY_DRIVER);
	}
	return to;
}

static void plan_return_one(struct pt_plan *plan, const struct device_facts *device)
{
	struct binding to = destination(device);
	bool is_give_back = plan->request.verb == PT_GIVE_BACK;

	if (!device->function) {
		add_step(plan, STEP_RELEASE, device);
		return;
	}
	if (!is_give_back && !device->has_claim && device->binding.driver[0] &&
	    !pt_driver_is_vfio(device->binding.driver))
		return; /* with its host driver already */
	if (is_give_back && device->claim.is_kept) {
		struct step *step = add_step(plan, STEP_CLAIM, device);

		step->new_claim = step->old_claim;
		step->new_claim.owner = manual_owner;
		step->new_claim.is_kept = false;
		return;
	}
	add_move(plan, device, &to, STEP_OVERRIDE);
	add_move(plan, device, &to, STEP_UNBIND);
	add_move(plan, device, &to, STEP_PROBE);
	if (device->has_claim)
		add_step(plan, STEP_RELEASE, device);
}

/* A device that takes its reset well is fit for use again. */
static void plan_release_quarantine(struct pt_plan *plan, const struct facts *facts)
{
	size_t i;

	for (i = 0; i < facts->count; i++) {
		struct step *step;

		if (!facts->devices[i].has_claim ||
		    facts->devices[i].claim.state != PT_CLAIM_QUARANTINED)
			continue;
		step = add_step(plan, STEP_CLAIM, &facts->devices[i]);
		step->new_claim = step->old_claim;
		step->new_claim.state = PT_CLAIM_HELD;
		step->new_claim.why[0] = '\0';
	}
}

static int make_public_steps(struct pt_plan *plan)
{
	size_t i;

	plan->public_steps = calloc(plan->step_count + 1, sizeof(*plan->public_steps));
	if (!plan->public_steps)
		return -ENOMEM;
	for (i = 0; i < plan->step_count; i++) {
		char text[256];
		char *copy = strdup(step_describe(&plan->steps[i], text, sizeof(text)));

		if (!copy)
			return -ENOMEM;
		plan->public_steps[i] = (struct pt_step){
			.name = step_name(plan->steps[i].kind),
			.address = plan->steps[i].address,
			.description = copy,
		};
	}
	return 0;
}

static int copy_request(struct pt_plan *plan, const struct pt_request *request)
{
	plan->devices = calloc(request->count, sizeof(*plan->devices));
	plan->driver = request->driver ? strdup(request->driver) : NULL;
	plan->why = request->why ? strdup(request->why) : NULL;
	plan->steps = calloc(request->count * STEPS_PER_DEVICE, sizeof(*plan->steps));
	if (!plan->devices || !plan->steps || (request->driver && !plan->driver) ||
	    (request->why && !plan->why))
		return -ENOMEM;
	memcpy(plan->devices, request->devices, request->count * sizeof(*plan->devices));
	plan->request = *request;
	plan->request.devices = plan->devices;
	plan->request.driver = plan->driver;
	plan->request.why = plan->why;
	return 0;
}

static int refuse_all(struct pt_plan *plan, const struct facts *facts)
{
	size_t i;
	int r = 0;

	for (i = 0; !r && i < facts->count; i++)
		r = plan_refuse(plan, facts, &facts->devices[i]);
	return r;
}

int plan_build(const struct facts *facts, const struct pt_request *request,
	       struct pt_plan **ret_plan, struct pt_error *err)
{
	AUTO(auto_plan) struct pt_plan *plan = calloc(1, sizeof(*plan));
	size_t i;

	if (!plan || copy_request(plan, request) < 0 || refuse_all(plan, facts) < 0)
		return pt_fail_memory(err);
	if (!plan->refusal_count) {
		switch (request->verb) {
		case PT_DETACH:
		case PT_TAKE:
			plan_take(plan, facts);
			break;
		case PT_REATTACH:
		case PT_GIVE_BACK:
			/* all resets first: a bus reset must not hit what is back with the host */
			if (request->verb == PT_GIVE_BACK)
				add_resets(plan, facts);
			for (i = 0; i < facts->count; i++)
				plan_return_one(plan, &facts->devices[i]);
			break;
		case PT_RESET:
			add_resets(plan, facts);
			plan_release_quarantine(plan, facts);
			break;
		}
	}
	if (make_public_steps(plan) < 0)
		return pt_fail_memory(err);
	*ret_plan = TAKE_POINTER(plan);
	return 0;
}

static int check_request(const struct pt_request *request, struct pt_error *err)
{
	size_t i, k;

	if (!request->count)
		return pt_fail(err, PT_INVALID, EINVAL, "no device named");
	if (request->is_forced && (!request->why || !*request->why))
		return pt_fail(err, PT_INVALID, EINVAL, "--force needs a reason");
	if (request->driver &&
	    (!*request->driver || strpbrk(request->driver, "/\n") || request->driver[0] == '.' ||
	     strlen(request->driver) >= BINDING_NAME))
		return pt_fail(err, PT_INVALID, EINVAL, "\"%.64s\" is not a driver name",
			       request->driver);
	for (i = 0; i < request->count; i++) {
		for (k = 0; k < i; k++) {
			char text[PT_ADDRESS_TEXT];

			if (pt_address_compare(&request->devices[i], &request->devices[k]) == 0)
				return pt_fail(err, PT_INVALID, EINVAL, "%s is named twice",
					       pt_address_format(&request->devices[i], text));
		}
	}
	return 0;
}

int pt_plan_make(struct pt_host *host, const struct pt_request *request, struct pt_plan **ret_plan,
		 struct pt_error *err)
{
	AUTO(auto_facts) struct facts *facts = NULL;
	int r = check_request(request, err);

	if (!r)
		r = facts_read(host, request, &facts, err);
	return r ? r : plan_build(facts, request, ret_plan, err);
}

/* ---- looking ---- */

void pt_plan_free(struct pt_plan *plan)
{
	size_t i;

	if (!plan)
		return;
	for (i = 0; plan->public_steps && i < plan->step_count; i++)
		free((char *)(uintptr_t)plan->public_steps[i].description);
	for (i = 0; i < plan->refusal_count; i++)
		free((char *)(uintptr_t)plan->refusals[i].message);
	for (i = 0; i < plan->notice_count; i++)
		free(plan->notices[i]);
	free(plan->public_steps);
	free(plan->refusals);
	free(plan->notices);
	free(plan->steps);
	free(plan->devices);
	free(plan->driver);
	free(plan->why);
	free(plan);
}

size_t pt_plan_step_count(const struct pt_plan *plan)
{
	return plan->step_count;
}

const struct pt_step *pt_plan_step_at(const struct pt_plan *plan, size_t index)
{
	return index < plan->step_count ? &plan->public_steps[index] : NULL;
}

size_t pt_plan_refusal_count(const struct pt_plan *plan)
{
	return plan->refusal_count;
}

const struct pt_refusal *pt_plan_refusal_at(const struct pt_plan *plan, size_t index)
{
	return index < plan->refusal_count ? &plan->refusals[index] : NULL;
}

size_t pt_plan_notice_count(const struct pt_plan *plan)
{
	return plan->notice_count;
}

const char *pt_plan_notice_at(const struct pt_plan *plan, size_t index)
{
	return index < plan->notice_count ? plan->notices[index] : NULL;
}

unsigned int pt_plan_expected_ms(const struct pt_plan *plan)
{
	unsigned int total = 0;
	size_t i;

	for (i = 0; i < plan->step_count; i++)
		total += step_expected_ms(&plan->steps[i]);
	return total;
}
