/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/guests/both.h"

#include <errno.h>
#include <string.h>

#include "daemon/log.h"
#include "domain/store/both.h"
#include "domain/definition/defaults.h"
#include "domain/store/devices.h"
#include "domain/store/store.h"

static bool guest_has_it(const struct guest *guest, const struct store_both *both)
{
	AUTO(auto_definition) struct definition *device = NULL;
	xmlNode *node;

	if (both->alias)
		return definition_find_alias(guest->live, both->alias) != NULL;
	return definition_parse_device(both->device, 0, &device, NULL) == 0 &&
	       definition_find_device(guest->live, device, &node, NULL) == 0;
}

static int write_back(struct pt_host *host, struct domain *domain, const char *before,
		      struct pt_error *err)
{
	AUTO(auto_definition) struct definition *definition = NULL;
	int r = definition_parse(before, 0, &definition, err);

	if (!r)
		r = definition_set_sizes(definition, err);
	if (!r)
		r = store_record_devices(host, definition, domain->definition, err);
	if (!r)
		r = store_write_definition(host, domain->name, before, err);
	if (r < 0)
		return r;
	guests_lock(domain->guests);
	definition = domain_set_definition(domain, definition); /* freed with the scope */
	guests_unlock(domain->guests);
	log_message(PT_LOG_NOTICE,
		    "guest %s: its definition is as before: the daemon ended before the guest was "
		    "changed with it",
		    domain->name);
	return 0;
}

/* Nobody has defined it anew since. */
static bool is_as_left(struct pt_host *host, const struct domain *domain,
		       const struct store_both *both)
{
	AUTO_FREE char *text = NULL;

	return domain->definition && store_read_definition(host, domain->name, &text, NULL) == 0 &&
	       strcmp(text, both->after) == 0;
}

void both_recover(struct pt_host *host, struct domain *domain)
{
	struct store_both both;
	struct pt_error err;
	int r = store_read_both(host, domain->name, &both, &err);

	if (r == -ENOENT)
		return;
	if (!r && is_as_left(host, domain, &both) &&
	    (!domain->guest || guest_has_it(domain->guest, &both) != both.is_attach))
		r = write_back(host, domain, both.before, &err);
	if (!r)
		r = store_remove_both(host, domain->name, &err);
	if (r < 0)
		log_message(PT_LOG_WARNING,
			    "guest %s: its definition may have a device that the guest hasn't, or "
			    "lack one: %s",
			    domain->name, err.message);
	store_both_free(&both);
}
