/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's QEMU may open, as its devices come and go. */
#include "domain/guest/guest.h"
#include "domain/confine/profile.h"
#include "domain/confine/reach.h"

int guest_confine(struct pt_host *host, struct guest *guest, const struct definition *live,
		  struct pt_error *err)
{
	struct reach reach = {0};
	int r = reach_list(host, live, guest->user.common_uid, guest->record, &reach, err);

	if (!r)
		r = profile_load(host, live, &reach, err);
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
