/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's <seclabel> in a live definition, for the models: profile.c and label.c. */
#ifndef DOMAIN_CONFINE_SECLABEL_H
#define DOMAIN_CONFINE_SECLABEL_H

#include <stdbool.h>

#include "domain/definition/definition.h"
#include "pci/host.h"

/* Does the definition switch this model off? */
bool seclabel_is_off(const struct definition *live, const char *model);

int seclabel_add(struct definition *live, const char *model, const char *label, const char *image,
		 struct pt_error *err);

/* Its "label" or "imagelabel"; NULL when it has none of this model. */
const char *seclabel_get(const struct definition *live, const char *model, const char *element);

/*
 * Write to a file of /proc/thread-self/attr. Async-signal-safe; 0 or a negative errno, -ENOENT
 * where there is no such file.
 */
int seclabel_write_attribute(struct pt_host *host, const char *path, const char *value);

#endif
