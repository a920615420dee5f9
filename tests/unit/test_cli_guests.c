/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guests, start, stop, attach and detach-from against the test driver that libvirt's client
 * library brings along: real calls of the real library, on guests that it makes up. What it
 * doesn't do (unplug, for one) is shown in the lab.
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

struct output {
	int status;
	char *out;
	char *err;
};

static char uri[4096];

/* Each run connects anew, and finds the guests as they are in the file: it lasts as long. */
static void run(struct output *output, const char *line)
{
	char buffer[256], *argv[32] = {"passthru"}, *rest = NULL;
	struct cli cli = {0};
	size_t out_size, err_size;
	struct pt_error err;
	int argc = 1;

	(void)snprintf(buffer, sizeof(buffer), "%s", line);
	for (argv[argc] = strtok_r(buffer, " ", &rest); argv[argc];
	     argv[argc] = strtok_r(NULL, " ", &rest))
		argc++;
	argv[argc++] = "--connect";
	argv[argc++] = uri;
	assert_int_equal(pt_host_new(NULL, &cli.host, &err), 0);
	cli.out = open_memstream(&output->out, &out_size);
	cli.err = open_memstream(&output->err, &err_size);
	output->status = cli_main(&cli, argc, argv);
	assert_int_equal(fclose(cli.out), 0);
	assert_int_equal(fclose(cli.err), 0);
	pt_host_free(cli.host);
}

/* @part stands in what was printed: on the error output for a status other than 0. */
static void expect(const char *line, int status, const char *part)
{
	struct output output;
	const char *text;

	run(&output, line);
	text = status ? output.err : output.out;
	if (output.status != status || !strstr(text, part))
		fail_msg("%s: status %d\n%s%s", line, output.status, output.out, output.err);
	free(output.out);
	free(output.err);
}

static void test_guests(void **state)
{
	(void)state;
	/* hex and decimal fields, <hostdev> and <interface> */
	expect("guests", 0, "gamer                 running        0000:03:10.0 0000:65:00.1\n");
	expect("guests", 0, "plain                 running        -\n");
	expect("guests --json", 0, "\"0000:65:00.1\"");
	expect("guests --json", 0, "\"persistent\": true");
	expect("guests gamer", 2, "takes no arguments");
}

static void test_start_and_stop(void **state)
{
	(void)state;
	expect("stop gamer", 0, "");
	expect("stop --force gamer", 0, "");
	expect("start gamer", 1, "gamer: internal error: Domain 'gamer' is already running");
	expect("start nosuch", 29, "nosuch: Domain not found");
	expect("start", 2, "name a guest");
	expect("start --force gamer", 2, "start has no option --force");
	expect("stop --timeout never gamer", 2, "--timeout takes seconds");
}

static void test_attach(void **state)
{
	(void)state;
	expect("attach 01:00.0 --to gamer --live", 0, "0000:01:00.0: attached to gamer\n");
	/* libvirt's own words, after the device they are about */
	expect("attach 01:00.0 --to gamer --config", 1, "0000:01:00.0: unsupported flags");
	expect("attach 01:00.0 --to nosuch", 29, "Domain not found");
	expect("attach 01:00.0", 2, "attach: name a guest with --to NAME");
	expect("attach --to gamer", 2, "name a device");
	expect("attach 1:0 --to gamer", 2, "1:0");
}

static void test_detach_from(void **state)
{
	(void)state;
	expect("detach-from 65:00.1 --from gamer --live", 1,
	       "0000:65:00.1: this function is not supported by the connection driver");
	expect("detach-from 65:00.1 65:00.1 --from gamer", 2, "named twice");
	expect("detach-from 65:00.1", 2, "detach-from: name a guest with --from NAME");
}

static void test_no_connection(void **state)
{
	char kept[sizeof(uri)];

	(void)state;
	memcpy(kept, uri, sizeof(uri));
	(void)snprintf(uri, sizeof(uri), "qemu+unix:///system?socket=/nonexistent/socket");
	expect("guests", 1, "can't connect to passthrud or libvirtd: ");
	expect("guests", 1, "Is it running?");
	memcpy(uri, kept, sizeof(uri));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guests),	      cmocka_unit_test(test_start_and_stop),
		cmocka_unit_test(test_attach),	      cmocka_unit_test(test_detach_from),
		cmocka_unit_test(test_no_connection),
	};

	(void)snprintf(uri, sizeof(uri), "test://%s/test-driver.xml", getenv("MACHINES"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
