/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guest's QEMU runs under, beside its user: an AppArmor profile (profile.h) or a label of
 * SELinux's (label.h), whichever this kernel enforces.
 */
#ifndef DOMAIN_CONFINE_SECMODEL_H
#define DOMAIN_CONFINE_SECMODEL_H

#include "domain/confine/confine.h"
#include "domain/definition/definition.h"
#include "pci/host.h"

#define SECMODEL_DOI "0"

/* The model in use, as libvirt calls it; NULL: none. */
const char *secmodel_name(struct pt_host *host);

/*
 * At the start: the guest's <seclabel>, unless its definition says type='none' or no model is in
 * use. @user is whom QEMU will run as.
 */
int secmodel_choose(struct pt_host *host, struct definition *live, const struct confine_user *user,
		    struct pt_error *err);

/* Its label, of either model; NULL when it has none. */
const char *secmodel_label(const struct definition *live);

/* Would the kernel let a process with such a label only do what the policy allows? */
bool secmodel_is_enforcing(struct pt_host *host, const struct definition *live);

/*
 * For the child between fork() and exec(): the next executed program runs under @label, which is
 * one of secmodel_label(). Async-signal-safe; 0 or a negative errno.
 */
int secmodel_enter(struct pt_host *host, const char *label);

#endif
