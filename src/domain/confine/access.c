/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/confine/access.h"

#include <acl/libacl.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/acl.h>

#include "base/text.h"

#define LINK 32

/* A list as numbers: libacl's entries can be read and written only one value at a time. */
struct list {
	acl_t acl;
	acl_entry_t user; /* of the user in question; NULL: none */
	acl_entry_t mask; /* NULL: none */
	unsigned int user_access;
	unsigned int mask_access;
	unsigned int others; /* of all that the mask applies to, but the user */
	bool has_others;     /* named ones among these */
};

static void name_link(int fd, char link[LINK])
{
	(void)text_format(link, LINK, "/proc/self/fd/%d", fd);
}

static unsigned int read_access(acl_entry_t entry)
{
	static const acl_perm_t permissions[] = {ACL_EXECUTE, ACL_WRITE, ACL_READ};
	acl_permset_t set;
	unsigned int access = 0;
	size_t i;

	if (acl_get_permset(entry, &set) < 0)
		return 0;
	for (i = 0; i < 3; i++)
		access |= (unsigned int)(acl_get_perm(set, permissions[i]) == 1) << i;
	return access;
}

static int write_access(acl_entry_t entry, unsigned int access)
{
	static const acl_perm_t permissions[] = {ACL_EXECUTE, ACL_WRITE, ACL_READ};
	acl_permset_t set;
	size_t i;

	if (acl_get_permset(entry, &set) < 0 || acl_clear_perms(set) < 0)
		return -errno;
	for (i = 0; i < 3; i++)
		if (access & 1U << i && acl_add_perm(set, permissions[i]) < 0)
			return -errno;
	return acl_set_permset(entry, set) < 0 ? -errno : 0;
}

static bool is_of(acl_entry_t entry, uid_t uid)
{
	const uid_t *qualifier = acl_get_qualifier(entry);
	bool is_same = qualifier && *qualifier == uid;

	(void)acl_free((void *)(uintptr_t)qualifier);
	return is_same;
}

static void take_entry(struct list *list, acl_entry_t entry, uid_t uid)
{
	acl_tag_t tag = ACL_UNDEFINED_TAG;
	unsigned int access = read_access(entry);

	(void)acl_get_tag_type(entry, &tag);
	if (tag == ACL_MASK) {
		list->mask = entry;
		list->mask_access = access;
	} else if (tag == ACL_USER && is_of(entry, uid)) {
		list->user = entry;
		list->user_access = access;
	} else if (tag == ACL_USER || tag == ACL_GROUP || tag == ACL_GROUP_OBJ) {
		list->others |= access;
		list->has_others |= tag != ACL_GROUP_OBJ;
	}
}

/* list->acl is freed by the caller. */
static int read_list(int fd, uid_t uid, struct list *list)
{
	acl_entry_t entry = NULL;
	char link[LINK];
	int at = ACL_FIRST_ENTRY, r;

	name_link(fd, link);
	*list = (struct list){.acl = acl_get_file(link, ACL_TYPE_ACCESS)};
	if (!list->acl)
		return -errno;
	while ((r = acl_get_entry(list->acl, at, &entry)) > 0) {
		take_entry(list, entry, uid);
		at = ACL_NEXT_ENTRY;
	}
	if (!list->mask)
		list->mask_access = list->others;
	return r < 0 ? -errno : 0;
}

static int add_entry(struct list *list, acl_tag_t tag, uid_t uid, acl_entry_t *ret_entry)
{
	if (acl_create_entry(&list->acl, ret_entry) < 0 || acl_set_tag_type(*ret_entry, tag) < 0 ||
	    (tag == ACL_USER && acl_set_qualifier(*ret_entry, &uid) < 0))
		return -errno;
	return 0;
}

static int write_list(int fd, const struct list *list)
{
	char link[LINK];

	name_link(fd, link);
	return acl_set_file(link, ACL_TYPE_ACCESS, list->acl) < 0 ? -errno : 0;
}

/* A wider mask must let nothing through to others that it keeps from them. */
static bool may_widen(const struct list *list, unsigned int mask)
{
	return (list->others & mask) == (list->others & list->mask_access);
}

static int change_permit(int fd, struct list *list, uid_t uid, unsigned int access)
{
	unsigned int mask;
	int r = 0;

	access |= list->user_access;
	mask = list->mask_access | access;
	if (!may_widen(list, mask))
		return -EBUSY;
	if (!list->user)
		r = add_entry(list, ACL_USER, uid, &list->user);
	if (!r)
		r = write_access(list->user, access);
	if (!r && !list->mask)
		r = add_entry(list, ACL_MASK, 0, &list->mask);
	if (!r)
		r = write_access(list->mask, mask);
	return r < 0 ? r : write_list(fd, list);
}

int access_permit(int fd, uid_t uid, unsigned int access)
{
	struct list list;
	int r = read_list(fd, uid, &list);

	if (!r)
		r = change_permit(fd, &list, uid, access);
	(void)acl_free(list.acl);
	return r;
}

int access_may_permit(int fd, uid_t uid, unsigned int access)
{
	struct list list;
	int r = read_list(fd, uid, &list);

	if (!r && !may_widen(&list, list.mask_access | list.user_access | access))
		r = -EBUSY;
	(void)acl_free(list.acl);
	return r;
}

static int change_forbid(int fd, struct list *list)
{
	/* what nobody else has by it, and nobody had before */
	unsigned int mask = list->mask_access & (list->others | ~list->user_access);
	bool is_needed = list->has_others || (list->others & list->mask_access) != list->others;
	int r;

	if (acl_delete_entry(list->acl, list->user) < 0)
		return -errno;
	if (list->mask && !is_needed)
		r = acl_delete_entry(list->acl, list->mask) < 0 ? -errno : 0;
	else
		r = list->mask ? write_access(list->mask, mask) : 0;
	return r < 0 ? r : write_list(fd, list);
}

int access_forbid(int fd, uid_t uid)
{
	struct list list;
	int r = read_list(fd, uid, &list);

	if (!r && list.user)
		r = change_forbid(fd, &list);
	(void)acl_free(list.acl);
	/* where there are no lists, there is no entry */
	return r == -EOPNOTSUPP ? 0 : r;
}

int access_of(int fd, uid_t uid)
{
	struct list list;
	int r = read_list(fd, uid, &list);

	(void)acl_free(list.acl);
	if (r == -EOPNOTSUPP)
		return 0;
	return r < 0 ? r : (int)(list.user_access & list.mask_access);
}
