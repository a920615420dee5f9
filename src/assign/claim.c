/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "assign/claim.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "assign/journal.h"
#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/sysfs.h"

static const char *const state_names[] = {
	[PT_CLAIM_HELD] = "held",
	[PT_CLAIM_CHANGING] = "changing",
	[PT_CLAIM_STUCK] = "stuck",
	[PT_CLAIM_QUARANTINED] = "quarantined",
};

static const char *const owner_names[] = {
	[PT_OWNER_MANUAL] = "manual",
	[PT_OWNER_PROCESS] = "process",
	[PT_OWNER_DOMAIN] = "domain",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

AUTO_DEFINE(claims, struct pt_claims *, pt_claims_free)

const char *pt_claim_state_name(enum pt_claim_state state)
{
	return (size_t)state < COUNT(state_names) ? state_names[state] : "unknown";
}

const char *owner_format(const struct pt_owner *owner, char buffer[128])
{
	switch (owner->kind) {
	case PT_OWNER_PROCESS:
		(void)text_format(buffer, 128, "%s (pid %ld)", owner->name, (long)owner->pid);
		break;
	case PT_OWNER_DOMAIN:
		(void)text_format(buffer, 128, "guest %s", owner->name);
		break;
	default:
		text_copy(buffer, 128, "nobody (detached by hand)");
	}
	return buffer;
}

/* ---- JSON ---- */

static int add_text(struct json_object *object, const char *key, const char *text)
{
	struct json_object *value = json_object_new_string(text);

	if (!value)
		return -ENOMEM;
	return json_object_object_add(object, key, value);
}

static int add_number(struct json_object *object, const char *key, int64_t number)
{
	struct json_object *value = json_object_new_int64(number);

	if (!value)
		return -ENOMEM;
	return json_object_object_add(object, key, value);
}

struct json_object *claim_to_json(const struct pt_claim *claim)
{
	struct json_object *object = json_object_new_object();
	struct json_object *owner = json_object_new_object();
	char address[PT_ADDRESS_TEXT];
	int r = 0;

	if (!object || !owner)
		goto no_memory;
	r |= add_text(object, "device", pt_address_format(&claim->address, address));
	r |= add_text(object, "state", pt_claim_state_name(claim->state));
	r |= add_text(owner, "kind", owner_names[claim->owner.kind]);
	r |= add_text(owner, "name", claim->owner.name);
	r |= add_number(owner, "pid", claim->owner.pid);
	r |= add_number(owner, "start_time", (int64_t)claim->owner.start_time);
	r |= json_object_object_add(object, "kept", json_object_new_boolean(claim->is_kept));
	r |= add_text(object, "driver", claim->driver);
	r |= add_text(object, "driver_before", claim->driver_before);
	r |= add_text(object, "override_before", claim->override_before);
	r |= add_number(object, "vendor_id", claim->vendor_id);
	r |= add_number(object, "device_id", claim->device_id);
	r |= add_number(object, "since", claim->since);
	r |= add_text(object, "why", claim->why);
	if (r)
		goto no_memory;
	if (json_object_object_add(object, "owner", owner) == 0)
		return object;
no_memory:
	json_object_put(owner);
	json_object_put(object);
	return NULL;
}

int state_parse(const char *text, size_t size, struct json_object **ret_object,
		struct pt_error *err)
{
	struct json_tokener *tokener;
	struct json_object *object;
	bool is_whole;

	if (size > STATE_FILE_MAX)
		return pt_fail(err, PT_CORRUPT, EFBIG, "larger than %d bytes", STATE_FILE_MAX);
	tokener = json_tokener_new_ex(8);
	if (!tokener)
		return pt_fail_memory(err);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, text, (int)size);
	is_whole = json_tokener_get_error(tokener) == json_tokener_success &&
		   json_tokener_get_parse_end(tokener) == size;
	json_tokener_free(tokener);
	if (!is_whole || !json_object_is_type(object, json_type_object)) {
		json_object_put(object);
		return pt_fail(err, PT_CORRUPT, EBADMSG, "not a JSON object");
	}
	*ret_object = object;
	return 0;
}

int state_get_text(struct json_object *object, const char *key, bool is_required, char *buffer,
		   size_t size, struct pt_error *err)
{
	struct json_object *value;
	const char *text;

	if (!json_object_object_get_ex(object, key, &value)) {
		if (is_required)
			return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is missing", key);
		buffer[0] = '\0';
		return 0;
	}
	if (!json_object_is_type(value, json_type_string))
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is not a string", key);
	text = json_object_get_string(value);
	/* an embedded NUL would hide the rest of the value */
	if (strlen(text) != (size_t)json_object_get_string_len(value) || strlen(text) >= size)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is too long", key);
	text_copy(buffer, size, text);
	return 0;
}

int state_get_driver(struct json_object *object, const char *key, char buffer[BINDING_NAME],
		     struct pt_error *err)
{
	int r = state_get_text(object, key, true, buffer, BINDING_NAME, err);

	if (r < 0)
		return r;
	if (strpbrk(buffer, "/\n") || buffer[0] == '.')
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is not a driver's name", key);
	return 0;
}

int state_get_number(struct json_object *object, const char *key, int64_t min, int64_t max,
		     int64_t *ret_value, struct pt_error *err)
{
	struct json_object *value;
	int64_t number;

	if (!json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, json_type_int))
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is not a number", key);
	number = json_object_get_int64(value);
	if (number < min || number > max)
		return pt_fail(err, PT_CORRUPT, ERANGE, "\"%s\" is out of range", key);
	*ret_value = number;
	return 0;
}

int state_get_address(struct json_object *object, const char *key, struct pt_address *ret_address,
		      struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT];
	int r = state_get_text(object, key, true, text, sizeof(text), err);

	if (r < 0)
		return r;
	if (pt_address_parse(text, ret_address, NULL) < 0)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is not a PCI address", key);
	return 0;
}

static int get_enum(struct json_object *object, const char *key, const char *const *names,
		    size_t count, unsigned int *ret_value, struct pt_error *err)
{
	char text[32];
	size_t i;
	int r = state_get_text(object, key, true, text, sizeof(text), err);

	if (r < 0)
		return r;
	for (i = 0; i < count; i++) {
		if (!strcmp(names[i], text)) {
			*ret_value = (unsigned int)i;
			return 0;
		}
	}
	return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" has an unknown value", key);
}

static int owner_from_json(struct json_object *object, struct pt_owner *owner, struct pt_error *err)
{
	struct json_object *value;
	unsigned int kind = 0;
	int64_t number;
	int r;

	if (!json_object_object_get_ex(object, "owner", &value) ||
	    !json_object_is_type(value, json_type_object))
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"owner\" is missing");
	r = get_enum(value, "kind", owner_names, COUNT(owner_names), &kind, err);
	if (r < 0)
		return r;
	owner->kind = (enum pt_owner_kind)kind;
	r = state_get_text(value, "name", true, owner->name, sizeof(owner->name), err);
	if (r < 0)
		return r;
	r = state_get_number(value, "pid", 0, INT32_MAX, &number, err);
	if (r < 0)
		return r;
	owner->pid = (pid_t)number;
	r = state_get_number(value, "start_time", 0, INT64_MAX, &number, err);
	owner->start_time = (uint64_t)number;
	return r;
}

static int ids_from_json(struct json_object *object, struct pt_claim *claim, struct pt_error *err)
{
	struct json_object *value;
	int64_t number;
	int r;

	r = state_get_number(object, "vendor_id", 0, UINT16_MAX, &number, err);
	if (r < 0)
		return r;
	claim->vendor_id = (uint16_t)number;
	r = state_get_number(object, "device_id", 0, UINT16_MAX, &number, err);
	if (r < 0)
		return r;
	claim->device_id = (uint16_t)number;
	if (!json_object_object_get_ex(object, "kept", &value) ||
	    !json_object_is_type(value, json_type_boolean))
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"kept\" is not true or false");
	claim->is_kept = json_object_get_boolean(value);
	return state_get_number(object, "since", INT64_MIN, INT64_MAX, &claim->since, err);
}

int claim_from_json(struct json_object *object, struct pt_claim *ret_claim, struct pt_error *err)
{
	struct pt_claim claim = {0};
	unsigned int state = 0;
	int r;

	r = state_get_address(object, "device", &claim.address, err);
	if (!r)
		r = get_enum(object, "state", state_names, COUNT(state_names), &state, err);
	if (!r)
		r = owner_from_json(object, &claim.owner, err);
	if (!r)
		r = state_get_driver(object, "driver", claim.driver, err);
	if (!r)
		r = state_get_driver(object, "driver_before", claim.driver_before, err);
	if (!r)
		r = state_get_driver(object, "override_before", claim.override_before, err);
	if (!r)
		r = state_get_text(object, "why", false, claim.why, sizeof(claim.why), err);
	if (!r)
		r = ids_from_json(object, &claim, err);
	if (r)
		return r;
	claim.state = (enum pt_claim_state)state;
	*ret_claim = claim;
	return 0;
}

int claim_parse(const char *text, size_t size, struct pt_claim *ret_claim, struct pt_error *err)
{
	struct json_object *object;
	int r = state_parse(text, size, &object, err);

	if (r)
		return r;
	r = claim_from_json(object, ret_claim, err);
	json_object_put(object);
	return r;
}

/* ---- files ---- */

int state_fail(struct pt_error *err, int errnum, const char *what)
{
	const char *next = "";

	if (errnum == EACCES || errnum == EPERM)
		return pt_fail(err, PT_NOT_PERMITTED, errnum, "/%s: %s: run as root", what,
			       strerror(errnum));
	if (errnum == ENOSPC || errnum == EDQUOT)
		next = ": make room in /run (df /run), then try again";
	else if (errnum == EROFS)
		next = ": passthru must note what it does there; remount /run read-write";
	return pt_fail(err, PT_STORAGE, errnum, "/%s: %s%s", what, strerror(errnum), next);
}

int state_prepare(struct pt_host *host, struct pt_error *err)
{
	int r = io_make_directories_at(host->root_fd, CLAIM_DIR, 0755);

	if (!r)
		r = io_make_directories_at(host->root_fd, JOURNAL_DIR, 0755);
	/* 0700: who can open a lock file can hold it, and keep everybody from the device */
	if (!r)
		r = io_make_directories_at(host->root_fd, LOCK_DIR, 0700);
	return r < 0 ? state_fail(err, -r, STATE_DIR) : 0;
}

static int claim_path(char path[SYSFS_PATH], const struct pt_address *address)
{
	char text[PT_ADDRESS_TEXT];

	return text_format(path, SYSFS_PATH, CLAIM_DIR "/%s", pt_address_format(address, text));
}

int claim_read(struct pt_host *host, const struct pt_address *address, bool *ret_exists,
	       struct pt_claim *ret_claim, struct pt_error *err)
{
	AUTO_FREE char *text = NULL;
	char path[SYSFS_PATH];
	size_t size;
	int r = claim_path(path, address);

	if (r < 0)
		return state_fail(err, -r, CLAIM_DIR);
	r = io_read_all_at(host->root_fd, path, STATE_FILE_MAX, &text, &size);
	if (r == -ENOENT) {
		*ret_exists = false;
		return 0;
	}
	if (r < 0)
		return state_fail(err, -r, path);
	r = claim_parse(text, size, ret_claim, err);
	if (!r && pt_address_compare(&ret_claim->address, address))
		r = pt_fail(err, PT_CORRUPT, EBADMSG, "it is about another device");
	if (r < 0) {
		pt_error_prefix(err, "/%s: ", path);
		pt_error_append(err, ": look at the file; remove it when you know the device's "
				     "state, then run passthru reattach");
		return r;
	}
	*ret_exists = true;
	return 0;
}

int claim_write(struct pt_host *host, const struct pt_claim *claim, struct pt_error *err)
{
	struct json_object *object = claim_to_json(claim);
	char path[SYSFS_PATH];
	const char *text;
	size_t size;
	int r;

	if (!object)
		return pt_fail_memory(err);
	text = json_object_to_json_string_length(object, JSON_C_TO_STRING_PLAIN, &size);
	r = claim_path(path, &claim->address);
	if (r >= 0)
		r = io_replace_at(host->root_fd, path, text, size, 0644);
	json_object_put(object);
	return r < 0 ? state_fail(err, -r, path) : 0;
}

int claim_remove(struct pt_host *host, const struct pt_address *address, struct pt_error *err)
{
	char path[SYSFS_PATH];
	int r = claim_path(path, address);

	if (r < 0)
		return state_fail(err, -r, CLAIM_DIR);
	if (unlinkat(host->root_fd, path, 0) < 0 && errno != ENOENT)
		return state_fail(err, errno, path);
	return 0;
}

/* ---- all claims ---- */

struct pt_claims {
	struct pt_claim *items;
	size_t count;
};

static int compare_claims(const void *a, const void *b)
{
	return pt_address_compare(&((const struct pt_claim *)a)->address,
				  &((const struct pt_claim *)b)->address);
}

/* A claim whose device stands in a journal is changing: the journal is that fact's only place. */
static int mark_changing(struct pt_host *host, struct pt_claims *claims, struct pt_error *err)
{
	AUTO_FREE char **names = NULL;
	size_t i, n;
	int r = journal_list(host, &names, err);

	for (n = 0; !r && names[n]; n++) {
		struct journal journal;

		if (journal_read(host, names[n], &journal, NULL) < 0)
			continue; /* finished meanwhile, or corrupt: recovery reports that */
		for (i = 0; i < claims->count; i++) {
			if (claims->items[i].state == PT_CLAIM_HELD &&
			    journal_touches(&journal, &claims->items[i].address))
				claims->items[i].state = PT_CLAIM_CHANGING;
		}
		journal_free(&journal);
	}
	return r;
}

static int read_one(struct pt_host *host, const char *name, struct pt_claims *claims,
		    struct pt_error *err)
{
	struct pt_address address;
	struct pt_claim *grown;
	bool exists = false;
	int r;

	/* names of claims being written, see io_replace_at() */
	if (pt_address_parse(name, &address, NULL) < 0)
		return 0;
	grown = reallocarray(claims->items, claims->count + 1, sizeof(*grown));
	if (!grown)
		return pt_fail_memory(err);
	claims->items = grown;
	r = claim_read(host, &address, &exists, &grown[claims->count], err);
	if (!r && exists)
		claims->count++;
	return r;
}

int pt_claims_read(struct pt_host *host, struct pt_claims **ret_claims, struct pt_error *err)
{
	AUTO(auto_claims) struct pt_claims *claims = calloc(1, sizeof(*claims));
	AUTO_DIR DIR *dir = NULL;
	struct dirent *entry;
	int fd, r;

	if (!claims)
		return pt_fail_memory(err);
	fd = openat(host->root_fd, CLAIM_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		*ret_claims = TAKE_POINTER(claims);
		return 0;
	}
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return state_fail(err, errno, CLAIM_DIR);
	while ((entry = readdir(dir))) {
		r = read_one(host, entry->d_name, claims, err);
		if (r < 0)
			return r;
	}
	if (claims->count) {
		qsort(claims->items, claims->count, sizeof(*claims->items), compare_claims);
		r = mark_changing(host, claims, err);
		if (r < 0)
			return r;
	}
	*ret_claims = TAKE_POINTER(claims);
	return 0;
}

void pt_claims_free(struct pt_claims *claims)
{
	if (!claims)
		return;
	free(claims->items);
	free(claims);
}

size_t pt_claims_count(const struct pt_claims *claims)
{
	return claims->count;
}

const struct pt_claim *pt_claims_at(const struct pt_claims *claims, size_t index)
{
	return index < claims->count ? &claims->items[index] : NULL;
}

const struct pt_claim *pt_claims_find(const struct pt_claims *claims,
				      const struct pt_address *address)
{
	struct pt_claim key = {.address = *address};

	if (!claims->count)
		return NULL;
	return bsearch(&key, claims->items, claims->count, sizeof(key), compare_claims);
}

/* ---- owners ---- */

/* A field of /proc/PID/stat, by its number in proc(5); @p is at the end of field 2. */
static int read_field(const char *p, int index, uint64_t *ret_value)
{
	char number[32];
	int field;

	for (field = 2; p && field < index; field++)
		p = strchr(p + 1, ' ');
	if (!p || text_format(number, sizeof(number), "%.*s", (int)strcspn(p + 1, " "), p + 1) < 0)
		return -EBADMSG;
	return text_parse_number(number, 10, UINT64_MAX, ret_value);
}

int owner_read_start(struct pt_host *host, pid_t pid, uint64_t *ret_start_time)
{
	char path[64], text[1024];
	uint64_t threads;
	const char *name;
	ssize_t len;
	int r;

	(void)text_format(path, sizeof(path), "proc/%ld/stat", (long)pid);
	len = io_read_text_at(host->root_fd, path, text, sizeof(text));
	if (len == -ENOENT)
		return -ESRCH;
	if (len < 0)
		return (int)len;
	/* field 2 is the name in parentheses and may hold anything, ")" too */
	name = strrchr(text, ')');
	if (!name || strlen(name) < 4)
		return -EBADMSG;
	r = read_field(name, 20, &threads);
	if (r < 0)
		return r;
	/* dead and not waited for yet; a leader that ended before its threads looks the same */
	if (strchr("ZXx", name[2]) && threads <= 1)
		return -ESRCH;
	return read_field(name, 22, ret_start_time);
}

int pt_owner_of_process(struct pt_host *host, pid_t pid, const char *name,
			struct pt_owner *ret_owner, struct pt_error *err)
{
	struct pt_owner owner = {.kind = PT_OWNER_PROCESS, .pid = pid};

	if (owner_read_start(host, pid, &owner.start_time) < 0)
		return pt_fail(err, PT_INVALID, ESRCH, "there is no process %ld", (long)pid);
	(void)text_copy(owner.name, sizeof(owner.name), name);
	*ret_owner = owner;
	return 0;
}

bool pt_owner_is_alive(struct pt_host *host, const struct pt_owner *owner)
{
	uint64_t start_time;
	int r;

	if (owner->kind == PT_OWNER_MANUAL)
		return true;
	r = owner_read_start(host, owner->pid, &start_time);
	/* who can't be looked at isn't dead for that */
	return r < 0 ? r != -ESRCH : start_time == owner->start_time;
}
