/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "assign/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "assign/claim.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/sysfs.h"

/* The name of a lock, and the device that it is for, if any. */
struct entry {
	char name[LOCK_NAME];
	bool has_address;
	struct pt_address address;
};

/* Members of a group share its lock; a function without group has its own. */
static void lock_name(struct pt_host *host, const struct pt_address *address, char name[LOCK_NAME])
{
	char group[16], text[PT_ADDRESS_TEXT];

	if (sysfs_read_link(host, address, "iommu_group", group, sizeof(group)) == 0)
		(void)text_format(name, LOCK_NAME, "group-%s", group);
	else
		(void)text_format(name, LOCK_NAME, "device-%s", pt_address_format(address, text));
}

static int lock_compare_names(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

/* Who wrote the lock file last: a hint for people, never relied on. */
static int fail_busy(struct pt_error *err, int fd, const char *name)
{
	char text[128];
	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);

	text[len > 0 ? len : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return pt_fail(
		err, PT_BUSY, EBUSY,
		"another request%s%s%s is changing a device of %s: try again when it has finished. "
		"To see the state:\n"
		"  passthru status",
		*text ? " (" : "", text, *text ? ")" : "", name);
}

static int lock_one(struct pt_host *host, const char *name, int64_t deadline, int *ret_fd,
		    struct pt_error *err)
{
	char path[SYSFS_PATH], text[64];
	int fd, r;

	(void)text_format(path, sizeof(path), LOCK_DIR "/%s", name);
	fd = openat(host->root_fd, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return state_fail(err, errno, path);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR) {
			r = state_fail(err, errno, path);
			close(fd);
			return r;
		}
		if (clock_now_ms() >= deadline) {
			r = fail_busy(err, fd, name);
			close(fd);
			return r;
		}
		clock_sleep_ms(10);
	}
	r = text_format(text, sizeof(text), "pid %ld\n", (long)getpid());
	if (r > 0 && pwrite(fd, text, (size_t)r, 0) == r)
		(void)!ftruncate(fd, r);
	*ret_fd = fd;
	return 0;
}

/* Only names that lock_name() makes: they become part of a path. */
static bool is_lock_name(const char *name)
{
	return (!strncmp(name, "group-", 6) || !strncmp(name, "device-", 7)) &&
	       !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789:.-")];
}

static int parse_names(const char *names, struct entry *entries, size_t *count,
		       struct pt_error *err)
{
	while (names && *names) {
		size_t length = strcspn(names, " ");
		struct entry *entry = &entries[*count];

		if (*count == LOCK_FILES_MAX ||
		    text_format(entry->name, LOCK_NAME, "%.*s", (int)length, names) < 0 ||
		    !is_lock_name(entry->name))
			return pt_fail(err, PT_CORRUPT, EBADMSG, "a journal names unknown locks");
		entry->has_address = false;
		(*count)++;
		names += length;
		names += strspn(names, " ");
	}
	return 0;
}

/* In the same order in every process, or two of them wait for each other. */
static int lock_all(struct pt_host *host, struct entry *entries, size_t count, int64_t deadline,
		    struct locks *locks, struct pt_error *err)
{
	size_t i;

	qsort(entries, count, sizeof(entries[0]), lock_compare_names);
	for (i = 0; i < count; i++) {
		if (!i || strcmp(entries[i].name, entries[i - 1].name) != 0) {
			int r = lock_one(host, entries[i].name, deadline, &locks->fds[locks->count],
					 err);

			if (r < 0)
				return r;
			text_copy(locks->names[locks->count], LOCK_NAME, entries[i].name);
			locks->count++;
		}
		if (!entries[i].has_address)
			continue;
		locks->devices[locks->device_count].address = entries[i].address;
		locks->devices[locks->device_count].fd = locks->count - 1;
		locks->device_count++;
	}
	return 0;
}

int locks_take_named(struct pt_host *host, const struct pt_address *addresses, size_t count,
		     const char *names, unsigned int wait_ms, struct locks *ret_locks,
		     struct pt_error *err)
{
	struct entry entries[LOCK_FILES_MAX];
	int64_t deadline = clock_now_ms() + wait_ms;
	size_t i;
	int r;

	ret_locks->count = ret_locks->device_count = 0;
	/* those of a journal aren't told apart by device */
	ret_locks->is_whole = names;
	if (count > LOCK_MAX)
		return pt_fail(err, PT_INVALID, E2BIG,
			       "%zu devices in one request: the maximum is "
			       "%d",
			       count, LOCK_MAX);
	for (i = 0; i < count; i++) {
		entries[i].address = addresses[i];
		entries[i].has_address = true;
		lock_name(host, &addresses[i], entries[i].name);
	}
	r = parse_names(names, entries, &count, err);
	if (!r)
		r = lock_all(host, entries, count, deadline, ret_locks, err);
	if (r < 0) {
		locks_drop(host, ret_locks);
		return r;
	}
	host->locks = ret_locks;
	locks_narrow(host, NULL);
	return 0;
}

int locks_take(struct pt_host *host, const struct pt_address *addresses, size_t count,
	       unsigned int wait_ms, struct locks *ret_locks, struct pt_error *err)
{
	return locks_take_named(host, addresses, count, NULL, wait_ms, ret_locks, err);
}

void locks_format_names(const struct pt_host *host, char names[LOCK_NAMES_TEXT])
{
	const struct locks *locks = host->locks;
	size_t i, used = 0;

	names[0] = '\0';
	for (i = 0; locks && i < locks->count; i++) {
		int n = text_format(names + used, LOCK_NAMES_TEXT - used, "%s%s", i ? " " : "",
				    locks->names[i]);

		used += n > 0 ? (size_t)n : 0;
	}
}

void locks_narrow(struct pt_host *host, const struct pt_address *address)
{
	const struct locks *locks = host->locks;
	size_t i;

	if (!locks)
		return;
	host->kept_fds = locks->fds;
	host->kept_count = locks->count;
	for (i = 0; address && !locks->is_whole && i < locks->device_count; i++) {
		if (pt_address_compare(&locks->devices[i].address, address) != 0)
			continue;
		host->kept_fds = &locks->fds[locks->devices[i].fd];
		host->kept_count = 1;
	}
}

void locks_drop(struct pt_host *host, struct locks *locks)
{
	size_t i;

	/* closing, not LOCK_UN: that would unlock a stuck helper's copy too */
	for (i = 0; i < locks->count; i++)
		close(locks->fds[i]);
	locks->count = 0;
	host->locks = NULL;
	host->kept_fds = NULL;
	host->kept_count = 0;
}
