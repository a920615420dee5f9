/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CLI_CHANGE_H
#define CLI_CHANGE_H

#include <signal.h>

#include "cli/cli.h"

struct json_object *cli_step_to_json(const struct pt_step *step);

/* Apply a request, telling each device's steps on @out as they are done. Returns the exit status.
 */
int cli_request_apply(struct cli *cli, const struct pt_request *request, FILE *out);

/* Print what a request would do, or why it is refused. Returns the exit status. */
int cli_show_plan(struct cli *cli, const struct pt_request *request);

/*
 * Ctrl-C in the middle of an operation would leave it to recovery. An operation is short and
 * bounded by deadlines, so signals that end the process wait until it is over.
 */
struct cli_signals {
	sigset_t before;
};
void cli_signals_block(struct cli_signals *signals);
void cli_signals_restore(const struct cli_signals *signals);

#endif
