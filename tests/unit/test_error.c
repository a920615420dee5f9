/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static void failing_fills_the_error(void **state)
{
	struct pt_error err = {.reason = PT_REASON_NONE};

	(void)state;
	assert_int_equal(pt_fail(&err, PT_BUSY, EBUSY, "%s: %d", "why", 7), -EBUSY);
	assert_int_equal(err.reason, PT_BUSY);
	assert_int_equal(err.errnum, EBUSY);
	assert_string_equal(err.message, "why: 7");
}

static void no_error_is_wanted(void **state)
{
	(void)state;
	assert_int_equal(pt_fail(NULL, PT_SYSTEM, EIO, "unheard"), -EIO);
	pt_error_prefix(NULL, "unheard");
	pt_error_append(NULL, "unheard");
}

static void text_before_and_after(void **state)
{
	struct pt_error err;

	(void)state;
	(void)pt_fail(&err, PT_SYSTEM, EIO, "middle");
	pt_error_prefix(&err, "%s: ", "0000:01:00.0");
	pt_error_append(&err, "; %s", "next step");
	assert_string_equal(err.message, "0000:01:00.0: middle; next step");
}

static void long_messages_are_cut(void **state)
{
	struct pt_error err;
	size_t size = sizeof(err.message);
	char *text = malloc(2 * size);

	(void)state;
	memset(text, 'x', 2 * size - 1);
	text[2 * size - 1] = '\0';
	(void)pt_fail(&err, PT_SYSTEM, EIO, "%s", text);
	assert_int_equal(strlen(err.message), size - 1);
	pt_error_append(&err, "more");
	pt_error_prefix(&err, "first ");
	assert_int_equal(strlen(err.message), size - 1);
	assert_memory_equal(err.message, "first xxx", 9);
	pt_error_prefix(&err, "%s", text);
	assert_int_equal(strlen(err.message), size - 1);
	free(text);
}

/* It goes to terminals, JSON and XDR strings, whatever it quotes. */
static void messages_are_utf8(void **state)
{
	struct pt_error err;
	size_t size = sizeof(err.message), i;
	char *text = malloc(size);

	(void)state;
	for (i = 0; i + 3 < size; i += 3)
		memcpy(text + i, "\xe6\xb8\xb8", 4);
	pt_error_set(&err, PT_SYSTEM, EIO, "x%s", text);
	assert_int_equal(strlen(err.message), 1 + (size - 2) / 3 * 3);
	pt_error_prefix(&err, "%s", "y");
	assert_int_equal(strlen(err.message), 2 + (size - 3) / 3 * 3);
	pt_error_append(&err, "%s", text);
	assert_int_equal(strlen(err.message), 2 + (size - 3) / 3 * 3);
	assert_string_equal(err.message + strlen(err.message) - 3, "游");
	pt_error_set(&err, PT_SYSTEM, EIO, "a\xff\x1b[2J\nb");
	pt_error_append(&err, ": \xb0");
	assert_string_equal(err.message, "a??[2J\nb: ?");
	free(text);
}

/* Scripts tell reasons apart by status, except the two that nobody can act on. */
static void each_reason_has_a_name_and_a_status(void **state)
{
	int a, b;

	(void)state;
	for (a = PT_INVALID; a < PT_REASON_COUNT; a++) {
		assert_non_null(pt_reason_name((enum pt_reason)a));
		assert_in_range(pt_reason_exit_status((enum pt_reason)a), 1, 125);
		for (b = PT_INVALID; b < a; b++) {
			int status = pt_reason_exit_status((enum pt_reason)a);

			assert_string_not_equal(pt_reason_name((enum pt_reason)a),
						pt_reason_name((enum pt_reason)b));
			if (status != 1)
				assert_int_not_equal(status,
						     pt_reason_exit_status((enum pt_reason)b));
		}
	}
	assert_int_equal(pt_reason_exit_status(PT_REASON_NONE), 0);
	assert_string_equal(pt_reason_name(PT_REASON_COUNT), "unknown");
	assert_int_equal(pt_reason_exit_status((enum pt_reason) - 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failing_fills_the_error),
		cmocka_unit_test(no_error_is_wanted),
		cmocka_unit_test(text_before_and_after),
		cmocka_unit_test(long_messages_are_cut),
		cmocka_unit_test(messages_are_utf8),
		cmocka_unit_test(each_reason_has_a_name_and_a_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
