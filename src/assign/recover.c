/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "assign/recover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "assign/audit.h"
#include "assign/auto.h"
#include "assign/claim.h"
#include "assign/lock.h"
#include "assign/operation.h"
#include "assign/owner.h"
#include "assign/plan.h"
#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/holders/holders.h"
#include "pci/host.h"
#include "pci/sysfs.h"

struct recovery {
	struct pt_host *host;
	const struct pt_address *devices; /* NULL: all */
	size_t count;
	pt_recover_fn report;
	void *context;
	struct pt_error *err; /* the first failure */
	int result;
};

/* What came of recovering some devices together; @what and @err as @result is. */
static void report(const struct recovery *recovery, const struct pt_address *devices, size_t count,
		   const char *what, int result, const struct pt_error *err)
{
	const struct audit audit = {.verb = "recover",
				    .devices = devices,
				    .count = count,
				    .text = what,
				    .result = result,
				    .err = result < 0 ? err : NULL};
	char text[PT_ADDRESS_TEXT];
	size_t i;

	audit_write(recovery->host, &audit);
	for (i = 0; i < count && result >= 0; i++) {
		if (recovery->report)
			recovery->report(recovery->context, &devices[i], what);
		else
			host_log(recovery->host, PT_LOG_NOTICE, "%s: %s",
				 pt_address_format(&devices[i], text), what);
	}
}

static void take_error(struct recovery *recovery, int r, const struct pt_error *err)
{
	if (recovery->result)
		return;
	recovery->result = r;
	if (recovery->err)
		*recovery->err = *err;
}

static bool is_asked_for(const struct recovery *recovery, const struct journal *journal)
{
	size_t i;

	if (!recovery->devices)
		return true;
	for (i = 0; i < recovery->count; i++) {
		if (journal_touches(journal, &recovery->devices[i]))
			return true;
	}
	return false;
}

/* Its devices, each once. */
static size_t journal_devices(const struct journal *journal, struct pt_address *devices)
{
	size_t i, k, count = 0;

	for (i = 0; i < journal->count; i++) {
		for (k = 0; k < count; k++) {
			if (pt_address_compare(&devices[k], &journal->steps[i].address) == 0)
				break;
		}
		if (k == count && count < LOCK_MAX)
			devices[count++] = journal->steps[i].address;
	}
	return count;
}

static bool has_devices(const struct journal *journal, const struct pt_address *devices,
			size_t count)
{
	struct pt_address own[LOCK_MAX];
	size_t i = 0;

	if (journal_devices(journal, own) != count)
		return false;
	while (i < count && pt_address_compare(&own[i], &devices[i]) == 0)
		i++;
	return i == count;
}

static int resume_locked(struct recovery *recovery, const char *name,
			 const struct pt_address *devices, size_t count, struct pt_error *err)
{
	struct journal journal;
	int r = journal_read(recovery->host, name, &journal, err);

	/* finished by its process between our look and our lock */
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	/* and then the name may be another operation's, whose locks we don't have */
	if (!has_devices(&journal, devices, count)) {
		journal_free(&journal);
		return 0;
	}
	r = operation_resume(recovery->host, &journal, err);
	report(recovery, devices, count,
	       journal.verb == PT_DETACH || journal.verb == PT_TAKE
		       ? "an interrupted operation was undone"
		       : "an interrupted operation was finished",
	       r, err);
	journal_free(&journal);
	return r;
}

static void recover_journal(struct recovery *recovery, const char *name)
{
	struct pt_address devices[LOCK_MAX];
	struct journal journal;
	struct pt_error err;
	struct locks locks;
	size_t count;
	int r = journal_read(recovery->host, name, &journal, &err);

	if (r == -ENOENT)
		return;
	if (r < 0)
		return; /* tell_unreadable() says so */
	count = is_asked_for(recovery, &journal) ? journal_devices(&journal, devices) : 0;
	/*
	 * Locked: its process, or a helper stuck in a driver, is still at work; of a device that
	 * was removed, under the lock that the journal names.
	 */
	r = !count ? 0
		   : locks_take_named(recovery->host, devices, count, journal.locks, 0, &locks,
				      &err);
	journal_free(&journal);
	if (r < 0 && err.reason != PT_BUSY)
		take_error(recovery, r, &err);
	if (r < 0 || !count)
		return;
	r = resume_locked(recovery, name, devices, count, &err);
	if (r < 0)
		take_error(recovery, r, &err);
	locks_drop(recovery->host, &locks);
}

static bool is_without_owner(const struct recovery *recovery, const struct pt_claim *claim)
{
	return claim->owner.kind != PT_OWNER_MANUAL && claim->state == PT_CLAIM_HELD &&
	       !pt_owner_is_alive(recovery->host, &claim->owner);
}

/* Not in a container: there the dead can't be told from those that can't be seen. */
static bool is_orphan(const struct recovery *recovery, const struct pt_claim *claim)
{
	return is_without_owner(recovery, claim) && holders_see_all_processes(recovery->host);
}

/* What a dead owner has, into @ret_devices. Returns how many. */
static size_t list_orphans(const struct recovery *recovery, const struct pt_claims *claims,
			   const struct pt_owner *owner, struct pt_address ret_devices[LOCK_MAX])
{
	size_t i, count = 0;

	for (i = 0; i < pt_claims_count(claims) && count < LOCK_MAX; i++) {
		const struct pt_claim *claim = pt_claims_at(claims, i);

		if (owner_is_same(&claim->owner, owner) && is_orphan(recovery, claim))
			ret_devices[count++] = claim->address;
	}
	return count;
}

/*
 * The claims were read before the lock: another recovery, or a person, may have been quicker. What
 * is not the dead owner's any more is left alone; what has become his since, to the next recovery.
 */
static int keep_orphans(const struct recovery *recovery, const struct pt_owner *owner,
			struct pt_address devices[LOCK_MAX], size_t *count, struct pt_error *err)
{
	AUTO(auto_claims) struct pt_claims *claims = NULL;
	struct pt_address now[LOCK_MAX];
	size_t i, k, now_count, kept = 0;
	int r = pt_claims_read(recovery->host, &claims, err);

	if (r < 0)
		return r;
	now_count = list_orphans(recovery, claims, owner, now);
	for (i = 0; i < *count; i++) {
		for (k = 0; k < now_count; k++) {
			if (pt_address_compare(&devices[i], &now[k]) == 0)
				break;
		}
		if (k < now_count)
			devices[kept++] = devices[i];
	}
	*count = kept;
	return 0;
}

/* Under the locks. */
static int give_back_locked(struct recovery *recovery, const struct pt_request *request,
			    struct pt_error *err)
{
	struct pt_plan *plan = NULL;
	int r = pt_plan_make(recovery->host, request, &plan, err);

	if (!r && plan->refusal_count)
		r = pt_fail(err, plan->refusals[0].reason, EBUSY, "%s", plan->refusals[0].message);
	if (!r)
		r = operation_run(recovery->host, PT_GIVE_BACK, plan->steps, plan->step_count, err);
	pt_plan_free(plan);
	return r;
}

/* All devices of one dead owner go back together: they may share a bus reset. */
static void give_back(struct recovery *recovery, const struct pt_claims *claims,
		      const struct pt_owner *owner)
{
	struct pt_address devices[LOCK_MAX];
	struct pt_request request = {.verb = PT_GIVE_BACK, .devices = devices, .owner = *owner};
	struct pt_error err;
	struct locks locks;
	char what[192], name[128];
	int r;

	request.count = list_orphans(recovery, claims, owner, devices);
	r = locks_take(recovery->host, devices, request.count, 0, &locks, &err);
	if (r < 0) {
		if (err.reason != PT_BUSY)
			take_error(recovery, r, &err);
		return;
	}
	r = keep_orphans(recovery, owner, devices, &request.count, &err);
	if (!r && request.count)
		r = give_back_locked(recovery, &request, &err);
	if (r < 0)
		take_error(recovery, r, &err);
	(void)text_format(what, sizeof(what),
			  "returned to the host: %s has "
			  "ended",
			  owner_format(owner, name));
	if (request.count)
		report(recovery, devices, request.count, what, r, &err);
	locks_drop(recovery->host, &locks);
}

/*
 * A manual claim that has ended: its device was removed (nothing else would end the claim, and a
 * new card in its place belongs to the host), or another program returned it to a host driver. A
 * living process returns its own devices. NULL if it has not ended.
 */
static const char *why_over(struct pt_host *host, const struct pt_claim *claim)
{
	char driver[BINDING_NAME];

	if (claim->owner.kind != PT_OWNER_MANUAL || claim->state == PT_CLAIM_CHANGING)
		return NULL;
	if (!sysfs_has_device(host, &claim->address))
		return "was removed from the machine: its claim is deleted";
	if (binding_read_driver(host, &claim->address, driver, NULL) == 0 &&
	    pt_claim_is_over(claim, driver))
		return "another program returned it to a host driver: its claim is deleted";
	return NULL;
}

static void forget_if_over(struct recovery *recovery, const struct pt_claim *claim)
{
	struct pt_error err;
	struct pt_claim now;
	struct locks locks;
	const char *why;
	bool exists;
	int r;

	if (!why_over(recovery->host, claim) ||
	    locks_take(recovery->host, &claim->address, 1, 0, &locks, &err) < 0)
		return;
	/* as give_back() does: the claim was read before the lock */
	if (recover_check(recovery->host, &claim->address, 1, &err) == 0 &&
	    claim_read(recovery->host, &claim->address, &exists, &now, &err) == 0 && exists &&
	    (why = why_over(recovery->host, &now))) {
		r = claim_remove(recovery->host, &claim->address, &err);
		if (r < 0)
			take_error(recovery, r, &err);
		report(recovery, &claim->address, 1, why, r, &err);
	}
	locks_drop(recovery->host, &locks);
}

static bool is_named(const struct recovery *recovery, const struct pt_address *address)
{
	size_t i = 0;

	while (i < recovery->count && pt_address_compare(&recovery->devices[i], address) != 0)
		i++;
	return i < recovery->count;
}

/* Claims that no owner returns. */
static void look_at_rest(struct recovery *recovery, const struct pt_claim *claim)
{
	char text[PT_ADDRESS_TEXT], name[128];

	forget_if_over(recovery, claim);
	if (is_without_owner(recovery, claim) && !holders_see_all_processes(recovery->host))
		host_log(recovery->host, PT_LOG_WARNING,
			 "%s: processes outside of this container are invisible, so %s may still "
			 "be running. Run passthru recover on the host itself",
			 pt_address_format(&claim->address, text),
			 owner_format(&claim->owner, name));
}

static bool is_first_of_owner(const struct pt_claims *claims, size_t index)
{
	size_t i;

	for (i = 0; i < index; i++) {
		if (owner_is_same(&pt_claims_at(claims, i)->owner,
				  &pt_claims_at(claims, index)->owner))
			return false;
	}
	return true;
}

static bool owner_has_asked_device(const struct recovery *recovery, const struct pt_claims *claims,
				   const struct pt_owner *owner)
{
	size_t i;

	for (i = 0; recovery->devices && i < recovery->count; i++) {
		const struct pt_claim *claim = pt_claims_find(claims, &recovery->devices[i]);

		if (claim && owner_is_same(&claim->owner, owner))
			return true;
	}
	return !recovery->devices;
}

/* Among the claims, a file that isn't named by a device: there is nothing to recover in it. */
static bool is_stray(const struct pt_unreadable *file)
{
	return !file->has_address &&
	       !strncmp(file->path, "/" CLAIM_DIR "/", sizeof("/" CLAIM_DIR "/") - 1);
}

/* Files that can't be read keep recovery from nothing else, and it doesn't end well. */
static void tell_unreadable(struct recovery *recovery, const struct pt_claims *claims)
{
	const struct pt_unreadable *file;
	struct pt_error err;
	bool is_first = true;
	size_t i;

	for (i = 0; (file = pt_claims_unreadable_at(claims, i)); i++) {
		if (is_stray(file))
			continue;
		if (is_first)
			(void)pt_fail(&err, PT_CORRUPT, EBADMSG, "%s: %s: %s", file->path,
				      file->why, file->next);
		else
			pt_error_append(&err, "\n%s: %s", file->path, file->why);
		is_first = false;
	}
	if (!is_first)
		take_error(recovery, -EBADMSG, &err);
}

static int recover(struct recovery *recovery)
{
	AUTO(auto_claims) struct pt_claims *claims = NULL;
	AUTO_FREE char **names = NULL;
	struct pt_error err;
	size_t i;
	int r = journal_list(recovery->host, &names, &err);

	if (r < 0)
		take_error(recovery, r, &err);
	for (i = 0; !r && names[i]; i++)
		recover_journal(recovery, names[i]);
	r = pt_claims_read(recovery->host, &claims, &err);
	if (r < 0)
		take_error(recovery, r, &err);
	for (i = 0; !r && i < pt_claims_count(claims); i++) {
		const struct pt_claim *claim = pt_claims_at(claims, i);

		if (is_orphan(recovery, claim) && is_first_of_owner(claims, i) &&
		    owner_has_asked_device(recovery, claims, &claim->owner))
			give_back(recovery, claims, &claim->owner);
		else if (!recovery->devices)
			look_at_rest(recovery, claim);
		else if (is_named(recovery, &claim->address) &&
			 sysfs_has_device(recovery->host, &claim->address))
			forget_if_over(recovery, claim);
	}
	if (!r && !recovery->devices)
		tell_unreadable(recovery, claims);
	return recovery->result;
}

int recover_devices(struct pt_host *host, const struct pt_address *devices, size_t count,
		    struct pt_error *err)
{
	struct recovery recovery = {.host = host, .devices = devices, .count = count, .err = err};

	return recover(&recovery);
}

int recover_check(struct pt_host *host, const struct pt_address *devices, size_t count,
		  struct pt_error *err)
{
	AUTO_FREE char **names = NULL;
	struct recovery recovery = {.host = host, .devices = devices, .count = count};
	size_t i;
	int r = journal_list(host, &names, err);

	for (i = 0; !r && names[i]; i++) {
		struct journal journal;

		if (journal_read(host, names[i], &journal, NULL) < 0)
			continue;
		if (is_asked_for(&recovery, &journal))
			r = pt_fail(err, PT_BUSY, EBUSY,
				    "an operation on this device was interrupted and is not "
				    "recovered yet. To recover it, or to see what prevents that:\n"
				    "  passthru recover");
		journal_free(&journal);
	}
	return r;
}

int pt_recover(struct pt_host *host, pt_recover_fn report_fn, void *context, struct pt_error *err)
{
	struct recovery recovery = {
		.host = host, .report = report_fn, .context = context, .err = err};
	int r = state_prepare(host, err);

	if (r < 0)
		return r;
	state_sweep(host, &state_claims);
	state_sweep(host, &state_journals);
	return recover(&recovery);
}
