/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keeping the host's drivers away at boot.
 *
 * udev loads modules as it meets the devices, several at a time, and a module takes every device
 * of its kind the moment it is loaded. A rule that handles only the device of its own event is
 * too late for a device of the same model whose event comes second. So each call first sets the
 * driver_override of all persisted devices, which keeps every other driver away for good, and
 * only then loads and binds. It is called before the first module is loaded (initramfs, early
 * unit), and for each PCI device that appears (udev rule).
 *
 * A crash in between leaves an override without its driver: this is harmless, and the next call
 * continues. So there is no journal.
 */
#include <stdlib.h>
#include <string.h>

#include <passthru/holders.h>

#include "assign/audit.h"
#include "assign/auto.h"
#include "assign/claim.h"
#include "assign/lock.h"
#include "assign/persist/persist.h"
#include "assign/recover.h"
#include "base/auto.h"
#include "base/text.h"
#include "pci/auto.h"
#include "pci/binding.h"
#include "pci/host.h"

#define OUTCOME_TEXT 512

struct application {
	struct pt_host *host;
	struct pt_persist_list *list;
	const struct pt_address *only;
	bool may_take;
	pt_persist_fn report;
	void *context;
	struct pt_error *err; /* the first failure */
	int result;
};

static bool is_asked_for(const struct application *app, const struct pt_persisted *persisted)
{
	return !app->only || pt_address_compare(app->only, &persisted->address) == 0 ||
	       (persisted->is_there && pt_address_compare(app->only, &persisted->now) == 0);
}

static void take_failure(struct application *app, int r, const struct pt_error *err)
{
	if (app->result)
		return;
	app->result = r;
	if (app->err)
		*app->err = *err;
}

/* @outcome: the change; "" for none, which is not logged. */
static void persist_apply_report(struct application *app, const struct pt_persisted *persisted,
				 int result, const struct pt_error *err, const char *outcome)
{
	const char *message = result < 0 ? err->message : *outcome ? outcome : persisted->text;
	struct audit audit = {
		.verb = "persist-apply",
		.devices = persisted->is_there ? &persisted->now : &persisted->address,
		.count = 1,
		.driver = persisted->driver,
		.result = result,
		.err = result < 0 ? err : NULL,
		.text = outcome,
	};

	if (result < 0 || *outcome)
		audit_write(app->host, &audit);
	if (app->report)
		app->report(app->context, persisted, result, message);
}

/* ---- one device ---- */

static int persist_apply_refuse_held(struct pt_host *host, const struct pt_persisted *persisted,
				     struct pt_error *err)
{
	AUTO(auto_holders) struct pt_holders *holders = NULL;
	const struct pt_holder *holder;
	char text[PT_ADDRESS_TEXT];
	int r = pt_holders_read(host, &persisted->now, &holders, err);

	if (r < 0 || !pt_holders_count(holders))
		return r;
	holder = pt_holders_at(holders, 0);
	return pt_fail(err, PT_IN_USE, EBUSY,
		       "%s stays on %s: that driver bound it first, and %s %s uses it. If the "
		       "initramfs loads that driver, add passthru to the initramfs",
		       pt_address_format(&persisted->now, text), persisted->driver_now,
		       pt_holder_kind_name(holder->kind), holder->what);
}

/* Under the lock. Take it from a host driver that was quicker: built in, or loaded already. */
static int take_from(struct application *app, struct pt_persisted *persisted, struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT];
	int r;

	if (!app->may_take)
		return pt_fail(err, PT_IN_USE, EBUSY,
			       "%s is on %s. The next boot detaches it; to detach it now:\n"
			       "  passthru detach %s",
			       pt_address_format(&persisted->now, text), persisted->driver_now,
			       text);
	r = persist_apply_refuse_held(app->host, persisted, err);
	if (!r)
		r = binding_unbind(app->host, &persisted->now, BINDING_DEADLINE_MS, err);
	return r;
}

static int bind_locked(struct application *app, struct pt_persisted *persisted,
		       char outcome[OUTCOME_TEXT], struct pt_error *err)
{
	struct pt_host *host = app->host;
	char before[BINDING_NAME];
	int r;

	r = binding_load_driver(host, persisted->driver, BINDING_DEADLINE_MS, err);
	if (!r) /* loading it may have bound it: it has the override */
		r = binding_read_driver(host, &persisted->now, persisted->driver_now, err);
	if (r < 0)
		return r;
	text_copy(before, sizeof(before), persisted->driver_now);
	if (strcmp(before, persisted->driver) != 0) {
		if (*before)
			r = take_from(app, persisted, err);
		if (!r)
			r = binding_probe(host, &persisted->now, persisted->driver,
					  BINDING_DEADLINE_MS, err);
		if (r < 0)
			return r;
	}
	text_copy(persisted->driver_now, sizeof(persisted->driver_now), persisted->driver);
	persisted->state = PT_PERSIST_APPLIED;
	if (*before && strcmp(before, persisted->driver) != 0)
		(void)text_format(outcome, OUTCOME_TEXT, "unbound from %s, bound to %s", before,
				  persisted->driver);
	else
		(void)text_format(outcome, OUTCOME_TEXT, "bound to %s", persisted->driver);
	return 0;
}

/*
 * Not on a device that stays with the host driver that has it: whatever unbound it from there
 * could then not bind it again.
 */
static int set_override(struct application *app, struct pt_persisted *persisted,
			const struct binding *now, struct pt_error *err)
{
	int r = 0;

	if (*now->driver && strcmp(now->driver, persisted->driver) != 0) {
		text_copy(persisted->driver_now, sizeof(persisted->driver_now), now->driver);
		r = persist_apply_refuse_held(app->host, persisted, err);
	}
	return r ? r : binding_set_override(app->host, &persisted->now, persisted->driver, err);
}

/* Set the override, and bind when @is_binding. A claimed device is its owner's. */
static int change(struct application *app, struct pt_persisted *persisted, bool is_binding,
		  char outcome[OUTCOME_TEXT], struct pt_error *err)
{
	struct pt_host *host = app->host;
	struct binding binding;
	struct pt_claim claim;
	struct locks locks;
	bool is_claimed = false;
	int r;

	r = binding_read(host, &persisted->now, &binding, err);
	if (!r && !strcmp(binding.override, persisted->driver) &&
	    (!is_binding || !strcmp(binding.driver, persisted->driver)))
		return 0;
	if (!r)
		r = state_prepare(host, err);
	if (!r)
		r = locks_take(host, &persisted->now, 1, LOCK_WAIT_MS, &locks, err);
	if (r < 0)
		return r;
	r = recover_check(host, &persisted->now, 1, err);
	/* who had the lock may have changed both */
	if (!r)
		r = binding_read(host, &persisted->now, &binding, err);
	if (!r)
		r = claim_read(host, &persisted->now, &is_claimed, &claim, err);
	if (!r && is_claimed && pt_claim_is_over(&claim, binding.driver)) {
		is_claimed = false;
		r = claim_remove(host, &persisted->now, err);
	}
	if (!r && is_claimed)
		(void)text_format(outcome, OUTCOME_TEXT, "claimed: its owner keeps it");
	else if (!r && (app->may_take || !*binding.driver || !is_binding))
		r = set_override(app, persisted, &binding, err);
	if (!r && !is_claimed && is_binding)
		r = bind_locked(app, persisted, outcome, err);
	locks_drop(host, &locks);
	return r;
}

/* ---- all of them ---- */

/*
 * For the event of another device: a device that already has its override was checked when it was
 * set, because the override ends when the device is removed.
 */
static bool is_settled(struct application *app, const struct pt_persisted *persisted)
{
	struct binding binding;

	return app->only && pt_address_compare(app->only, &persisted->address) != 0 &&
	       binding_read(app->host, &persisted->address, &binding, NULL) == 0 &&
	       !strcmp(binding.override, persisted->driver);
}

static int fail_identity(const struct pt_persisted *persisted, struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT], now[PT_ADDRESS_TEXT];

	pt_address_format(&persisted->address, text);
	if (persisted->state == PT_PERSIST_MISSING)
		return pt_fail(err, PT_NO_DEVICE, ENODEV, "%s: %s", text, persisted->text);
	(void)pt_fail(err, PT_IDENTITY, ENODEV, "%s: %s.", text, persisted->text);
	if (persisted->is_there)
		pt_error_append(err,
				" To persist it at its new address:\n"
				"  passthru persist %s",
				pt_address_format(&persisted->now, now));
	else
		pt_error_append(err,
				" To remove the entry:\n"
				"  passthru unpersist %s",
				text);
	return -ENODEV;
}

static void report_misplaced(struct application *app, const struct pt_persisted *persisted)
{
	struct pt_error err;
	int r = fail_identity(persisted, &err);

	if (!is_asked_for(app, persisted))
		return;
	/* what isn't there, no host driver can have */
	if (persisted->state != PT_PERSIST_MISSING)
		take_failure(app, r, &err);
	persist_apply_report(app, persisted, r, &err, "");
}

static bool is_misplaced(const struct pt_persisted *persisted)
{
	return persisted->state != PT_PERSIST_APPLIED && persisted->state != PT_PERSIST_PENDING;
}

static void apply_overrides(struct application *app, bool *is_done)
{
	struct pt_error err;
	size_t i;

	for (i = 0; i < app->list->count; i++) {
		struct pt_persisted *persisted = &app->list->items[i];
		char outcome[OUTCOME_TEXT] = "";
		int r;

		is_done[i] = true;
		if (is_settled(app, persisted))
			continue;
		r = persist_examine(app->host, app->list, persisted, &err);
		if (!r && is_misplaced(persisted)) {
			report_misplaced(app, persisted);
			continue;
		}
		if (!r && !*persisted->driver_now)
			r = change(app, persisted, false, outcome, &err);
		is_done[i] = r < 0 || !is_asked_for(app, persisted);
		if (r < 0) {
			take_failure(app, r, &err);
			persist_apply_report(app, persisted, r, &err, "");
		}
	}
}

static void bind_all(struct application *app, const bool *is_done)
{
	struct pt_error err;
	size_t i;

	for (i = 0; i < app->list->count; i++) {
		struct pt_persisted *persisted = &app->list->items[i];
		char outcome[OUTCOME_TEXT] = "";
		int r;

		if (is_done[i])
			continue;
		r = change(app, persisted, true, outcome, &err);
		if (r < 0)
			take_failure(app, r, &err);
		persist_apply_report(app, persisted, r, &err, outcome);
	}
}

/* Told for each call that is about its device, or about all; the others go on. */
static void report_unreadable(struct application *app, const struct pt_unreadable *file)
{
	struct pt_persisted persisted = {.address = file->address};
	struct pt_error err;
	int r;

	if (!is_asked_for(app, &persisted))
		return;
	r = pt_fail(&err, PT_CORRUPT, EBADMSG, "%s: %s: %s", file->path, file->why, file->next);
	take_failure(app, r, &err);
	host_log(app->host, PT_LOG_WARNING, "%s", err.message);
}

int pt_persist_apply(struct pt_host *host, const struct pt_address *only, bool may_take,
		     pt_persist_fn report, void *context, struct pt_error *err)
{
	AUTO(auto_persist_list) struct pt_persist_list *list = NULL;
	AUTO_FREE bool *is_done = NULL;
	struct application app = {
		.host = host,
		.only = only,
		.may_take = may_take,
		.report = report,
		.context = context,
		.err = err,
	};
	size_t i;
	int r = persist_load(host, &list, err);

	if (r < 0)
		return r;
	is_done = calloc(list->count + 1, sizeof(*is_done));
	if (!is_done)
		return pt_fail_memory(err);
	app.list = list;
	for (i = 0; i < list->unreadables.count; i++)
		report_unreadable(&app, &list->unreadables.items[i]);
	apply_overrides(&app, is_done);
	bind_all(&app, is_done);
	return app.result;
}
