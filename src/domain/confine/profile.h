/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * AppArmor: if it is enabled in the kernel, each guest's QEMU runs under its own profile,
 * generated from its definition, extended before a hot-plug and narrowed after an unplug. QEMU's
 * user protects the files of other users; the profile also protects files that every user may
 * open, and files lent to other guests.
 *
 * The profile's name, "passthru-UUID", is in the live definition (seclabel.h).
 */
#ifndef DOMAIN_CONFINE_PROFILE_H
#define DOMAIN_CONFINE_PROFILE_H

#include "domain/definition/definition.h"
#include "domain/confine/reach.h"
#include "pci/host.h"

#define PROFILE_MODEL "apparmor"

/* Does this kernel enforce profiles, and is there apparmor_parser to load one with? */
bool profile_is_enforced(struct pt_host *host);

/* At the start: its <seclabel>, unless it says type='none' or nothing is enforced. */
int profile_choose(struct pt_host *host, struct definition *live, struct pt_error *err);

/* The name of its profile; NULL when it has none. */
const char *profile_of(const struct definition *live);

/*
 * Load its profile, or replace the one that is loaded; nothing without a label. QEMU can open what
 * @reach lists when this returns 0.
 */
int profile_load(struct pt_host *host, const struct definition *live, const struct reach *reach,
		 struct pt_error *err);

/* After its process has ended; not being loaded is no failure. */
void profile_remove(struct pt_host *host, const struct definition *live);

/*
 * For the child between fork() and exec(): the next executed program runs under this profile.
 * Async-signal-safe; 0 or a negative errno.
 */
int profile_enter(struct pt_host *host, const char *label);

/*
 * The profile's text, freed with free(). PT_INVALID for a path that can't stand in a profile (one
 * with control characters).
 */
int profile_write(struct pt_host *host, const struct definition *live, const struct reach *reach,
		  char **ret_text, struct pt_error *err);

#endif
