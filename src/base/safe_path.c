/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/safe_path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pwd.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"

/* As many as the kernel follows (path_resolution(7)), and as many "..". */
enum { LINKS_MAX = 40 };

struct walk {
	int root_fd;
	struct safe_path *at;
	char rest[PATH_MAX]; /* the rest of the path */
	bool follows_last;
	int links;
	int ups;
	int (*tell)(void *context, const char *place, const char *target); /* NULL: nobody */
	void *tell_context;
};

void safe_path_close(struct safe_path *path)
{
	if (path->fd >= 0)
		close(path->fd);
	if (path->parent >= 0)
		close(path->parent);
	path->fd = path->parent = -1;
}

/* ---- whose the way is ---- */

static void name_place(const struct safe_path *at, const char *name, char place[PATH_MAX])
{
	if (text_format(place, PATH_MAX, "%s%s%s", at->real, *name ? "/" : "", name) < 0)
		(void)text_copy(place, PATH_MAX, at->real);
}

/* @name: a link in the directory at @at->real, or "" for the directory itself. */
static void note_owner(struct walk *walk, uid_t uid, const char *name)
{
	struct safe_path *at = walk->at;

	if (!uid || uid == geteuid())
		return;
	if (at->is_redirectable) {
		at->has_others |= uid != at->redirector;
		return;
	}
	at->is_redirectable = true;
	at->redirector = uid;
	name_place(at, name, at->redirected);
}

/*
 * Who says whose the files of a filesystem are? Of one that an ordinary user may have had mounted
 * (a disk image of his through udisks, or FUSE), that user: such are mounted nosuid.
 */
static bool is_believed(int fd)
{
	static const unsigned int kernels_own[] = {TMPFS_MAGIC, PROC_SUPER_MAGIC, SYSFS_MAGIC,
						   DEVPTS_SUPER_MAGIC, CGROUP2_SUPER_MAGIC};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < sizeof(kernels_own) / sizeof(kernels_own[0]); i++)
		if ((unsigned int)fs.f_type == kernels_own[i])
			return true;
	return fs.f_type != FUSE_SUPER_MAGIC && !(fs.f_flags & ST_NOSUID);
}

static void note_link(struct walk *walk, int link_fd, const struct stat *st, const char *name)
{
	struct safe_path *at = walk->at;

	note_owner(walk, st->st_uid, name);
	if (at->is_foreign || is_believed(link_fd))
		return;
	at->is_foreign = true;
	at->foreign_device = st->st_dev;
	name_place(at, name, at->foreign);
}

/* ---- steps of the way ---- */

/* Go on from the root directory. */
static int go_to_root(struct walk *walk)
{
	struct safe_path *at = walk->at;

	safe_path_close(at);
	at->real[0] = '\0';
	at->name[0] = '\0';
	at->fd = openat(walk->root_fd, walk->root_fd == AT_FDCWD ? "/" : ".",
			O_PATH | O_DIRECTORY | O_CLOEXEC);
	at->parent = at->fd < 0 ? -1 : fcntl(at->fd, F_DUPFD_CLOEXEC, 0);
	if (at->parent < 0 || fstat(at->fd, &at->st) < 0)
		return -errno;
	at->parent_st = at->st;
	return 0;
}

/* The next component, taken off the rest; false: there is none. -ENAMETOOLONG by @ret_error. */
static bool next_component(struct walk *walk, char name[NAME_MAX + 1], int *ret_error)
{
	const char *start = walk->rest + strspn(walk->rest, "/");
	size_t length = strcspn(start, "/");

	*ret_error = length > NAME_MAX ? -ENAMETOOLONG : 0;
	if (!length || *ret_error)
		return false;
	memcpy(name, start, length);
	name[length] = '\0';
	memmove(walk->rest, start + length, strlen(start + length) + 1);
	return true;
}

static bool is_last(const struct walk *walk)
{
	return walk->rest[strspn(walk->rest, "/")] == '\0';
}

/* Walk @before, and then the rest. */
static int prepend(struct walk *walk, const char *before)
{
	char rest[PATH_MAX];

	if (text_format(rest, sizeof(rest), "%s/%s", before, walk->rest) < 0)
		return -ENAMETOOLONG;
	memcpy(walk->rest, rest, strlen(rest) + 1);
	return before[0] == '/' || !before[0] ? go_to_root(walk) : 0;
}

/*
 * From the root again: the directory may be moved at any moment, and then what is above it isn't
 * what its path says any more.
 */
static int go_up(struct walk *walk)
{
	char above[PATH_MAX];
	char *slash;
	int r;

	(void)text_copy(above, sizeof(above), walk->at->real);
	slash = strrchr(above, '/');
	if (!slash)
		return 0; /* above the root directory is the root directory */
	if (++walk->ups > LINKS_MAX)
		return -ELOOP;
	r = walk->tell ? walk->tell(walk->tell_context, above, NULL) : 0;
	*slash = '\0';
	return r ? r : prepend(walk, above);
}

static int tell_link(const struct walk *walk, const char *name, const char *target)
{
	char place[PATH_MAX];

	if (!walk->tell)
		return 0;
	name_place(walk->at, name, place);
	return walk->tell(walk->tell_context, place, target);
}

static int follow_link(struct walk *walk, const char *name, int link_fd)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(link_fd, "", target, sizeof(target) - 1);
	int r;

	if (length < 0)
		return -errno;
	if (++walk->links > LINKS_MAX)
		return -ELOOP;
	if (!length)
		return -ENOENT;
	target[length] = '\0';
	r = tell_link(walk, name, target);
	return r ? r : prepend(walk, target);
}

/* @fd, which is taken, is what @name in the directory leads to. */
static int go_down(struct walk *walk, const char *name, int fd, const struct stat *st)
{
	struct safe_path *at = walk->at;
	size_t length = strlen(at->real);

	if (text_format(at->real + length, sizeof(at->real) - length, "/%s", name) < 0) {
		at->real[length] = '\0';
		if (fd >= 0)
			close(fd);
		return -ENAMETOOLONG;
	}
	close(at->parent);
	at->parent = at->fd;
	at->parent_st = at->st;
	(void)text_copy(at->name, sizeof(at->name), name);
	at->fd = fd;
	at->st = *st;
	return 0;
}

/* It isn't there: the way ends at its directory. */
static int end_early(struct walk *walk, const char *name)
{
	struct stat none = {0};

	if (!is_last(walk))
		return -ENOENT;
	return go_down(walk, name, -1, &none);
}

/* As a directory first: that is what an automounter waits for. */
static int open_component(const struct walk *walk, const char *name)
{
	const int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
	int fd = -1;

	errno = ENOTDIR;
	if (!is_last(walk))
		fd = openat(walk->at->fd, name, flags | O_DIRECTORY);
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		fd = openat(walk->at->fd, name, flags);
	return fd < 0 ? -errno : fd;
}

static int step(struct walk *walk, const char *name)
{
	struct safe_path *at = walk->at;
	struct stat st;
	int fd, r;

	if (!S_ISDIR(at->st.st_mode))
		return -ENOTDIR;
	if (strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0)
		return go_up(walk);
	/* who owns the root directory owns everything */
	if (at->real[0])
		note_owner(walk, at->st.st_uid, "");
	fd = open_component(walk, name);
	if (fd < 0)
		return fd == -ENOENT ? end_early(walk, name) : fd;
	if (fstat(fd, &st) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	if (!S_ISLNK(st.st_mode) || (is_last(walk) && !walk->follows_last))
		return go_down(walk, name, fd, &st);
	note_link(walk, fd, &st, name);
	r = follow_link(walk, name, fd);
	close(fd);
	return r;
}

/*
 * With this protection, users can't create links to files of others (proc(5), protected_hardlinks).
 */
static bool has_protected_links(int root_fd)
{
	int base = root_fd == AT_FDCWD ? open("/", O_PATH | O_DIRECTORY | O_CLOEXEC) : root_fd;
	char text[16] = "";

	(void)io_read_text_at(base, "proc/sys/fs/protected_hardlinks", text, sizeof(text));
	if (base >= 0 && base != root_fd)
		close(base);
	return text_equal(text, "1");
}

/*
 * Where others than root write to a directory of root's, also a sticky one, each of them may link
 * a file of anybody's into it. An ACL shows as the group's rights.
 */
static void note_other_names(struct walk *walk)
{
	struct safe_path *at = walk->at;

	at->is_shared_link = at->fd >= 0 && S_ISREG(at->st.st_mode) && at->st.st_nlink > 1 &&
			     (at->parent_st.st_mode & (S_IWGRP | S_IWOTH)) &&
			     !has_protected_links(walk->root_fd);
}

static int walk_all(struct walk *walk, const char *path)
{
	struct safe_path *at = walk->at;
	char name[NAME_MAX + 1];
	size_t length = strlen(path);
	int r;

	if (path[0] != '/')
		return -EINVAL;
	if (!text_copy(walk->rest, sizeof(walk->rest), path))
		return -ENAMETOOLONG;
	r = go_to_root(walk);
	while (!r && at->fd >= 0 && next_component(walk, name, &r))
		r = step(walk, name);
	if (!r && path[length - 1] == '/' && !(at->fd >= 0 && S_ISDIR(at->st.st_mode)))
		r = at->fd >= 0 ? -ENOTDIR : -ENOENT;
	if (!r && !at->real[0])
		(void)text_copy(at->real, sizeof(at->real), "/");
	if (!r)
		note_other_names(walk);
	return r;
}

static int open_path(int root_fd, const char *path, bool follows_last, struct safe_path *ret_path)
{
	struct safe_path at = SAFE_PATH_CLOSED;
	struct walk walk = {.root_fd = root_fd, .at = &at, .follows_last = follows_last};
	int r = walk_all(&walk, path);

	if (r < 0)
		safe_path_close(&at);
	else
		*ret_path = at;
	return r;
}

int safe_path_open(int root_fd, const char *path, struct safe_path *ret_path)
{
	return open_path(root_fd, path, true, ret_path);
}

int safe_path_open_entry(int root_fd, const char *path, struct safe_path *ret_path)
{
	return open_path(root_fd, path, false, ret_path);
}

int safe_path_each_link(int root_fd, const char *path,
			int (*tell)(void *context, const char *place, const char *target),
			void *context)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	struct walk walk = {.root_fd = root_fd,
			    .at = &at,
			    .follows_last = true,
			    .tell = tell,
			    .tell_context = context};
	int r = walk_all(&walk, path);

	return r == -ENOENT ? 0 : r;
}

/* ---- may root act on it? ---- */

static bool has_left_foreign(const struct safe_path *path, const struct stat *st)
{
	return path->is_foreign && st->st_dev != path->foreign_device;
}

bool safe_path_is_trusted_of(const struct safe_path *path, uid_t owner)
{
	if (has_left_foreign(path, &path->st) || path->has_others)
		return false;
	return path->is_redirectable ? owner == path->redirector : !path->is_shared_link;
}

bool safe_path_is_trusted(const struct safe_path *path, uid_t guest)
{
	if (path->fd < 0)
		return safe_path_has_trusted_parent(path);
	if (safe_path_is_trusted_of(path, path->st.st_uid))
		return true;
	return path->is_redirectable && guest != SAFE_PATH_NOBODY && path->st.st_uid == guest &&
	       safe_path_has_trusted_parent(path) && path->st.st_nlink == 1;
}

bool safe_path_has_trusted_parent(const struct safe_path *path)
{
	return !has_left_foreign(path, &path->parent_st) && !path->has_others &&
	       (!path->is_redirectable || path->parent_st.st_uid == path->redirector);
}

static void name_user(uid_t uid, char name[64])
{
	struct passwd entry, *found = NULL;
	char buffer[4096];

	if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) == 0 && found)
		(void)text_copy(name, 64, found->pw_name);
	else
		(void)text_format(name, 64, "%u", (unsigned int)uid);
}

/* How it could be led elsewhere: "its path goes through …". */
static void explain_way(const struct safe_path *path, char way[PATH_MAX])
{
	char user[64];

	if (path->is_redirectable) {
		name_user(path->redirector, user);
		(void)text_format(way, PATH_MAX,
				  "its path goes through %.400s, which belongs to user %s%s, who "
				  "could redirect it to any file",
				  path->redirected, user,
				  path->has_others ? ", and then through another user's" : "");
		return;
	}
	(void)text_format(
		way, PATH_MAX,
		"the link %.400s is on a filesystem that a user may have mounted (nosuid), and "
		"points outside of it",
		path->foreign);
}

void safe_path_explain(const struct safe_path *path, const char *named, enum safe_path_part part,
		       char text[SAFE_PATH_TEXT])
{
	bool is_object = path->fd >= 0 && part == SAFE_PATH_OBJECT;
	char way[PATH_MAX], owner[64], redirector[64], next[1024] = "";

	if (is_object && path->is_shared_link && !path->is_redirectable) {
		(void)text_format(
			text, SAFE_PATH_TEXT,
			"%.500s is not used: the file has %lu hard links, and other users may "
			"write to its directory, so another user may have created this one. Copy "
			"the file, or let the kernel forbid such links: sysctl "
			"fs.protected_hardlinks=1",
			named, (unsigned long)path->st.st_nlink);
		return;
	}
	explain_way(path, way);
	name_user(is_object ? path->st.st_uid : path->parent_st.st_uid, owner);
	name_user(path->redirector, redirector);
	if (is_object && path->is_redirectable && safe_path_has_trusted_parent(path))
		(void)text_format(next, sizeof(next),
				  ", or change the owner of the file to that user: chown %s "
				  "%.400s",
				  redirector, path->real);
	(void)text_format(
		text, SAFE_PATH_TEXT,
		"%.500s is not used: %s; it now leads to %.400s, %s belongs to user %s. Name a "
		"path that only root can change%s",
		named, way, path->real, is_object ? "which" : "whose directory", owner, next);
}

/* ---- acting on it ---- */

int safe_path_reopen(const struct safe_path *path, int flags)
{
	return path->fd < 0 ? -ENOENT : io_reopen(path->fd, flags);
}

static int make_file_at(const struct safe_path *path, mode_t mode)
{
	int fd = openat(path->parent, path->name,
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);

	return fd < 0 ? -errno : fd;
}

/*
 * Make something as the directory's owner (this thread alone), so that it is that user's from
 * its first moment: changing its owner afterwards might change that of what the user has put in
 * its place.
 */
static int make_as_owner(const struct safe_path *path, bool is_directory, mode_t mode)
{
	bool is_other = !geteuid() && path->parent_st.st_uid;
	int r;

	if (is_other) {
		(void)setfsgid(path->parent_st.st_gid);
		(void)setfsuid(path->parent_st.st_uid);
	}
	if (is_other && (uid_t)setfsuid((uid_t)-1) != path->parent_st.st_uid)
		r = -EPERM;
	else if (is_directory)
		r = mkdirat(path->parent, path->name, mode) < 0 ? -errno : 0;
	else
		r = make_file_at(path, mode);
	if (is_other) {
		(void)setfsuid(geteuid());
		(void)setfsgid(getegid());
	}
	return r;
}

int safe_path_make_file(struct safe_path *path, mode_t mode)
{
	int fd;

	if (path->fd >= 0)
		return -EEXIST;
	fd = make_as_owner(path, false, mode);
	if (fd < 0)
		return fd;
	if (fstat(fd, &path->st) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	path->fd = fd;
	return 0;
}

int safe_path_make_parents(int root_fd, const char *named, mode_t mode,
			   struct safe_path *ret_untrusted)
{
	const char *slash = strchr(named + 1, '/');

	for (; slash; slash = strchr(slash + 1, '/')) {
		AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
		char part[PATH_MAX];
		int r = text_format(part, sizeof(part), "%.*s", (int)(slash - named), named);

		if (r >= 0)
			r = safe_path_open(root_fd, part, &at);
		if (r < 0)
			return r;
		if (at.fd >= 0)
			continue;
		if (!safe_path_is_trusted(&at, SAFE_PATH_NOBODY)) {
			*ret_untrusted = at;
			at.fd = at.parent = -1;
			return -EPERM;
		}
		r = make_as_owner(&at, true, mode);
		if (r < 0 && r != -EEXIST)
			return r;
	}
	return 0;
}
