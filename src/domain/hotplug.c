/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/hotplug.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "domain/command_line.h"
#include "domain/guest_pending.h"
#include "domain/live.h"
#include "domain/memory.h"
#include "domain/xml_node.h"

/* ---- QMP commands made elsewhere ---- */

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

/* All of them in order; on failure those that were done are undone in the reverse order. */
static int run_commands(struct guest *guest, struct json_object *commands, unsigned int timeout_ms,
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

/* ---- plugging in ---- */

struct attach {
	struct pt_host *host;
	struct guest *guest;
	struct definition *device;
	struct definition *changed; /* the live definition with the device */
	struct json_object *commands;
	struct definition_hostdev *hostdevs; /* one, or none */
	size_t hostdev_count;
	const char *alias;
};

static int prepare_attach(struct attach *attach, struct pt_error *err)
{
	static const struct command_line_files no_files = {.commands.fd = -1, .events.fd = -1};
	struct guest *guest = attach->guest;
	xmlNode *node = NULL;
	int r;

	attach->changed = definition_copy(guest->live);
	if (!attach->changed)
		return pt_fail_memory(err);
	/* first whether it is there already: that says more than that there is no place for it */
	r = definition_add_device(attach->changed, attach->device, &node, err);
	if (r < 0)
		return r;
	definition_remove_device(attach->changed, node);
	r = live_place_device(guest->live, attach->device, err);
	if (!r)
		r = definition_add_device(attach->changed, attach->device, &node, err);
	if (!r)
		r = command_line_plug(attach->changed, node, &no_files, &attach->commands, err);
	if (!r)
		r = definition_hostdevs(attach->device, &attach->hostdevs, &attach->hostdev_count,
					err);
	if (r < 0)
		return r;
	attach->alias = node_get(node, "alias@name");
	if (!attach->alias)
		return pt_fail(err, PT_INVALID, EOPNOTSUPP,
			       "this kind of device can't be plugged into a running guest");
	return 0;
}

static size_t count_hostdevs(const struct definition *live)
{
	struct definition_hostdev *hostdevs = NULL;
	size_t count = 0;

	(void)definition_hostdevs(live, &hostdevs, &count, NULL);
	free(hostdevs);
	return count;
}

static int plug(struct attach *attach, struct pt_error *err)
{
	struct guest *guest = attach->guest;
	size_t hostdevs = count_hostdevs(attach->changed);
	int r = guest_take(attach->host, &guest->owner, &guest->user, attach->hostdevs,
			   attach->hostdev_count, err);

	if (!r && attach->hostdev_count)
		r = memory_raise_lock(guest->owner.pid, attach->changed, hostdevs, err);
	if (!r)
		r = run_commands(guest, attach->commands,
				 memory_start_ms(attach->changed, hostdevs), err);
	return r;
}

static void give_up(struct attach *attach)
{
	struct pt_error err;

	/* the live definition doesn't have it, so it is among what is unused */
	if (attach->hostdev_count && guest_give_back_unused(attach->host, attach->guest, &err) < 0)
		host_log(attach->host, PT_LOG_WARNING, "guest %s: %s", attach->guest->name,
			 err.message);
	pending_remove(attach->guest, attach->alias);
	if (guest_save(attach->host, attach->guest, &err) < 0)
		host_log(attach->host, PT_LOG_WARNING, "guest %s: %s", attach->guest->name,
			 err.message);
}

static void swap_live(struct guest *guest, struct definition **changed)
{
	struct definition *before;

	(void)pthread_mutex_lock(&guest->lock);
	before = guest->live;
	guest->live = *changed;
	*changed = before;
	(void)pthread_mutex_unlock(&guest->lock);
}

static int attach_prepared(struct attach *attach, struct pt_error *err)
{
	struct guest *guest = attach->guest;
	struct pt_error failure;
	int r = pending_add_attach(guest, attach->alias, attach->device,
				   attach->hostdev_count ? &attach->hostdevs[0].address : NULL,
				   err);

	if (!r)
		r = guest_save(attach->host, guest, err);
	if (!r)
		r = plug(attach, err);
	if (r == -ETIMEDOUT)
		return r;
	if (r < 0) {
		give_up(attach);
		return r;
	}
	swap_live(guest, &attach->changed);
	pending_remove(guest, attach->alias);
	/* if this fails, what was written last says the same to a later daemon */
	if (guest_save(attach->host, guest, &failure) < 0)
		host_log(attach->host, PT_LOG_WARNING, "guest %s: %s", guest->name,
			 failure.message);
	return 0;
}

int hotplug_attach(struct pt_host *host, struct guest *guest, struct definition *device,
		   struct pt_error *err)
{
	struct attach attach = {.host = host, .guest = guest, .device = device};
	int r = prepare_attach(&attach, err);

	if (!r)
		r = attach_prepared(&attach, err);
	definition_free(attach.changed);
	json_object_put(attach.commands);
	free(attach.hostdevs);
	return r;
}
