/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking devices out of a running guest. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "domain/command_line/command_line.h"
#include "domain/guest/pending.h"
#include "domain/confine/files.h"
#include "domain/resources/macvtap.h"
#include "domain/resources/usb.h"
#include "domain/resources/vf.h"
#include "domain/guest/hotplug.h"
#include "domain/definition/host_usb.h"
#include "domain/definition/xml_node.h"

static void warn(struct pt_host *host, const struct guest *guest, const struct pt_error *err)
{
	host_log(host, PT_LOG_WARNING, "guest %s: %s", guest->name, err->message);
}

/* ---- asking ---- */

bool unplug_is_known(struct guest *guest, const char *alias)
{
	bool is_known;

	(void)pthread_mutex_lock(&guest->lock);
	is_known = definition_find_alias(guest->live, alias);
	(void)pthread_mutex_unlock(&guest->lock);
	return is_known;
}

bool unplug_take_event(struct guest *guest, const char *alias, enum guest_unplug answer)
{
	bool is_awaited;

	(void)pthread_mutex_lock(&guest->lock);
	is_awaited = guest->unplug.is_awaited && !strcmp(guest->unplug.alias, alias);
	if (is_awaited) {
		guest->unplug.answer = answer;
		(void)pthread_cond_broadcast(&guest->changed);
	}
	(void)pthread_mutex_unlock(&guest->lock);
	return is_awaited;
}

static void begin_waiting(struct guest *guest, const char *alias)
{
	(void)pthread_mutex_lock(&guest->lock);
	text_copy(guest->unplug.alias, sizeof(guest->unplug.alias), alias);
	guest->unplug.answer = GUEST_UNPLUG_ASKED;
	guest->unplug.is_awaited = true;
	(void)pthread_mutex_unlock(&guest->lock);
}

/* After this the loop's word for the alias goes to another worker. */
static enum guest_unplug end_waiting(struct guest *guest, unsigned int timeout_ms, bool *ret_ended)
{
	enum guest_unplug answer;
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	(void)pthread_mutex_lock(&guest->lock);
	while (guest->unplug.answer == GUEST_UNPLUG_ASKED && !guest->has_ended &&
	       pthread_cond_timedwait(&guest->changed, &guest->lock, &until) == 0)
		;
	answer = guest->unplug.answer;
	*ret_ended = guest->has_ended;
	guest->unplug.is_awaited = false;
	(void)pthread_mutex_unlock(&guest->lock);
	return answer;
}

/* 0 also when QEMU says that the guest was asked already; -ENOENT when the device is gone. */
static int unplug_ask(struct guest *guest, const char *alias, struct pt_error *err)
{
	struct json_object *arguments = json_object_new_object();
	int r;

	if (!arguments ||
	    json_object_object_add(arguments, "id", json_object_new_string(alias)) < 0) {
		json_object_put(arguments);
		return pt_fail_memory(err);
	}
	r = guest_call(guest, "device_del", arguments, NULL, err);
	if (r == -EREMOTEIO && !strcmp(qmp_error_class(guest->qmp), "DeviceNotFound"))
		return -ENOENT;
	/* QEMU takes no second request within some seconds; the first one still stands */
	if (r == -EREMOTEIO && strstr(err->message, "already in the process of unplug"))
		return 0;
	return r;
}

static int explain(const struct guest *guest, const char *alias, enum guest_unplug answer,
		   bool has_ended, unsigned int timeout_ms, struct pt_error *err)
{
	if (answer == GUEST_UNPLUG_REFUSED)
		return pt_fail(err, PT_IN_USE, ECANCELED,
			       "guest %s refused to release %s, so the device stays attached. Stop "
			       "using it in the guest, then detach it again",
			       guest->name, alias);
	if (has_ended)
		return pt_fail(err, PT_SYSTEM, ESRCH, "guest %s has ended", guest->name);
	return pt_fail(err, PT_BUSY, ETIMEDOUT,
		       "guest %s has not released %s within %u s; the unplug request is still "
		       "pending. When the guest releases the device, it is returned to the host, "
		       "and a device-removed event reports that. To repeat the request, detach it "
		       "again",
		       guest->name, alias, (timeout_ms + 999) / 1000);
}

int unplug_device(struct pt_host *host, struct guest *guest, const char *alias,
		  unsigned int timeout_ms, struct pt_error *err)
{
	enum guest_unplug answer;
	bool has_ended = false;
	int asked, r = pending_add_detach(guest, alias, err);

	if (!r)
		r = guest_save(host, guest, err);
	if (r < 0) {
		pending_remove(guest, alias);
		return r;
	}
	begin_waiting(guest, alias);
	asked = unplug_ask(guest, alias, err);
	answer = end_waiting(guest, asked < 0 ? 0 : timeout_ms, &has_ended);
	if (asked == -ENOENT || answer == GUEST_UNPLUG_DONE)
		return unplug_finish(host, guest, alias, err);
	if (asked < 0 || answer == GUEST_UNPLUG_REFUSED)
		unplug_forget(host, guest, alias);
	return asked < 0 ? asked : explain(guest, alias, answer, has_ended, timeout_ms, err);
}

int unplug_withdraw(struct guest *guest, const char *alias, struct pt_error *err)
{
	int r = unplug_ask(guest, alias, err);

	return r == -ENOENT ? 0 : r;
}

/* QEMU's word of one that was withdrawn may be read late, when it has the next one by that alias.
 */
bool unplug_is_over(struct guest *guest, const char *alias)
{
	struct json_object *list = NULL;
	struct host_usb usb;
	xmlNode *node = definition_find_alias(guest->live, alias);
	bool is_over;

	if (!node || device_host_usb(node, &usb, NULL) != 1)
		return true;
	if (usb.is_missing || guest_list_devices(guest, &list, NULL) < 0)
		return false;
	is_over = !guest_has_device(list, alias);
	json_object_put(list);
	return is_over;
}

void unplug_forget(struct pt_host *host, struct guest *guest, const char *alias)
{
	struct pt_error err;

	pending_remove(guest, alias);
	if (guest_save(host, guest, &err) < 0)
		warn(host, guest, &err);
}

/* ---- finishing ---- */

static void call_all(struct guest *guest, struct json_object *commands)
{
	size_t i;

	for (i = 0; i < json_object_array_length(commands); i++) {
		struct json_object *entry = json_object_array_get_idx(commands, i);
		struct json_object *name = NULL, *arguments = NULL;

		(void)json_object_object_get_ex(entry, "arguments", &arguments);
		/* what fails here leaves an unused backend in QEMU, no more */
		if (json_object_object_get_ex(entry, "execute", &name))
			(void)guest_call(guest, json_object_get_string(name),
					 json_object_get(arguments), NULL, NULL);
	}
}

/* What QEMU has beside @node, a device of @live that it no longer has; and files it keeps open. */
static void drop_backends(struct pt_host *host, struct guest *guest, const struct definition *live,
			  const xmlNode *node)
{
	struct json_object *commands = NULL;
	struct pt_error failure;

	if (command_line_unplugged(live, node, &commands, &failure) == 0)
		call_all(guest, commands);
	json_object_put(commands);
	files_keep(host, live, node, guest->user.common_uid, guest->record);
}

int unplug_finish(struct pt_host *host, struct guest *guest, const char *alias,
		  struct pt_error *err)
{
	xmlNode *node = definition_find_alias(guest->live, alias);
	struct pt_error failure;
	int r;

	pending_remove(guest, alias);
	if (!node)
		return pt_fail(err, PT_INVALID, ENOENT, "guest %s has no device %s", guest->name,
			       alias);
	drop_backends(host, guest, guest->live, node);
	macvtap_remove(host, guest->live, node);
	(void)pthread_mutex_lock(&guest->lock);
	definition_remove_device(guest->live, node);
	(void)pthread_mutex_unlock(&guest->lock);
	files_settle(host, guest->live, guest->user.common_uid, guest->record);
	vf_settle(host, guest->live, guest->record);
	usb_settle(host, guest->live, guest->record);
	if (guest_save(host, guest, &failure) < 0)
		warn(host, guest, &failure);
	r = guest_give_back_unused(host, guest, err);
	guest_confine_again(host, guest);
	return r;
}

/* ---- after a restart of the daemon ---- */

/* The daemon died in the middle of plugging it in: what QEMU has decides what became of that. */
static int settle_attach(struct guest *guest, const struct store_pending *pending,
			 struct pt_error *err)
{
	AUTO(auto_definition) struct definition *device = NULL;
	xmlNode *node;
	int r = definition_parse_device(pending->xml ? pending->xml : "", DEFINITION_LIVE, &device,
					err);

	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&guest->lock);
	r = definition_add_device(guest->live, device, &node, err);
	(void)pthread_mutex_unlock(&guest->lock);
	return r == -EEXIST ? 0 : r;
}

/* It isn't in QEMU, but what it was to be plugged in with may be, and have its files open. */
static void drop_attach(struct pt_host *host, struct guest *guest,
			const struct store_pending *pending)
{
	AUTO(auto_definition) struct definition *device = NULL;
	AUTO(auto_definition) struct definition *with = definition_copy(guest->live);
	xmlNode *node = NULL;
	struct pt_error err;

	if (!with ||
	    definition_parse_device(pending->xml ? pending->xml : "", DEFINITION_LIVE, &device,
				    &err) < 0 ||
	    definition_add_device(with, device, &node, &err) < 0)
		return;
	drop_backends(host, guest, with, node);
}

static void settle_attaches(struct pt_host *host, struct guest *guest, struct json_object *list)
{
	struct store_live *record = guest->record;
	struct pt_error err;
	size_t i = 0;

	while (i < record->pending_count) {
		struct store_pending *pending = &record->pending[i];

		if (pending->change != STORE_ATTACHING) {
			i++;
			continue;
		}
		if (!guest_has_device(list, pending->alias))
			drop_attach(host, guest, pending);
		else if (settle_attach(guest, pending, &err) < 0)
			warn(host, guest, &err);
		pending_remove(guest, pending->alias);
	}
}

static void settle_removals(struct guest *guest, struct json_object *list,
			    void (*removed)(void *context, const char *alias), void *context)
{
	struct definition_hostdev *hostdevs = NULL;
	size_t i, count = 0;

	if (definition_hostdevs(guest->live, &hostdevs, &count, NULL) < 0)
		return;
	for (i = 0; i < count; i++) {
		if (!hostdevs[i].alias || guest_has_device(list, hostdevs[i].alias))
			continue;
		pending_remove(guest, hostdevs[i].alias);
		removed(context, hostdevs[i].alias);
		(void)pthread_mutex_lock(&guest->lock);
		definition_remove_device(guest->live, hostdevs[i].node);
		(void)pthread_mutex_unlock(&guest->lock);
	}
	free(hostdevs);
}

/*
 * The daemon died during the request, or before the guest's reply: it is unknown whether the
 * guest got the request, so it is repeated. The reply arrives as an event.
 */
static void ask_again(struct pt_host *host, struct guest *guest)
{
	const struct store_live *record = guest->record;
	char aliases[STORE_PENDING_MAX][STORE_ALIAS];
	size_t count = 0;

	for (size_t i = 0; i < record->pending_count; i++)
		if (record->pending[i].change == STORE_DETACHING)
			text_copy(aliases[count++], STORE_ALIAS, record->pending[i].alias);
	for (size_t i = 0; i < count; i++) {
		struct pt_error err;
		int r = unplug_ask(guest, aliases[i], &err);

		if (r == -ENOENT)
			r = unplug_finish(host, guest, aliases[i], &err);
		else if (r == -EREMOTEIO)
			pending_remove(guest, aliases[i]);
		if (r < 0)
			warn(host, guest, &err);
	}
}

int hotplug_reconcile(struct pt_host *host, struct guest *guest,
		      void (*removed)(void *context, const char *alias), void *context,
		      struct pt_error *err)
{
	struct json_object *list = NULL;
	int r = guest_list_devices(guest, &list, err);

	if (r < 0)
		return r;
	settle_attaches(host, guest, list);
	settle_removals(guest, list, removed, context);
	json_object_put(list);
	ask_again(host, guest);
	files_settle(host, guest->live, guest->user.common_uid, guest->record);
	vf_settle(host, guest->live, guest->record);
	usb_settle(host, guest->live, guest->record);
	r = guest_save(host, guest, err);
	if (!r)
		r = guest_give_back_unused(host, guest, err);
	guest_confine_again(host, guest);
	return r < 0 ? r : hotplug_follow_usb(host, guest, err);
}
