/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/guest/guest.h"
#include "domain/resources/vf.h"

int guest_set_vfs(struct pt_host *host, struct guest *guest, const struct definition *live,
		  const xmlNode *device, struct pt_error *err)
{
	size_t before = guest->record->vf_count;
	int r = vf_record(host, live, device, guest->record, err);

	/* on disk first: if this daemon dies, the next one must restore the settings */
	if (!r && guest->record->vf_count != before)
		r = guest_save(host, guest, err);
	return r < 0 ? r : vf_set(host, live, device, err);
}
