/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QMP commands that were made elsewhere (command_line.h). */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "domain/guest/guest.h"

/* What takes back each thing that plugging in makes beside the device. */
static const struct {
	const char *command, *undo, *key, *undo_key;
} undos[] = {
	{"blockdev-add", "blockdev-del", "node-name", "node-name"},
	{"netdev_add", "netdev_del", "id", "id"},
	{"chardev-add", "chardev-remove", "id", "id"},
	{"object-add", "object-del", "id", "id"},
};

static const char *command_of(struct json_object *entry, struct json_object **ret_arguments)
{
	struct json_object *name = NULL;

	*ret_arguments = NULL;
	(void)json_object_object_get_ex(entry, "arguments", ret_arguments);
	if (!json_object_object_get_ex(entry, "execute", &name))
		return "";
	return json_object_get_string(name);
}

static void undo_command(struct guest *guest, struct json_object *entry)
{
	struct json_object *arguments, *id, *undo;
	const char *command = command_of(entry, &arguments);
	size_t i;

	for (i = 0; i < sizeof(undos) / sizeof(undos[0]); i++) {
		if (strcmp(undos[i].command, command) != 0 ||
		    !json_object_object_get_ex(arguments, undos[i].key, &id))
			continue;
		undo = json_object_new_object();
		if (undo &&
		    json_object_object_add(undo, undos[i].undo_key, json_object_get(id)) == 0)
			(void)guest_call(guest, undos[i].undo, undo, NULL, NULL);
		else
			json_object_put(undo);
	}
}

int guest_call_all(struct guest *guest, struct json_object *commands, unsigned int timeout_ms,
		   struct pt_error *err)
{
	size_t done = 0, count = json_object_array_length(commands);
	int r = guest_connect(guest, timeout_ms, err);

	while (r == 0 && done < count) {
		struct json_object *arguments;
		const char *command =
			command_of(json_object_array_get_idx(commands, done), &arguments);

		r = qmp_call(guest->qmp, command, json_object_get(arguments), timeout_ms, NULL,
			     err);
		qmp_drop_events(guest->qmp);
		if (r == 0)
			done++;
	}
	while (r < 0 && r != -ETIMEDOUT && done)
		undo_command(guest, json_object_array_get_idx(commands, --done));
	return r;
}

int guest_read_status(struct guest *guest, char status[GUEST_STATUS], struct pt_error *err)
{
	struct json_object *answer = NULL, *name = NULL;
	int r = guest_call(guest, "query-status", NULL, &answer, err);

	if (r < 0)
		return r;
	(void)json_object_object_get_ex(answer, "status", &name);
	if (!json_object_is_type(name, json_type_string) ||
	    !text_copy(status, GUEST_STATUS, json_object_get_string(name)))
		r = pt_fail(err, PT_SYSTEM, EPROTO, "QEMU's answer to query-status has no status");
	json_object_put(answer);
	return r;
}

/* QEMU's word, within what the definition allows. */
static int take_memory(struct guest *guest, uint64_t bytes, struct pt_error *err)
{
	uint64_t memory = definition_memory(guest->live);
	char text[32];
	int r;

	if (bytes > memory)
		bytes = memory;
	if (bytes < 1024)
		bytes = 1024;
	(void)text_format(text, sizeof(text), "%" PRIu64, bytes / 1024);
	(void)pthread_mutex_lock(&guest->lock);
	r = definition_set(guest->live, "currentMemory@unit", "KiB", err);
	if (!r)
		r = definition_set(guest->live, "currentMemory", text, err);
	(void)pthread_mutex_unlock(&guest->lock);
	return r;
}

int guest_read_memory(struct guest *guest, struct pt_error *err)
{
	struct json_object *answer = NULL;
	int64_t bytes = 0;
	int r;

	if (!text_equal(definition_get(guest->live, "devices/memballoon@model"), "virtio"))
		return 0;
	r = guest_call(guest, "query-balloon", NULL, &answer, err);
	if (!r)
		r = json_get_number(answer, "actual", 1, INT64_MAX, &bytes, err);
	json_object_put(answer);
	return r < 0 || !bytes ? r : take_memory(guest, (uint64_t)bytes, err);
}

/* ---- devices ---- */

#define PERIPHERALS "/machine/peripheral"

bool guest_has_device(struct json_object *list, const char *alias)
{
	size_t i;

	for (i = 0; i < json_object_array_length(list); i++) {
		struct json_object *name = NULL;

		(void)json_object_object_get_ex(json_object_array_get_idx(list, i), "name", &name);
		if (name && !strcmp(json_object_get_string(name), alias))
			return true;
	}
	return false;
}

int guest_list_devices(struct guest *guest, struct json_object **ret_list, struct pt_error *err)
{
	struct json_object *arguments = json_object_new_object(), *list = NULL;
	int r;

	if (json_set_text(arguments, "path", PERIPHERALS) < 0) {
		json_object_put(arguments);
		return pt_fail_memory(err);
	}
	r = guest_call(guest, "qom-list", arguments, &list, err);
	if (!r && !json_object_is_type(list, json_type_array)) {
		json_object_put(list);
		return pt_fail(err, PT_SYSTEM, EPROTO, "QEMU sent an invalid list of devices");
	}
	if (!r)
		*ret_list = list;
	return r;
}
