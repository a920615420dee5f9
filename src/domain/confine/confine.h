/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The confinement of a guest's QEMU: its own user without any capability, the nodes of its own
 * VFIO groups, and as much locked memory as its devices need. A bug in an emulated device can
 * give the guest control of QEMU.
 */
#ifndef DOMAIN_CONFINE_CONFINE_H
#define DOMAIN_CONFINE_CONFINE_H

#include <passthru/address.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "pci/host.h"

#define CONFINE_GROUPS_MAX 32
#define CONFINE_NODE	   64

struct confine_user {
	char name[64];
	uid_t uid;
	gid_t gid;
	gid_t groups[CONFINE_GROUPS_MAX];
	size_t group_count;
	/*
	 * The user that all guests have in common, whom an administrator permits to use a file;
	 * @name is its name. The same as above where guests have no users of their own.
	 */
	uid_t common_uid;
	gid_t common_gid;
	bool sees_host; /* all of the host's files, and has no view of its own (view.h) */
};

/*
 * Whom guests run as: @name, or with NULL the first there is of "passthru-qemu",
 * "libvirt-qemu" and "qemu". There is no falling back to root: PT_NOT_PERMITTED says how to
 * make one.
 */
int confine_find_user(const char *name, struct confine_user *ret_user, struct pt_error *err);

/* Does this guest run as a user of its own? */
bool confine_is_own(const struct confine_user *user);

/* A guest's own user and group, @uid: in the groups of @common, whose name stays the one shown. */
void confine_make_own(const struct confine_user *common, uid_t uid, struct confine_user *ret_user);

/* The user that @user has in common with the other guests. */
void confine_make_common(const struct confine_user *user, struct confine_user *ret_common);

/*
 * For the child between fork() and exec(): become @user for good. Async-signal-safe; 0 or a
 * negative errno.
 */
int confine_become(const struct confine_user *user);

/*
 * The node of the device's VFIO group, relative to the root; it need not be there yet. False when
 * the device is in no group.
 */
bool confine_group_node(struct pt_host *host, const struct pt_address *device,
			char path[CONFINE_NODE]);

/* Give @user the nodes of the VFIO groups that these devices are in. */
int confine_give_nodes(struct pt_host *host, const struct pt_address *devices, size_t count,
		       const struct confine_user *user, struct pt_error *err);

/* Put the nodes of these devices' groups back to root, where they still are. */
void confine_take_nodes(struct pt_host *host, const struct pt_address *devices, size_t count);

#endif
