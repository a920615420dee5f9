/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A command that was built with -Dguests=false knows the verbs for guests, and says why it can't.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static void test_each_verb_says_why(void **state)
{
	static const char *const verbs[] = {"guests", "start", "stop", "attach", "detach-from"};
	size_t i, size;

	(void)state;
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		char *argv[] = {(char *)"passthru", (char *)verbs[i], (char *)"gamer", NULL};
		struct cli cli = {.out = stdout};
		struct pt_error err;
		char *text = NULL;
		int status;

		assert_int_equal(pt_host_new(NULL, &cli.host, &err), 0);
		cli.err = open_memstream(&text, &size);
		status = cli_main(&cli, 3, argv);
		assert_int_equal(fclose(cli.err), 0);
		assert_int_equal(status, pt_reason_exit_status(PT_SYSTEM));
		assert_non_null(strstr(text, verbs[i]));
		assert_non_null(strstr(text, "-Dguests=false"));
		assert_non_null(strstr(text, "./dev build"));
		free(text);
		pt_host_free(cli.host);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_verb_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
