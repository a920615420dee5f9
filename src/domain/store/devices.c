/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/store/devices.h"

#include <stdlib.h>
#include <string.h>

#include "assign/persist/persist.h"
#include "base/text.h"
#include "domain/store/store.h"

static const struct state_kind state_devices = {
	.directory = STORE_DEVICES,
	.suffix = ".json",
	.max = 8 * STATE_FILE_MAX, /* STORE_DEVICES_MAX of them */
	.directory_mode = 0700,
	.mode = 0600,
	.is_lasting = true,
	.next = "define the guest again",
};

/* ---- the file ---- */

static struct store_devices *make(size_t count)
{
	return calloc(1, sizeof(struct store_devices) + count * sizeof(struct store_device));
}

static int make_empty(struct store_devices **ret_devices, struct pt_error *err)
{
	*ret_devices = make(0);
	return *ret_devices ? 0 : pt_fail_memory(err);
}

static int store_parse_device(struct json_object *object, struct store_device *device,
			      struct pt_error *err)
{
	int r = state_get_address(object, "device", &device->address, err);

	return r < 0 ? r : persist_get_identity(object, &device->identity, err);
}

int store_parse_devices(const char *text, size_t size, struct store_devices **ret_devices,
			struct pt_error *err)
{
	AUTO(auto_json) struct json_object *object = NULL;
	AUTO_FREE struct store_devices *devices = NULL;
	struct json_object *array = NULL;
	size_t i, count;
	int r = json_parse(text, size, state_devices.max, STATE_DEPTH, &object, err);

	if (!r)
		r = json_get_objects(object, "devices", STORE_DEVICES_MAX, &array, err);
	if (r < 0)
		return r;
	if (!array)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"devices\" is missing");
	count = json_object_array_length(array);
	devices = make(count);
	if (!devices)
		return pt_fail_memory(err);
	for (i = 0; r == 0 && i < count; i++)
		r = store_parse_device(json_object_array_get_idx(array, i), &devices->items[i],
				       err);
	if (r < 0)
		return r;
	devices->count = count;
	*ret_devices = TAKE_POINTER(devices);
	return 0;
}

/* An empty one where there is no file. */
static int store_devices_load(struct pt_host *host, const char *name,
			      struct store_devices **ret_devices, struct pt_error *err)
{
	AUTO_FREE char *text = NULL;
	size_t size;
	int r = state_read(host, &state_devices, name, &text, &size, err);

	if (r == -ENOENT)
		return make_empty(ret_devices, err);
	if (!r)
		r = store_parse_devices(text, size, ret_devices, err);
	return state_fail_file(r, &state_devices, name, err);
}

static struct json_object *device_to_json(const struct store_device *device)
{
	struct json_object *object = json_object_new_object();

	if (state_set_address(object, "device", &device->address) == 0 &&
	    persist_add_identity(object, &device->identity) == 0)
		return object;
	json_object_put(object);
	return NULL;
}

struct json_object *store_devices_to_json(const struct store_devices *devices)
{
	struct json_object *object = json_object_new_object();
	struct json_object *array = json_object_new_array();
	size_t i;
	int r = 0;

	for (i = 0; !r && i < devices->count; i++)
		r = json_append(array, device_to_json(&devices->items[i]));
	r |= json_set(object, "devices", array);
	if (!r)
		return object;
	json_object_put(object);
	return NULL;
}

static int save(struct pt_host *host, const char *name, const struct store_devices *devices,
		struct pt_error *err)
{
	int r = store_check_name(name, err);

	if (r < 0 || !devices->count)
		return r < 0 ? r : store_remove_devices(host, name, err);
	return state_write_json(host, &state_devices, name, store_devices_to_json(devices), err);
}

int store_remove_devices(struct pt_host *host, const char *name, struct pt_error *err)
{
	return state_remove(host, &state_devices, name, err);
}

/* ---- what is in it ---- */

static const struct store_device *store_devices_find(const struct store_devices *devices,
						     const struct pt_address *address)
{
	size_t i;

	for (i = 0; i < devices->count; i++)
		if (pt_address_compare(&devices->items[i].address, address) == 0)
			return &devices->items[i];
	return NULL;
}

/* Two namespaces of one drive are two disks, and one device. */
static void put(struct store_devices *devices, const struct store_device *device)
{
	if (!store_devices_find(devices, &device->address))
		devices->items[devices->count++] = *device;
}

/*
 * What is at the address now, or else what is known of it. False when neither: it is
 * recorded when it is first seen.
 */
static bool look(struct pt_host *host, const struct pt_address *address,
		 const struct store_device *known, struct store_device *ret_device)
{
	*ret_device = (struct store_device){.address = *address};
	if (pt_identity_read(host, address, &ret_device->identity, NULL) == 0)
		return true;
	if (known)
		*ret_device = *known;
	return known;
}

static bool is_among(const struct definition_hostdev *hostdevs, size_t count,
		     const struct pt_address *address)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (pt_address_compare(&hostdevs[i].address, address) == 0)
			return true;
	return false;
}

int store_record_devices(struct pt_host *host, const struct definition *def,
			 const struct definition *before, struct pt_error *err)
{
	AUTO_FREE struct definition_hostdev *hostdevs = NULL;
	AUTO_FREE struct definition_hostdev *kept = NULL;
	AUTO_FREE struct store_devices *known = NULL;
	AUTO_FREE struct store_devices *made = NULL;
	size_t count, kept_count = 0, i;
	int r = definition_hostdevs(def, &hostdevs, &count, err);

	if (!r && before)
		r = definition_hostdevs(before, &kept, &kept_count, err);
	if (!r)
		r = store_devices_load(host, definition_name(def), &known, err);
	if (r < 0 && err->reason == PT_CORRUPT &&
	    !before) /* defining the guest again replaces a broken file */
		r = make_empty(&known, err);
	if (r < 0)
		return r;
	made = make(count);
	if (!made || !known)
		return pt_fail_memory(err);
	for (i = 0; i < count; i++) {
		const struct store_device *old = store_devices_find(known, &hostdevs[i].address);
		struct store_device device;

		if (old && is_among(kept, kept_count, &hostdevs[i].address))
			put(made, old);
		else if (look(host, &hostdevs[i].address, old, &device))
			put(made, &device);
	}
	return save(host, definition_name(def), made, err);
}

/* ---- is it still that one? ---- */

static void store_devices_refuse(const char *name, const struct pt_persisted *device, int *result,
				 struct pt_error *err)
{
	char line[1400], at[PT_ADDRESS_TEXT], now[PT_ADDRESS_TEXT], next[128] = "";

	pt_address_format(&device->address, at);
	if (device->is_there)
		(void)text_format(next, sizeof(next),
				  "to use the original device, put %s into the "
				  "definition; or ",
				  pt_address_format(&device->now, now));
	(void)text_format(
		line, sizeof(line),
		"%s is not the device that guest %s was defined with: %s; %sto use the device that "
		"is now at %s, define the guest again (virsh dumpxml --inactive %s >FILE; virsh "
		"define FILE)",
		at, name, device->text, next, at, name);
	if (*result)
		pt_error_append(err, "\n%s", line);
	else
		*result = pt_fail(err, PT_IDENTITY, ENODEV, "%s", line);
}

/* A card with a serial number that got its old address in another slot is still that card. */
static bool is_same(const struct pt_persisted *device)
{
	switch (device->state) {
	case PT_PERSIST_APPLIED:
	case PT_PERSIST_PENDING:
	case PT_PERSIST_MOVED:
		return pt_address_compare(&device->now, &device->address) == 0;
	case PT_PERSIST_MISSING: /* what isn't there is for the plan to refuse, in its words */
		return true;
	case PT_PERSIST_EXCHANGED:
		break;
	}
	return false;
}

/* 1 when something is to be recorded: @device wasn't seen before and is there. */
static int check_one(struct pt_host *host, struct pt_persist_list *list,
		     const struct store_device *known, const char *name, int *result,
		     struct pt_error *err)
{
	struct pt_persisted device = {.address = known->address, .identity = known->identity};
	int r = persist_examine(host, list, &device, err);

	if (r < 0)
		return r;
	if (!is_same(&device))
		store_devices_refuse(name, &device, result, err);
	return 0;
}

/* All of the guest's, for one isn't the other, also with one serial number. */
static int make_list(const struct store_devices *devices, struct pt_persist_list *list)
{
	list->items = calloc(devices->count + 1, sizeof(*list->items));
	if (!list->items)
		return -ENOMEM;
	for (; list->count < devices->count; list->count++) {
		struct pt_persisted *item = &list->items[list->count];

		item->address = devices->items[list->count].address;
		item->identity = devices->items[list->count].identity;
	}
	return 0;
}

int store_check_devices(struct pt_host *host, const char *name,
			const struct definition_hostdev *hostdevs, size_t count,
			struct pt_error *err)
{
	AUTO_FREE struct store_devices *before = NULL;
	AUTO_FREE struct store_devices *after = NULL;
	struct pt_persist_list list = {0};
	int result = 0, r = count ? store_devices_load(host, name, &before, err) : 0;
	struct store_device device;
	size_t i;

	if (r < 0 || !before)
		return r;
	after = make(before->count + count);
	if (!after || make_list(before, &list) < 0)
		return pt_fail_memory(err);
	memcpy(after->items, before->items, before->count * sizeof(*before->items));
	after->count = before->count;
	for (i = 0; r == 0 && i < count; i++) {
		const struct store_device *known = store_devices_find(before, &hostdevs[i].address);

		if (known)
			r = check_one(host, &list, known, name, &result, err);
		else if (look(host, &hostdevs[i].address, NULL, &device))
			put(after, &device);
	}
	pt_snapshot_free(list.snapshot);
	free(list.items);
	if (r < 0 || result < 0)
		return r < 0 ? r : result;
	if (after->count == before->count || !store_is_defined(host, name))
		return 0;
	return save(host, name, after, err);
}
