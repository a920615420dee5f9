/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/guest/hotplug.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "domain/command_line/command_line.h"
#include "domain/guest/pending.h"
#include "domain/definition/complete.h"
#include "domain/confine/files.h"
#include "domain/resources/usb.h"
#include "domain/resources/volume.h"
#include "domain/resources/vf.h"
#include "domain/confine/limits.h"
#include "domain/resources/bar_window.h"
#include "domain/definition/xml_node.h"

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
	size_t files;	    /* of the guest's, that were given to it before */
	bool is_unanswered; /* QEMU was told, and may have done it */
};

static const struct command_line_files no_files = {.commands.fd = -1, .events.fd = -1};

static int prepare_attach(struct attach *attach, struct pt_error *err)
{
	struct guest *guest = attach->guest;
	xmlNode *node = NULL;
	int r;

	attach->changed = definition_copy(guest->live);
	if (!attach->changed)
		return pt_fail_memory(err);
	r = volumes_settle(attach->host, attach->device, err);
	if (r < 0)
		return r;
	/* first whether it is there already: that says more than that there is no place for it */
	r = definition_add_device(attach->changed, attach->device, &node, err);
	if (r < 0)
		return r;
	definition_remove_device(attach->changed, node);
	r = definition_place_device(guest->live, attach->device, err);
	if (!r)
		r = usb_choose(attach->host, guest->live, definition_root(attach->device), err);
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
			       "a device of this kind can't be hot-plugged");
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

/* The bus that the device goes to, as QEMU names it. */
static const char *bus_of(const struct attach *attach)
{
	size_t count = json_object_array_length(attach->commands);
	struct json_object *arguments, *bus;

	return count &&
			       json_object_object_get_ex(
				       json_object_array_get_idx(attach->commands, count - 1),
				       "arguments", &arguments) &&
			       json_object_object_get_ex(arguments, "bus", &bus)
		       ? json_object_get_string(bus)
		       : "";
}

/* No reason to refuse it: the guest may make room. */
static void tell_if_narrow(struct attach *attach)
{
	struct json_object *pci = NULL;
	uint64_t need, window;

	need = attach->hostdev_count ? bar_window_need(attach->host, &attach->hostdevs[0].address)
				     : 0;
	if (need <= BAR_WINDOW_USUAL ||
	    guest_call(attach->guest, "query-pci", NULL, &pci, NULL) < 0)
		return;
	window = bar_window_of_bridge(pci, bus_of(attach));
	json_object_put(pci);
	if (window < need)
		host_log(attach->host, PT_LOG_NOTICE,
			 "guest %s: the device's BARs need %llu MiB of address space, but the "
			 "window of its port has %llu MiB. Unless the guest enlarges the window "
			 "(Linux does), the device works only after a shutdown and start of the "
			 "guest",
			 attach->guest->name, (unsigned long long)(need >> 20),
			 (unsigned long long)(window >> 20));
}

static int plug(struct attach *attach, struct pt_error *err)
{
	struct guest *guest = attach->guest;
	size_t hostdevs = count_hostdevs(attach->changed);
	/* a QEMU that can't be reached was told nothing */
	int r = guest_connect(guest, GUEST_CALL_MS, err);

	if (!r)
		r = guest_take(attach->host, &guest->owner, &guest->user, attach->hostdevs,
			       attach->hostdev_count, err);
	if (!r)
		r = guest_set_vfs(attach->host, guest, attach->changed,
				  definition_find_alias(attach->changed, attach->alias), err);
	if (!r && attach->hostdev_count)
		r = limits_raise_lock(attach->host, guest->owner.pid, attach->changed, hostdevs,
				      err);
	if (!r)
		r = guest_confine(attach->host, guest, attach->changed, err);
	if (r < 0)
		return r;
	r = guest_call_all(guest, attach->commands, limits_start_ms(attach->changed, hostdevs),
			   err);
	attach->is_unanswered = r == -ETIMEDOUT;
	return r;
}

static void give_up(struct attach *attach)
{
	struct pt_error err;

	vf_settle(attach->host, attach->guest->live, attach->guest->record);
	usb_settle(attach->host, attach->guest->live, attach->guest->record);
	/* the live definition doesn't have it, so it is among what is unused */
	if (attach->hostdev_count && guest_give_back_unused(attach->host, attach->guest, &err) < 0)
		host_log(attach->host, PT_LOG_WARNING, "guest %s: %s", attach->guest->name,
			 err.message);
	files_forget(attach->host, attach->guest->record, attach->files);
	guest_confine_again(attach->host, attach->guest);
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
	int r;

	attach->files = guest->record->file_count;
	r = files_check(attach->host, attach->changed,
			definition_find_alias(attach->changed, attach->alias), &guest->user,
			guest->record, err);
	if (!r)
		r = pending_add_attach(guest, attach->alias, attach->device,
				       attach->hostdev_count ? &attach->hostdevs[0].address : NULL,
				       err);

	if (!r)
		r = guest_save(attach->host, guest, err);
	if (!r)
		r = guest_take_usb(attach->host, guest, attach->changed,
				   definition_find_alias(attach->changed, attach->alias), err);
	if (!r)
		r = files_lend(attach->host, guest->record, attach->files, &guest->user, err);
	if (!r)
		tell_if_narrow(attach);
	if (!r)
		r = plug(attach, err);
	/* a driver that hangs is late too, and then QEMU has heard of nothing */
	if (attach->is_unanswered)
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

static int prepare_again(struct attach *attach, struct pt_error *err)
{
	xmlNode *node;
	int r;

	attach->changed = definition_copy(attach->guest->live);
	if (!attach->changed)
		return pt_fail_memory(err);
	node = definition_find_alias(attach->changed, attach->alias);
	r = usb_choose(attach->host, attach->changed, node, err);
	if (r < 0 || node_says(node, "source@missing", "yes"))
		return r;
	r = definition_extract_device(attach->changed, node, &attach->device, err);
	if (!r)
		r = command_line_plug(attach->changed, node, &no_files, &attach->commands, err);
	return r < 0 ? r : 1;
}

int hotplug_attach_usb(struct pt_host *host, struct guest *guest, const char *alias,
		       struct pt_error *err)
{
	struct attach attach = {.host = host, .guest = guest, .alias = alias};
	int r = prepare_again(&attach, err), plugged = 0;

	/* it was gone once: that it is still gone is nothing new */
	if (r == -ENODEV)
		r = 0;
	if (r == 1)
		plugged = attach_prepared(&attach, err);
	definition_free(attach.device);
	definition_free(attach.changed);
	json_object_put(attach.commands);
	return plugged < 0 ? plugged : r;
}
