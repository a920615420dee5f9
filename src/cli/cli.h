/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every verb of passthru(1) is given. A verb is one file with one
 * function; main.c only opens this machine's host and calls cli_main(), so tests
 * run any command line in their own process, against any host.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stdio.h>

#include <json-c/json.h>
#include <passthru/passthru.h>

struct cli {
	struct pt_host *host;
	FILE *out;
	FILE *err;
	bool is_json;  /* --json */
	bool is_color; /* a terminal, and NO_COLOR isn't set */
	bool is_verbose;
};

/* One row of the verb table in cli.c. */
struct cli_verb {
	const char *name;
	const char *arguments; /* for the usage line */
	const char *summary;
	/* @argv[0] is the verb as typed. Returns the exit status. */
	int (*run)(struct cli *cli, int argc, char **argv);
};

/* Parse global options, find the verb, run it. Returns the exit status. */
int cli_main(struct cli *cli, int argc, char **argv);

/* Print an error the same way everywhere (JSON with --json) and return its exit status. */
int cli_fail(struct cli *cli, const struct pt_error *err);

/* A usage error: message, "see passthru --help", exit status 2. */
int cli_usage(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Print a JSON value and free it; returns 0. */
int cli_print_json(struct cli *cli, struct json_object *value);

/* devices.c: the devices named on a command line */
struct cli_devices {
	struct pt_address *addresses;
	size_t count;
};

/*
 * Read devices in every spelling (pt_address_parse(), and the seed's decimal
 * --domain/--bus/--slot/--function, which make one device together). The option parsing of a verb
 * calls cli_devices_add() for each word and cli_devices_decimal() for each decimal field.
 */
int cli_devices_add(struct cli_devices *devices, const char *word, struct pt_error *err);
int cli_devices_decimal(struct cli_devices *devices, char field, const char *digits,
			struct pt_error *err);
void cli_devices_free(struct cli_devices *devices);

/* Words in colour when the output is a terminal: "" otherwise. */
const char *cli_bold(const struct cli *cli);
const char *cli_dim(const struct cli *cli);
const char *cli_red(const struct cli *cli);
const char *cli_green(const struct cli *cli);
const char *cli_yellow(const struct cli *cli);
const char *cli_plain(const struct cli *cli);

/* the verbs */
int verb_list(struct cli *cli, int argc, char **argv);
int verb_tree(struct cli *cli, int argc, char **argv);
int verb_show(struct cli *cli, int argc, char **argv);
int verb_detach(struct cli *cli, int argc, char **argv);
int verb_reattach(struct cli *cli, int argc, char **argv);
int verb_reset(struct cli *cli, int argc, char **argv);
int verb_plan(struct cli *cli, int argc, char **argv);
int verb_recover(struct cli *cli, int argc, char **argv);
int verb_status(struct cli *cli, int argc, char **argv);
int verb_release(struct cli *cli, int argc, char **argv);
int verb_run(struct cli *cli, int argc, char **argv);

#endif
