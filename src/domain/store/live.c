/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file of a running guest. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "domain/store/store.h"
#include "pci/host.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const struct state_kind state_live = {
	.directory = STORE_LIVE,
	.suffix = ".json",
	.max = 8 * STATE_FILE_MAX, /* a definition of 1 MiB, completed and escaped */
	.directory_mode = 0755,
	.mode = 0600,
	.next = "the guest's QEMU may still run, so passthrud does not touch the guest. Correct "
		"the file, or install the passthrud version that wrote it; or stop that QEMU and "
		"remove the file. Then restart passthrud",
};

static const char *const phases[] = {[STORE_STARTING] = "starting", [STORE_RUNNING] = "running"};
static const char *const companions[] = {[STORE_TPM] = "tpm", [STORE_RECORDER] = "recorder"};
static const char *const changes[] = {
	[STORE_ATTACHING] = "attaching",
	[STORE_DETACHING] = "detaching",
};

static void free_file(struct store_file *file)
{
	free(file->path);
	free(file->label);
	free(file->label_before);
}

void store_live_free(struct store_live *live)
{
	size_t i;

	if (!live)
		return;
	for (i = 0; i < live->pending_count; i++)
		free(live->pending[i].xml);
	for (i = 0; i < live->file_count; i++)
		free_file(&live->files[i]);
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
	grown += live->file_count;
	grown->path = strdup(file->path);
	grown->label = file->label ? strdup(file->label) : NULL;
	grown->label_before = file->label ? strdup(file->label_before) : NULL;
	if (!grown->path || !grown->label != !file->label || !grown->label_before != !file->label) {
		free_file(grown);
		return -ENOMEM;
	}
	live->file_count++;
	return 0;
}

bool store_file_is(const struct store_file *file, const struct stat *st)
{
	return file->device == (uint64_t)st->st_dev && file->inode == (uint64_t)st->st_ino;
}

void store_drop_file(struct store_live *live, size_t index)
{
	free_file(&live->files[index]);
	live->file_count--;
	memmove(&live->files[index], &live->files[index + 1],
		(live->file_count - index) * sizeof(*live->files));
}

/* ---- writing ---- */

static struct json_object *pending_to_json(const struct store_pending *pending)
{
	struct json_object *object = json_object_new_object();
	int r = json_set_text(object, "change", changes[pending->change]);

	r |= json_set_text(object, "alias", pending->alias);
	if (pending->has_address)
		r |= state_set_address(object, "device", &pending->address);
	if (pending->xml)
		r |= json_set_text(object, "xml", pending->xml);
	if (!r)
		return object;
	json_object_put(object);
	return NULL;
}

static struct json_object *file_to_json(const struct store_file *file)
{
	struct json_object *object = json_object_new_object();
	int r = json_set_bytes(object, "path", file->path);

	r |= json_set_number(object, "device", (int64_t)file->device);
	r |= json_set_number(object, "inode", (int64_t)file->inode);
	r |= json_set_number(object, "uid", file->uid);
	r |= json_set_number(object, "given", file->given);
	if (file->permitted)
		r |= json_set_number(object, "permitted", file->permitted);
	if (file->label) {
		r |= json_set_text(object, "label", file->label);
		r |= json_set_text(object, "label_before", file->label_before);
	}
	if (file->is_returning)
		r |= json_set_bool(object, "returning", true);
	if (file->is_kept)
		r |= json_set_bool(object, "kept", true);
	if (!r)
		return object;
	json_object_put(object);
	return NULL;
}

static struct json_object *vf_to_json(const struct store_vf *vf)
{
	struct json_object *object = json_object_new_object();
	int r = state_set_address(object, "device", &vf->address);

	r |= json_set_text(object, "mac", vf->mac);
	r |= json_set_number(object, "vlan", vf->vlan);
	if (!r)
		return object;
	json_object_put(object);
	return NULL;
}

static struct json_object *usb_to_json(const struct store_usb *usb)
{
	struct json_object *object = json_object_new_object();
	int r = json_set_text(object, "name", usb->name);

	r |= json_set_number(object, "bus", usb->bus);
	r |= json_set_number(object, "device", usb->device);
	r |= json_set_number(object, "configuration", usb->configuration);
	r |= json_set_number(object, "bound", usb->bound);
	if (!r)
		return object;
	json_object_put(object);
	return NULL;
}

static int set_usbs(struct json_object *object, const struct store_live *live)
{
	struct json_object *usbs;
	int r = 0;

	if (!live->usb_count)
		return 0;
	usbs = json_object_new_array();
	for (size_t i = 0; i < live->usb_count; i++)
		r |= json_append(usbs, usb_to_json(&live->usbs[i]));
	return json_set(object, "usbs", usbs) | r;
}

static int set_lists(struct json_object *object, const struct store_live *live)
{
	struct json_object *pending = json_object_new_array();
	struct json_object *files = json_object_new_array();
	struct json_object *vfs = json_object_new_array();
	size_t i;
	int r = 0;

	for (i = 0; i < live->pending_count; i++)
		r |= json_append(pending, pending_to_json(&live->pending[i]));
	for (i = 0; i < live->file_count; i++)
		r |= json_append(files, file_to_json(&live->files[i]));
	for (i = 0; i < live->vf_count; i++)
		r |= json_append(vfs, vf_to_json(&live->vfs[i]));
	r |= json_set(object, "pending", pending);
	r |= json_set(object, "files", files);
	r |= json_set(object, "vfs", vfs);
	return r | set_usbs(object, live);
}

static struct json_object *process_to_json(const struct store_process *process)
{
	struct json_object *object = json_object_new_object();
	int r = json_set_number(object, "pid", process->pid);

	r |= json_set_number(object, "start_time", (int64_t)process->start_time);
	if (!r)
		return object;
	json_object_put(object);
	return NULL;
}

static int set_companions(struct json_object *object, const struct store_live *live)
{
	const struct store_process *filesystem = &live->companions[STORE_FILESYSTEM];
	struct json_object *filesystems = NULL;
	int r = 0;

	for (size_t i = 0; i < STORE_FILESYSTEM; i++)
		if (live->companions[i].pid)
			r |= json_set(object, companions[i], process_to_json(&live->companions[i]));
	for (size_t i = 0; i < STORE_FILESYSTEMS_MAX && filesystem[i].pid; i++) {
		if (!filesystems)
			filesystems = json_object_new_array();
		r |= json_append(filesystems, process_to_json(&filesystem[i]));
	}
	return filesystems ? json_set(object, "filesystems", filesystems) | r : r;
}

struct json_object *store_live_to_json(const struct store_live *live)
{
	struct json_object *object = json_object_new_object();
	int r = json_set_text(object, "name", live->name);

	r |= json_set_number(object, "id", live->id);
	r |= json_set_number(object, "pid", live->pid);
	r |= json_set_number(object, "start_time", (int64_t)live->start_time);
	r |= json_set_text(object, "phase", phases[live->phase]);
	r |= json_set_number(object, "since", live->since);
	r |= json_set_text(object, "xml", live->xml);
	if (live->has_view)
		r |= json_set_bool(object, "view", true);
	if (live->has_pipes)
		r |= json_set_bool(object, "pipes", true);
	if (live->user[0])
		r |= json_set_text(object, "user", live->user);
	r |= set_lists(object, live);
	r |= set_companions(object, live);
	if (!r)
		return object;
	json_object_put(object);
	return NULL;
}

int store_write_live(struct pt_host *host, const struct store_live *live, struct pt_error *err)
{
	return state_write_json(host, &state_live, live->name, store_live_to_json(live), err);
}

int store_remove_live(struct pt_host *host, const char *name, struct pt_error *err)
{
	return state_remove(host, &state_live, name, err);
}

/* ---- reading ---- */

static int parse_pending(struct json_object *object, struct store_pending *pending,
			 struct pt_error *err)
{
	unsigned int change = 0;
	int r = json_get_word(object, "change", changes, COUNT(changes), &change, err);

	pending->change = (enum store_change)change;
	if (!r)
		r = json_get_text(object, "alias", true, pending->alias, sizeof(pending->alias),
				  err);
	pending->has_address = json_object_object_get_ex(object, "device", NULL);
	if (!r && pending->has_address)
		r = state_get_address(object, "device", &pending->address, err);
	if (!r)
		r = json_get_long_text(object, "xml", &pending->xml, err);
	return r;
}

static int parse_all_pending(struct json_object *object, struct store_live *live,
			     struct pt_error *err)
{
	struct json_object *array;
	size_t i;
	int r = json_get_objects(object, "pending", STORE_PENDING_MAX, &array, err);

	for (i = 0; !r && array && i < json_object_array_length(array); i++) {
		live->pending_count = i + 1;
		r = parse_pending(json_object_array_get_idx(array, i), &live->pending[i], err);
	}
	return r;
}

static int parse_numbers(struct json_object *object, struct store_file *file, struct pt_error *err)
{
	int64_t device = 0, inode = 0, uid = 0, given = 0, permitted = 0;
	int r = json_get_number(object, "device", INT64_MIN, INT64_MAX, &device, err);

	if (!r)
		r = json_get_number(object, "inode", INT64_MIN, INT64_MAX, &inode, err);
	if (!r)
		r = json_get_number(object, "uid", 0, UINT32_MAX - 1, &uid, err);
	if (!r)
		r = json_get_number(object, "given", 0, UINT32_MAX - 1, &given, err);
	if (!r && json_object_object_get_ex(object, "permitted", NULL))
		r = json_get_number(object, "permitted", 0, 7, &permitted, err);
	if (!r && json_object_object_get_ex(object, "kept", NULL))
		r = json_get_bool(object, "kept", &file->is_kept, err);
	if (!r && json_object_object_get_ex(object, "returning", NULL))
		r = json_get_bool(object, "returning", &file->is_returning, err);
	file->device = (uint64_t)device;
	file->inode = (uint64_t)inode;
	file->uid = (uid_t)uid;
	file->given = (uid_t)given;
	file->permitted = (unsigned int)permitted;
	return r;
}

static int parse_file(struct json_object *object, struct store_live *live, struct pt_error *err)
{
	char label[STORE_LABEL] = "", before[STORE_LABEL] = "";
	struct store_file file = {.label = label, .label_before = before};
	int r = parse_numbers(object, &file, err);

	if (!r)
		r = json_get_text(object, "label", false, label, sizeof(label), err);
	if (!r)
		r = json_get_text(object, "label_before", *label, before, sizeof(before), err);
	if (!*label)
		file.label = NULL;
	if (!r)
		r = json_get_bytes(object, "path", &file.path, err);
	if (r < 0)
		return r;
	if (file.path && file.path[0] == '/')
		r = store_add_file(live, &file);
	else
		r = -EBADMSG;
	free(file.path);
	if (r == -ENOMEM)
		return pt_fail_memory(err);
	return r < 0 ? pt_fail(err, PT_CORRUPT, EBADMSG, "\"files\" has no paths") : 0;
}

/* None of them in the file of an earlier version. */
static int parse_all_files(struct json_object *object, struct store_live *live,
			   struct pt_error *err)
{
	struct json_object *array;
	size_t i;
	int r = json_get_objects(object, "files", STORE_FILES_MAX, &array, err);

	for (i = 0; !r && array && i < json_object_array_length(array); i++)
		r = parse_file(json_object_array_get_idx(array, i), live, err);
	return r;
}

static int parse_vf(struct json_object *object, struct store_vf *vf, struct pt_error *err)
{
	int64_t vlan = 0;
	int r;

	r = state_get_address(object, "device", &vf->address, err);
	if (!r)
		r = json_get_text(object, "mac", true, vf->mac, sizeof(vf->mac), err);
	if (!r)
		r = json_get_number(object, "vlan", 0, 4095, &vlan, err);
	vf->vlan = (int)vlan;
	return r;
}

static int parse_all_vfs(struct json_object *object, struct store_live *live, struct pt_error *err)
{
	struct json_object *array;
	size_t i;
	int r = json_get_objects(object, "vfs", STORE_VFS_MAX, &array, err);

	for (i = 0; !r && array && i < json_object_array_length(array); i++)
		r = parse_vf(json_object_array_get_idx(array, i), &live->vfs[i], err);
	live->vf_count = i;
	return r;
}

static int parse_usb(struct json_object *object, struct store_usb *usb, struct pt_error *err)
{
	int64_t bus = 0, device = 0, configuration = 0, bound = 0;
	int r = json_get_text(object, "name", true, usb->name, sizeof(usb->name), err);

	/* it becomes a part of a path */
	if (!r && (usb->name[0] == '.' || strchr(usb->name, '/')))
		r = pt_fail(err, PT_CORRUPT, EBADMSG, "\"usbs\" has no names of devices");
	if (!r)
		r = json_get_number(object, "bus", 1, 999, &bus, err);
	if (!r)
		r = json_get_number(object, "device", 1, 999, &device, err);
	if (!r)
		r = json_get_number(object, "configuration", 0, 255, &configuration, err);
	if (!r)
		r = json_get_number(object, "bound", 0, UINT32_MAX, &bound, err);
	usb->bus = (unsigned int)bus;
	usb->device = (unsigned int)device;
	usb->configuration = (unsigned int)configuration;
	usb->bound = (uint32_t)bound;
	return r;
}

static int parse_all_usbs(struct json_object *object, struct store_live *live, struct pt_error *err)
{
	struct json_object *array;
	size_t i;
	int r = json_get_objects(object, "usbs", STORE_USB_MAX, &array, err);

	for (i = 0; !r && array && i < json_object_array_length(array); i++)
		r = parse_usb(json_object_array_get_idx(array, i), &live->usbs[i], err);
	live->usb_count = i;
	return r;
}

static int parse_process(struct json_object *process, struct store_process *ret_process,
			 struct pt_error *err)
{
	int64_t pid = 0, start = 0;
	int r = json_get_number(process, "pid", 1, INT_MAX, &pid, err);

	if (!r)
		r = json_get_number(process, "start_time", 0, INT64_MAX, &start, err);
	ret_process->pid = (pid_t)pid;
	ret_process->start_time = (uint64_t)start;
	return r;
}

static int parse_companions(struct json_object *object, struct store_live *live,
			    struct pt_error *err)
{
	struct json_object *process, *array;
	int r = 0;

	for (size_t i = 0; i < STORE_FILESYSTEM && !r; i++) {
		r = json_get_object(object, companions[i], &process, err);
		if (!r && process)
			r = parse_process(process, &live->companions[i], err);
	}
	if (!r)
		r = json_get_objects(object, "filesystems", STORE_FILESYSTEMS_MAX, &array, err);
	for (size_t i = 0; !r && array && i < json_object_array_length(array); i++)
		r = parse_process(json_object_array_get_idx(array, i),
				  &live->companions[STORE_FILESYSTEM + i], err);
	return r;
}

/*
 * Also what another version wrote: fields that are unknown here are left out, and of those that
 * are missing only the ones that nothing else tells are needed: which process it is, and its XML.
 * What was under way with devices, QEMU tells.
 */
static int store_live_from_json(struct json_object *object, struct store_live *live,
				struct pt_error *err)
{
	int64_t id = 0, pid = 0, start = 0;
	unsigned int phase = 0;
	int r = json_get_text(object, "name", true, live->name, sizeof(live->name), err);

	if (!r)
		r = store_check_name(live->name, err);
	if (!r)
		r = json_get_number(object, "id", 1, INT_MAX, &id, err);
	if (!r)
		r = json_get_number(object, "pid", 1, INT_MAX, &pid, err);
	if (!r)
		r = json_get_number(object, "start_time", 0, INT64_MAX, &start, err);
	if (!r && json_object_object_get_ex(object, "since", NULL))
		r = json_get_number(object, "since", 0, INT64_MAX, &live->since, err);
	if (!r)
		r = json_get_word(object, "phase", phases, COUNT(phases), &phase, err);
	if (!r && json_object_object_get_ex(object, "view", NULL))
		r = json_get_bool(object, "view", &live->has_view, err);
	if (!r && json_object_object_get_ex(object, "pipes", NULL))
		r = json_get_bool(object, "pipes", &live->has_pipes, err);
	if (!r)
		r = json_get_text(object, "user", false, live->user, sizeof(live->user), err);
	if (!r)
		r = json_get_long_text(object, "xml", &live->xml, err);
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
	if (!r)
		r = parse_all_usbs(object, live, err);
	return r < 0 ? r : parse_companions(object, live, err);
}

int store_parse_live(const char *text, size_t size, struct store_live **ret_live,
		     struct pt_error *err)
{
	AUTO(auto_store_live) struct store_live *live = calloc(1, sizeof(*live));
	AUTO(auto_json) struct json_object *object = NULL;
	int r;

	if (!live)
		return pt_fail_memory(err);
	r = json_parse(text, size, state_live.max, STATE_DEPTH, &object, err);
	if (!r)
		r = store_live_from_json(object, live, err);
	if (!r)
		*ret_live = TAKE_POINTER(live);
	return r;
}

int store_read_live(struct pt_host *host, const char *name, struct store_live **ret_live,
		    struct pt_error *err)
{
	AUTO(auto_store_live) struct store_live *live = NULL;
	AUTO_FREE char *text = NULL;
	size_t size;
	int r = state_read(host, &state_live, name, &text, &size, err);

	if (!r)
		r = store_parse_live(text, size, &live, err);
	if (!r && strcmp(live->name, name) != 0)
		r = pt_fail(err, PT_CORRUPT, EBADMSG, "it describes another guest");
	if (!r)
		*ret_live = TAKE_POINTER(live);
	return r;
}

int store_each_other(struct pt_host *host, const char *name,
		     int (*tell)(void *context, const struct store_live *other), void *context)
{
	AUTO_FREE char **names = NULL;
	int r = store_list_live(host, &names, NULL);
	bool is_unknown = false;

	for (size_t i = 0; r == 0 && names && names[i]; i++) {
		AUTO(auto_store_live) struct store_live *other = NULL;

		int known = -ENOENT;

		if (strcmp(names[i], name) != 0)
			known = store_read_live(host, names[i], &other, NULL);
		if (known == 0)
			r = tell(context, other);
		/* one that has ended since has nothing */
		is_unknown |= known < 0 && known != -ENOENT;
	}
	return r == 0 && is_unknown ? -EBADMSG : r;
}
