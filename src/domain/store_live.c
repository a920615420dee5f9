/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file of a running guest. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "assign/claim.h"
#include "base/io.h"
#include "base/text.h"
#include "domain/store.h"
#include "pci/host.h"

#define STORE_PATH 256

static const char *const phases[] = {[STORE_STARTING] = "starting", [STORE_RUNNING] = "running"};
static const char *const changes[] = {
	[STORE_ATTACHING] = "attaching",
	[STORE_DETACHING] = "detaching",
};

void store_live_free(struct store_live *live)
{
	size_t i;

	if (!live)
		return;
	for (i = 0; i < live->pending_count; i++)
		free(live->pending[i].xml);
	for (i = 0; i < live->file_count; i++)
		free(live->files[i].path);
	free(live->files);
	free(live->xml);
	free(live);
}

int store_add_file(struct store_live *live, const struct store_file *file)
{
	struct store_file *grown;

	if (live->file_count == STORE_FILES_MAX)
		return -E2BIG;
	grown = reallocarray(live->files, live->file_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	live->files = grown;
	grown[live->file_count] = *file;
	grown[live->file_count].path = strdup(file->path);
	if (!grown[live->file_count].path)
		return -ENOMEM;
	live->file_count++;
	return 0;
}

bool store_file_is(const struct store_file *file, const struct stat *st)
{
	return file->device == (uint64_t)st->st_dev && file->inode == (uint64_t)st->st_ino;
}

void store_drop_file(struct store_live *live, size_t index)
{
	free(live->files[index].path);
	live->file_count--;
	memmove(&live->files[index], &live->files[index + 1],
		(live->file_count - index) * sizeof(*live->files));
}

/* ---- writing ---- */

static int add(struct json_object *object, const char *key, struct json_object *value)
{
	if (!value)
		return -ENOMEM;
	return json_object_object_add(object, key, value);
}

static struct json_object *pending_to_json(const struct store_pending *pending)
{
	struct json_object *object = json_object_new_object();
	char text[PT_ADDRESS_TEXT];
	int r = object ? 0 : -ENOMEM;

	if (r)
		return NULL;
	r |= add(object, "change", json_object_new_string(changes[pending->change]));
	r |= add(object, "alias", json_object_new_string(pending->alias));
	if (pending->has_address)
		r |= add(object, "device",
			 json_object_new_string(pt_address_format(&pending->address, text)));
	if (pending->xml)
		r |= add(object, "xml", json_object_new_string(pending->xml));
	if (r) {
		json_object_put(object);
		return NULL;
	}
	return object;
}

static int add_pending(struct json_object *object, const struct store_live *live)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	if (add(object, "pending", array) < 0)
		return -ENOMEM;
	for (i = 0; i < live->pending_count; i++) {
		struct json_object *pending = pending_to_json(&live->pending[i]);

		if (!pending || json_object_array_add(array, pending) < 0)
			return -ENOMEM;
	}
	return 0;
}

static struct json_object *file_to_json(const struct store_file *file)
{
	struct json_object *object = json_object_new_object();
	int r = object ? 0 : -ENOMEM;

	if (r)
		return NULL;
	r |= add(object, "path", json_object_new_string(file->path));
	r |= add(object, "device", json_object_new_int64((int64_t)file->device));
	r |= add(object, "inode", json_object_new_int64((int64_t)file->inode));
	r |= add(object, "uid", json_object_new_int64(file->uid));
	r |= add(object, "given", json_object_new_int64(file->given));
	if (r) {
		json_object_put(object);
		return NULL;
	}
	return object;
}

static int add_files(struct json_object *object, const struct store_live *live)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	if (add(object, "files", array) < 0)
		return -ENOMEM;
	for (i = 0; i < live->file_count; i++) {
		struct json_object *file = file_to_json(&live->files[i]);

		if (!file || json_object_array_add(array, file) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int add_vfs(struct json_object *object, const struct store_live *live)
{
	struct json_object *array = json_object_new_array();
	char text[PT_ADDRESS_TEXT];
	size_t i;

	if (add(object, "vfs", array) < 0)
		return -ENOMEM;
	for (i = 0; i < live->vf_count; i++) {
		const struct store_vf *vf = &live->vfs[i];
		struct json_object *item = json_object_new_object();

		if (!item || json_object_array_add(array, item) < 0)
			return -ENOMEM;
		if (add(item, "device",
			json_object_new_string(pt_address_format(&vf->address, text))) < 0 ||
		    add(item, "mac", json_object_new_string(vf->mac)) < 0 ||
		    add(item, "vlan", json_object_new_int64(vf->vlan)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int add_tpm(struct json_object *object, const struct store_live *live)
{
	struct json_object *tpm;

	if (!live->tpm_pid)
		return 0;
	tpm = json_object_new_object();
	if (add(object, "tpm", tpm) < 0 ||
	    add(tpm, "pid", json_object_new_int64(live->tpm_pid)) < 0 ||
	    add(tpm, "start_time", json_object_new_int64((int64_t)live->tpm_start_time)) < 0)
		return -ENOMEM;
	return 0;
}

int store_write_live(struct pt_host *host, const struct store_live *live, struct pt_error *err)
{
	struct json_object *object = json_object_new_object();
	const char *text = NULL;
	char path[STORE_PATH];
	size_t size = 0;
	int r = object ? 0 : -ENOMEM;

	if (!r) {
		r |= add(object, "name", json_object_new_string(live->name));
		r |= add(object, "id", json_object_new_int64(live->id));
		r |= add(object, "pid", json_object_new_int64(live->pid));
		r |= add(object, "start_time", json_object_new_int64((int64_t)live->start_time));
		r |= add(object, "phase", json_object_new_string(phases[live->phase]));
		r |= add(object, "since", json_object_new_int64(live->since));
		r |= add(object, "xml", json_object_new_string(live->xml));
		r |= add_pending(object, live);
		r |= add_files(object, live);
		r |= add_vfs(object, live);
		r |= add_tpm(object, live);
	}
	if (!r)
		text = json_object_to_json_string_length(object, JSON_C_TO_STRING_PLAIN, &size);
	if (!text)
		r = -ENOMEM;
	else if (size > STATE_FILE_MAX)
		r = -EFBIG; /* it couldn't be read again */
	if (!r)
		r = io_make_directories_at(host->root_fd, STORE_LIVE, 0755);
	if (!r && text_format(path, sizeof(path), STORE_LIVE "/%s.json", live->name) < 0)
		r = -ENAMETOOLONG;
	if (!r)
		r = io_replace_at(host->root_fd, path, text, size, 0600);
	json_object_put(object);
	return r < 0 ? state_fail(err, -r, STORE_LIVE) : 0;
}

int store_remove_live(struct pt_host *host, const char *name, struct pt_error *err)
{
	char path[STORE_PATH];

	if (text_format(path, sizeof(path), STORE_LIVE "/%s.json", name) < 0)
		return pt_fail(err, PT_INVALID, EINVAL, "no such name");
	if (unlinkat(host->root_fd, path, 0) < 0 && errno != ENOENT)
		return state_fail(err, errno, STORE_LIVE);
	return 0;
}

/* ---- reading ---- */

static int get_word(struct json_object *object, const char *key, const char *const *words,
		    unsigned int count, unsigned int *ret_value, struct pt_error *err)
{
	char text[32];
	unsigned int i;
	int r = state_get_text(object, key, true, text, sizeof(text), err);

	if (r < 0)
		return r;
	for (i = 0; i < count; i++) {
		if (!strcmp(words[i], text)) {
			*ret_value = i;
			return 0;
		}
	}
	return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is unknown", key);
}

static int get_long_text(struct json_object *object, const char *key, char **ret_text,
			 struct pt_error *err)
{
	struct json_object *value;
	const char *text;

	if (!json_object_object_get_ex(object, key, &value))
		return 0;
	text = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
	if (!text || strlen(text) != (size_t)json_object_get_string_len(value))
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is not a text", key);
	*ret_text = strdup(text);
	return *ret_text ? 0 : pt_fail_memory(err);
}

static int parse_pending(struct json_object *object, struct store_pending *pending,
			 struct pt_error *err)
{
	unsigned int change = 0;
	int r;

	if (!json_object_is_type(object, json_type_object))
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"pending\" holds no objects");
	r = get_word(object, "change", changes, sizeof(changes) / sizeof(changes[0]), &change, err);
	pending->change = (enum store_change)change;
	if (!r)
		r = state_get_text(object, "alias", true, pending->alias, sizeof(pending->alias),
				   err);
	pending->has_address = json_object_object_get_ex(object, "device", NULL);
	if (!r && pending->has_address)
		r = state_get_address(object, "device", &pending->address, err);
	if (!r)
		r = get_long_text(object, "xml", &pending->xml, err);
	return r;
}

static int parse_all_pending(struct json_object *object, struct store_live *live,
			     struct pt_error *err)
{
	struct json_object *array;
	size_t i;
	int r = 0;

	if (!json_object_object_get_ex(object, "pending", &array))
		return 0;
	if (!json_object_is_type(array, json_type_array) ||
	    json_object_array_length(array) > STORE_PENDING_MAX)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"pending\" is no list, or too long");
	for (i = 0; !r && i < json_object_array_length(array); i++) {
		live->pending_count = i + 1;
		r = parse_pending(json_object_array_get_idx(array, i), &live->pending[i], err);
	}
	return r;
}

static int parse_numbers(struct json_object *object, struct store_file *file, struct pt_error *err)
{
	int64_t device = 0, inode = 0, uid = 0, given = 0;
	int r = state_get_number(object, "device", INT64_MIN, INT64_MAX, &device, err);

	if (!r)
		r = state_get_number(object, "inode", INT64_MIN, INT64_MAX, &inode, err);
	if (!r)
		r = state_get_number(object, "uid", 0, UINT32_MAX - 1, &uid, err);
	if (!r)
		r = state_get_number(object, "given", 0, UINT32_MAX - 1, &given, err);
	file->device = (uint64_t)device;
	file->inode = (uint64_t)inode;
	file->uid = (uid_t)uid;
	file->given = (uid_t)given;
	return r;
}

static int parse_file(struct json_object *object, struct store_live *live, struct pt_error *err)
{
	struct store_file file = {0};
	int r;

	if (!json_object_is_type(object, json_type_object))
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"files\" holds no objects");
	r = parse_numbers(object, &file, err);
	if (!r)
		r = get_long_text(object, "path", &file.path, err);
	if (r < 0)
		return r;
	if (file.path && file.path[0] == '/')
		r = store_add_file(live, &file);
	else
		r = -EBADMSG;
	free(file.path);
	if (r == -ENOMEM)
		return pt_fail_memory(err);
	return r < 0 ? pt_fail(err, PT_CORRUPT, EBADMSG, "\"files\" has no paths, or too many") : 0;
}

/* None of them in the file of an earlier version. */
static int parse_all_files(struct json_object *object, struct store_live *live,
			   struct pt_error *err)
{
	struct json_object *array;
	size_t i;
	int r = 0;

	if (!json_object_object_get_ex(object, "files", &array))
		return 0;
	if (!json_object_is_type(array, json_type_array))
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"files\" is no list");
	for (i = 0; !r && i < json_object_array_length(array); i++)
		r = parse_file(json_object_array_get_idx(array, i), live, err);
	return r;
}

/*
 * Also what another version wrote: fields that are unknown here are left out, and of those that
 * are missing only the ones that nothing else tells are needed: which process it is, and its XML.
 * What was under way with devices, QEMU tells.
 */
static int parse_vf(struct json_object *object, struct store_vf *vf, struct pt_error *err)
{
	int64_t vlan = 0;
	int r;

	if (!json_object_is_type(object, json_type_object))
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"vfs\" holds no objects");
	r = state_get_address(object, "device", &vf->address, err);
	if (!r)
		r = state_get_text(object, "mac", true, vf->mac, sizeof(vf->mac), err);
	if (!r)
		r = state_get_number(object, "vlan", 0, 4095, &vlan, err);
	vf->vlan = (int)vlan;
	return r;
}

static int parse_all_vfs(struct json_object *object, struct store_live *live, struct pt_error *err)
{
	struct json_object *array;
	size_t i;
	int r = 0;

	if (!json_object_object_get_ex(object, "vfs", &array))
		return 0;
	if (!json_object_is_type(array, json_type_array) ||
	    json_object_array_length(array) > STORE_VFS_MAX)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"vfs\" is no list, or too long");
	for (i = 0; !r && i < json_object_array_length(array); i++)
		r = parse_vf(json_object_array_get_idx(array, i), &live->vfs[i], err);
	live->vf_count = i;
	return r;
}

static int parse_tpm(struct json_object *object, struct store_live *live, struct pt_error *err)
{
	int64_t pid = 0, start = 0;
	struct json_object *tpm;
	int r;

	if (!json_object_object_get_ex(object, "tpm", &tpm))
		return 0;
	if (!json_object_is_type(tpm, json_type_object))
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"tpm\" is no object");
	r = state_get_number(tpm, "pid", 1, INT_MAX, &pid, err);
	if (!r)
		r = state_get_number(tpm, "start_time", 0, INT64_MAX, &start, err);
	live->tpm_pid = (pid_t)pid;
	live->tpm_start_time = (uint64_t)start;
	return r;
}

static int parse(struct json_object *object, struct store_live *live, struct pt_error *err)
{
	int64_t id = 0, pid = 0, start = 0;
	unsigned int phase = 0;
	int r = state_get_text(object, "name", true, live->name, sizeof(live->name), err);

	if (!r)
		r = store_check_name(live->name, err);
	if (!r)
		r = state_get_number(object, "id", 1, INT_MAX, &id, err);
	if (!r)
		r = state_get_number(object, "pid", 1, INT_MAX, &pid, err);
	if (!r)
		r = state_get_number(object, "start_time", 0, INT64_MAX, &start, err);
	if (!r && json_object_object_get_ex(object, "since", NULL))
		r = state_get_number(object, "since", 0, INT64_MAX, &live->since, err);
	if (!r)
		r = get_word(object, "phase", phases, sizeof(phases) / sizeof(phases[0]), &phase,
			     err);
	if (!r)
		r = get_long_text(object, "xml", &live->xml, err);
	if (!r && !live->xml)
		r = pt_fail(err, PT_CORRUPT, EBADMSG, "\"xml\" is missing");
	live->id = (int)id;
	live->pid = (pid_t)pid;
	live->start_time = (uint64_t)start;
	live->phase = (enum store_phase)phase;
	if (!r)
		r = parse_all_pending(object, live, err);
	if (!r)
		r = parse_all_files(object, live, err);
	if (!r)
		r = parse_all_vfs(object, live, err);
	return r < 0 ? r : parse_tpm(object, live, err);
}

int store_parse_live(const char *text, size_t size, struct store_live **ret_live,
		     struct pt_error *err)
{
	AUTO(auto_store_live) struct store_live *live = calloc(1, sizeof(*live));
	struct json_object *object;
	int r;

	if (!live)
		return pt_fail_memory(err);
	r = state_parse(text, size, &object, err);
	if (r < 0)
		return r;
	r = parse(object, live, err);
	json_object_put(object);
	if (!r)
		*ret_live = TAKE_POINTER(live);
	return r;
}

int store_read_live(struct pt_host *host, const char *name, struct store_live **ret_live,
		    struct pt_error *err)
{
	AUTO(auto_store_live) struct store_live *live = NULL;
	AUTO_FREE char *text = NULL;
	char path[STORE_PATH];
	size_t size;
	int r = text_format(path, sizeof(path), STORE_LIVE "/%s.json", name);

	if (r >= 0)
		r = io_read_all_at(host->root_fd, path, STATE_FILE_MAX, &text, &size);
	if (r < 0)
		return pt_fail(err, PT_STORAGE, -r, "can't read the state of guest %s: %s", name,
			       strerror(-r));
	r = store_parse_live(text, size, &live, err);
	if (!r && strcmp(live->name, name) != 0)
		r = pt_fail(err, PT_CORRUPT, EBADMSG, "it is of guest %s", live->name);
	if (r < 0) {
		pt_error_prefix(err, "/" STORE_LIVE "/%s.json: ", name);
		return r;
	}
	*ret_live = TAKE_POINTER(live);
	return 0;
}
