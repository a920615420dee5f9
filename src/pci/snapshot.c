/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Listing has to be quick on machines with hundreds of virtual functions, so
 * each function costs one uevent file and two or three readlinks, along the path that
 * its entry under /sys/bus/pci/devices points to: going through the entry each
 * time would make the kernel resolve the link again for each file.
 */
#include "pci/snapshot.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/error.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/auto.h"
#include "pci/sysfs.h"
#include "pci/uevent_text.h"

/* The kernel composes a uevent file in 2048 bytes (UEVENT_BUFFER_SIZE). */
#define UEVENT_SIZE 4096

/* From SYSFS_DEVICES up to sys, as the entries there are linked. */
#define UP_TO_SYS "../../../"

/* ---- one function ---- */

struct reader {
	struct pt_host *host;
	struct pt_snapshot *snapshot;
	int dir_fd; /* SYSFS_DEVICES */
	const char *last_driver;
	/* the directory of the function at work relative to dir_fd; files are appended to it */
	char path[PATH_MAX + 32];
	size_t path_len;
};

static const char *file_of(struct reader *reader, const char *name)
{
	memcpy(reader->path + reader->path_len, name, strlen(name) + 1);
	return reader->path;
}

/* The last component of a link of the function at work. */
static int read_link(struct reader *reader, const char *name, char *buffer, size_t size)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(reader->dir_fd, file_of(reader, name), target, sizeof(target) - 1);
	const char *base;

	if (len < 0)
		return -errno;
	target[len] = '\0';
	base = strrchr(target, '/');
	return text_copy(buffer, size, base ? base + 1 : target) ? 0 : -ENAMETOOLONG;
}

/* Where the entry of a function points to tells its directory and the bridge above it. */
static int read_path(struct reader *reader, struct pt_function *function)
{
	char entry[PT_ADDRESS_TEXT], path[PATH_MAX + 32];
	const char *last, *above;
	ssize_t len;
	int r;

	pt_address_format(&function->address, entry);
	len = readlinkat(reader->dir_fd, entry, reader->path, PATH_MAX - 1);
	if (len < 0 && errno != EINVAL)
		return -errno;
	if (len < 0) /* a directory, not a link: a copy of a sysfs */
		len = text_format(reader->path, PATH_MAX, "%s", entry);
	reader->path[len] = '\0';
	reader->path_len = (size_t)len;
	if (strncmp(reader->path, UP_TO_SYS, strlen(UP_TO_SYS)) != 0)
		r = text_format(path, sizeof(path), "/" SYSFS_DEVICES "/%s", entry);
	else
		r = text_format(path, sizeof(path), "/sys/%s", reader->path + strlen(UP_TO_SYS));
	if (r < 0)
		return r;
	function->path = arena_copy(&reader->snapshot->strings, path, (size_t)r);
	if (!function->path)
		return -ENOMEM;

	last = strrchr(path, '/');
	above = memrchr(path, '/', (size_t)(last - path));
	if (above) {
		char parent[PT_ADDRESS_TEXT];
		size_t parent_len = (size_t)(last - above - 1);

		if (parent_len < sizeof(parent)) {
			memcpy(parent, above + 1, parent_len);
			parent[parent_len] = '\0';
			function->has_parent =
				pt_address_parse(parent, &function->parent, NULL) == 0;
		}
	}
	return 0;
}

/* A file of sysfs comes whole with the first read(); there is no need to ask for its end. */
static ssize_t read_once(int dir_fd, const char *path, char *buffer, size_t size)
{
	AUTO_CLOSE int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t len = fd < 0 ? -1 : TEMP_FAILURE_RETRY(read(fd, buffer, size));

	return len < 0 ? -errno : len;
}

static int read_uevent(struct reader *reader, struct pt_function *function)
{
	char text[UEVENT_SIZE], address[PT_ADDRESS_TEXT];
	struct uevent uevent;
	ssize_t len = read_once(reader->dir_fd, file_of(reader, "/uevent"), text, sizeof(text));

	if (len < 0)
		return (int)len;
	/*
	 * A function that tells nonsense is kept all the same: left out, its IOMMU
	 * group would look free of it.
	 */
	if (!uevent_parse(text, (size_t)len, &uevent))
		host_log(reader->host, PT_LOG_WARNING, "%s: its uevent file is malformed",
			 pt_address_format(&function->address, address));
	function->class_code = uevent.class_code;
	function->vendor_id = uevent.vendor_id;
	function->device_id = uevent.device_id;
	function->subsystem_vendor_id = uevent.subsystem_vendor_id;
	function->subsystem_device_id = uevent.subsystem_device_id;
	if (uevent.driver_len) {
		/* neighbours often share a driver, hundreds of virtual functions always */
		if (!reader->last_driver || strlen(reader->last_driver) != uevent.driver_len ||
		    memcmp(reader->last_driver, uevent.driver, uevent.driver_len) != 0)
			reader->last_driver = arena_copy(&reader->snapshot->strings, uevent.driver,
							 uevent.driver_len);
		if (!reader->last_driver)
			return -ENOMEM;
		function->driver = reader->last_driver;
	}
	return 0;
}

static void read_group(struct reader *reader, struct pt_function *function)
{
	char number[16];
	uint64_t value;

	function->iommu_group = -1;
	if (read_link(reader, "/iommu_group", number, sizeof(number)) == 0 &&
	    text_parse_number(number, 10, INT_MAX, &value) == 0)
		function->iommu_group = (int)value;
}

/*
 * A virtual function hangs off the same bridge as its physical function, has
 * its vendor and comes after it (SR-IOV: routing id plus offset). Only then is the link
 * worth a system call.
 */
static bool may_be_vf(const struct pt_snapshot *snapshot, const struct pt_function *function)
{
	const struct pt_function *other = function;

	if (pt_function_kind(function) == PT_BRIDGE)
		return false;
	while (other-- > snapshot->functions) {
		if (other->address.domain != function->address.domain)
			return false;
		if (other->vendor_id == function->vendor_id &&
		    other->has_parent == function->has_parent &&
		    (!other->has_parent ||
		     pt_address_compare(&other->parent, &function->parent) == 0))
			return true;
	}
	return false;
}

static void read_physfn(struct reader *reader, struct pt_function *function)
{
	char name[PT_ADDRESS_TEXT];

	if (may_be_vf(reader->snapshot, function) &&
	    read_link(reader, "/physfn", name, sizeof(name)) == 0)
		function->is_vf = pt_address_parse(name, &function->physfn, NULL) == 0;
}

/* -ENOENT or -ENODEV when it left meanwhile. */
static int read_function(struct reader *reader, struct pt_function *function)
{
	int r = read_path(reader, function);

	if (!r)
		r = read_uevent(reader, function);
	if (r < 0)
		return r;
	read_group(reader, function);
	read_physfn(reader, function);
	return 0;
}

/* ---- all of them ---- */

static int compare_functions(const void *a, const void *b)
{
	return pt_address_compare(&((const struct pt_function *)a)->address,
				  &((const struct pt_function *)b)->address);
}

/* The addresses under SYSFS_DEVICES, in order; the rest of each function zeroed. */
static int read_addresses(int dir_fd, struct pt_snapshot *snapshot)
{
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	size_t room = 0;
	int r = io_open_directory_at(dir_fd, ".", &dir);

	if (r < 0)
		return r;
	while ((errno = 0, entry = readdir(dir))) {
		char text[PT_ADDRESS_TEXT];
		struct pt_address address;

		if (pt_address_parse(entry->d_name, &address, NULL) < 0 ||
		    strcmp(pt_address_format(&address, text), entry->d_name) != 0)
			continue;
		if (snapshot->count == room) {
			struct pt_function *grown;

			room = room ? room * 2 : 64;
			grown = reallocarray(snapshot->functions, room, sizeof(*grown));
			if (!grown)
				return -ENOMEM;
			snapshot->functions = grown;
		}
		snapshot->functions[snapshot->count++] = (struct pt_function){.address = address};
	}
	if (errno)
		return -errno;
	if (snapshot->count)
		qsort(snapshot->functions, snapshot->count, sizeof(*snapshot->functions),
		      compare_functions);
	return 0;
}

static int read_functions(struct reader *reader, struct pt_error *err)
{
	struct pt_snapshot *snapshot = reader->snapshot;
	size_t i, kept = 0, found = snapshot->count;

	snapshot->count = 0;
	for (i = 0; i < found; i++) {
		struct pt_function *function = &snapshot->functions[kept];
		char text[PT_ADDRESS_TEXT];
		int r;

		if (kept != i)
			*function = snapshot->functions[i];
		r = read_function(reader, function);
		if (r == -ENOENT || r == -ENODEV)
			continue;
		if (r < 0)
			return pt_fail(err, r == -ENOMEM ? PT_NO_MEMORY : PT_SYSTEM, -r,
				       "%s: its files under /sys can't be read: %s",
				       pt_address_format(&function->address, text), strerror(-r));
		snapshot->count = ++kept;
	}
	return 0;
}

/*
 * Following parents must terminate, also in an invented recording: a parent's directory contains
 * the function's.
 */
static void check_parents(struct pt_snapshot *snapshot)
{
	size_t i;

	for (i = 0; i < snapshot->count; i++) {
		struct pt_function *function = &snapshot->functions[i];
		const struct pt_function *parent;
		size_t len;

		if (!function->has_parent)
			continue;
		parent = pt_snapshot_find(snapshot, &function->parent);
		if (!parent)
			continue;
		len = strlen(parent->path);
		function->has_parent =
			!strncmp(function->path, parent->path, len) && function->path[len] == '/';
	}
}

/* Read the functions whose addresses are in the reader's snapshot, and hand it over. */
static int snapshot_finish(struct reader *reader, struct pt_snapshot **snapshot,
			   struct pt_snapshot **ret_snapshot, struct pt_error *err)
{
	int r;

	reader->snapshot = *snapshot;
	r = read_functions(reader, err);
	if (r < 0)
		return r;
	check_parents(*snapshot);
	if (snapshot_form_groups(*snapshot) < 0)
		return pt_fail_memory(err);
	*ret_snapshot = TAKE_POINTER(*snapshot);
	return 0;
}

static int snapshot_fail_unreadable(struct pt_error *err, int r)
{
	return pt_fail(err, r == -ENOMEM ? PT_NO_MEMORY : PT_SYSTEM, -r,
		       "/" SYSFS_DEVICES " can't be read: %s; is sysfs mounted on /sys?",
		       strerror(-r));
}

/* ---- those around some ---- */

/* All below what is above @function, and the bridges that are above that. */
static void keep_branch(const struct pt_snapshot *snapshot, const struct pt_function *function,
			bool *is_kept)
{
	const char *path = function->path;
	size_t i, above = (size_t)(strrchr(path, '/') - path) + 1;

	for (i = 0; i < snapshot->count; i++) {
		const char *other = snapshot->functions[i].path;
		size_t len = other ? strlen(other) : 0;

		is_kept[i] |= other && (strncmp(other, path, above) == 0 ||
					(strncmp(path, other, len) == 0 && path[len] == '/'));
	}
}

static int keep_group(const struct reader *reader, const struct pt_function *function,
		      bool *is_kept)
{
	const struct pt_snapshot *snapshot = reader->snapshot;
	char path[PT_ADDRESS_TEXT + 32], text[PT_ADDRESS_TEXT];
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	int r;

	(void)text_format(path, sizeof(path), "%s/iommu_group/devices",
			  pt_address_format(&function->address, text));
	r = io_open_directory_at(reader->dir_fd, path, &dir);
	if (r < 0)
		return r == -ENOENT || r == -ENODEV ? 0 : r; /* in no group, or gone */
	while ((errno = 0, entry = readdir(dir))) {
		const struct pt_function *member;
		struct pt_address address;

		if (pt_address_parse(entry->d_name, &address, NULL) < 0)
			continue;
		member = pt_snapshot_find(snapshot, &address);
		if (member)
			is_kept[member - snapshot->functions] = true;
	}
	return -errno;
}

static int choose_around(struct reader *reader, const struct pt_address *addresses, size_t count,
			 bool *is_kept)
{
	const struct pt_snapshot *snapshot = reader->snapshot;
	size_t i;
	int r;

	for (i = 0; i < snapshot->count; i++) {
		r = read_path(reader, &snapshot->functions[i]);
		if (r == -ENOMEM)
			return r;
		/* reading what is kept tells again what is wrong with it, and whether that matters
		 */
		is_kept[i] = r < 0;
	}
	for (i = 0; i < count; i++) {
		const struct pt_function *function = pt_snapshot_find(snapshot, &addresses[i]);

		if (!function || !function->path)
			continue;
		keep_branch(snapshot, function, is_kept);
		r = keep_group(reader, function, is_kept);
		if (r < 0)
			return r;
	}
	return 0;
}

static int keep_around(struct reader *reader, const struct pt_address *addresses, size_t count)
{
	struct pt_snapshot *snapshot = reader->snapshot;
	AUTO_FREE bool *is_kept = calloc(snapshot->count + 1, sizeof(*is_kept));
	size_t i, kept = 0;
	int r;

	if (!is_kept)
		return -ENOMEM;
	r = choose_around(reader, addresses, count, is_kept);
	if (r < 0)
		return r;
	for (i = 0; i < snapshot->count; i++)
		if (is_kept[i])
			snapshot->functions[kept++] =
				(struct pt_function){.address = snapshot->functions[i].address};
	snapshot->count = kept;
	return 0;
}

/* Around @count functions at @addresses; all there are where @addresses is NULL. */
static int read_machine(struct pt_host *host, const struct pt_address *addresses, size_t count,
			struct pt_snapshot **ret_snapshot, struct pt_error *err)
{
	AUTO(auto_snapshot) struct pt_snapshot *snapshot = calloc(1, sizeof(*snapshot));
	AUTO_CLOSE int dir_fd = -1;
	struct reader reader = {.host = host};
	int r;

	if (!snapshot)
		return pt_fail_memory(err);
	dir_fd = openat(host->root_fd, SYSFS_DEVICES, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0 && errno == ENOENT && faccessat(host->root_fd, "sys/bus", F_OK, 0) == 0) {
		*ret_snapshot = TAKE_POINTER(snapshot); /* a machine without PCI */
		return 0;
	}
	r = dir_fd < 0 ? -errno : read_addresses(dir_fd, snapshot);
	reader.snapshot = snapshot;
	reader.dir_fd = dir_fd;
	if (!r && addresses)
		r = keep_around(&reader, addresses, count);
	if (r < 0)
		return snapshot_fail_unreadable(err, r);
	r = snapshot_finish(&reader, &snapshot, ret_snapshot, err);
	if (r == 0)
		host_log(host, PT_LOG_DEBUG, "%zu PCI functions in %zu IOMMU groups",
			 (*ret_snapshot)->count, (*ret_snapshot)->group_count);
	return r;
}

int pt_snapshot_read(struct pt_host *host, struct pt_snapshot **ret_snapshot, struct pt_error *err)
{
	return read_machine(host, NULL, 0, ret_snapshot, err);
}

int snapshot_read_around(struct pt_host *host, const struct pt_address *addresses, size_t count,
			 struct pt_snapshot **ret_snapshot, struct pt_error *err)
{
	return read_machine(host, addresses, count, ret_snapshot, err);
}

void pt_snapshot_free(struct pt_snapshot *snapshot)
{
	if (!snapshot)
		return;
	free(snapshot->functions);
	free(snapshot->groups);
	free(snapshot->members);
	arena_free(&snapshot->strings);
	free(snapshot);
}

size_t pt_snapshot_count(const struct pt_snapshot *snapshot)
{
	return snapshot->count;
}

const struct pt_function *pt_snapshot_at(const struct pt_snapshot *snapshot, size_t index)
{
	return index < snapshot->count ? &snapshot->functions[index] : NULL;
}

const struct pt_function *pt_snapshot_find(const struct pt_snapshot *snapshot,
					   const struct pt_address *address)
{
	struct pt_function key = {.address = *address};

	if (!snapshot->count)
		return NULL;
	return bsearch(&key, snapshot->functions, snapshot->count, sizeof(key), compare_functions);
}
