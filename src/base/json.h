/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON of ours and of others (state files, QMP, firmware descriptors, --json): one parser, bounded,
 * and writers that make nothing it refuses. json-c builds and prints the values.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/error.h"

AUTO_DEFINE(json, struct json_object *, json_object_put)

/* ---- reading: PT_CORRUPT says what is wrong ---- */

/*
 * Parse text that is one JSON object and nothing else, of RFC 8259: at most @max bytes and @depth
 * levels, valid UTF-8, no comments, no NaN, no single quotes, no two members of one name in an
 * object, no U+0000 in a name. The value is the caller's.
 */
int json_parse(const char *text, size_t size, size_t max, int depth, struct json_object **ret_value,
	       struct pt_error *err);

/* A member. Text that is too long, or holds U+0000, is refused, never cut. */
int json_get_text(struct json_object *object, const char *key, bool is_required, char *buffer,
		  size_t size, struct pt_error *err); /* "" when absent */
int json_get_number(struct json_object *object, const char *key, int64_t min, int64_t max,
		    int64_t *ret_value, struct pt_error *err);
int json_get_bool(struct json_object *object, const char *key, bool *ret_value,
		  struct pt_error *err);
/* One of @choices: its index. */
int json_get_word(struct json_object *object, const char *key, const char *const *choices,
		  size_t count, unsigned int *ret_value, struct pt_error *err);
/* New memory; NULL when absent. */
int json_get_long_text(struct json_object *object, const char *key, char **ret_text,
		       struct pt_error *err);
int json_get_bytes(struct json_object *object, const char *key, char **ret_text,
		   struct pt_error *err); /* of json_set_bytes() */
/* Borrowed; NULL when absent. A list of objects, of at most @max. */
int json_get_object(struct json_object *object, const char *key, struct json_object **ret_value,
		    struct pt_error *err);
int json_get_objects(struct json_object *object, const char *key, size_t max,
		     struct json_object **ret_array, struct pt_error *err);

/* ---- writing ---- */

/* Text with '?' for what is no UTF-8 (text_make_utf8()); NULL for NULL, and without memory. */
struct json_object *json_new_text(const char *text);

/*
 * Add @value, which is taken, also on failure. 0, or -ENOMEM; also when @object or @value is NULL,
 * so a NULL of an allocation can be handed on.
 */
int json_set(struct json_object *object, const char *key, struct json_object *value);
int json_append(struct json_object *array, struct json_object *value);

int json_set_text(struct json_object *object, const char *key, const char *text);
int json_set_number(struct json_object *object, const char *key, int64_t number);
int json_set_bool(struct json_object *object, const char *key, bool value);

/*
 * Any bytes but NUL (a path), to be read back exactly: as text where they are UTF-8, else as
 * KEY_hex, two digits a byte.
 */
int json_set_bytes(struct json_object *object, const char *key, const char *text);

/* @value as text in new memory, with json-c's JSON_C_TO_STRING_… as @flags. 0 or -ENOMEM. */
int json_format(struct json_object *value, int flags, char **ret_text, size_t *ret_size);

#endif
