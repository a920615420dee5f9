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

#include <passthru/passthru.h>

#include "base/json.h"

struct cli {
	struct pt_host *host;
	FILE *out;
	FILE *err;
	bool is_json;  /* --json */
	bool is_color; /* a terminal, and NO_COLOR isn't set */
	bool is_verbose;
	bool is_utf8;	    /* the terminal's character set: box drawing can be shown */
	unsigned int width; /* columns of the terminal; 0 when there is none: nothing is cut then */
	FILE *open_line;    /* has a line of progress without its newline; NULL */
	enum pt_log_level log_level; /* what is told of what the library logs */
};

/* One row of the verb table in verbs.c. */
struct cli_verb {
	const char *name;
	const char *arguments; /* for the usage line */
	const char *summary;
	/* @argv[0] is the verb as typed. Returns the exit status. */
	int (*run)(struct cli *cli, int argc, char **argv);
	const char *options; /* for "passthru VERB --help", a line each; NULL for none */
	bool may_change;     /* changes the machine, so it can't have --root */
	bool is_virsh;	     /* a spelling of virsh, listed apart */
};

/* Ended by a row without a name. */
extern const struct cli_verb cli_verbs[];

/* Parse global options, find the verb, run it. Returns the exit status. */
int cli_main(struct cli *cli, int argc, char **argv);

/* Print an error the same way everywhere (JSON with --json) and return its exit status. */
int cli_fail(struct cli *cli, const struct pt_error *err);

/* A usage error: message, "see passthru --help", exit status 2. */
int cli_usage(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Print a JSON value and free it. Returns the exit status: 0, or that of no memory. */
int cli_print_json(struct cli *cli, struct json_object *value);

/*
 * What getopt_long() couldn't make sense of: @c is the '?' or ':' it returned (the option
 * string starts with ':'). Returns the exit status.
 */
int cli_bad_option(struct cli *cli, char **argv, int c);

/* devices.c: the devices named on a command line */
struct cli_devices {
	struct pt_address *addresses;
	size_t count;
	unsigned int decimal[4];   /* domain, bus, slot, function of the one being made up */
	unsigned int decimal_seen; /* bit N: decimal[N] was given */
};

/*
 * Read devices in every spelling (pt_address_parse(), and the seed's decimal
 * --domain/--bus/--slot/--function, which make one device together; the domain may be left out).
 * The option parsing of a verb calls cli_devices_add() for each word, cli_devices_decimal()
 * for each decimal field with 'd', 'b', 's' or 'f', and cli_devices_add_rest() at the end. A device
 * named twice is refused.
 */
int cli_devices_add(struct cli_devices *devices, const char *word, struct pt_error *err);
int cli_devices_decimal(struct cli_devices *devices, char field, const char *digits,
			struct pt_error *err);
/* After getopt_long(): the words from optind on; the decimal fields must have made up a device. */
int cli_devices_add_rest(struct cli_devices *devices, int argc, char **argv, struct pt_error *err);
void cli_devices_free(struct cli_devices *devices);

/* The function at @address; NULL with PT_NO_DEVICE and what may have been meant instead. */
const struct pt_function *cli_find_function(const struct pt_snapshot *snapshot,
					    const struct pt_address *address, struct pt_error *err);

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
int verb_persist(struct cli *cli, int argc, char **argv);
int verb_unpersist(struct cli *cli, int argc, char **argv);
int verb_persisted(struct cli *cli, int argc, char **argv);
int verb_watch(struct cli *cli, int argc, char **argv);
int verb_run(struct cli *cli, int argc, char **argv);
int verb_guests(struct cli *cli, int argc, char **argv);
int verb_start_stop(struct cli *cli, int argc, char **argv);
int verb_attach(struct cli *cli, int argc, char **argv);
int verb_detach_from(struct cli *cli, int argc, char **argv);

#endif
