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
#include <string.h>
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

/* What others cause fills no disk, and is not forgotten. */
static void test_rate(void **state)
{
	struct log_rate rate = {0};
	FILE *file = tmpfile();
	int before = dup(STDERR_FILENO);
	char text[4096], *at = text;
	unsigned int lines = 0;
	ssize_t n;

	(void)state;
	assert_non_null(file);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	for (int i = 0; i < 1000; i++)
		log_rated(&rate, PT_LOG_WARNING, "dropped %d", i);
	rate.since_ms -= LOG_RATE_MS;
	log_rated(&rate, PT_LOG_WARNING, "another");
	assert_true(dup2(before, STDERR_FILENO) >= 0);
	close(before);
	n = pread(fileno(file), text, sizeof(text) - 1, 0);
	assert_true(n > 0);
	text[n] = '\0';
	(void)fclose(file);
	for (; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, LOG_RATE_BURST + 2);
	assert_non_null(strstr(text, "dropped 9\npassthrud: 990 messages like the next one were "
				     "left out\npassthrud: another\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_line_has_its_priority),
		cmocka_unit_test(test_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
