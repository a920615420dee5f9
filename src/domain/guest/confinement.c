/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's QEMU may open, as its devices come and go. */
#include "domain/guest/guest.h"
#include "domain/confine/profile.h"
#include "domain/confine/reach.h"

int guest_confine(struct pt_host *host, const struct guest *guest, const struct definition *live,
		  struct pt_error *err)
{
	struct reach reach = {0};
	int r = reach_list(host, live, guest->user.uid, guest->record, &reach, err);

	if (!r)
		r = label_load(host, live, &reach, err);
	if (!r && guest->limit)
		r = guest->limit(guest, live, &reach, err);
	reach_free(&reach);
	return r;
}

void guest_confine_again(struct pt_host *host, const struct guest *guest)
{
	struct pt_error err;

	if (!guest->has_ended && guest_confine(host, guest, guest->live, &err) < 0)
		host_log(host, PT_LOG_WARNING, "guest %s: %s", guest->name, err.message);
}
