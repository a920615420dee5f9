/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's QEMU may open, as its devices come and go. */
#include "domain/guest/guest.h"
#include "domain/confine/profile.h"
#include "domain/confine/reach.h"

static int guest_show(struct pt_host *host, struct guest *guest, const struct definition *live,
		      const struct reach *reach, struct pt_error *err)
{
	return view_show(host, guest->owner.pid, guest->pidfd, live, reach, &guest->pins, err);
}

int guest_confine(struct pt_host *host, struct guest *guest, const struct definition *live,
		  struct pt_error *err)
{
	struct reach reach = {0};
	int r = reach_list(host, live, guest->user.common_uid, guest->record, &reach, err);

	if (!r)
		r = profile_load(host, live, &reach, err);
	if (!r && guest->limit)
		r = guest->limit(guest, live, &reach, err);
	if (!r)
		r = guest_show(host, guest, live, &reach, err);
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

static void tell_failure(struct pt_host *host, const struct guest *guest,
			 const struct pt_error *err)
{
	host_log(host, PT_LOG_WARNING, "guest %s: %s", guest->name, err->message);
}

void guest_confine_again(struct pt_host *host, struct guest *guest)
{
	struct pt_error err;

	if (!has_ended(guest) && guest_confine(host, guest, guest->live, &err) < 0)
		tell_failure(host, guest, &err);
}

void guest_show_again(struct pt_host *host, struct guest *guest)
{
	struct reach reach = {0};
	struct pt_error err;
	int r = reach_list(host, guest->live, guest->user.common_uid, guest->record, &reach, &err);

	if (!r)
		r = guest_show(host, guest, guest->live, &reach, &err);
	if (r < 0)
		tell_failure(host, guest, &err);
	reach_free(&reach);
}
