/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON: what is taken is what RFC 8259 allows, on every json-c; what is written is read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static int parse(const char *text, size_t size, struct json_object **ret_value)
{
	/* not terminated: a byte read behind it is for the sanitizer */
	char *copy = malloc(size ? size : 1);
	struct pt_error err = {0};
	int r;

	memcpy(copy, text, size);
	r = json_parse(copy, size, 4096, 4, ret_value, &err);
	if (r < 0)
		assert_int_equal(err.reason, PT_CORRUPT);
	free(copy);
	return r;
}

static void test_takes(void **state)
{
	static const struct {
		const char *json, *text;
	} rows[] = {
		{"{\"x\":\"a\"}", "a"},
		{"{\"x\":\"\xc3\xbc\"}", "ü"},
		{"{\"x\":\"\\n\xc3\xbc\"}", "\nü"},
		{"{\"x\":\"\\\\\xc3\xbc\"}", "\\ü"},
		{"{\"x\":\"\\\"\xc3\xbc\\\"\"}", "\"ü\""},
		{"{\"x\":\"游\\n戏\"}", "游\n戏"},
		{"{\"x\":\"😀\"}", "😀"},
		{"{\"x\":\"\\u00fc\\ud83d\\ude00\"}", "ü😀"},
		{"{\"x\":\"NaN Infinity // /* '\"}", "NaN Infinity // /* '"},
		{" \n{ \"x\" : \"\\/\x7f\" } \r\n\t", "/\x7f"},
		{"{\"ü\":1,\"x\":\"y\"}", "y"},
		/* U+2D800, which json-c 0.16 reads wrongly where it is escaped */
		{"{\"x\":\"\xf0\xad\xa0\x80\"}", "\xf0\xad\xa0\x80"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json_object *value = NULL;
		char text[64];

		assert_int_equal(parse(rows[i].json, strlen(rows[i].json), &value), 0);
		assert_int_equal(json_get_text(value, "x", true, text, sizeof(text), NULL), 0);
		assert_string_equal(text, rows[i].text);
		json_object_put(value);
	}
}

static void test_refuses(void **state)
{
	static const char *const rows[] = {
		"",
		" ",
		"[1]",
		"\"x\"",
		"1",
		"{\"x\":1",
		"{\"x\":1}}",
		"{\"x\":1} {}",
		"{\"x\":1,}",
		"{\"x\":[1,]}",
		"{'x':1}",
		"{\"x\":'a'}",
		"{x:1}",
		"{\"x\":NaN}",
		"{\"x\":-Infinity}",
		"{\"x\":nan}",
		"{\"x\":TRUE}",
		"{\"x\":Null}",
		"{/**/\"x\":1}",
		"{\"x\":1}//",
		"{\"x\":ü}",
		"{\"x\":\"\\ü\"}",
		"{\"x\":\"\\\\\\ü\"}",
		"{\"x\":\"a\nb\"}",
		"{\"x\":\"a\tb\"}",
		"{\"x\":\"\x01\"}",
		"{\v\"x\":1}",
		"{\"x\":\"\xff\"}",
		"{\"x\":\"\xe6\xb8\"}",
		"{\"x\":\"\xc0\xaf\"}",
		"{\"x\":\"\xed\xa0\x80\"}",
		"\xef\xbb\xbf{}",
		"{\"x\":{\"x\":{\"x\":{\"x\":{}}}}}",
		"{\"x\":1,\"x\":2}",
		"{\"y\":[{\"x\":1,\"x\":1}]}",
		"{\"x\\u0000\":1}",
	};
	struct json_object *value = NULL;
	struct pt_error err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (parse(rows[i], strlen(rows[i]), &value) == 0)
			fail_msg("taken: %s", rows[i]);
		assert_null(value);
	}
	assert_true(parse("{\"x\":1}\0", 8, &value) < 0);
	assert_true(parse("{\"x\":\"\0\"}", 9, &value) < 0);
	assert_true(json_parse("{\n\"x\":1,\n\"y\" 2\n}\n", 17, 100, 4, &value, &err) < 0);
	assert_non_null(strstr(err.message, "line 3"));
	assert_true(json_parse("{\"a\":\"\xc3\xbc\",\n}", 12, 100, 4, &value, &err) < 0);
	assert_non_null(strstr(err.message, "line 2"));
	assert_int_equal(json_parse("{  }", 4, 3, 4, &value, &err), -EFBIG);
	assert_null(value);
}

static void test_members(void **state)
{
	static const char *const choices[] = {"held", "stuck"};
	static const char text[] =
		"{\"text\":\"abc\",\"nul\":\"a\\u0000b\",\"n\":7,\"f\":1e2,"
		"\"yes\":true,\"word\":\"stuck\",\"list\":[{},{}],\"mixed\":[1],"
		"\"hex_hex\":\"2fff\",\"odd_hex\":\"2ff\",\"zero_hex\":\"2f00\"}";
	struct json_object *object = NULL, *value;
	char buffer[4], *bytes = NULL;
	struct pt_error err;
	unsigned int word;
	int64_t number;
	bool is_yes;

	(void)state;
	assert_int_equal(parse(text, strlen(text), &object), 0);
	assert_int_equal(json_get_text(object, "text", true, buffer, 4, &err), 0);
	assert_string_equal(buffer, "abc");
	assert_true(json_get_text(object, "text", true, buffer, 3, &err) < 0);
	assert_true(json_get_text(object, "nul", true, buffer, 4, &err) < 0);
	assert_string_equal(err.message, "\"nul\" contains a NUL");
	assert_true(json_get_text(object, "none", true, buffer, 4, &err) < 0);
	assert_int_equal(json_get_text(object, "none", false, buffer, 4, &err), 0);
	assert_string_equal(buffer, "");
	assert_true(json_get_text(object, "n", false, buffer, 4, &err) < 0);
	assert_int_equal(json_get_number(object, "n", 0, 7, &number, &err), 0);
	assert_true(json_get_number(object, "n", 0, 6, &number, &err) < 0);
	assert_true(json_get_number(object, "f", 0, 1000, &number, &err) < 0);
	assert_true(json_get_number(object, "none", 0, 7, &number, &err) < 0);
	assert_int_equal(json_get_bool(object, "yes", &is_yes, &err), 0);
	assert_true(is_yes && json_get_bool(object, "n", &is_yes, &err) < 0);
	assert_int_equal(json_get_word(object, "word", choices, 2, &word, &err), 0);
	assert_int_equal(word, 1);
	assert_true(json_get_word(object, "word", choices, 1, &word, &err) < 0);
	assert_non_null(strstr(err.message, "\"stuck\""));
	assert_int_equal(json_get_objects(object, "list", 2, &value, &err), 0);
	assert_int_equal(json_object_array_length(value), 2);
	assert_true(json_get_objects(object, "list", 1, &value, &err) < 0);
	assert_true(json_get_objects(object, "mixed", 9, &value, &err) < 0);
	assert_int_equal(json_get_objects(object, "none", 9, &value, &err), 0);
	assert_null(value);
	assert_true(json_get_long_text(object, "nul", &bytes, &err) < 0);
	assert_true(json_get_bytes(object, "odd", &bytes, &err) < 0);
	assert_true(json_get_bytes(object, "zero", &bytes, &err) < 0);
	assert_int_equal(json_get_bytes(object, "none", &bytes, &err), 0);
	assert_null(bytes);
	assert_int_equal(json_get_bytes(object, "hex", &bytes, &err), 0);
	assert_string_equal(bytes, "/\xff");
	free(bytes);
	json_object_put(object);
}

/* Every byte, alone and behind the beginning of a character. */
static void test_what_is_written_is_read(void **state)
{
	static const char *const before[] = {"", "a", "\xe6\xb8", "\xf0", "\\", "\""};
	unsigned int byte;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		for (byte = 1; byte < 256; byte++) {
			AUTO(auto_json) struct json_object *object = json_object_new_object();
			AUTO(auto_json) struct json_object *again = NULL;
			AUTO_FREE char *text = NULL;
			AUTO_FREE char *bytes = NULL;
			char value[16], read[16];
			size_t size;

			(void)snprintf(value, sizeof(value), "%s%cz", before[i], (char)byte);
			assert_int_equal(json_set_text(object, "text", value), 0);
			assert_int_equal(json_set_bytes(object, "path", value), 0);
			assert_int_equal(json_format(object, JSON_C_TO_STRING_PLAIN, &text, &size),
					 0);
			assert_int_equal(parse(text, size, &again), 0);
			assert_int_equal(
				json_get_text(again, "text", true, read, sizeof(read), NULL), 0);
			assert_int_equal(json_get_bytes(again, "path", &bytes, NULL), 0);
			assert_string_equal(bytes, value);
		}
	}
	assert_int_equal(json_set_text(NULL, "x", "y"), -ENOMEM);
	assert_int_equal(json_set(NULL, "x", json_new_text("y")), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_what_is_written_is_read),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
