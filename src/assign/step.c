/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "assign/step.h"

#include <assert.h>
#include <string.h>

#include <passthru/group.h>

#include "assign/bind.h"
#include "assign/lock.h"
#include "assign/owner.h"
#include "base/text.h"
#include "pci/auto.h"
#include "pci/snapshot.h"

/* ---- claim, release ---- */

static int write_new_claim(struct pt_host *host, const struct step *step, char note[STEP_NOTE],
			   struct pt_error *err)
{
	(void)note;
	return claim_write(host, &step->new_claim, err);
}

static int restore_claim(struct pt_host *host, const struct step *step, struct pt_error *err)
{
	if (step->had_claim)
		return claim_write(host, &step->old_claim, err);
	return claim_remove(host, &step->address, err);
}

static int release_do(struct pt_host *host, const struct step *step, char note[STEP_NOTE],
		      struct pt_error *err)
{
	(void)note;
	return claim_remove(host, &step->address, err);
}

/* ---- load ---- */

static int load_do(struct pt_host *host, const struct step *step, char note[STEP_NOTE],
		   struct pt_error *err)
{
	(void)note;
	return binding_load_driver(host, step->to.driver, BINDING_DEADLINE_MS, err);
}

static int undo_nothing(struct pt_host *host, const struct step *step, struct pt_error *err)
{
	(void)host;
	(void)step;
	(void)err;
	return 0;
}

/* ---- override, unbind, probe ---- */

static bool step_is_wanted(const char *bound, const char *driver)
{
	if (!strcmp(driver, STEP_ANY_DRIVER))
		return bound[0] && !pt_driver_is_vfio(bound);
	return !strcmp(bound, driver);
}

static int override_do(struct pt_host *host, const struct step *step, char note[STEP_NOTE],
		       struct pt_error *err)
{
	(void)note;
	return binding_set_override(host, &step->address, step->to.override, err);
}

/* Driver and override as they were. */
static int put_back(struct pt_host *host, const struct step *step, struct pt_error *err)
{
	return bind_driver(host, &step->address, &step->from, err);
}

static int unbind_do(struct pt_host *host, const struct step *step, char note[STEP_NOTE],
		     struct pt_error *err)
{
	char bound[BINDING_NAME];
	int r = binding_read_driver(host, &step->address, bound, err);

	(void)note;
	if (r < 0 || !bound[0] || step_is_wanted(bound, step->to.driver))
		return r;
	return binding_unbind(host, &step->address, BINDING_DEADLINE_MS, err);
}

/* Where an override was set too, only undoing that can bind the old driver. */
static int unbind_undo(struct pt_host *host, const struct step *step, struct pt_error *err)
{
	if (strcmp(step->from.override, step->to.override) != 0)
		return 0;
	return put_back(host, step, err);
}

static int probe_do(struct pt_host *host, const struct step *step, char note[STEP_NOTE],
		    struct pt_error *err)
{
	char bound[BINDING_NAME];
	int r;

	if (!strcmp(step->to.driver, STEP_ANY_DRIVER))
		r = bind_host_driver(host, &step->address, step->to.override, err);
	else
		r = bind_driver(host, &step->address, &step->to, err);
	if (!r)
		r = binding_read_driver(host, &step->address, bound, err);
	if (!r)
		text_copy(note, STEP_NOTE, bound);
	return r;
}

static int probe_undo(struct pt_host *host, const struct step *step, struct pt_error *err)
{
	char bound[BINDING_NAME];
	int r = binding_read_driver(host, &step->address, bound, err);

	if (r < 0 || !bound[0] || !strcmp(bound, step->from.driver))
		return r;
	return binding_unbind(host, &step->address, BINDING_DEADLINE_MS, err);
}

/* ---- reset ---- */

/*
 * A bus reset takes its neighbours down: all of them must have the same owner. The plan saw
 * to what the topology shows; once on VFIO the kernel may know of more.
 */
static int check_reset_set(struct pt_host *host, const struct step *step,
			   const struct pt_snapshot *snapshot, const struct pt_reset *reset,
			   struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT], other[PT_ADDRESS_TEXT];
	struct pt_claim ours, theirs;
	bool is_claimed, is_other_claimed;
	size_t i;
	int r = claim_read(host, &step->address, &is_claimed, &ours, err);

	for (i = 0; !r && i < reset->affected_count; i++) {
		const struct pt_address *address = &reset->affected[i];
		const struct pt_function *function = pt_snapshot_find(snapshot, address);

		if (!function || pt_function_kind(function) == PT_BRIDGE ||
		    pt_address_compare(address, &step->address) == 0)
			continue;
		r = claim_read(host, address, &is_other_claimed, &theirs, err);
		if (!r &&
		    !(is_claimed && is_other_claimed && owner_is_same(&ours.owner, &theirs.owner)))
			r = pt_fail(err, PT_RESET_UNAVAILABLE, EBUSY,
				    "%s can't be reset alone: a bus reset also resets %s; they "
				    "must be assigned together",
				    pt_address_format(&step->address, text),
				    pt_address_format(address, other));
	}
	return r;
}

static int reset_do(struct pt_host *host, const struct step *step, char note[STEP_NOTE],
		    struct pt_error *err)
{
	AUTO(auto_snapshot) struct pt_snapshot *snapshot = NULL;
	AUTO(auto_reset) struct pt_reset *reset = NULL;
	int r = snapshot_read_around(host, &step->address, 1, &snapshot, err);

	if (r < 0)
		return r;
	r = pt_reset_choose(host, snapshot, &step->address, &reset, err);
	if (r < 0)
		return r;
	if (reset->scope == PT_RESET_BUS)
		locks_narrow(host, NULL);
	if (reset->scope == PT_RESET_BUS && reset->affected_count > 1)
		r = check_reset_set(host, step, snapshot, reset, err);
	if (!r)
		r = reset_apply(host, &step->address, reset, err);
	if (!r)
		text_copy(note, STEP_NOTE, reset->method);
	return r;
}

/* ---- the table ---- */

typedef int (*step_do_fn)(struct pt_host *host, const struct step *step, char note[STEP_NOTE],
			  struct pt_error *err);
typedef int (*step_undo_fn)(struct pt_host *host, const struct step *step, struct pt_error *err);

static const struct {
	const char *name;
	unsigned int expected_ms;
	step_do_fn do_it;
	step_undo_fn undo;
} steps[STEP_KIND_COUNT] = {
	[STEP_CLAIM] = {"claim", 0, write_new_claim, restore_claim},
	[STEP_LOAD] = {"load", 50, load_do, undo_nothing},
	[STEP_OVERRIDE] = {"override", 0, override_do, put_back},
	[STEP_UNBIND] = {"unbind", 100, unbind_do, unbind_undo},
	[STEP_PROBE] = {"probe", 20, probe_do, probe_undo},
	/* FLR: 100 ms before the first access (PCIe 6.6.2) */
	[STEP_RESET] = {"reset", 120, reset_do, undo_nothing},
	[STEP_RELEASE] = {"release", 0, release_do, restore_claim},
};

const char *step_name(enum step_kind kind)
{
	assert(kind < STEP_KIND_COUNT);
	return steps[kind].name;
}

unsigned int step_expected_ms(const struct step *step)
{
	return steps[step->kind].expected_ms;
}

int step_do(struct pt_host *host, const struct step *step, char note[STEP_NOTE],
	    struct pt_error *err)
{
	note[0] = '\0';
	locks_narrow(host, &step->address);
	return steps[step->kind].do_it(host, step, note, err);
}

int step_undo(struct pt_host *host, const struct step *step, struct pt_error *err)
{
	locks_narrow(host, &step->address);
	return steps[step->kind].undo(host, step, err);
}

const char *step_describe(const struct step *step, char *buffer, size_t size)
{
	const char *to = step->to.driver;
	char owner[128];

	switch (step->kind) {
	case STEP_CLAIM:
		if (step->new_claim.owner.kind == PT_OWNER_MANUAL)
			(void)text_format(buffer, size, "record that it was detached manually");
		else
			(void)text_format(buffer, size, "reserve it for %s",
					  owner_format(&step->new_claim.owner, owner));
		break;
	case STEP_LOAD:
		(void)text_format(buffer, size, "load driver %s", to);
		break;
	case STEP_OVERRIDE:
		(void)text_format(buffer, size, "%s driver_override%s%s",
				  step->to.override[0] ? "set" : "clear",
				  step->to.override[0] ? " to " : "", step->to.override);
		break;
	case STEP_UNBIND:
		(void)text_format(buffer, size, "unbind from %s", step->from.driver);
		break;
	case STEP_PROBE:
		(void)text_format(
			buffer, size, "bind to %s",
			strcmp(to, STEP_ANY_DRIVER) ? to : "the driver that the kernel chooses");
		break;
	case STEP_RESET:
		(void)text_format(buffer, size, "reset, then check that it responds as before");
		break;
	default:
		(void)text_format(buffer, size, "delete the claim");
	}
	return buffer;
}

const char *step_describe_done(const struct step *step, const char *note, char *buffer, size_t size)
{
	if (step->kind == STEP_UNBIND)
		(void)text_format(buffer, size, "unbound from %s", step->from.driver);
	else if (step->kind == STEP_PROBE && *note)
		(void)text_format(buffer, size, "bound to %s", note);
	else if (step->kind == STEP_PROBE)
		(void)text_format(buffer, size, "no driver matched");
	else if (step->kind == STEP_RESET)
		(void)text_format(buffer, size, "reset by %s, responds as before", note);
	else
		return step_describe(step, buffer, size);
	return buffer;
}

/* ---- in the journal ---- */

struct json_object *step_to_json(const struct step *step)
{
	struct json_object *object = json_object_new_object();
	int r = json_set_text(object, "step", step_name(step->kind));

	r |= state_set_address(object, "device", &step->address);
	r |= state_set_address(object, "reset_set", &step->reset_set);
	r |= json_set_bytes(object, "from_driver", step->from.driver);
	r |= json_set_bytes(object, "from_override", step->from.override);
	r |= json_set_bytes(object, "to_driver", step->to.driver);
	r |= json_set_bytes(object, "to_override", step->to.override);
	if (step->had_claim)
		r |= json_set(object, "old_claim", claim_to_json(&step->old_claim));
	if (step->kind == STEP_CLAIM)
		r |= json_set(object, "new_claim", claim_to_json(&step->new_claim));
	if (!r)
		return object;
	json_object_put(object);
	return NULL;
}

static int get_claim(struct json_object *object, const char *key, bool *ret_exists,
		     struct pt_claim *ret_claim, struct pt_error *err)
{
	struct json_object *value;
	int r = json_get_object(object, key, &value, err);

	*ret_exists = !r && value;
	return *ret_exists ? claim_from_json(value, ret_claim, err) : r;
}

static int get_kind(struct json_object *object, enum step_kind *ret_kind, struct pt_error *err)
{
	char name[16];
	unsigned int kind;
	int r = json_get_text(object, "step", true, name, sizeof(name), err);

	if (r < 0)
		return r;
	for (kind = 0; kind < STEP_KIND_COUNT; kind++) {
		if (!strcmp(steps[kind].name, name)) {
			*ret_kind = (enum step_kind)kind;
			return 0;
		}
	}
	return pt_fail(err, PT_CORRUPT, EBADMSG, "unknown step \"%s\"", name);
}

int step_from_json(struct json_object *object, struct step *ret_step, struct pt_error *err)
{
	struct step step = {0};
	bool has_new = false;
	int r = get_kind(object, &step.kind, err);

	if (!r)
		r = state_get_address(object, "device", &step.address, err);
	/* a journal that an older passthru left has none */
	step.reset_set = step.address;
	if (!r && json_object_object_get_ex(object, "reset_set", NULL))
		r = state_get_address(object, "reset_set", &step.reset_set, err);
	if (!r)
		r = state_get_driver(object, "from_driver", step.from.driver, err);
	if (!r)
		r = state_get_override(object, "from_override", step.from.override, err);
	if (!r)
		r = state_get_driver(object, "to_driver", step.to.driver, err);
	if (!r)
		r = state_get_override(object, "to_override", step.to.override, err);
	if (!r)
		r = get_claim(object, "old_claim", &step.had_claim, &step.old_claim, err);
	if (!r)
		r = get_claim(object, "new_claim", &has_new, &step.new_claim, err);
	if (r)
		return r;
	if ((step.kind == STEP_CLAIM && !has_new) ||
	    (has_new && pt_address_compare(&step.new_claim.address, &step.address)) ||
	    (step.had_claim && pt_address_compare(&step.old_claim.address, &step.address)))
		return pt_fail(err, PT_CORRUPT, EBADMSG, "a step has no claim");
	*ret_step = step;
	return 0;
}
