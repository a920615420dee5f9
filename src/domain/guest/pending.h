/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pending operations on devices of a running guest; in memory until guest_save(). */
#ifndef DOMAIN_GUEST_PENDING_H
#define DOMAIN_GUEST_PENDING_H

#include "domain/guest/guest.h"

/* EBUSY when the guest was asked for too much already. What was pending for @alias is forgotten. */
int pending_add_attach(struct guest *guest, const char *alias, const struct definition *device,
		       const struct pt_address *address, struct pt_error *err);
int pending_add_detach(struct guest *guest, const char *alias, struct pt_error *err);

void pending_remove(struct guest *guest, const char *alias);

/* NULL when nothing is. */
struct store_pending *pending_find(struct guest *guest, const char *alias);

#endif
