/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "assign/persist/persist.h"
#include "base/auto.h"
#include "base/text.h"
#include "pci/host.h"

/* Nobody persists more; a directory with more isn't ours. */
#define PERSIST_MAX 4096

const struct state_kind state_persisted = {
	.directory = PERSIST_DIR,
	.suffix = ".json",
	.max = 65536,
	.directory_mode = 0755,
	.mode = 0644,
	.is_lasting = true,
	.next = "correct the file, or remove it with passthru unpersist",
};

AUTO_DEFINE(list, struct pt_persist_list *, pt_persist_free)

/* ---- JSON ---- */

static int set_hex(struct json_object *object, const char *key, uint32_t value, int digits)
{
	char text[16];

	(void)text_format(text, sizeof(text), "%0*" PRIx32, digits, value);
	return json_set_text(object, key, text);
}

int persist_add_identity(struct json_object *object, const struct pt_identity *identity)
{
	int r = set_hex(object, "vendor", identity->vendor_id, 4);

	r |= set_hex(object, "product", identity->device_id, 4);
	r |= set_hex(object, "subsystem_vendor", identity->subsystem_vendor_id, 4);
	r |= set_hex(object, "subsystem_product", identity->subsystem_device_id, 4);
	r |= set_hex(object, "class", identity->class_code, 6);
	r |= set_hex(object, "revision", identity->revision, 2);
	/* absent: could not be looked for; empty: there is none. It is the device's: any bytes */
	if (identity->is_serial_known)
		r |= json_set_bytes(object, "serial", identity->serial);
	r |= json_set_bytes(object, "slot", identity->slot);
	return r ? -ENOMEM : 0;
}

struct json_object *persist_to_json(const struct pt_persisted *persisted)
{
	struct json_object *object = json_object_new_object();
	int r = state_set_address(object, "device", &persisted->address);

	r |= json_set_bytes(object, "driver", persisted->driver);
	r |= object ? persist_add_identity(object, &persisted->identity) : -ENOMEM;
	r |= json_set_number(object, "since", persisted->since);
	r |= json_set_text(object, "why", persisted->why);
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
	int r = json_get_text(object, key, true, text, sizeof(text), err);

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

static int get_bytes(struct json_object *object, const char *key, char *buffer, size_t size,
		     bool *ret_exists, struct pt_error *err)
{
	AUTO_FREE char *text = NULL;
	int r = json_get_bytes(object, key, &text, err);

	if (!r && text && strlen(text) >= size)
		r = pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is too long", key);
	if (r < 0)
		return r;
	(void)text_copy(buffer, size, text ? text : "");
	*ret_exists = text != NULL;
	return 0;
}

int persist_get_identity(struct json_object *object, struct pt_identity *ret_identity,
			 struct pt_error *err)
{
	struct pt_identity identity = {0};
	bool has_slot = false;
	int r = get_ids(object, &identity, err);

	if (!r)
		r = get_bytes(object, "serial", identity.serial, sizeof(identity.serial),
			      &identity.is_serial_known, err);
	/* "SOURCE:…", as pt_identity_format() relies on */
	if (!r && *identity.serial && !strchr(identity.serial, ':'))
		r = pt_fail(err, PT_CORRUPT, EBADMSG, "\"serial\" does not begin with its source");
	if (!r)
		r = get_bytes(object, "slot", identity.slot, sizeof(identity.slot), &has_slot, err);
	if (!r && !has_slot)
		r = pt_fail(err, PT_CORRUPT, EBADMSG, "\"slot\" is missing");
	if (!r)
		*ret_identity = identity;
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
		r = json_get_number(object, "since", INT64_MIN, INT64_MAX, &persisted->since, err);
	if (!r)
		r = json_get_text(object, "why", false, persisted->why, sizeof(persisted->why),
				  err);
	return r;
}

int persist_parse(const char *text, size_t size, struct pt_persisted *ret_persisted,
		  struct pt_error *err)
{
	AUTO(auto_json) struct json_object *object = NULL;
	struct pt_persisted persisted = {0};
	int r = json_parse(text, size, state_persisted.max, STATE_DEPTH, &object, err);

	if (!r)
		r = from_json(object, &persisted, err);
	if (!r)
		*ret_persisted = persisted;
	return r;
}

/* ---- files ---- */

int persist_store(struct pt_host *host, const struct pt_persisted *persisted, struct pt_error *err)
{
	char name[PT_ADDRESS_TEXT];

	return state_write_json(host, &state_persisted,
				pt_address_format(&persisted->address, name),
				persist_to_json(persisted), err);
}

int persist_erase(struct pt_host *host, const struct pt_address *address, struct pt_error *err)
{
	char name[PT_ADDRESS_TEXT];
	int r = state_remove(host, &state_persisted, pt_address_format(address, name), err);

	/* the udev rule starts no program where this directory is missing */
	if (!r)
		(void)unlinkat(host->root_fd, PERSIST_DIR, AT_REMOVEDIR);
	return r;
}

static int persist_file_load(struct pt_host *host, const struct pt_address *address,
			     const char *name, struct pt_persisted *persisted, struct pt_error *err)
{
	AUTO_FREE char *text = NULL;
	size_t size;
	int r = state_read(host, &state_persisted, name, &text, &size, err);

	if (!r)
		r = persist_parse(text, size, persisted, err);
	if (!r && pt_address_compare(&persisted->address, address) != 0)
		r = pt_fail(err, PT_CORRUPT, EBADMSG, "it describes another device");
	return r;
}

static int load_file(struct pt_host *host, const char *name, struct pt_persist_list *list,
		     struct pt_error *err)
{
	struct pt_unreadable unreadable;
	struct pt_address address;
	struct pt_persisted *grown;
	struct pt_error why;
	int r;

	if (!state_parse_name(name, &address))
		return 0; /* a person's */
	if (list->count == PERSIST_MAX)
		return pt_fail(err, PT_CORRUPT, E2BIG, "/%s: more than %d files", PERSIST_DIR,
			       PERSIST_MAX);
	grown = reallocarray(list->items, list->count + 1, sizeof(*grown));
	if (!grown)
		return pt_fail_memory(err);
	list->items = grown;
	r = persist_file_load(host, &address, name, &grown[list->count], &why);
	if (!r)
		list->count++;
	if (!r || r == -ENOENT) /* unpersisted meanwhile */
		return 0;
	r = state_check_general(&state_persisted, name, &why, err);
	if (r < 0)
		return r;
	unreadable = state_unreadable(&state_persisted, name, &address, &why);
	return state_add_unreadable(&list->unreadables, &unreadable) < 0 ? pt_fail_memory(err) : 0;
}

static int compare_items(const void *a, const void *b)
{
	return pt_address_compare(&((const struct pt_persisted *)a)->address,
				  &((const struct pt_persisted *)b)->address);
}

int persist_load(struct pt_host *host, struct pt_persist_list **ret_list, struct pt_error *err)
{
	AUTO(auto_list) struct pt_persist_list *list = calloc(1, sizeof(*list));
	AUTO_FREE char **names = NULL;
	size_t i;
	int r;

	if (!list)
		return pt_fail_memory(err);
	r = state_list(host, &state_persisted, &names, err);
	for (i = 0; !r && names[i]; i++)
		r = load_file(host, names[i], list, err);
	if (r < 0)
		return r;
	if (list->count)
		qsort(list->items, list->count, sizeof(*list->items), compare_items);
	*ret_list = TAKE_POINTER(list);
	return 0;
}
