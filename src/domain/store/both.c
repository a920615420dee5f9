/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/store/both.h"

#include <stdlib.h>

#include "base/json.h"

/* Two definitions' worth of text, escaped. */
#define BOTH_MAX ((size_t)8 * 1024 * 1024)

static const struct state_kind state_both = {
	.directory = "run/passthru/both",
	.suffix = ".json",
	.max = BOTH_MAX,
	.directory_mode = 0700, /* passwords may be in them */
	.mode = 0600,
};

void store_both_free(struct store_both *both)
{
	free(both->device);
	free(both->alias);
	free(both->before);
	free(both->after);
	*both = (struct store_both){0};
}

int store_write_both(struct pt_host *host, const char *name, const struct store_both *both,
		     struct pt_error *err)
{
	struct json_object *object = json_object_new_object();
	int r = json_set_bool(object, "attach", both->is_attach);

	if (!r && both->device)
		r = json_set_text(object, "device", both->device);
	if (!r && both->alias)
		r = json_set_text(object, "alias", both->alias);
	if (!r)
		r = json_set_text(object, "before", both->before);
	if (!r)
		r = json_set_text(object, "after", both->after);
	if (r < 0) {
		json_object_put(object);
		return pt_fail_memory(err);
	}
	return state_write_json(host, &state_both, name, object, err);
}

int store_read_both(struct pt_host *host, const char *name, struct store_both *ret_both,
		    struct pt_error *err)
{
	AUTO(auto_json) struct json_object *object = NULL;
	AUTO_FREE char *text = NULL;
	struct store_both both = {0};
	size_t size;
	int r = state_read(host, &state_both, name, &text, &size, err);

	*ret_both = both;
	if (!r)
		r = json_parse(text, size, BOTH_MAX, 3, &object, err);
	if (!r)
		r = json_get_bool(object, "attach", &both.is_attach, err);
	if (!r)
		r = json_get_long_text(object, "device", &both.device, err);
	if (!r)
		r = json_get_long_text(object, "alias", &both.alias, err);
	if (!r)
		r = json_get_long_text(object, "before", &both.before, err);
	if (!r)
		r = json_get_long_text(object, "after", &both.after, err);
	if (!r && (!both.before || !both.after || !both.device == !both.alias))
		r = pt_fail(err, PT_CORRUPT, EBADMSG, "what was to be changed isn't said");
	if (r < 0)
		store_both_free(&both);
	*ret_both = both;
	return r;
}

int store_remove_both(struct pt_host *host, const char *name, struct pt_error *err)
{
	return state_remove(host, &state_both, name, err);
}
