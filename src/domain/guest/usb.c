/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's USB devices of a guest: taken, and followed when they are unplugged and plugged in. */
#include <string.h>

#include "base/text.h"
#include "domain/confine/files.h"
#include "domain/definition/host_usb.h"
#include "domain/definition/xml_node.h"
#include "domain/guest/hotplug.h"
#include "domain/resources/usb.h"

/* From the look at what other guests have until it is on disk that this one has it. */
static pthread_mutex_t claiming = PTHREAD_MUTEX_INITIALIZER;

int guest_take_usb(struct pt_host *host, struct guest *guest, const struct definition *live,
		   const xmlNode *device, struct pt_error *err)
{
	size_t before = guest->record->usb_count;
	int r;

	(void)pthread_mutex_lock(&claiming);
	r = usb_claim(host, live, device, guest->record, err);
	if (!r && guest->record->usb_count != before)
		r = guest_save(host, guest, err);
	(void)pthread_mutex_unlock(&claiming);
	return r;
}

static void warn(struct pt_host *host, const struct guest *guest, const struct pt_error *err)
{
	host_log(host, PT_LOG_WARNING, "guest %s: %s", guest->name, err->message);
}

/* Its device is no longer the host's: the definition says so, and QEMU has it out. */
static void follow_removal(struct pt_host *host, struct guest *guest, const struct host_usb *usb,
			   bool is_in_qemu)
{
	char words[HOST_USB_WORDS];
	struct pt_error err;
	int r = 0;

	(void)host_usb_words(usb, words);
	/* first, for QEMU's word that it is out is understood by that */
	(void)pthread_mutex_lock(&guest->lock);
	if (host_usb_choose(usb->node, 0, 0) < 0)
		r = pt_fail_memory(&err);
	(void)pthread_mutex_unlock(&guest->lock);
	if (!r && is_in_qemu)
		r = unplug_withdraw(guest, usb->alias, &err);
	if (r < 0) {
		warn(host, guest, &err);
		return;
	}
	host_log(host, PT_LOG_NOTICE,
		 "guest %s: USB device %s was unplugged from the host; the guest gets it again "
		 "when it is plugged in",
		 guest->name, words);
	files_settle(host, guest->live, guest->user.common_uid, guest->record);
	usb_settle(host, guest->live, guest->record);
	if (guest_save(host, guest, &err) < 0)
		warn(host, guest, &err);
	guest_confine_again(host, guest);
}

static void follow_arrival(struct pt_host *host, struct guest *guest, const char *alias)
{
	struct pt_error err;
	int r = hotplug_attach_usb(host, guest, alias, &err);

	if (r < 0)
		warn(host, guest, &err);
	else if (r)
		host_log(host, PT_LOG_NOTICE, "guest %s: %s was plugged in", guest->name, alias);
}

/* The definition is another tree after each of them that arrived. */
static bool next_host_usb(struct guest *guest, size_t index, struct host_usb *ret_usb)
{
	struct host_usb usbs[HOST_USB_MAX];
	size_t count = 0;

	if (definition_host_usbs(guest->live, usbs, &count, NULL) < 0 || index >= count)
		return false;
	*ret_usb = usbs[index];
	return true;
}

bool hotplug_has_usb(const struct definition *live)
{
	struct host_usb usbs[HOST_USB_MAX];
	size_t count = 0;

	return definition_host_usbs(live, usbs, &count, NULL) == 0 && count;
}

int hotplug_follow_usb(struct pt_host *host, struct guest *guest, struct pt_error *err)
{
	struct json_object *list = NULL;
	struct host_usb usb;
	int r;

	if (!hotplug_has_usb(guest->live))
		return 0;
	r = guest_list_devices(guest, &list, err);
	for (size_t i = 0; r == 0 && next_host_usb(guest, i, &usb); i++) {
		bool is_in_qemu = usb.alias && guest_has_device(list, usb.alias);
		char alias[STORE_ALIAS];

		if (!usb.alias || !text_copy(alias, sizeof(alias), usb.alias))
			continue;
		if (!usb.is_missing && !usb_is_there(host, usb.node)) {
			follow_removal(host, guest, &usb, is_in_qemu);
			is_in_qemu = false;
		} else if (usb.is_missing && is_in_qemu) {
			/* an answer that came too late, or never: once more from the start */
			is_in_qemu = unplug_withdraw(guest, alias, NULL) < 0;
		}
		if (!is_in_qemu)
			follow_arrival(host, guest, alias);
	}
	json_object_put(list);
	return r;
}
