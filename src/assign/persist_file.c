/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "assign/claim.h"
#include "assign/persist.h"
#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/host.h"
#include "pci/sysfs.h"

#define SUFFIX ".json"
/* Nobody persists more; a directory with more isn't ours. */
#define PERSIST_MAX   4096
#define FILE_SIZE_MAX 65536

AUTO_DEFINE(list, struct pt_persist_list *, pt_persist_free)

/* ---- JSON ---- */

static int add(struct json_object *object, const char *key, struct json_object *value)
{
	if (!value)
		return -ENOMEM;
	return json_object_object_add(object, key, value);
}

static struct json_object *hex(uint32_t value, int digits)
{
	char text[16];

	(void)text_format(text, sizeof(text), "%0*" PRIx32, digits, value);
	return json_object_new_string(text);
}

int persist_add_identity(struct json_object *object, const struct pt_identity *identity)
{
	int r = 0;

	r |= add(object, "vendor", hex(identity->vendor_id, 4));
	r |= add(object, "product", hex(identity->device_id, 4));
	r |= add(object, "subsystem_vendor", hex(identity->subsystem_vendor_id, 4));
	r |= add(object, "subsystem_product", hex(identity->subsystem_device_id, 4));
	r |= add(object, "class", hex(identity->class_code, 6));
	r |= add(object, "revision", hex(identity->revision, 2));
	/* absent: could not be looked for; empty: there is none */
	if (identity->is_serial_known)
		r |= add(object, "serial", json_object_new_string(identity->serial));
	r |= add(object, "slot", json_object_new_string(identity->slot));
	return r ? -ENOMEM : 0;
}

struct json_object *persist_to_json(const struct pt_persisted *persisted)
{
	struct json_object *object = json_object_new_object();
	char text[PT_ADDRESS_TEXT];
	int r = 0;

	if (!object)
		return NULL;
	pt_address_format(&persisted->address, text);
	r |= add(object, "device", json_object_new_string(text));
	r |= add(object, "driver", json_object_new_string(persisted->driver));
	r |= persist_add_identity(object, &persisted->identity);
	r |= add(object, "since", json_object_new_int64(persisted->since));
	r |= add(object, "why", json_object_new_string(persisted->why));
	if (!r)
		return object;
	json_object_put(object);
	return NULL;
}

static int get_hex(struct json_object *object, const char *key, uint32_t max, uint32_t *ret_value,
		   struct pt_error *err)
{
	char text[16];
	uint64_t value;
	int r = state_get_text(object, key, true, text, sizeof(text), err);

	if (r < 0)
		return r;
	if (text_parse_number(text, 16, max, &value) < 0)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is not a number in hex", key);
	*ret_value = (uint32_t)value;
	return 0;
}

static int get_ids(struct json_object *object, struct pt_identity *identity, struct pt_error *err)
{
	const struct {
		const char *key;
		uint16_t *value;
	} ids[] = {
		{"vendor", &identity->vendor_id},
		{"product", &identity->device_id},
		{"subsystem_vendor", &identity->subsystem_vendor_id},
		{"subsystem_product", &identity->subsystem_device_id},
	};
	uint32_t value = 0;
	size_t i;
	int r;

	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		r = get_hex(object, ids[i].key, UINT16_MAX, &value, err);
		if (r < 0)
			return r;
		*ids[i].value = (uint16_t)value;
	}
	r = get_hex(object, "class", 0xffffff, &identity->class_code, err);
	if (!r)
		r = get_hex(object, "revision", UINT8_MAX, &value, err);
	identity->revision = (uint8_t)value;
	return r;
}

int persist_get_identity(struct json_object *object, struct pt_identity *ret_identity,
			 struct pt_error *err)
{
	struct pt_identity read = {0}, *identity = &read;
	int r = get_ids(object, identity, err);

	if (!r)
		r = state_get_text(object, "serial", false, identity->serial,
				   sizeof(identity->serial), err);
	identity->is_serial_known = json_object_object_get_ex(object, "serial", NULL);
	/* "SOURCE:…", as pt_identity_format() relies on */
	if (!r && *identity->serial && !strchr(identity->serial, ':'))
		r = pt_fail(err, PT_CORRUPT, EBADMSG, "\"serial\" doesn't say where it is from");
	if (!r)
		r = state_get_text(object, "slot", true, identity->slot, sizeof(identity->slot),
				   err);
	if (!r)
		*ret_identity = read;
	return r;
}

static int from_json(struct json_object *object, struct pt_persisted *persisted,
		     struct pt_error *err)
{
	int r;

	r = state_get_address(object, "device", &persisted->address, err);
	if (!r)
		r = state_get_driver(object, "driver", persisted->driver, err);
	if (!r && !*persisted->driver)
		r = pt_fail(err, PT_CORRUPT, EBADMSG, "\"driver\" is empty");
	if (!r)
		r = persist_get_identity(object, &persisted->identity, err);
	if (!r)
		r = state_get_number(object, "since", INT64_MIN, INT64_MAX, &persisted->since, err);
	if (!r)
		r = state_get_text(object, "why", false, persisted->why, sizeof(persisted->why),
				   err);
	return r;
}

int persist_parse(const char *text, size_t size, struct pt_persisted *ret_persisted,
		  struct pt_error *err)
{
	struct pt_persisted persisted = {0};
	struct json_object *object;
	int r;

	/* a person may have edited it */
	while (size && (text[size - 1] == '\n' || text[size - 1] == ' '))
		size--;
	r = state_parse(text, size, &object, err);
	if (r < 0)
		return r;
	r = from_json(object, &persisted, err);
	json_object_put(object);
	if (!r)
		*ret_persisted = persisted;
	return r;
}

/* ---- files ---- */

static int fail_file(struct pt_error *err, int errnum, const char *path)
{
	if (errnum == EACCES || errnum == EPERM)
		return pt_fail(err, PT_NOT_PERMITTED, errnum, "/%s: %s: run as root", path,
			       strerror(errnum));
	return pt_fail(err, PT_STORAGE, errnum, "/%s: %s", path, strerror(errnum));
}

static void path_of(const struct pt_address *address, const char *suffix, char path[SYSFS_PATH])
{
	char text[PT_ADDRESS_TEXT];

	(void)text_format(path, SYSFS_PATH, PERSIST_DIR "/%s%s", pt_address_format(address, text),
			  suffix);
}

static int sync_path(struct pt_host *host, const char *path, int flags)
{
	AUTO_CLOSE int fd = openat(host->root_fd, path, flags | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* On disk before it is renamed: a power cut must leave the old file or the new one. */
static int replace_synced(struct pt_host *host, const char *path, const char *temporary,
			  const char *text, size_t size)
{
	int r = io_replace_at(host->root_fd, temporary, text, size, 0644);

	if (!r)
		r = sync_path(host, temporary, O_RDONLY);
	if (!r && renameat(host->root_fd, temporary, host->root_fd, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(host->root_fd, temporary, 0);
		return r;
	}
	return sync_path(host, PERSIST_DIR, O_RDONLY | O_DIRECTORY);
}

int persist_store(struct pt_host *host, const struct pt_persisted *persisted, struct pt_error *err)
{
	struct json_object *object = persist_to_json(persisted);
	char path[SYSFS_PATH], temporary[SYSFS_PATH];
	AUTO_FREE char *line = NULL;
	int len, r;

	if (!object)
		return pt_fail_memory(err);
	len = asprintf(&line, "%s\n",
		       json_object_to_json_string_ext(
			       object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
	if (len < 0) {
		line = NULL;
		return pt_fail_memory(err);
	}
	path_of(&persisted->address, SUFFIX, path);
	path_of(&persisted->address, ".new", temporary);
	r = io_make_directories_at(host->root_fd, PERSIST_DIR, 0755);
	if (!r)
		r = replace_synced(host, path, temporary, line, (size_t)len);
	return r < 0 ? fail_file(err, -r, path) : 0;
}

int persist_erase(struct pt_host *host, const struct pt_address *address, struct pt_error *err)
{
	char path[SYSFS_PATH];

	path_of(address, SUFFIX, path);
	if (unlinkat(host->root_fd, path, 0) < 0)
		return errno == ENOENT ? 0 : fail_file(err, errno, path);
	/* the udev rule starts no program where this directory is missing */
	if (unlinkat(host->root_fd, PERSIST_DIR, AT_REMOVEDIR) < 0)
		(void)sync_path(host, PERSIST_DIR, O_RDONLY | O_DIRECTORY);
	return 0;
}

/* The address in a file's name; false for files that aren't ours. */
static bool parse_name(const char *name, struct pt_address *ret_address)
{
	size_t len = strlen(name), suffix = strlen(SUFFIX);
	char text[PT_ADDRESS_TEXT], again[PT_ADDRESS_TEXT];

	if (len <= suffix || strcmp(name + len - suffix, SUFFIX) != 0 ||
	    len - suffix >= sizeof(text))
		return false;
	memcpy(text, name, len - suffix);
	text[len - suffix] = '\0';
	return pt_address_parse(text, ret_address, NULL) == 0 &&
	       !strcmp(pt_address_format(ret_address, again), text);
}

static int load_file(struct pt_host *host, const struct pt_address *address,
		     struct pt_persist_list *list, struct pt_error *err)
{
	AUTO_FREE char *text = NULL;
	struct pt_persisted *grown;
	char path[SYSFS_PATH];
	size_t size;
	int r;

	path_of(address, SUFFIX, path);
	r = io_read_all_at(host->root_fd, path, FILE_SIZE_MAX, &text, &size);
	if (r == -ENOENT)
		return 0; /* unpersisted meanwhile */
	if (r < 0)
		return fail_file(err, -r, path);
	if (list->count == PERSIST_MAX)
		return pt_fail(err, PT_CORRUPT, E2BIG, "/%s: more than %d files", PERSIST_DIR,
			       PERSIST_MAX);
	grown = reallocarray(list->items, list->count + 1, sizeof(*grown));
	if (!grown)
		return pt_fail_memory(err);
	list->items = grown;
	r = persist_parse(text, size, &grown[list->count], err);
	if (!r && pt_address_compare(&grown[list->count].address, address) != 0)
		r = pt_fail(err, PT_CORRUPT, EBADMSG, "it is about another device");
	if (r < 0) {
		pt_error_prefix(err, "/%s: ", path);
		pt_error_append(err, ": put it right, or remove it and persist the device again");
		return r;
	}
	list->count++;
	return 0;
}

static int compare_items(const void *a, const void *b)
{
	return pt_address_compare(&((const struct pt_persisted *)a)->address,
				  &((const struct pt_persisted *)b)->address);
}

int persist_load(struct pt_host *host, struct pt_persist_list **ret_list, struct pt_error *err)
{
	AUTO(auto_list) struct pt_persist_list *list = calloc(1, sizeof(*list));
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	struct pt_error problem;
	int fd, r;

	if (!list)
		return pt_fail_memory(err);
	fd = openat(host->root_fd, PERSIST_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return fail_file(err, errno, PERSIST_DIR);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (fd >= 0 && !dir) {
		close(fd);
		return pt_fail_memory(err);
	}
	while (dir && (entry = readdir(dir))) {
		struct pt_address address;

		if (!parse_name(entry->d_name, &address))
			continue;
		r = load_file(host, &address, list, &problem);
		if (r < 0 && problem.reason != PT_CORRUPT)
			return pt_fail(err, problem.reason, problem.errnum, "%s", problem.message);
		if (r < 0 && !list->corrupt.errnum)
			list->corrupt = problem;
	}
	if (list->count)
		qsort(list->items, list->count, sizeof(*list->items), compare_items);
	*ret_list = TAKE_POINTER(list);
	return 0;
}
