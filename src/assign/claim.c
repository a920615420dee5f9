/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "assign/claim.h"

#include <string.h>

#include "assign/owner.h"
#include "base/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const struct state_kind state_claims = {
	.directory = CLAIM_DIR,
	.suffix = "",
	.max = STATE_FILE_MAX,
	.directory_mode = 0755,
	.mode = 0644,
	.next = "inspect the file; once you know the state of the device, remove the file and run "
		"passthru reattach",
};

static const char *const state_names[] = {
	[PT_CLAIM_HELD] = "held",
	[PT_CLAIM_CHANGING] = "changing",
	[PT_CLAIM_STUCK] = "stuck",
	[PT_CLAIM_QUARANTINED] = "quarantined",
};

const char *pt_claim_state_name(enum pt_claim_state state)
{
	return (size_t)state < COUNT(state_names) ? state_names[state] : "unknown";
}

/* ---- JSON ---- */

struct json_object *claim_to_json(const struct pt_claim *claim)
{
	struct json_object *object = json_object_new_object();
	int r = state_set_address(object, "device", &claim->address);

	r |= json_set_text(object, "state", pt_claim_state_name(claim->state));
	r |= json_set_bool(object, "kept", claim->is_kept);
	r |= json_set_bytes(object, "driver", claim->driver);
	r |= json_set_bytes(object, "driver_before", claim->driver_before);
	r |= json_set_bytes(object, "override_before", claim->override_before);
	r |= json_set_number(object, "vendor_id", claim->vendor_id);
	r |= json_set_number(object, "device_id", claim->device_id);
	r |= json_set_number(object, "since", claim->since);
	r |= json_set_text(object, "why", claim->why);
	r |= json_set(object, "owner", owner_to_json(&claim->owner));
	if (!r)
		return object;
	json_object_put(object);
	return NULL;
}

static int get_owner(struct json_object *object, struct pt_owner *ret_owner, struct pt_error *err)
{
	struct json_object *owner;
	int r = json_get_object(object, "owner", &owner, err);

	if (r < 0)
		return r;
	return owner ? owner_from_json(owner, ret_owner, err)
		     : pt_fail(err, PT_CORRUPT, EBADMSG, "\"owner\" is missing");
}

static int get_rest(struct json_object *object, struct pt_claim *claim, struct pt_error *err)
{
	int64_t vendor = 0, device = 0;
	int r = json_get_text(object, "why", false, claim->why, sizeof(claim->why), err);

	if (!r)
		r = json_get_number(object, "vendor_id", 0, UINT16_MAX, &vendor, err);
	if (!r)
		r = json_get_number(object, "device_id", 0, UINT16_MAX, &device, err);
	if (!r)
		r = json_get_bool(object, "kept", &claim->is_kept, err);
	if (!r)
		r = json_get_number(object, "since", INT64_MIN, INT64_MAX, &claim->since, err);
	claim->vendor_id = (uint16_t)vendor;
	claim->device_id = (uint16_t)device;
	return r;
}

int claim_from_json(struct json_object *object, struct pt_claim *ret_claim, struct pt_error *err)
{
	struct pt_claim claim = {0};
	unsigned int state = 0;
	int r;

	r = state_get_address(object, "device", &claim.address, err);
	if (!r)
		r = json_get_word(object, "state", state_names, COUNT(state_names), &state, err);
	if (!r)
		r = get_owner(object, &claim.owner, err);
	if (!r)
		r = state_get_driver(object, "driver", claim.driver, err);
	if (!r)
		r = state_get_driver(object, "driver_before", claim.driver_before, err);
	if (!r)
		r = state_get_override(object, "override_before", claim.override_before, err);
	if (!r)
		r = get_rest(object, &claim, err);
	if (r)
		return r;
	claim.state = (enum pt_claim_state)state;
	*ret_claim = claim;
	return 0;
}

int claim_parse(const char *text, size_t size, struct pt_claim *ret_claim, struct pt_error *err)
{
	AUTO(auto_json) struct json_object *object = NULL;
	int r = json_parse(text, size, STATE_FILE_MAX, STATE_DEPTH, &object, err);

	return r < 0 ? r : claim_from_json(object, ret_claim, err);
}

/* ---- files ---- */

int claim_load(struct pt_host *host, const struct pt_address *address, struct pt_claim *ret_claim,
	       struct pt_error *err)
{
	char name[PT_ADDRESS_TEXT];
	AUTO_FREE char *text = NULL;
	struct pt_claim claim;
	size_t size;
	int r = state_read(host, &state_claims, pt_address_format(address, name), &text, &size,
			   err);

	if (!r)
		r = claim_parse(text, size, &claim, err);
	if (!r && pt_address_compare(&claim.address, address) != 0)
		r = pt_fail(err, PT_CORRUPT, EBADMSG, "it describes another device");
	if (!r)
		*ret_claim = claim;
	return r;
}

int claim_read(struct pt_host *host, const struct pt_address *address, bool *ret_exists,
	       struct pt_claim *ret_claim, struct pt_error *err)
{
	char name[PT_ADDRESS_TEXT];
	int r = claim_load(host, address, ret_claim, err);

	if (r < 0 && r != -ENOENT)
		return state_fail_file(r, &state_claims, pt_address_format(address, name), err);
	*ret_exists = !r;
	return 0;
}

int claim_write(struct pt_host *host, const struct pt_claim *claim, struct pt_error *err)
{
	char name[PT_ADDRESS_TEXT];

	return state_write_json(host, &state_claims, pt_address_format(&claim->address, name),
				claim_to_json(claim), err);
}

int claim_remove(struct pt_host *host, const struct pt_address *address, struct pt_error *err)
{
	char name[PT_ADDRESS_TEXT];

	return state_remove(host, &state_claims, pt_address_format(address, name), err);
}
