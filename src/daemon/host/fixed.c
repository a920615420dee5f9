/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/fixed.h"

#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"

struct kept {
	struct pt_address address; /* first: a key is one with nothing else */
	struct nodedev_fixed facts;
};

struct fixed {
	pthread_mutex_t lock;
	void *tree;  /* of tsearch(): one for each address there has been */
	void *names; /* likewise: hundreds of functions have the same */
};

static int compare(const void *a, const void *b)
{
	return pt_address_compare(&((const struct kept *)a)->address,
				  &((const struct kept *)b)->address);
}

struct fixed *fixed_new(void)
{
	struct fixed *fixed = calloc(1, sizeof(*fixed));

	if (fixed)
		(void)pthread_mutex_init(&fixed->lock, NULL);
	return fixed;
}

void fixed_free(struct fixed *fixed)
{
	if (!fixed)
		return;
	tdestroy(fixed->tree, free);
	tdestroy(fixed->names, free);
	(void)pthread_mutex_destroy(&fixed->lock);
	free(fixed);
}

struct nodedev_fixed fixed_get(struct fixed *fixed, const struct pt_address *address)
{
	struct kept key = {.address = *address};
	struct nodedev_fixed facts = {0};
	struct kept *const *found;

	(void)pthread_mutex_lock(&fixed->lock);
	found = tfind(&key, &fixed->tree, compare);
	if (found)
		facts = (*found)->facts;
	(void)pthread_mutex_unlock(&fixed->lock);
	return facts;
}

static int fixed_compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Our own copy of a name; with the lock. False without memory. */
static bool keep_name(struct fixed *fixed, const char **name)
{
	char *copy;
	char *const *found;

	if (!*name)
		return true;
	copy = strdup(*name);
	found = copy ? tsearch(copy, &fixed->names, fixed_compare_names) : NULL;
	if (!found || *found != copy)
		free(copy);
	if (!found)
		return false;
	*name = *found;
	return true;
}

void fixed_put(struct fixed *fixed, const struct pt_address *address,
	       const struct nodedev_fixed *facts)
{
	struct kept *kept = calloc(1, sizeof(*kept));
	struct kept *const *found;

	if (!kept)
		return;
	kept->address = *address;
	kept->facts = *facts;
	(void)pthread_mutex_lock(&fixed->lock);
	found = keep_name(fixed, &kept->facts.product) && keep_name(fixed, &kept->facts.vendor)
			? tsearch(kept, &fixed->tree, compare)
			: NULL;
	if (found && *found != kept)
		(*found)->facts = kept->facts;
	(void)pthread_mutex_unlock(&fixed->lock);
	if (!found || *found != kept)
		free(kept);
}
