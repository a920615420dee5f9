/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All claims on this host. */
#include <stdlib.h>
#include <string.h>

#include <passthru/group.h>

#include "assign/auto.h"
#include "assign/claim.h"
#include "assign/journal.h"
#include "base/auto.h"
#include "base/text.h"

struct pt_claims {
	struct pt_claim *items; /* in address order */
	size_t count;
	struct state_unreadables
		unreadables; /* claims, then journals, each in the order of names */
};

static int compare_claims(const void *a, const void *b)
{
	return pt_address_compare(&((const struct pt_claim *)a)->address,
				  &((const struct pt_claim *)b)->address);
}

/* ---- reading ---- */

static int add_unreadable(struct pt_claims *claims, const struct state_kind *kind, const char *name,
			  const struct pt_address *address, const struct pt_error *why,
			  struct pt_error *err)
{
	const struct pt_unreadable item = state_unreadable(kind, name, address, why);

	return state_add_unreadable(&claims->unreadables, &item) < 0 ? pt_fail_memory(err) : 0;
}

static int read_claim(struct pt_host *host, const char *name, struct pt_claims *claims,
		      struct pt_error *err)
{
	struct pt_address address;
	struct pt_claim *grown;
	struct pt_error why;
	int r;

	if (!state_parse_name(name, &address)) {
		bool is_named = pt_address_parse(name, &address, NULL) == 0;

		(void)pt_fail(&why, PT_CORRUPT, EBADMSG,
			      "its name is not an address such as "
			      "0000:65:00.0");
		return add_unreadable(claims, &state_claims, name, is_named ? &address : NULL, &why,
				      err);
	}
	grown = reallocarray(claims->items, claims->count + 1, sizeof(*grown));
	if (!grown)
		return pt_fail_memory(err);
	claims->items = grown;
	switch (claim_load(host, &address, &grown[claims->count], &why)) {
	case 0:
		claims->count++;
		return 0;
	case -ENOENT: /* released meanwhile */
		return 0;
	default:
		break;
	}
	r = state_check_general(&state_claims, name, &why, err);
	return r < 0 ? r : add_unreadable(claims, &state_claims, name, &address, &why, err);
}

/* A claim whose device stands in a journal is changing: the journal is that fact's only place. */
static int read_journal(struct pt_host *host, const char *name, struct pt_claims *claims,
			struct pt_error *err)
{
	struct journal journal;
	struct pt_error why;
	size_t i;
	int r = journal_load(host, name, &journal, &why);

	if (r == -ENOENT) /* finished meanwhile */
		return 0;
	if (r < 0) {
		r = state_check_general(&state_journals, name, &why, err);
		return r < 0 ? r : add_unreadable(claims, &state_journals, name, NULL, &why, err);
	}
	for (i = 0; i < claims->count; i++) {
		if (claims->items[i].state == PT_CLAIM_HELD &&
		    journal_touches(&journal, &claims->items[i].address))
			claims->items[i].state = PT_CLAIM_CHANGING;
	}
	journal_free(&journal);
	return 0;
}

int pt_claims_read(struct pt_host *host, struct pt_claims **ret_claims, struct pt_error *err)
{
	AUTO_FREE char **names = NULL;
	AUTO_FREE char **journals = NULL;
	AUTO(auto_claims) struct pt_claims *claims = calloc(1, sizeof(*claims));
	size_t i;
	int r;

	if (!claims)
		return pt_fail_memory(err);
	r = state_list(host, &state_claims, &names, err);
	for (i = 0; !r && names[i]; i++)
		r = read_claim(host, names[i], claims, err);
	if (!r)
		r = journal_list(host, &journals, err);
	for (i = 0; !r && journals[i]; i++)
		r = read_journal(host, journals[i], claims, err);
	if (r < 0)
		return r;
	if (claims->count)
		qsort(claims->items, claims->count, sizeof(*claims->items), compare_claims);
	*ret_claims = TAKE_POINTER(claims);
	return 0;
}

void pt_claims_free(struct pt_claims *claims)
{
	if (!claims)
		return;
	free(claims->unreadables.items);
	free(claims->items);
	free(claims);
}

/* ---- looking ---- */

bool pt_claim_is_over(const struct pt_claim *claim, const char *driver)
{
	return claim->owner.kind == PT_OWNER_MANUAL && claim->state == PT_CLAIM_HELD && driver &&
	       *driver && strcmp(driver, claim->driver) != 0 && strcmp(driver, "pci-stub") != 0 &&
	       !pt_driver_is_vfio(driver);
}

size_t pt_claims_count(const struct pt_claims *claims)
{
	return claims->count;
}

const struct pt_claim *pt_claims_at(const struct pt_claims *claims, size_t index)
{
	return index < claims->count ? &claims->items[index] : NULL;
}

const struct pt_claim *pt_claims_find(const struct pt_claims *claims,
				      const struct pt_address *address)
{
	struct pt_claim key = {.address = *address};

	if (!claims->count)
		return NULL;
	return bsearch(&key, claims->items, claims->count, sizeof(key), compare_claims);
}

size_t pt_claims_unreadable_count(const struct pt_claims *claims)
{
	return claims->unreadables.count;
}

const struct pt_unreadable *pt_claims_unreadable_at(const struct pt_claims *claims, size_t index)
{
	return index < claims->unreadables.count ? &claims->unreadables.items[index] : NULL;
}

const struct pt_unreadable *claims_find_unreadable(const struct pt_claims *claims,
						   const struct pt_address *address)
{
	return state_find_unreadable(&claims->unreadables, address);
}
