/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tree with a directory whose owner leads every component elsewhere, and what is outside of it
 * and must stay as it is. After cmocka and the C library.
 */
#ifndef UNIT_RACE_TREE_H
#define UNIT_RACE_TREE_H

#include <dirent.h>
#include <errno.h>
#include <linux/fs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/remove.h"
#include "base/text.h"
#include "read_tree.h"

/* Users by number, of no account. */
enum { RACE_ALICE = 54321, RACE_BOB = 54322, RACE_GUEST = 54323 };

#define RACE_SECRET "root's secret"

/* What stands for a file of a kind: also a node, or an image that lies on another file. */
enum race_file { RACE_PLAIN, RACE_NODE, RACE_IMAGE };

/*
 * What is exchanged with what, below the directory of the attacker's. One that isn't there comes
 * and goes. What is outside has the same names, but no "new".
 */
static const char *const race_swaps[][2] = {
	{"a", "a.link"},
	{"a", "a.own"},
	{"a", "a.away"},
	{"a/b", "a/b.link"},
	{"a/b", "a/b.own"},
	{"a/b", "a/b.away"},
	{"a/b", "a.own/b"},
	{"a/b/c", "a/b/c.link"},
	{"a/b/f", "a/b/f.link"},
	{"a/b/f", "a/b/f.hard"},
	{"a/b/f", "a/b/f.bob"},
	{"a/b/f", "a/b/f.own"},
	{"a/b/f", "a/b/f.away"},
	{"a/b/f", "a/b/f.fifo"},
	{"a/b/f", "a/b.own"},
	{"a/b/new", "a/b/f.link"},
	{"a/b/new", "a/b/new.link"},
	{"a/b/new", "a/b/f.hard"},
	{"state", "state.link"},
	{"state", "state.hard"},
	{"state", "a/b/f"},
	{"a/b/under", "a/b/f.link"},
	{"a/b/under", "a/b/f.hard"},
	{"a/b/under", "a/b/f.bob"},
};

#define RACE_SWAPS (sizeof(race_swaps) / sizeof(race_swaps[0]))

/* Does it change the way to @path? */
static inline bool race_is_on_way(size_t swap, const char *path)
{
	size_t length = strlen(race_swaps[swap][0]);

	return path && strncmp(path, race_swaps[swap][0], length) == 0 &&
	       (path[length] == '\0' || path[length] == '/');
}

/* Once there, once back. True when something was exchanged. */
static inline bool race_swap(int root, const char *base, size_t swap)
{
	char x[128], y[128];

	(void)snprintf(x, sizeof(x), "%s/%s", base, race_swaps[swap][0]);
	(void)snprintf(y, sizeof(y), "%s/%s", base, race_swaps[swap][1]);
	return renameat2(root, x, root, y, RENAME_EXCHANGE) == 0 ||
	       renameat2(root, x, root, y, RENAME_NOREPLACE) == 0 ||
	       renameat2(root, y, root, x, RENAME_NOREPLACE) == 0;
}

/* ---- making it ---- */

static inline void race_own(int root, const char *path, uid_t uid)
{
	assert_int_equal(fchownat(root, path, uid, uid, AT_SYMLINK_NOFOLLOW), 0);
}

/* An image's header with the name of the file that it lies on (QEMU, docs/interop/qcow2.rst). */
static inline void race_put_image(struct pt_host *host, const char *path, const char *below)
{
	unsigned char image[128] = {'Q', 'F', 'I', 0xfb, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 32};

	image[19] = (unsigned char)strlen(below);
	(void)text_copy((char *)image + 32, sizeof(image) - 32, below);
	put_bytes(host, path, image, sizeof(image));
}

static inline void race_put(struct pt_host *host, enum race_file kind, const char *base,
			    const char *name, const char *text, uid_t uid)
{
	char path[128], under[128];

	(void)snprintf(path, sizeof(path), "%s/%s", base, name);
	(void)snprintf(under, sizeof(under), "/%s/a/b/under", base);
	put_text(host, path, text);
	if (kind == RACE_IMAGE)
		race_put_image(host, path, under);
	if (kind == RACE_NODE) {
		put_away(host, path);
		assert_int_equal(mknodat(host->root_fd, path, S_IFCHR | 0600, makedev(1, 3)), 0);
	}
	assert_int_equal(fchmodat(host->root_fd, path, 0600, 0), 0);
	race_own(host->root_fd, path, uid);
}

/* A relative one: the kernel would follow it to the same place as a walk from the tree's root. */
static inline void race_link(struct pt_host *host, const char *base, const char *name,
			     const char *target, uid_t uid)
{
	char path[128], up[128] = "";

	(void)snprintf(path, sizeof(path), "%s/%s", base, name);
	for (const char *at = strchr(path, '/'); at; at = strchr(at + 1, '/'))
		(void)strcat(up, "../");
	(void)strcat(up, target);
	put_link(host, path, up);
	race_own(host->root_fd, path, uid);
}

/* An entry of an ACL: user 1234 may read it (acl(5); linux/posix_acl_xattr.h). */
static inline void race_put_acl(struct pt_host *host, const char *path)
{
	static const unsigned char acl[] = {2,	 0,   0,   0,	1,   0,	   6,  0,   255, 255, 255,
					    255, 2,   0,   4,	0,   0xd2, 4,  0,   0,	 4,   0,
					    0,	 0,   255, 255, 255, 255,  16, 0,   4,	 0,   255,
					    255, 255, 255, 32,	0,   0,	   0,  255, 255, 255, 255};
	char full[256];

	(void)snprintf(full, sizeof(full), "%s/%s", host->root, path);
	assert_int_equal(setxattr(full, "system.posix_acl_access", acl, sizeof(acl), 0), 0);
}

/* What must stay: root's, and bob's. */
static inline void race_make_outside(struct pt_host *host, enum race_file kind)
{
	race_put(host, kind, "outside", "a/b/f", RACE_SECRET, 0);
	race_put(host, RACE_PLAIN, "outside", "a/b/d/deep", RACE_SECRET, 0);
	race_put(host, RACE_PLAIN, "outside", "a/b/under", RACE_SECRET, 0);
	race_put(host, kind, "homes/bob", "f", "bob's secret", RACE_BOB);
	race_own(host->root_fd, "homes/bob", RACE_BOB);
	if (kind == RACE_PLAIN)
		race_put_acl(host, "outside/a/b/f");
}

/* The attacker's directory, as at the beginning. */
static inline void race_make_inside(struct pt_host *host, enum race_file kind, const char *base,
				    uid_t uid)
{
	static const char *const directories[] = {"a", "a/b", "a/b.own", "a.own", "a.own/b", "."};
	char path[128];

	assert_int_equal(remove_tree_at(host->root_fd, base), 0);
	race_put(host, kind, base, "a/b/f", "hers", uid);
	race_put(host, kind, base, "a/b/f.own", "hers", uid);
	race_put(host, kind, base, "a/b.own/f", "hers", uid);
	race_put(host, kind, base, "a.own/b/f", "hers", uid);
	race_put(host, RACE_PLAIN, base, "a/b/under", "hers", uid);
	(void)snprintf(path, sizeof(path), "%s/a/b/under", base);
	assert_int_equal(fchmodat(host->root_fd, path, 0644, 0), 0);
	race_link(host, base, "a.link", "outside/a", uid);
	race_link(host, base, "a/b.link", "outside/a/b", uid);
	race_link(host, base, "a/b/c.link", "outside/a/b", uid);
	race_link(host, base, "a/b/f.link", "outside/a/b/f", uid);
	race_link(host, base, "a/b/new.link", "outside/a/b/new", uid);
	race_link(host, base, "a/b/f.bob", "homes/bob/f", uid);
	race_put(host, kind, base, "state", "hers", uid);
	race_link(host, base, "state.link", "outside/a/b/f", uid);
	(void)snprintf(path, sizeof(path), "%s/state.hard", base);
	assert_int_equal(linkat(host->root_fd, "outside/a/b/f", host->root_fd, path, 0), 0);
	(void)snprintf(path, sizeof(path), "%s/a/b/f.hard", base);
	assert_int_equal(linkat(host->root_fd, "outside/a/b/f", host->root_fd, path, 0), 0);
	(void)snprintf(path, sizeof(path), "%s/a/b/f.fifo", base);
	assert_int_equal(mkfifoat(host->root_fd, path, 0600), 0);
	race_own(host->root_fd, path, uid);
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", base, directories[i]);
		race_own(host->root_fd, path, uid);
	}
}

/* ---- looking at it ---- */

static inline void race_print_entry(FILE *out, int dir_fd, const char *name)
{
	AUTO_CLOSE int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char link[64], bytes[256];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0) {
		fail_msg("%s can't be looked at", name);
		return;
	}
	(void)fprintf(out, "%s: mode %o user %u group %u size %lld mtime %lld.%09ld", name,
		      st.st_mode, st.st_uid, st.st_gid, (long long)st.st_size,
		      (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = getxattr(link, "system.posix_acl_access", bytes, sizeof(bytes));
	for (ssize_t i = 0; i < n; i++)
		(void)fprintf(out, " %02x", (unsigned char)bytes[i]);
	if (S_ISREG(st.st_mode)) {
		AUTO_CLOSE int file = open(link, O_RDONLY | O_CLOEXEC);

		n = read(file, bytes, sizeof(bytes));
		assert_true(n >= 0);
		(void)fprintf(out, " \"%.*s\"", (int)n, bytes);
	}
	(void)fprintf(out, "\n");
}

static inline void race_print(FILE *out, int dir_fd, const char *path)
{
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;

	race_print_entry(out, dir_fd, path);
	assert_int_equal(io_open_directory_at(dir_fd, path, &dir), 0);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (entry->d_type == DT_DIR)
			race_print(out, dirfd(dir), entry->d_name);
		else
			race_print_entry(out, dirfd(dir), entry->d_name);
	}
}

/* All that is outside: owners, modes, sizes, times, ACLs and contents. To be freed. */
static inline char *race_describe_outside(struct pt_host *host)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	race_print(out, host->root_fd, "outside");
	race_print(out, host->root_fd, "homes/bob");
	assert_int_equal(fclose(out), 0);
	return text;
}

static inline bool race_is_outside(struct pt_host *host, const struct stat *st)
{
	static const char *const paths[] = {"outside/a/b/f", "outside/a/b/d/deep",
					    "outside/a/b/under", "homes/bob/f"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct stat victim;

		assert_int_equal(fstatat(host->root_fd, paths[i], &victim, 0), 0);
		if (victim.st_dev == st->st_dev && victim.st_ino == st->st_ino)
			return true;
	}
	return false;
}

/* A file below @path that isn't a victim, and has what is in one. */
static inline bool race_has_copy(struct pt_host *host, int dir_fd, const char *path)
{
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	bool is_found = false;
	int at;

	if (io_open_directory_at(dir_fd, path, &dir) < 0)
		return false;
	at = dirfd(dir);
	while (at >= 0 && !is_found && (entry = readdir(dir))) {
		AUTO_CLOSE int fd = -1;
		char text[256] = "";
		struct stat st;

		if (entry->d_name[0] == '.')
			continue;
		if (entry->d_type == DT_DIR) {
			is_found = race_has_copy(host, at, entry->d_name);
			continue;
		}
		fd = entry->d_type == DT_REG ? openat(at, entry->d_name, O_RDONLY | O_CLOEXEC) : -1;
		is_found = fd >= 0 && fstat(fd, &st) == 0 && !race_is_outside(host, &st) &&
			   read(fd, text, sizeof(text) - 1) > 0 && strstr(text, "secret");
	}
	return is_found;
}

#endif
