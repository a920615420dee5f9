/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* passthrud's messages, as the journal takes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/log.h"

/* What @message is on standard error. */
static void logged(const char *message, char text[512])
{
	FILE *file = tmpfile();
	int before = dup(STDERR_FILENO);
	ssize_t n;

	assert_non_null(file);
	(void)fflush(stderr);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	log_message(PT_LOG_WARNING, "%s", message);
	assert_true(dup2(before, STDERR_FILENO) >= 0);
	close(before);
	n = pread(fileno(file), text, 511, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	(void)fclose(file);
}

/* A peer's words can't choose a priority, nor begin a line that looks like another's. */
static void test_each_line_has_its_priority(void **state)
{
	char text[512];

	(void)state;
	assert_int_equal(setenv("JOURNAL_STREAM", "8:1", 1), 0);
	logged("QEMU: no\n<0>the machine is on fire\033[2J", text);
	assert_string_equal(text, "<4>QEMU: no\n<4><0>the machine is on fire?[2J\n");
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
	logged("one\ntwo", text);
	assert_string_equal(text, "passthrud: one\npassthrud: two\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_line_has_its_priority),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
