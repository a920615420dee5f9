/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/safe_path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/text.h"

/* As many as the kernel follows (path_resolution(7)). */
enum { LINKS_MAX = 40 };

struct walk {
	int root_fd;
	uid_t root_uid; /* owner of the root directory */
	struct safe_path *at;
	char rest[PATH_MAX]; /* what is left of the path */
	int links;
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

/* @name: an entry of the directory at @at->real, or "" for the directory itself. */
static void note_owner(struct walk *walk, uid_t uid, const char *name)
{
	struct safe_path *at = walk->at;

	if (!uid || uid == walk->root_uid || uid == geteuid())
		return;
	if (at->is_redirectable) {
		at->has_others |= uid != at->redirector;
		return;
	}
	at->is_redirectable = true;
	at->redirector = uid;
	if (text_format(at->redirected, sizeof(at->redirected), "%s%s%s", at->real,
			*name ? "/" : "", name) < 0)
		(void)text_copy(at->redirected, sizeof(at->redirected), at->real);
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

static int go_up(struct walk *walk)
{
	struct safe_path *at = walk->at;
	char *slash = strrchr(at->real, '/');
	int fd;

	if (!slash)
		return 0; /* above the root directory is the root directory */
	fd = openat(at->fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*slash = '\0';
	/* what is above is looked at when something below it is opened */
	safe_path_close(at);
	at->fd = fd;
	at->parent = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	at->name[0] = '\0';
	if (at->parent < 0 || fstat(fd, &at->st) < 0)
		return -errno;
	at->parent_st = at->st;
	return 0;
}

static int follow_link(struct walk *walk, int link_fd)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t length = readlinkat(link_fd, "", target, sizeof(target) - 1);

	if (length < 0)
		return -errno;
	if (++walk->links > LINKS_MAX)
		return -ELOOP;
	if (!length)
		return -ENOENT;
	target[length] = '\0';
	if (text_format(rest, sizeof(rest), "%s/%s", target, walk->rest) < 0)
		return -ENAMETOOLONG;
	memcpy(walk->rest, rest, strlen(rest) + 1);
	return target[0] == '/' ? go_to_root(walk) : 0;
}

/* What an automounter puts there, if it is one's: O_PATH alone doesn't ask for it. */
static int mount_automount(int parent_fd, const char *name, int fd)
{
	struct statfs fs;
	int mounted;

	if (fstatfs(fd, &fs) < 0 || fs.f_type != AUTOFS_SUPER_MAGIC)
		return fd;
	mounted = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (mounted < 0)
		return fd;
	close(fd);
	return mounted;
}

/* @fd, which is taken, is what @name in the directory leads to. */
static int go_down(struct walk *walk, const char *name, int fd, const struct stat *st)
{
	struct safe_path *at = walk->at;
	size_t length = strlen(at->real);

	if (text_format(at->real + length, sizeof(at->real) - length, "/%s", name) < 0) {
		at->real[length] = '\0';
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
	note_owner(walk, at->st.st_uid, "");
	fd = openat(at->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? end_early(walk, name) : -errno;
	fd = mount_automount(at->fd, name, fd);
	if (fstat(fd, &st) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	if (!S_ISLNK(st.st_mode))
		return go_down(walk, name, fd, &st);
	note_owner(walk, st.st_uid, name);
	r = follow_link(walk, fd);
	close(fd);
	return r;
}

int safe_path_open(int root_fd, const char *path, struct safe_path *ret_path)
{
	struct safe_path at = SAFE_PATH_CLOSED;
	struct walk walk = {.root_fd = root_fd, .at = &at};
	char name[NAME_MAX + 1];
	int r;

	if (path[0] != '/')
		return -EINVAL;
	if (!text_copy(walk.rest, sizeof(walk.rest), path))
		return -ENAMETOOLONG;
	r = go_to_root(&walk);
	walk.root_uid = at.st.st_uid;
	while (!r && at.fd >= 0 && next_component(&walk, name, &r))
		r = step(&walk, name);
	if (r < 0) {
		safe_path_close(&at);
		return r;
	}
	if (!at.real[0])
		(void)text_copy(at.real, sizeof(at.real), "/");
	*ret_path = at;
	return 0;
}

/* ---- may root act on it? ---- */

/*
 * Where others than root write to a directory of root's, also a sticky one, each of them may link
 * a file of anybody's into it, unless the kernel forbids that (fs.protected_hardlinks).
 */
static bool is_shared_link(const struct safe_path *path)
{
	mode_t mode = path->parent_st.st_mode;
	bool is_shared = (mode & S_IWOTH) || ((mode & S_IWGRP) && path->parent_st.st_gid);

	return path->fd >= 0 && S_ISREG(path->st.st_mode) && path->st.st_nlink > 1 && is_shared;
}

bool safe_path_is_trusted(const struct safe_path *path, uid_t guest)
{
	if (path->fd < 0)
		return safe_path_has_trusted_parent(path);
	if (!path->is_redirectable)
		return !is_shared_link(path);
	if (path->has_others)
		return false;
	if (path->st.st_uid == path->redirector)
		return true;
	return guest != SAFE_PATH_NOBODY && path->st.st_uid == guest &&
	       safe_path_has_trusted_parent(path) && path->st.st_nlink == 1;
}

bool safe_path_has_trusted_parent(const struct safe_path *path)
{
	return !path->is_redirectable ||
	       (!path->has_others && path->parent_st.st_uid == path->redirector);
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

void safe_path_explain(const struct safe_path *path, const char *named, char words[SAFE_PATH_WORDS])
{
	bool is_there = path->fd >= 0;
	uid_t uid = is_there ? path->st.st_uid : path->parent_st.st_uid;
	char redirector[64], owner[64], next[1024] = "";

	name_user(uid, owner);
	if (!path->is_redirectable) {
		(void)text_format(
			words, SAFE_PATH_WORDS,
			"%.500s isn't used: users other than %s may write to its directory, "
			"and the file has %lu names, of which they may have made this one. "
			"Copy the file, or close the directory: chmod go-w",
			named, owner, (unsigned long)path->st.st_nlink);
		return;
	}
	name_user(path->redirector, redirector);
	if (is_there && safe_path_has_trusted_parent(path) && !S_ISDIR(path->st.st_mode))
		(void)text_format(next, sizeof(next),
				  ", or let the file be that user's: chown %s %.400s", redirector,
				  path->real);
	(void)text_format(
		words, SAFE_PATH_WORDS,
		"%.500s isn't used: its path goes through %.400s, which belongs to user %s, "
		"who could lead it to any file; now it leads to %.400s, %s belongs to user %s. "
		"Name a path that only root can change%s",
		named, path->redirected, redirector, path->real,
		is_there ? "which" : "a new file, whose directory", owner, next);
}

/* ---- acting on it ---- */

int safe_path_reopen(const struct safe_path *path, int flags)
{
	char link[64];
	int fd;

	if (path->fd < 0)
		return -ENOENT;
	(void)text_format(link, sizeof(link), "/proc/self/fd/%d", path->fd);
	fd = open(link, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

/* Of what was just made below it. */
static int inherit_owner(int fd, const struct stat *directory)
{
	if (!directory->st_uid || directory->st_uid == geteuid())
		return 0;
	return fchownat(fd, "", directory->st_uid, directory->st_gid, AT_EMPTY_PATH) < 0 ? -errno
											 : 0;
}

int safe_path_make_file(struct safe_path *path, mode_t mode)
{
	int fd, r;

	if (path->fd >= 0)
		return -EEXIST;
	fd = openat(path->parent, path->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    mode);
	if (fd < 0)
		return -errno;
	r = inherit_owner(fd, &path->parent_st);
	if (!r && fstat(fd, &path->st) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	path->fd = fd;
	return 0;
}

/* The directory is opened again without following a link: one of a user's may have been replaced.
 */
static int make_directory(struct safe_path *path, mode_t mode)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;

	if (mkdirat(path->parent, path->name, mode) < 0)
		return errno == EEXIST ? 0 : -errno;
	fd = openat(path->parent, path->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return st.st_uid == geteuid() ? inherit_owner(fd, &path->parent_st) : 0;
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
		r = make_directory(&at, mode);
		if (r < 0)
			return r;
	}
	return 0;
}
