/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tree made once and used for one trial after the other. Making it costs the kernel some
 * 20,000 calls, and removing it half of that again; a trial changes a few dozen files of it.
 *
 * What a file was is remembered with its inode number and ctime, which the kernel sets at every
 * change of content, mode, owner or name, whoever makes it; a directory's covers the names in it.
 * Only what differs is made anew. ctime moves in ticks of some milliseconds, so a tree isn't
 * given away before the tick of its newest file is over.
 *
 * A process that a trial leaves behind must not reach the next one's tree: everything is moved
 * into a new root directory, and what it knows by path or descriptor is gone.
 */
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

struct entry {
	char *path; /* below the root; "" is the root itself */
	struct stat st;
	char *data; /* a file's content, a link's target */
	struct entry *parent;
	bool is_repaired; /* or something in it was */
};

struct kept {
	struct kept *next;
	char recording[TREE_PATH];
	char root[TREE_PATH];
	pid_t owner;	       /* a forked child inherits the list, and must not use it */
	struct entry *entries; /* sorted by path: what is below a directory follows it */
	size_t count;
};

static struct kept *idle;

/* ---- remembering ---- */

static struct kept *remembering; /* nftw() passes no context */

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

static struct entry *find(const struct kept *kept, const char *path)
{
	struct entry key = {.path = (char *)path};

	return bsearch(&key, kept->entries, kept->count, sizeof(key), compare);
}

static void read_data(struct entry *entry, const char *path)
{
	size_t size = (size_t)entry->st.st_size;
	ssize_t n;

	entry->data = malloc(size + 1);
	if (!entry->data)
		tree_die("out of memory");
	if (S_ISLNK(entry->st.st_mode)) {
		n = readlink(path, entry->data, size + 1);
	} else {
		/* some are for writing only, which binds their owner if that isn't root */
		if (chmod(path, 0600) < 0)
			tree_die("%s: %s", path, strerror(errno));
		n = tree_read_bytes(path, entry->data, size);
		if (chmod(path, entry->st.st_mode & 07777) < 0 || lstat(path, &entry->st) < 0)
			tree_die("%s: %s", path, strerror(errno));
	}
	if (n != entry->st.st_size)
		tree_die("%s: can't remember it", path);
	entry->data[size] = '\0';
}

static int remember_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	struct kept *kept = remembering;
	size_t size = strlen(kept->root);
	struct entry *entry;

	(void)type;
	(void)ftw;
	if (kept->count % 1024 == 0) {
		kept->entries = realloc(kept->entries, (kept->count + 1024) * sizeof(*entry));
		if (!kept->entries)
			tree_die("out of memory");
	}
	entry = &kept->entries[kept->count++];
	*entry = (struct entry){.path = strdup(path[size] ? path + size + 1 : ""), .st = *st};
	if (!entry->path)
		tree_die("out of memory");
	if (S_ISREG(st->st_mode) || S_ISLNK(st->st_mode))
		read_data(entry, path);
	else if (!S_ISDIR(st->st_mode))
		tree_die("%s: neither file, link nor directory", path);
	return 0;
}

static void set_parents(struct kept *kept)
{
	char above[TREE_PATH], *slash;
	size_t i;

	for (i = 1; i < kept->count; i++) {
		(void)text_copy(above, sizeof(above), kept->entries[i].path);
		slash = strrchr(above, '/');
		*(slash ? slash : above) = '\0';
		kept->entries[i].parent = find(kept, above);
	}
}

/* Changes made from now on have another ctime than any remembered. */
static void wait_for_tick(const struct kept *kept)
{
	static const struct timespec pause = {.tv_nsec = 500000};
	struct timespec newest = {0}, now;
	size_t i;

	for (i = 0; i < kept->count; i++) {
		const struct timespec *changed = &kept->entries[i].st.st_ctim;

		if (changed->tv_sec > newest.tv_sec ||
		    (changed->tv_sec == newest.tv_sec && changed->tv_nsec > newest.tv_nsec))
			newest = *changed;
	}
	while (clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0 && now.tv_sec == newest.tv_sec &&
	       now.tv_nsec <= newest.tv_nsec)
		nanosleep(&pause, NULL);
}

/* ---- putting back ---- */

static void path_of(const struct kept *kept, const struct entry *entry, char path[TREE_PATH])
{
	if (text_format(path, TREE_PATH, "%s%s%s", kept->root, *entry->path ? "/" : "",
			entry->path) < 0)
		tree_die("%s: path too long", entry->path);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_mode == b->st_mode &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void remove_strangers(const struct kept *kept, const struct entry *entry, const char *path)
{
	struct tree_names names = tree_list(path);
	char below[TREE_PATH], whole[TREE_PATH];
	size_t i;

	for (i = 0; i < names.count; i++) {
		if (text_format(below, sizeof(below), "%s%s%s", entry->path,
				*entry->path ? "/" : "", names.names[i]) < 0 ||
		    text_format(whole, sizeof(whole), "%s/%s", path, names.names[i]) < 0)
			tree_die("%s: path too long", path);
		if (!find(kept, below))
			tree_remove(whole);
	}
	tree_free_names(&names);
}

static void repair(const struct kept *kept, struct entry *entry, const char *path,
		   const struct stat *now)
{
	mode_t mode = entry->st.st_mode;
	bool is_directory = S_ISDIR(mode) && now && S_ISDIR(now->st_mode);
	int fd;

	entry->is_repaired = true;
	if (entry->parent)
		entry->parent->is_repaired = true;
	if (!is_directory)
		tree_remove(path);
	if (S_ISDIR(mode)) {
		if (!is_directory && mkdir(path, 0755) < 0)
			tree_die("%s: %s", path, strerror(errno));
		if (is_directory)
			remove_strangers(kept, entry, path);
		if (chmod(path, mode & 07777) < 0)
			tree_die("%s: %s", path, strerror(errno));
	} else if (S_ISLNK(mode)) {
		if (symlink(entry->data, path) < 0)
			tree_die("%s: %s", path, strerror(errno));
	} else {
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 ||
		    write(fd, entry->data, (size_t)entry->st.st_size) !=
			    (ssize_t)entry->st.st_size ||
		    fchmod(fd, mode & 07777) < 0)
			tree_die("%s: %s", path, strerror(errno));
		close(fd);
	}
}

static void put_back(struct kept *kept)
{
	char path[TREE_PATH];
	struct stat now;
	size_t i;

	for (i = 0; i < kept->count; i++) {
		bool exists;

		path_of(kept, &kept->entries[i], path);
		exists = lstat(path, &now) == 0;
		if (!exists || !is_same(&now, &kept->entries[i].st))
			repair(kept, &kept->entries[i], path, exists ? &now : NULL);
	}
	for (i = 0; i < kept->count; i++) {
		if (!kept->entries[i].is_repaired)
			continue;
		path_of(kept, &kept->entries[i], path);
		if (lstat(path, &kept->entries[i].st) < 0)
			tree_die("%s: %s", path, strerror(errno));
		kept->entries[i].is_repaired = false;
	}
}

/* ---- its life ---- */

static void remove_idle(void)
{
	struct kept *kept;
	size_t i;

	while ((kept = idle) && kept->owner == getpid()) {
		idle = kept->next;
		tree_remove(kept->root);
		for (i = 0; i < kept->count; i++) {
			free(kept->entries[i].path);
			free(kept->entries[i].data);
		}
		free(kept->entries);
		free(kept);
	}
}

void reuse_new_root(char root[TREE_PATH])
{
	/* thousands of small files: in memory where there is such a place */
	(void)strcpy(root, "/dev/shm/passthru-fake-XXXXXX");
	if (mkdtemp(root))
		return;
	(void)strcpy(root, "/tmp/passthru-fake-XXXXXX");
	if (!mkdtemp(root))
		tree_die("mkdtemp: %s", strerror(errno));
}

struct kept *reuse_take(const char *recording, char root[TREE_PATH])
{
	struct kept *kept, **at = &idle;

	while (*at && ((*at)->owner != getpid() || strcmp((*at)->recording, recording) != 0))
		at = &(*at)->next;
	kept = *at;
	if (!kept)
		return NULL;
	*at = kept->next;
	put_back(kept);
	wait_for_tick(kept);
	(void)text_copy(root, TREE_PATH, kept->root);
	return kept;
}

struct kept *reuse_remember(const char *recording, const char *root)
{
	static bool is_registered;
	struct kept *kept = calloc(1, sizeof(*kept));

	if (!kept || !text_copy(kept->recording, sizeof(kept->recording), recording) ||
	    !text_copy(kept->root, sizeof(kept->root), root))
		tree_die("out of memory");
	kept->owner = getpid();
	remembering = kept;
	if (nftw(root, remember_one, 16, FTW_PHYS) != 0)
		tree_die("%s: %s", root, strerror(errno));
	qsort(kept->entries, kept->count, sizeof(*kept->entries), compare);
	set_parents(kept);
	wait_for_tick(kept);
	if (!is_registered && atexit(remove_idle) != 0)
		tree_die("atexit: %s", strerror(errno));
	is_registered = true;
	return kept;
}

void reuse_give(struct kept *kept)
{
	char old[TREE_PATH], from[TREE_PATH], to[TREE_PATH];
	struct tree_names names;
	size_t i;

	(void)text_copy(old, sizeof(old), kept->root);
	reuse_new_root(kept->root);
	names = tree_list(old);
	for (i = 0; i < names.count; i++) {
		if (text_format(from, sizeof(from), "%s/%s", old, names.names[i]) < 0 ||
		    text_format(to, sizeof(to), "%s/%s", kept->root, names.names[i]) < 0 ||
		    rename(from, to) < 0)
			tree_die("%s: %s", from, strerror(errno));
	}
	tree_free_names(&names);
	tree_remove(old);
	kept->next = idle;
	idle = kept;
}
