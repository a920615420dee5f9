/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that change hands: files.c says which. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "domain/confine/access.h"
#include "domain/confine/files.h"
#include "domain/confine/relabel.h"
#include "domain/confine/selinux.h"
#include "base/io.h"
#include "base/safe_path.h"

struct lent_context {
	const struct stat *st;
	uid_t uid; /* the owner of before */
};

static int find_lent(void *context, const struct store_live *other)
{
	struct lent_context *lent = context;

	for (size_t i = 0; i < other->file_count; i++) {
		if (other->files[i].permitted || other->files[i].label ||
		    !store_file_is(&other->files[i], lent->st))
			continue;
		lent->uid = other->files[i].uid;
		return 1;
	}
	return 0;
}

int files_is_lent(struct pt_host *host, const char *name, const struct stat *st, uid_t *ret_uid)
{
	struct lent_context lent = {.st = st};
	int r = store_each_other(host, name, find_lent, &lent);

	if (r == 1)
		*ret_uid = lent.uid;
	return r;
}

/* No system call's answer here: the path is another user's to lead elsewhere (safe_path.h). */
#define LED_ELSEWHERE EREMCHG

static const char *error_text(int r)
{
	return r == -LED_ELSEWHERE
		       ? "after the check, another user became the owner of a directory on its path"
		       : strerror(-r);
}

#define WITH_CONTEXT "mount it with -o context=system_u:object_r:virt_content_t:s0"

static const char *label_error(int r)
{
	switch (r) {
	case -EEXIST:
		return "after the check, it got another one";
	case -EBADMSG:
		return "the file of another guest, which may use it, can't be read";
	case -EOPNOTSUPP:
		return "its filesystem keeps no labels: " WITH_CONTEXT;
	case -EROFS:
		return "its filesystem is read-only: " WITH_CONTEXT;
	case -EPERM:
		return "it may not be changed: chattr -i FILE";
	case -EINVAL:
		return "the policy doesn't know it any more";
	default:
		return error_text(r);
	}
}

/* To take a permission back needs no trust: nobody gains by it. */
#define ANYBODY ((uid_t) - 2)

/* Its path is walked again: who owns a directory on it may have led it elsewhere meanwhile. */
static int find_noted(struct pt_host *host, const struct store_file *file, uid_t guest,
		      struct safe_path *ret_at)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	int r = safe_path_open(host->root_fd, file->path, &at);
	bool is_trusted;

	if (!r && at.fd < 0)
		r = -ENOENT;
	if (r < 0)
		return r;
	/* another file at the same path is not ours */
	if (!store_file_is(file, &at.st))
		return -ESTALE;
	/*
	 * while it is given it counts as its owner's; and no user gains from a file that becomes
	 * root's
	 */
	if (!file->permitted && !file->label && at.st.st_uid == file->given)
		is_trusted = !file->uid || (safe_path_has_trusted_parent(&at) &&
					    safe_path_is_trusted_of(&at, file->uid));
	else
		is_trusted = guest == ANYBODY || safe_path_is_trusted(&at, guest);
	if (!is_trusted)
		return -LED_ELSEWHERE;
	*ret_at = at;
	at.fd = at.parent = -1;
	return 0;
}

static int change_owner(struct pt_host *host, const struct store_file *file, uid_t guest,
			uid_t from, uid_t to)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	int r = find_noted(host, file, guest, &at);

	if (r < 0 || at.st.st_uid == to)
		return r;
	if (at.st.st_uid != from)
		return -EEXIST; /* its owner was changed to a third user in between */
	if (fchownat(at.fd, "", to, (gid_t)-1, AT_EMPTY_PATH) < 0)
		return -errno;
	host_log(host, PT_LOG_INFO,
		 "the owner of %s (inode %llu) changes from user %u to user "
		 "%u",
		 file->path, (unsigned long long)file->inode, (unsigned int)from, (unsigned int)to);
	return 0;
}

/* A list is read, changed and written as a whole: one at a time, in whatever daemon. */
static int lock_lists(struct pt_host *host)
{
	AUTO_CLOSE int fd = -1;
	int r = io_make_directories_at(host->root_fd, STORE_LIVE, 0755);

	if (r < 0)
		return r;
	fd = openat(host->root_fd, STORE_LIVE "/.access",
		    O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = io_lock(fd);
	return r < 0 ? r : TAKE_FD(fd);
}

/* One more user may use it, or may no longer. */
static int change_access(struct pt_host *host, const struct store_file *file, uid_t guest,
			 bool is_permitted)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	int r = find_noted(host, file, guest, &at);
	AUTO_CLOSE int lock = r < 0 ? -1 : lock_lists(host);

	if (r < 0)
		return r;
	if (lock < 0)
		return lock;
	r = is_permitted ? access_permit(at.fd, file->given, file->permitted)
			 : access_forbid(at.fd, file->given);
	if (r < 0)
		return r;
	host_log(host, PT_LOG_INFO, "%s (inode %llu) is %s user %u (access %u)", file->path,
		 (unsigned long long)file->inode,
		 is_permitted ? "permitted to" : "no longer permitted to",
		 (unsigned int)file->given, file->permitted);
	return 0;
}

/*
 * Its label. Records and labels are changed by one guest at a time: of two that share a file and
 * end at once, the second gives it its own label again.
 */
static int give_label(struct pt_host *host, const struct store_file *file, uid_t guest)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	int r = find_noted(host, file, guest, &at);
	AUTO_CLOSE int lock = r < 0 ? -1 : lock_lists(host);

	if (r < 0)
		return r;
	return lock < 0 ? lock : relabel_give(host, file, at.fd);
}

static int take_label(struct pt_host *host, struct store_live *record, struct store_file *file)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	int r = find_noted(host, file, ANYBODY, &at);
	AUTO_CLOSE int lock = lock_lists(host);

	if (lock < 0)
		return lock;
	file->is_returning = true;
	if (store_write_live(host, record, NULL) < 0)
		host_log(host, PT_LOG_WARNING, "guest %s: %s may keep the guest's label",
			 record->name, file->path);
	return r < 0 ? r : relabel_take_back(host, record->name, file, at.fd);
}

static int lend(struct pt_host *host, const struct store_file *file, uid_t guest)
{
	if (file->label)
		return give_label(host, file, guest);
	return file->permitted ? change_access(host, file, guest, true)
			       : change_owner(host, file, guest, file->uid, file->given);
}

int files_lend(struct pt_host *host, const struct store_live *record, size_t first,
	       const struct confine_user *user, struct pt_error *err)
{
	/* as they were checked */
	uid_t guest = confine_is_own(user) ? user->common_uid : SAFE_PATH_NOBODY;

	for (size_t i = first; i < record->file_count; i++) {
		const struct store_file *file = &record->files[i];
		int r = lend(host, file, guest);

		if (r < 0 && file->label && !selinux_is_enforcing(host)) {
			host_log(host, PT_LOG_WARNING, "%s doesn't get the label %s: %s",
				 file->path, file->label, label_error(r));
			continue;
		}
		if (r < 0 && file->label)
			return pt_fail(
				err, PT_NOT_PERMITTED, r == -LED_ELSEWHERE ? EPERM : -r,
				"%s doesn't get the label %s, which the guest could use it by: %s",
				file->path, file->label, label_error(r));
		if (r < 0)
			return pt_fail(err, PT_NOT_PERMITTED, r == -LED_ELSEWHERE ? EPERM : -r,
				       "%s is not lent to user %u, which QEMU runs as: %s",
				       file->path, (unsigned int)user->uid, error_text(r));
	}
	return 0;
}

void files_take_back_one(struct pt_host *host, struct store_live *record, struct store_file *file)
{
	const struct stat st = {.st_dev = (dev_t)file->device, .st_ino = (ino_t)file->inode};
	uid_t uid;
	int r;

	if (file->label)
		r = take_label(host, record, file);
	else if (file->permitted)
		r = change_access(host, file, ANYBODY, false);
	else if (files_is_lent(host, record->name, &st, &uid) != 0) /* or nobody knows */
		return;
	else
		r = change_owner(host, file, SAFE_PATH_NOBODY, file->given, file->uid);
	/* removed, replaced or given to another user: not touched */
	if (r < 0 && file->permitted)
		host_log(host, PT_LOG_NOTICE,
			 "%s: %s. If it was moved, user %u of guest %s is still permitted to use "
			 "it: setfacl -x u:%u FILE",
			 file->path, error_text(r), file->given, record->name, file->given);
	else if (r == -EEXIST && file->label)
		return; /* somebody gave it another one, which has the last word */
	else if (r < 0 && file->label)
		host_log(host, PT_LOG_NOTICE,
			 "%s doesn't get its label %s back: %s. Should it still have that of guest "
			 "%s: restorecon -F FILE",
			 file->path, file->label_before, label_error(r), record->name);
	else if (r < 0 && r != -ENOENT && r != -ESTALE && r != -EEXIST)
		host_log(host, PT_LOG_WARNING, "can't return %s to user %u: %s", file->path,
			 file->uid, error_text(r));
}

void files_take_back(struct pt_host *host, struct store_live *record, size_t first)
{
	for (size_t i = first; i < record->file_count; i++)
		files_take_back_one(host, record, &record->files[i]);
}

void files_forget(struct pt_host *host, struct store_live *record, size_t first)
{
	files_take_back(host, record, first);
	while (record->file_count > first)
		store_drop_file(record, record->file_count - 1);
}
