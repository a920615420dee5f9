/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/remove.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"

/*
 * Directories in directories are moved up to the top one before they are emptied: without
 * recursion no depth is too deep, and no path is too long.
 */
struct removal {
	int top_fd;
	unsigned int moved; /* names for what is moved up */
	unsigned int steps;
};

/* An open directory's entries, from another descriptor, so that its position is ours. */
static DIR *open_entries(int fd)
{
	DIR *dir = NULL;

	return io_open_directory_at(fd, ".", &dir) < 0 ? NULL : dir;
}

static const char *next_entry(DIR *dir)
{
	const struct dirent *entry;

	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			return entry->d_name;
	return NULL;
}

/* True when it is gone: a file, or an empty directory. */
static bool remove_one(int dir_fd, const char *name)
{
	return unlinkat(dir_fd, name, 0) == 0 || unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 ||
	       errno == ENOENT;
}

static void move_up(struct removal *removal, int dir_fd, const char *name)
{
	char free_name[32];

	(void)text_format(free_name, sizeof(free_name), "removed-%u", removal->moved++);
	/* should there be one already, the next round tries another name */
	(void)renameat2(dir_fd, name, removal->top_fd, free_name, RENAME_NOREPLACE);
}

/* A directory that isn't empty: its entries are removed or moved up, then itself. */
static void take_apart(struct removal *removal, const char *name)
{
	AUTO_CLOSE int fd =
		openat(removal->top_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	AUTO_DIR DIR *dir = fd < 0 ? NULL : open_entries(fd);
	const char *entry;

	while (dir && removal->steps < REMOVE_MAX && (entry = next_entry(dir))) {
		removal->steps++;
		if (!remove_one(fd, entry))
			move_up(removal, fd, entry);
	}
	(void)unlinkat(removal->top_fd, name, AT_REMOVEDIR);
}

int remove_tree_at(int dir_fd, const char *path)
{
	AUTO_CLOSE int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct removal removal = {.top_fd = fd};

	if (fd < 0)
		return errno == ENOENT ? 0 : errno == ELOOP ? -ENOTDIR : -errno;
	/* a round sees what was there at its beginning */
	while (unlinkat(dir_fd, path, AT_REMOVEDIR) < 0) {
		AUTO_DIR DIR *dir = NULL;
		const char *entry;

		if (errno == ENOENT)
			return 0;
		if ((errno != ENOTEMPTY && errno != EEXIST) || removal.steps >= REMOVE_MAX)
			return -errno;
		dir = open_entries(fd);
		if (!dir)
			return -errno;
		removal.steps++;
		while (removal.steps < REMOVE_MAX && (entry = next_entry(dir))) {
			removal.steps++;
			if (!remove_one(fd, entry))
				take_apart(&removal, entry);
		}
	}
	return 0;
}
