/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/fixed.h"

#include <pthread.h>
#include <search.h>
#include <stdlib.h>

#include "base/auto.h"

struct kept {
	struct pt_address address; /* first: a key is one with nothing else */
	struct nodedev_fixed facts;
};

struct fixed {
	pthread_mutex_t lock;
	void *tree; /* of tsearch(): one for each address there has been */
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

void fixed_put(struct fixed *fixed, const struct pt_address *address,
	       const struct nodedev_fixed *facts)
{
	struct kept *kept = calloc(1, sizeof(*kept));
	struct kept *const *found;

	if (!kept)
		return;
	kept->address = *address;
	(void)pthread_mutex_lock(&fixed->lock);
	found = tsearch(kept, &fixed->tree, compare);
	if (found)
		(*found)->facts = *facts;
	(void)pthread_mutex_unlock(&fixed->lock);
	if (!found || *found != kept)
		free(kept);
}
