/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verbs for guests in a passthru that was built without them (-Dguests=false). */
#include <errno.h>

#include "base/error.h"
#include "cli/cli.h"

static int is_left_out(struct cli *cli, char **argv)
{
	struct pt_error err;

	pt_fail(&err, PT_SYSTEM, ENOSYS,
		"%s: this passthru was built without the guest verbs (-Dguests=false). To build it "
		"with them:\n"
		"  ./dev build",
		argv[0]);
	return cli_fail(cli, &err);
}

int verb_guests(struct cli *cli, int argc, char **argv)
{
	(void)argc;
	return is_left_out(cli, argv);
}

int verb_start_stop(struct cli *cli, int argc, char **argv)
{
	(void)argc;
	return is_left_out(cli, argv);
}

int verb_attach(struct cli *cli, int argc, char **argv)
{
	(void)argc;
	return is_left_out(cli, argv);
}

int verb_detach_from(struct cli *cli, int argc, char **argv)
{
	(void)argc;
	return is_left_out(cli, argv);
}
