/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "assign/persist/persist.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <passthru/group.h>
#include <passthru/holders.h>

#include "assign/audit.h"
#include "assign/auto.h"
#include "base/auto.h"
#include "base/text.h"
#include "pci/auto.h"
#include "pci/binding.h"
#include "pci/host.h"
#include "pci/sysfs.h"

#define DEFAULT_DRIVER "vfio-pci"

static const char *const state_names[] = {
	[PT_PERSIST_APPLIED] = "applied", [PT_PERSIST_PENDING] = "pending",
	[PT_PERSIST_MOVED] = "moved",	  [PT_PERSIST_EXCHANGED] = "exchanged",
	[PT_PERSIST_MISSING] = "missing",
};

const char *pt_persist_state_name(enum pt_persist_state state)
{
	return (size_t)state < sizeof(state_names) / sizeof(state_names[0]) ? state_names[state]
									    : "unknown";
}

/* ---- lists ---- */

void pt_persist_free(struct pt_persist_list *list)
{
	if (!list)
		return;
	pt_snapshot_free(list->snapshot);
	free(list->unreadables.items);
	free(list->items);
	free(list);
}

size_t pt_persist_count(const struct pt_persist_list *list)
{
	return list->count;
}

const struct pt_persisted *pt_persist_at(const struct pt_persist_list *list, size_t index)
{
	return index < list->count ? &list->items[index] : NULL;
}

size_t pt_persist_unreadable_count(const struct pt_persist_list *list)
{
	return list->unreadables.count;
}

const struct pt_unreadable *pt_persist_unreadable_at(const struct pt_persist_list *list,
						     size_t index)
{
	return index < list->unreadables.count ? &list->unreadables.items[index] : NULL;
}

/* ---- what has become of them ---- */

/*
 * The device is at its old address, or at the new address of its slot after the buses were
 * renumbered.
 */
static int examine_found(struct pt_host *host, struct pt_persisted *persisted, struct pt_error *err)
{
	bool is_elsewhere = pt_address_compare(&persisted->now, &persisted->address) != 0;
	char text[PT_ADDRESS_TEXT];
	int r = binding_read_driver(host, &persisted->now, persisted->driver_now, err);

	if (r < 0)
		return r;
	persisted->is_there = true;
	persisted->state = text_equal(persisted->driver_now, persisted->driver)
				   ? PT_PERSIST_APPLIED
				   : PT_PERSIST_PENDING;
	(void)text_format(persisted->text, sizeof(persisted->text), "%s %s%s%s",
			  persisted->state == PT_PERSIST_APPLIED ? "on" : "still on",
			  *persisted->driver_now ? persisted->driver_now : "no driver",
			  is_elsewhere ? "; the bus number of its slot has changed, its address is "
					 "now "
				       : "",
			  is_elsewhere ? pt_address_format(&persisted->now, text) : "");
	return 0;
}

/* The device at @persisted's new address has an entry of its own: two cards with one number. */
static bool has_own_entry(const struct pt_persist_list *list, const struct pt_persisted *persisted,
			  const struct pt_identity *is)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		const struct pt_persisted *other = &list->items[i];

		if (pt_address_compare(&other->address, &persisted->address) != 0 &&
		    pt_address_compare(&other->address, &persisted->now) == 0 &&
		    pt_identity_compare(&other->identity, is, NULL, 0) == PT_IDENTITY_SAME)
			return true;
	}
	return false;
}

static int examine_misplaced(struct pt_host *host, struct pt_persist_list *list,
			     struct pt_persisted *persisted, const char *difference,
			     struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT];
	struct pt_identity is;
	struct pt_error failure;
	int r;

	if (!list->snapshot) {
		r = pt_snapshot_read(host, &list->snapshot, err);
		if (r < 0)
			return r;
	}
	r = pt_identity_find(host, list->snapshot, &persisted->identity, &persisted->now, &failure);
	if (r < 0) {
		persisted->state = *difference ? PT_PERSIST_EXCHANGED : PT_PERSIST_MISSING;
		(void)text_format(persisted->text, sizeof(persisted->text), "%s%s%s", difference,
				  *difference ? "; " : "", failure.message);
		return 0;
	}
	r = pt_identity_read(host, &persisted->now, &is, err);
	if (r < 0)
		return r;
	if (has_own_entry(list, persisted, &is)) {
		pt_address_format(&persisted->now, text);
		persisted->now = persisted->address;
		persisted->state = *difference ? PT_PERSIST_EXCHANGED : PT_PERSIST_MISSING;
		(void)text_format(
			persisted->text, sizeof(persisted->text),
			"%s%sit is not in this machine; the device with the same serial number "
			"at %s is another one",
			difference, *difference ? "; " : "", text);
		return 0;
	}
	if (pt_identity_compare(&persisted->identity, &is, NULL, 0) == PT_IDENTITY_SAME)
		return examine_found(host, persisted, err);
	r = binding_read_driver(host, &persisted->now, persisted->driver_now, err);
	if (r < 0)
		return r;
	persisted->is_there = true;
	persisted->state = PT_PERSIST_MOVED;
	(void)text_format(
		persisted->text, sizeof(persisted->text), "moved: now at %s (slot %s, was %s)%s%s",
		pt_address_format(&persisted->now, text), is.slot, persisted->identity.slot,
		*difference ? "; at its old address: " : "", difference);
	return 0;
}

int persist_examine(struct pt_host *host, struct pt_persist_list *list,
		    struct pt_persisted *persisted, struct pt_error *err)
{
	char difference[512] = "";
	struct pt_identity is;
	struct pt_error problem;

	persisted->is_there = false;
	persisted->driver_now[0] = '\0';
	persisted->text[0] = '\0';
	persisted->now = persisted->address;
	if (pt_identity_read(host, &persisted->address, &is, &problem) < 0) {
		/* there, and silent: not gone, and not to be looked for elsewhere */
		if (problem.reason == PT_DEVICE_GONE &&
		    sysfs_has_device(host, &persisted->address)) {
			persisted->state = PT_PERSIST_MISSING;
			text_copy(persisted->text, sizeof(persisted->text), problem.message);
			return 0;
		}
		return examine_misplaced(host, list, persisted, "", err);
	}
	if (pt_identity_compare(&persisted->identity, &is, difference, sizeof(difference)) ==
	    PT_IDENTITY_SAME)
		return examine_found(host, persisted, err);
	return examine_misplaced(host, list, persisted, difference, err);
}

/* A device that is removed during the check is missing, which is not a failure. */
static int examine_all(struct pt_host *host, struct pt_persist_list *list, struct pt_error *err)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		struct pt_persisted *persisted = &list->items[i];
		struct pt_error problem;

		if (persist_examine(host, list, persisted, &problem) == 0)
			continue;
		if (problem.reason == PT_NO_MEMORY || problem.reason == PT_SYSTEM)
			return pt_fail(err, problem.reason, problem.errnum, "%s", problem.message);
		persisted->state = PT_PERSIST_MISSING;
		text_copy(persisted->text, sizeof(persisted->text), problem.message);
	}
	return 0;
}

int pt_persist_read(struct pt_host *host, struct pt_persist_list **ret_list, struct pt_error *err)
{
	AUTO(auto_persist_list) struct pt_persist_list *list = NULL;
	int r = persist_load(host, &list, err);

	if (!r)
		r = examine_all(host, list, err);
	if (r < 0)
		return r;
	*ret_list = TAKE_POINTER(list);
	return 0;
}

static bool is_now_at(const struct pt_persisted *persisted, const struct pt_address *address)
{
	return persisted->is_there && persisted->state != PT_PERSIST_MOVED &&
	       pt_address_compare(&persisted->now, address) == 0;
}

bool pt_persist_has(struct pt_host *host, const struct pt_address *address)
{
	AUTO(auto_persist_list) struct pt_persist_list *list = NULL;
	size_t i;

	if (persist_load(host, &list, NULL) < 0 || examine_all(host, list, NULL) < 0)
		return false;
	for (i = 0; i < list->count; i++) {
		if (is_now_at(&list->items[i], address))
			return true;
	}
	return false;
}

/* ---- reasons against it ---- */

/* Reasons of all devices, a line each; the first one's class is the error's. */
static void persist_refuse(struct pt_error *err, int *result, enum pt_reason reason, int errnum,
			   const char *message)
{
	if (*result)
		pt_error_append(err, "\n%s", message);
	else
		*result = pt_fail(err, reason, errnum, "%s", message);
}

/* What the next boot would miss; a process, a socket or a guest ends with this one. */
static bool is_lasting(enum pt_holder_kind kind)
{
	switch (kind) {
	case PT_HOLDER_FILESYSTEM:
	case PT_HOLDER_SWAP:
	case PT_HOLDER_STORAGE:
	case PT_HOLDER_NETWORK:
	case PT_HOLDER_BRIDGE:
	case PT_HOLDER_CONSOLE:
	case PT_HOLDER_VF:
		return true;
	case PT_HOLDER_PROCESS:
	case PT_HOLDER_SOCKET:
	case PT_HOLDER_GUEST:
		break;
	}
	return false;
}

static void persist_refuse_held(struct pt_host *host, const struct pt_address *address, int *result,
				struct pt_error *err)
{
	AUTO(auto_holders) struct pt_holders *holders = NULL;
	char line[512], text[PT_ADDRESS_TEXT];
	struct pt_error problem;
	size_t i;

	if (pt_holders_read(host, address, &holders, &problem) < 0) {
		persist_refuse(err, result, problem.reason, problem.errnum, problem.message);
		return;
	}
	for (i = 0; i < pt_holders_count(holders); i++) {
		const struct pt_holder *holder = pt_holders_at(holders, i);

		if (!is_lasting(holder->kind))
			continue;
		(void)text_format(line, sizeof(line),
				  "%s: the host uses it for %s %s%s%s%s, which would be missing "
				  "after the next boot",
				  pt_address_format(address, text),
				  pt_holder_kind_name(holder->kind), holder->what,
				  *holder->through ? " (through " : "", holder->through,
				  *holder->through ? ")" : "");
		persist_refuse(err, result, PT_IN_USE, EBUSY, line);
	}
}

static bool is_bridge(struct pt_host *host, const struct pt_address *address)
{
	char text[16];
	uint64_t code;

	return sysfs_read(host, address, "class", text, sizeof(text)) > 0 &&
	       text_parse_number(text, 16, 0xffffff, &code) == 0 &&
	       pt_function_kind(&(struct pt_function){.class_code = (uint32_t)code}) == PT_BRIDGE;
}

/* Another device's file stands at this address: which of the two is meant is not for us to say. */
static void refuse_other(const struct pt_persist_list *list, const struct pt_persisted *made,
			 int *result, struct pt_error *err)
{
	char line[768], difference[512], text[PT_ADDRESS_TEXT];
	size_t i;

	pt_address_format(&made->address, text);
	for (i = 0; i < list->count; i++) {
		const struct pt_persisted *old = &list->items[i];

		if (pt_address_compare(&old->address, &made->address) != 0 ||
		    pt_identity_compare(&old->identity, &made->identity, difference,
					sizeof(difference)) != PT_IDENTITY_OTHER)
			continue;
		(void)text_format(line, sizeof(line),
				  "%s: another device is persisted at this address (%s). Remove "
				  "that entry first:\n"
				  "  passthru unpersist %s",
				  text, difference, text);
		persist_refuse(err, result, PT_IDENTITY, EEXIST, line);
	}
}

/* Adds the reasons against one device to @err; *result is 0 while there are none. */
static void check_one(struct pt_host *host, const struct pt_persist_request *request,
		      const struct pt_persist_list *list, struct pt_persisted *made, int *result,
		      struct pt_error *err)
{
	char line[256], text[PT_ADDRESS_TEXT];
	struct pt_error problem;

	pt_address_format(&made->address, text);
	if (pt_identity_read(host, &made->address, &made->identity, &problem) < 0) {
		persist_refuse(err, result, problem.reason, problem.errnum, problem.message);
		return;
	}
	if (is_bridge(host, &made->address)) {
		(void)text_format(line, sizeof(line),
				  "%s is a bridge, and bridges stay with the host: persist the "
				  "devices below it",
				  text);
		persist_refuse(err, result, PT_UNSUITABLE, EINVAL, line);
		return;
	}
	refuse_other(list, made, result, err);
	if (!request->is_forced)
		persist_refuse_held(host, &made->address, result, err);
}

static bool is_guest_driver(const char *driver)
{
	return pt_driver_is_vfio(driver) || !strcmp(driver, "pci-stub") ||
	       !strcmp(driver, "uio_pci_generic");
}

static int check_request(const struct pt_persist_request *request, struct pt_error *err)
{
	if (!request->count)
		return pt_fail(err, PT_INVALID, EINVAL, "no device named");
	if (request->is_forced && (!request->why || !*request->why))
		return pt_fail(err, PT_INVALID, EINVAL, "--force needs a reason");
	if (request->driver && !is_guest_driver(request->driver))
		return pt_fail(err, PT_INVALID, EINVAL,
			       "\"%s\" does not keep a device for guests: use vfio-pci, one of its "
			       "variants, pci-stub or uio_pci_generic",
			       request->driver);
	return 0;
}

/* ---- adding and removing ---- */

/* The device of @old is still at its address: another card with the same serial number. */
static bool is_in_place(struct pt_host *host, const struct pt_persisted *old)
{
	struct pt_identity is;

	return pt_identity_read(host, &old->address, &is, NULL) == 0 &&
	       pt_identity_compare(&old->identity, &is, NULL, 0) == PT_IDENTITY_SAME;
}

/* The same device at its address before it was moved or the buses were renumbered. */
static int drop_old(struct pt_host *host, const struct pt_persist_list *list,
		    const struct pt_persisted *made, struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT], made_text[PT_ADDRESS_TEXT];
	size_t i;
	int r = 0;

	for (i = 0; i < list->count && !r; i++) {
		const struct pt_persisted *old = &list->items[i];
		enum pt_identity_match match =
			pt_identity_compare(&old->identity, &made->identity, NULL, 0);
		bool is_it = match == PT_IDENTITY_SAME ||
			     (match == PT_IDENTITY_MOVED && *made->identity.serial &&
			      old->address.function == made->address.function);

		if (!is_it || pt_address_compare(&old->address, &made->address) == 0)
			continue;
		if (!is_in_place(host, old)) {
			r = persist_erase(host, &old->address, err);
			continue;
		}
		host_log(host, PT_LOG_NOTICE,
			 "%s and %s have the same serial number (%s), so only their slots identify "
			 "them: if one moves, persist it again",
			 pt_address_format(&old->address, text),
			 pt_address_format(&made->address, made_text), made->identity.serial);
	}
	return r;
}

static const struct pt_persisted *find_file(const struct pt_persist_list *list,
					    const struct pt_address *address)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (pt_address_compare(&list->items[i].address, address) == 0)
			return &list->items[i];
	}
	return NULL;
}

/* All files or none: if one can't be written, the previous ones are restored. */
static int store_all(struct pt_host *host, const struct pt_persist_list *list,
		     const struct pt_persisted *made, size_t count, struct pt_error *err)
{
	size_t i;
	int r = 0;

	for (i = 0; i < count && !r; i++)
		r = persist_store(host, &made[i], err);
	if (r < 0) {
		while (i-- > 0) {
			const struct pt_persisted *old = find_file(list, &made[i].address);

			if (old)
				(void)persist_store(host, old, NULL);
			else
				(void)persist_erase(host, &made[i].address, NULL);
		}
		return r;
	}
	for (i = 0; i < count && !r; i++)
		r = drop_old(host, list, &made[i], err);
	return r;
}

static int add_all(struct pt_host *host, const struct pt_persist_request *request,
		   struct pt_error *err)
{
	AUTO(auto_persist_list) struct pt_persist_list *list = NULL;
	AUTO_FREE struct pt_persisted *made = calloc(request->count, sizeof(*made));
	int64_t now = (int64_t)time(NULL);
	int result = 0, r;
	size_t i;

	if (!made)
		return pt_fail_memory(err);
	r = persist_load(host, &list, err);
	if (r < 0)
		return r;
	for (i = 0; i < request->count; i++) {
		made[i].address = request->devices[i];
		made[i].since = now;
		text_copy(made[i].driver, sizeof(made[i].driver),
			  request->driver ? request->driver : DEFAULT_DRIVER);
		text_copy(made[i].why, sizeof(made[i].why), request->is_forced ? request->why : "");
		text_clean_lines(made[i].why);
		check_one(host, request, list, &made[i], &result, err);
	}
	if (result == -EBUSY)
		pt_error_append(err, "\n"
				     "To override: --force --reason TEXT");
	return result ? result : store_all(host, list, made, request->count, err);
}

int pt_persist_add(struct pt_host *host, const struct pt_persist_request *request,
		   struct pt_error *err)
{
	struct pt_error problem = {0};
	int r = check_request(request, &problem);
	struct audit audit;

	if (!r)
		r = add_all(host, request, &problem);
	audit = (struct audit){
		.verb = "persist",
		.devices = request->devices,
		.count = request->count,
		.driver = request->driver ? request->driver : DEFAULT_DRIVER,
		.why = request->is_forced ? request->why : NULL,
		.result = r,
		.err = r < 0 ? &problem : NULL,
	};
	audit_write(host, &audit);
	return r < 0 ? pt_fail(err, problem.reason, problem.errnum, "%s", problem.message) : 0;
}

static int remove_one(struct pt_host *host, const struct pt_persist_list *list,
		      const struct pt_address *address, size_t *removed, struct pt_error *err)
{
	const struct pt_persisted *found = find_file(list, address);
	bool is_unreadable = state_find_unreadable(&list->unreadables, address);
	size_t i;
	int r;

	assert(list->items || !list->count);
	for (i = 0; i < list->count && !found; i++) {
		if (list->items[i].is_there &&
		    pt_address_compare(&list->items[i].now, address) == 0)
			found = &list->items[i];
	}
	if (!found && !is_unreadable)
		return 0;
	r = persist_erase(host, found ? &found->address : address, err);
	if (!r)
		(*removed)++;
	return r;
}

int pt_persist_remove(struct pt_host *host, const struct pt_address *devices, size_t count,
		      size_t *ret_removed, struct pt_error *err)
{
	AUTO(auto_persist_list) struct pt_persist_list *list = NULL;
	struct audit audit = {.verb = "unpersist", .devices = devices, .count = count};
	struct pt_error problem = {0};
	size_t i, removed = 0;
	int r = persist_load(host, &list, &problem);

	if (!r)
		r = examine_all(host, list, &problem);
	for (i = 0; i < count && !r; i++)
		r = remove_one(host, list, &devices[i], &removed, &problem);
	audit.result = r;
	audit.err = r < 0 ? &problem : NULL;
	audit_write(host, &audit);
	if (r < 0)
		return pt_fail(err, problem.reason, problem.errnum, "%s", problem.message);
	if (ret_removed)
		*ret_removed = removed;
	return 0;
}
