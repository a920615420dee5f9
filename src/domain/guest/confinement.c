/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's QEMU may open, as its devices come and go. */
#include <string.h>

#include "domain/guest/guest.h"
#include "domain/confine/label.h"
#include "domain/confine/profile.h"
#include "domain/confine/reach.h"

static void label_groups(struct pt_host *host, const struct definition *live,
			 const struct reach *reach)
{
	static const char directory[] = "/dev/vfio/";

	for (size_t i = 0; label_of(live) && i < reach->count; i++)
		if (strncmp(reach->files[i].path, directory, sizeof(directory) - 1) == 0 &&
		    strcmp(reach->files[i].path, "/dev/vfio/vfio") != 0)
			label_node(host, live, reach->files[i].path);
}

int guest_confine(struct pt_host *host, struct guest *guest, const struct definition *live,
		  struct pt_error *err)
{
	struct reach reach = {0};
	int r = reach_list(host, live, guest->user.common_uid, guest->record, &reach, err);

	if (!r) {
		label_groups(host, live, &reach);
		r = profile_load(host, live, &reach, err);
	}
	if (!r && guest->limit)
		r = guest->limit(guest, live, &reach, err);
	if (!r && guest->record->has_view)
		r = view_show(host, guest->owner.pid, guest->pidfd, live, &reach, &guest->pins,
			      err);
	reach_free(&reach);
	return r;
}

/* The loop is who learns of it first. */
static bool has_ended(struct guest *guest)
{
	bool is_so;

	(void)pthread_mutex_lock(&guest->lock);
	is_so = guest->has_ended;
	(void)pthread_mutex_unlock(&guest->lock);
	return is_so;
}

void guest_confine_again(struct pt_host *host, struct guest *guest)
{
	struct pt_error err;

	if (!has_ended(guest) && guest_confine(host, guest, guest->live, &err) < 0)
		host_log(host, PT_LOG_WARNING, "guest %s: %s", guest->name, err.message);
}
