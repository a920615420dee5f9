/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/json.h"

#include <string.h>

#include "base/text.h"

#define KEY_MAX 64

/* ---- parsing ---- */

static bool is_allowed_outside(uint32_t code)
{
	if (code < ' ')
		return code == '\t' || code == '\n' || code == '\r';
	/* json-c's own: NaN, Infinity, members called 'x' */
	return code < 0x7f && code != 'N' && code != 'I' && code != '\'';
}

/* What was found on the way through a text. */
struct scan {
	size_t at;	/* where it stopped */
	size_t members; /* of all objects in it: colons that are in no string */
	bool is_other;	/* other characters than ASCII's */
};

/*
 * Checks before json-c's strict mode, which refuses comments, single quotes around values and the
 * like, but takes NaN and single quotes around keys, and its versions differ on the rest: 0.16
 * takes control characters in strings, 0.18 refuses every byte above 0x7f (json-c#875).
 */
static int check(const char *text, size_t size, struct scan *scan)
{
	bool is_string = false, is_escaped = false, has_nul = false;

	for (;;) {
		const char *start = text + scan->at;
		size_t left = size - scan->at, len;
		uint32_t code;

		if (!left)
			return 0;
		len = text_character(start, left, &code);
		if (code == TEXT_INVALID || code < (is_string ? ' ' : 1))
			return -EBADMSG;
		if (is_string ? is_escaped && code >= 0x80 : !is_allowed_outside(code))
			return -EBADMSG;
		/* json-c ends a key there */
		has_nul |= is_escaped && left >= 5 && !memcmp(start, "u0000", 5);
		if (code == ':' && !is_string && has_nul)
			return -EBADMSG;
		scan->members += code == ':' && !is_string;
		if (code == '"' && !is_escaped) {
			is_string = !is_string;
			has_nul &= !is_string;
		}
		is_escaped = is_string && code == '\\' && !is_escaped;
		scan->is_other |= code >= 0x80;
		scan->at += len;
	}
}

static int parse_as(const char *text, size_t size, int depth, int flags, size_t *ret_at,
		    struct json_object **ret_value)
{
	struct json_tokener *tokener = json_tokener_new_ex(depth);
	struct json_object *value;
	bool is_whole;

	if (!tokener)
		return -ENOMEM;
	json_tokener_set_flags(tokener, flags);
	value = json_tokener_parse_ex(tokener, text, (int)size);
	is_whole = json_tokener_get_error(tokener) == json_tokener_success &&
		   json_tokener_get_parse_end(tokener) == size;
	*ret_at = is_whole ? 0 : json_tokener_get_parse_end(tokener);
	json_tokener_free(tokener);
	if (!is_whole || !json_object_is_type(value, json_type_object)) {
		json_object_put(value);
		return -EBADMSG;
	}
	*ret_value = value;
	return 0;
}

/* Is its grammar right? Other characters than ASCII's are in strings only; any letter serves. */
static int parse_masked(const char *text, size_t size, int depth, size_t *ret_at)
{
	AUTO(auto_json) struct json_object *value = NULL;
	AUTO_FREE char *masked = malloc(size);
	size_t i;

	if (!masked)
		return -ENOMEM;
	for (i = 0; i < size; i++)
		masked[i] = (unsigned char)text[i] < 0x80 ? text[i] : 'x';
	return parse_as(masked, size, depth, JSON_TOKENER_STRICT, ret_at, &value);
}

static size_t count_members(struct json_object *value)
{
	size_t count = 0, i;

	if (json_object_is_type(value, json_type_object)) {
		json_object_object_foreach(value, key, member)
		{
			(void)key;
			count += 1 + count_members(member);
		}
	} else if (json_object_is_type(value, json_type_array)) {
		for (i = 0; i < json_object_array_length(value); i++)
			count += count_members(json_object_array_get_idx(value, i));
	}
	return count;
}

static int fail_grammar(const char *text, size_t at, struct pt_error *err)
{
	size_t line = 1, i;

	for (i = 0; i < at; i++)
		line += text[i] == '\n';
	return pt_fail(err, PT_CORRUPT, EBADMSG, "not a JSON object: line %zu is malformed", line);
}

int json_parse(const char *text, size_t size, size_t max, int depth, struct json_object **ret_value,
	       struct pt_error *err)
{
	AUTO(auto_json) struct json_object *value = NULL;
	struct scan scan = {0};
	int r;

	if (size > max || max > INT32_MAX)
		return pt_fail(err, PT_CORRUPT, EFBIG, "larger than %zu bytes", max);
	while (size && strchr(" \t\r\n", text[size - 1]) && text[size - 1])
		size--;
	if (!size)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "it is empty");
	r = check(text, size, &scan);
	if (!r && scan.is_other)
		r = parse_masked(text, size, depth, &scan.at);
	if (!r)
		r = parse_as(text, size, depth, scan.is_other ? 0 : JSON_TOKENER_STRICT, &scan.at,
			     &value);
	if (r == -ENOMEM)
		return pt_fail_memory(err);
	if (r < 0)
		return fail_grammar(text, scan.at, err);
	/* json-c keeps the last of two with one key */
	if (count_members(value) != scan.members)
		return pt_fail(err, PT_CORRUPT, EBADMSG,
			       "an object has two members with the same "
			       "name");
	*ret_value = TAKE_POINTER(value);
	return 0;
}

/* ---- members ---- */

/* -EBADMSG when it has another type; *ret_value is NULL when it is absent. */
static int get(struct json_object *object, const char *key, enum json_type type,
	       struct json_object **ret_value)
{
	*ret_value = NULL;
	if (!json_object_object_get_ex(object, key, ret_value))
		return 0;
	return json_object_is_type(*ret_value, type) ? 0 : -EBADMSG;
}

/* An embedded NUL would hide the rest. */
static const char *whole_text(struct json_object *value)
{
	const char *text = json_object_get_string(value);

	return strlen(text) == (size_t)json_object_get_string_len(value) ? text : NULL;
}

int json_get_text(struct json_object *object, const char *key, bool is_required, char *buffer,
		  size_t size, struct pt_error *err)
{
	struct json_object *value;
	const char *text;

	if (get(object, key, json_type_string, &value) < 0)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is not a string", key);
	if (!value && is_required)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is missing", key);
	text = value ? whole_text(value) : "";
	if (!text)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" contains a NUL", key);
	if (strlen(text) >= size)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is too long", key);
	(void)text_copy(buffer, size, text);
	return 0;
}

int json_get_number(struct json_object *object, const char *key, int64_t min, int64_t max,
		    int64_t *ret_value, struct pt_error *err)
{
	struct json_object *value;
	int64_t number;

	if (get(object, key, json_type_int, &value) < 0 || !value)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is not a number", key);
	number = json_object_get_int64(value);
	if (number < min || number > max)
		return pt_fail(err, PT_CORRUPT, ERANGE, "\"%s\" is out of range", key);
	*ret_value = number;
	return 0;
}

int json_get_bool(struct json_object *object, const char *key, bool *ret_value,
		  struct pt_error *err)
{
	struct json_object *value;

	if (get(object, key, json_type_boolean, &value) < 0 || !value)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is not true or false", key);
	*ret_value = json_object_get_boolean(value);
	return 0;
}

int json_get_word(struct json_object *object, const char *key, const char *const *choices,
		  size_t count, unsigned int *ret_value, struct pt_error *err)
{
	char text[64];
	unsigned int i;
	int r = json_get_text(object, key, true, text, sizeof(text), err);

	if (r < 0)
		return r;
	for (i = 0; i < count; i++) {
		if (!strcmp(choices[i], text)) {
			*ret_value = i;
			return 0;
		}
	}
	return pt_fail(err, PT_CORRUPT, EBADMSG,
		       "\"%s\" is \"%s\", which this version does not know", key, text);
}

int json_get_long_text(struct json_object *object, const char *key, char **ret_text,
		       struct pt_error *err)
{
	struct json_object *value;
	const char *text;
	char *copy;

	if (get(object, key, json_type_string, &value) < 0)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is not a string", key);
	text = value ? whole_text(value) : NULL;
	if (value && !text)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" contains a NUL", key);
	copy = text ? strdup(text) : NULL;
	if (text && !copy)
		return pt_fail_memory(err);
	*ret_text = copy;
	return 0;
}

int json_get_object(struct json_object *object, const char *key, struct json_object **ret_value,
		    struct pt_error *err)
{
	struct json_object *value;

	if (get(object, key, json_type_object, &value) < 0)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is not an object", key);
	*ret_value = value;
	return 0;
}

int json_get_objects(struct json_object *object, const char *key, size_t max,
		     struct json_object **ret_array, struct pt_error *err)
{
	struct json_object *array;
	size_t i;

	if (get(object, key, json_type_array, &array) < 0)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is not a list", key);
	if (array && json_object_array_length(array) > max)
		return pt_fail(err, PT_CORRUPT, E2BIG,
			       "\"%s\" has more than %zu "
			       "elements",
			       key, max);
	for (i = 0; array && i < json_object_array_length(array); i++)
		if (!json_object_is_type(json_object_array_get_idx(array, i), json_type_object))
			return pt_fail(err, PT_CORRUPT, EBADMSG,
				       "\"%s\" has elements that are not objects", key);
	*ret_array = array;
	return 0;
}

/* ---- bytes ---- */

static const char hex_digits[] = "0123456789abcdef";

static int decode_hex(const char *hex, char **ret_text)
{
	size_t size = strlen(hex) / 2, i;
	char *text = malloc(size + 1);

	if (!text)
		return -ENOMEM;
	for (i = 0; i < size; i++) {
		const char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
		uint64_t byte;

		if (text_parse_number(pair, 16, UINT8_MAX, &byte) < 0 || !byte)
			break;
		text[i] = (char)byte;
	}
	if (i < size || strlen(hex) % 2) {
		free(text);
		return -EBADMSG;
	}
	text[size] = '\0';
	*ret_text = text;
	return 0;
}

int json_get_bytes(struct json_object *object, const char *key, char **ret_text,
		   struct pt_error *err)
{
	AUTO_FREE char *hex = NULL;
	char hex_key[KEY_MAX];
	int r;

	(void)text_format(hex_key, sizeof(hex_key), "%s_hex", key);
	r = json_get_long_text(object, hex_key, &hex, err);
	if (r < 0 || !hex)
		return r < 0 ? r : json_get_long_text(object, key, ret_text, err);
	r = decode_hex(hex, ret_text);
	if (r == -ENOMEM)
		return pt_fail_memory(err);
	return r < 0 ? pt_fail(err, PT_CORRUPT, EBADMSG,
			       "\"%s\" is not hex-encoded "
			       "bytes",
			       hex_key)
		     : 0;
}

int json_set_bytes(struct json_object *object, const char *key, const char *text)
{
	AUTO_FREE char *hex = NULL;
	char hex_key[KEY_MAX];
	size_t size = strlen(text), i;

	if (text_is_utf8(text))
		return json_set_text(object, key, text);
	hex = malloc(2 * size + 1);
	if (!hex)
		return -ENOMEM;
	for (i = 0; i < size; i++) {
		hex[2 * i] = hex_digits[(unsigned char)text[i] >> 4];
		hex[2 * i + 1] = hex_digits[text[i] & 0xf];
	}
	hex[2 * size] = '\0';
	(void)text_format(hex_key, sizeof(hex_key), "%s_hex", key);
	return json_set_text(object, hex_key, hex);
}

/* ---- writing ---- */

struct json_object *json_new_text(const char *text)
{
	AUTO_FREE char *copy = NULL;

	if (!text || text_is_utf8(text))
		return text ? json_object_new_string(text) : NULL;
	copy = strdup(text);
	if (!copy)
		return NULL;
	text_make_utf8(copy);
	return json_object_new_string(copy);
}

int json_set(struct json_object *object, const char *key, struct json_object *value)
{
	if (object && value && json_object_object_add(object, key, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

int json_append(struct json_object *array, struct json_object *value)
{
	if (array && value && json_object_array_add(array, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

int json_set_text(struct json_object *object, const char *key, const char *text)
{
	return json_set(object, key, json_new_text(text));
}

int json_set_number(struct json_object *object, const char *key, int64_t number)
{
	return json_set(object, key, json_object_new_int64(number));
}

int json_set_bool(struct json_object *object, const char *key, bool value)
{
	return json_set(object, key, json_object_new_boolean(value));
}

int json_format(struct json_object *value, int flags, char **ret_text, size_t *ret_size)
{
	size_t size = 0;
	const char *text = json_object_to_json_string_length(value, flags, &size);
	char *copy = text ? malloc(size + 1) : NULL;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, size + 1);
	*ret_text = copy;
	if (ret_size)
		*ret_size = size;
	return 0;
}
