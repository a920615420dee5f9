/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A user of its own for each guest, so that the kernel keeps guests apart also where no AppArmor
 * does: a number of a range that no account has. A guest keeps its number for good, because of
 * what it leaves behind (TPM state): /var/lib/passthru/users has a link for each number that was
 * given out, from the number to the guest's UUID.
 */
#ifndef DOMAIN_CONFINE_OWN_USER_H
#define DOMAIN_CONFINE_OWN_USER_H

#include "domain/confine/confine.h"

#define OWN_USERS "var/lib/passthru/users"

/* Numbers that systemd (systemd.io/UIDS-GIDS) and Debian's policy leave to nobody. */
#define OWN_USER_FIRST ((uid_t)1879113728)
#define OWN_USER_COUNT 65536

/* Is it a number of the range? */
bool own_user_is(uid_t uid);

/*
 * The user of the guest with this UUID: the one it has, or one that no guest has. PT_STORAGE where
 * it can't be noted down.
 */
int own_user_assign(struct pt_host *host, const char *uuid, const struct confine_user *common,
		    struct confine_user *ret_user, struct pt_error *err);

/*
 * Nothing of the guest is left. Files may still name the number (moved, copied with their lists,
 * or left by a crash of the host), so it is given again only when all others were.
 */
void own_user_forget(struct pt_host *host, const char *uuid);

/*
 * Does a guest run as this user: one of its own, or the one that guests have in common, as far as
 * one was started or found by this daemon? Asks nobody, so that it can be asked of each client.
 */
bool own_user_is_guest(uid_t uid);
void own_user_note_common(uid_t uid);

#endif
