/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/confine/confine.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"
#include "pci/sysfs.h"

#define VFIO_NODES "dev/vfio/"

/* ---- the user ---- */

static bool look_up(const char *name, struct confine_user *user)
{
	struct passwd entry, *found = NULL;
	int count = CONFINE_GROUPS_MAX;
	char buffer[4096];

	if (getpwnam_r(name, &entry, buffer, sizeof(buffer), &found) != 0 || !found)
		return false;
	text_copy(user->name, sizeof(user->name), name);
	user->uid = found->pw_uid;
	user->gid = found->pw_gid;
	/* "kvm" among them is what lets it use /dev/kvm */
	if (getgrouplist(name, found->pw_gid, user->groups, &count) < 0)
		count = CONFINE_GROUPS_MAX;
	user->group_count = (size_t)count;
	user->common_uid = user->uid;
	user->common_gid = user->gid;
	return true;
}

int confine_find_user(const char *name, struct confine_user *ret_user, struct pt_error *err)
{
	static const char *const defaults[] = {"passthru-qemu", "libvirt-qemu", "qemu"};
	struct confine_user user = {.uid = 0};
	size_t i;

	if (name && !look_up(name, &user))
		return pt_fail(err, PT_NOT_PERMITTED, ENOENT,
			       "guests are configured to run as user \"%s\", which does not "
			       "exist",
			       name);
	for (i = 0; !*user.name && i < sizeof(defaults) / sizeof(defaults[0]); i++)
		(void)look_up(defaults[i], &user);
	if (!*user.name)
		return pt_fail(
			err, PT_NOT_PERMITTED, ENOENT,
			"no user exists to run guests as: create \"%s\" (systemd-sysusers, or "
			"useradd --system %s), or name another user with passthrud --guest-user",
			defaults[0], defaults[0]);
	if (!user.uid && !name)
		return pt_fail(err, PT_NOT_PERMITTED, EPERM, "user \"%s\" is root", user.name);
	*ret_user = user;
	return 0;
}

bool confine_is_own(const struct confine_user *user)
{
	return user->uid != user->common_uid;
}

void confine_make_own(const struct confine_user *common, uid_t uid, struct confine_user *ret_user)
{
	*ret_user = *common;
	ret_user->uid = uid;
	ret_user->gid = (gid_t)uid;
}

void confine_make_common(const struct confine_user *user, struct confine_user *ret_common)
{
	*ret_common = *user;
	ret_common->uid = user->common_uid;
	ret_common->gid = user->common_gid;
}

int confine_become(const struct confine_user *user)
{
	int capability;

	/* raw calls: the C library's would look for threads that fork() left behind */
	if (user->uid) {
		for (capability = 0; capability <= CAP_LAST_CAP; capability++)
			if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno != EINVAL)
				return -errno;
	}
	if (syscall(SYS_setgroups, user->group_count, user->groups) < 0 ||
	    syscall(SYS_setresgid, user->gid, user->gid, user->gid) < 0 ||
	    syscall(SYS_setresuid, user->uid, user->uid, user->uid) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

/* ---- nodes ---- */

bool confine_group_node(struct pt_host *host, const struct pt_address *device,
			char path[CONFINE_NODE])
{
	char group[16];

	return sysfs_read_link(host, device, "iommu_group", group, sizeof(group)) >= 0 &&
	       text_format(path, CONFINE_NODE, VFIO_NODES "%s", group) >= 0;
}

int confine_give_nodes(struct pt_host *host, const struct pt_address *devices, size_t count,
		       const struct confine_user *user, struct pt_error *err)
{
	size_t i;

	for (i = 0; i < count; i++) {
		char path[CONFINE_NODE], text[PT_ADDRESS_TEXT];

		pt_address_format(&devices[i], text);
		if (!confine_group_node(host, &devices[i], path))
			return pt_fail(err, PT_NO_GROUP, ENOENT, "%s is in no IOMMU group", text);
		if (fchownat(host->root_fd, path, user->uid, user->gid, AT_SYMLINK_NOFOLLOW) < 0 ||
		    fchmodat(host->root_fd, path, 0600, 0) < 0)
			return pt_fail(err, PT_SYSTEM, errno,
				       "can't give /%s, the node of the IOMMU group of %s, to user "
				       "%s: %s",
				       path, text, user->name, strerror(errno));
	}
	return 0;
}

void confine_take_nodes(struct pt_host *host, const struct pt_address *devices, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		char path[CONFINE_NODE];

		/* the node goes with the last device of its group that leaves VFIO */
		if (confine_group_node(host, &devices[i], path) &&
		    fchownat(host->root_fd, path, 0, 0, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
			host_log(host, PT_LOG_WARNING, "can't return /%s to root: %s", path,
				 strerror(errno));
	}
}
