/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/guest/pending.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct store_pending *pending_find(struct guest *guest, const char *alias)
{
	struct store_live *record = guest->record;
	size_t i;

	for (i = 0; i < record->pending_count; i++)
		if (!strcmp(record->pending[i].alias, alias))
			return &record->pending[i];
	return NULL;
}

void pending_remove(struct guest *guest, const char *alias)
{
	struct store_pending *pending = pending_find(guest, alias);
	struct store_live *record = guest->record;

	if (!pending)
		return;
	free(pending->xml);
	*pending = record->pending[--record->pending_count];
}

static int pending_add(struct guest *guest, enum store_change change, const char *alias,
		       struct store_pending **ret_pending, struct pt_error *err)
{
	struct store_live *record = guest->record;
	struct store_pending pending = {.change = change};

	pending_remove(guest, alias);
	if (!text_copy(pending.alias, sizeof(pending.alias), alias))
		return pt_fail(err, PT_INVALID, EINVAL, "the alias %.64s… is too long", alias);
	if (record->pending_count == STORE_PENDING_MAX)
		return pt_fail(err, PT_BUSY, EBUSY,
			       "%d unplug requests of guest %s are already pending",
			       STORE_PENDING_MAX, guest->name);
	*ret_pending = &record->pending[record->pending_count++];
	**ret_pending = pending;
	return 0;
}

int pending_add_attach(struct guest *guest, const char *alias, const struct definition *device,
		       const struct pt_address *address, struct pt_error *err)
{
	struct store_pending *pending = NULL;
	char *xml = NULL;
	int r = definition_format(device, DEFINITION_LIVE | DEFINITION_SECURE, &xml, err);

	if (r < 0)
		return r;
	r = pending_add(guest, STORE_ATTACHING, alias, &pending, err);
	if (r < 0) {
		free(xml);
		return r;
	}
	pending->xml = xml;
	pending->has_address = address != NULL;
	if (address)
		pending->address = *address;
	return 0;
}

int pending_add_detach(struct guest *guest, const char *alias, struct pt_error *err)
{
	struct store_pending *pending = NULL;

	return pending_add(guest, STORE_DETACHING, alias, &pending, err);
}
