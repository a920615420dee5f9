/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a definition says without saying it, written down as libvirt does
 * (libvirt.org/formatdomain.html): clients read sizes without their units, and expect elements that
 * libvirt always shows.
 */
#ifndef DOMAIN_DEFINITION_DEFAULTS_H
#define DOMAIN_DEFINITION_DEFAULTS_H

#include "domain/definition/definition.h"

/* Sizes in KiB, rounded up. PT_NO_MEMORY. */
int definition_set_sizes(struct definition *def, struct pt_error *err);

/*
 * The same, and the elements that are missing: currentMemory, vcpu, clock, what to do at an end,
 * and that the first disk is booted, where nothing is said of that.
 */
int definition_set_defaults(struct definition *def, struct pt_error *err);

#endif
