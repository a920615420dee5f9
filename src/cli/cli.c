/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/error.h"
#include "base/text.h"

static const struct cli_verb *find_verb(const char *name)
{
	size_t i;

	for (i = 0; cli_verbs[i].name; i++)
		if (!strcmp(cli_verbs[i].name, name))
			return &cli_verbs[i];
	return NULL;
}

/* ---- words in colour ---- */

static const char *escape(const struct cli *cli, const char *sequence)
{
	return cli->is_color ? sequence : "";
}

const char *cli_bold(const struct cli *cli)
{
	return escape(cli, "\033[1m");
}

const char *cli_dim(const struct cli *cli)
{
	return escape(cli, "\033[2m");
}

const char *cli_red(const struct cli *cli)
{
	return escape(cli, "\033[31m");
}

const char *cli_green(const struct cli *cli)
{
	return escape(cli, "\033[32m");
}

const char *cli_yellow(const struct cli *cli)
{
	return escape(cli, "\033[33m");
}

const char *cli_plain(const struct cli *cli)
{
	return escape(cli, "\033[0m");
}

/* ---- errors ---- */

int cli_print_json(struct cli *cli, struct json_object *value)
{
	const int flags =
		JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE;
	AUTO_FREE char *text = NULL;
	int r = json_format(value, flags, &text, NULL);

	json_object_put(value);
	if (r < 0) {
		(void)fprintf(cli->err, "passthru: out of memory\n");
		return pt_reason_exit_status(PT_NO_MEMORY);
	}
	(void)fprintf(cli->out, "%s\n", text);
	return 0;
}

/* Messages about one device begin with its address. */
static struct json_object *device_of(const char *message)
{
	char word[PT_ADDRESS_TEXT];
	struct pt_address address;
	size_t len = strcspn(message, " ");

	if (len && message[len - 1] == ':')
		len--;
	if (!len || len >= sizeof(word))
		return NULL;
	memcpy(word, message, len);
	word[len] = '\0';
	if (pt_address_parse(word, &address, NULL) < 0)
		return NULL;
	return json_new_text(pt_address_format(&address, word));
}

int cli_fail(struct cli *cli, const struct pt_error *err)
{
	if (cli->is_json) {
		struct json_object *object = json_object_new_object();
		struct json_object *error = json_object_new_object();
		struct json_object *device = device_of(err->message);

		json_object_object_add(error, "reason", json_new_text(pt_reason_name(err->reason)));
		json_object_object_add(error, "message", json_new_text(err->message));
		json_object_object_add(error, "errno", json_object_new_int(err->errnum));
		if (device)
			json_object_object_add(error, "device", device);
		json_object_object_add(object, "error", error);
		(void)cli_print_json(cli, object);
	} else {
		(void)fflush(cli->out);
		(void)fprintf(cli->err, "%spassthru: %s%s\n", cli_red(cli), err->message,
			      cli_plain(cli));
	}
	return pt_reason_exit_status(err->reason);
}

int cli_usage(struct cli *cli, const char *format, ...)
{
	struct pt_error err = {.reason = PT_INVALID, .errnum = EINVAL};
	va_list args;

	va_start(args, format);
	(void)text_vformat(err.message, sizeof(err.message), format, args);
	va_end(args);
	text_clean_lines(err.message);
	pt_error_append(&err, "\n"
			      "See: passthru --help");
	return cli_fail(cli, &err);
}

int cli_bad_option(struct cli *cli, char **argv, int c)
{
	return cli_usage(cli, c == ':' ? "%s: %s needs a value" : "%s: unknown option %s", argv[0],
			 argv[optind - 1]);
}

static void print_log(void *context, enum pt_log_level level, const char *message)
{
	struct cli *cli = context;

	if (level < cli->log_level)
		return;
	if (cli->open_line) {
		(void)fputc('\n', cli->open_line);
		(void)fflush(cli->open_line);
		cli->open_line = NULL;
	}
	(void)fprintf(cli->err, "passthru: %s\n", message);
}

/* ---- help ---- */

static void print_verbs(struct cli *cli, bool is_virsh)
{
	size_t i;

	for (i = 0; cli_verbs[i].name; i++)
		if (cli_verbs[i].is_virsh == is_virsh)
			(void)fprintf(cli->out, "  %s%-18s%s%s\n", cli_bold(cli), cli_verbs[i].name,
				      cli_plain(cli), cli_verbs[i].summary);
}

static int print_help(struct cli *cli)
{
	(void)fprintf(cli->out,
		      "Hands PCI devices of this host to virtual machines and takes them back.\n\n"
		      "usage: passthru [OPTION…] VERB [DEVICE…]\n\n");
	print_verbs(cli, false);
	(void)fprintf(cli->out, "\n"
				"virsh spellings:\n");
	print_verbs(cli, true);
	(void)fprintf(cli->out,
		      "\nA DEVICE is written 0000:65:00.0, 65:00.0 or pci_0000_65_00_0\n\n"
		      "  --json              output for programs, also for errors\n"
		      "  --color WHEN        auto (on a terminal), always or never\n"
		      "  --root DIR          read the recording of another machine below DIR\n"
		      "  -v, --verbose       print each step; -vv: also each file access\n"
		      "  -h, --help          also: passthru VERB --help\n"
		      "  --version\n\n"
		      "The exit status gives the reason for a refusal: see passthru(1).\n");
	return 0;
}

static int print_verb_help(struct cli *cli, const struct cli_verb *verb)
{
	(void)fprintf(cli->out, "usage: passthru %s%s%s\n\n%s\n", verb->name,
		      *verb->arguments ? " " : "", verb->arguments, verb->summary);
	if (verb->options)
		(void)fprintf(cli->out, "\n%s", verb->options);
	return 0;
}

/* ---- "did you mean" ---- */

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

#define WORD_MAX 32

/* How many letters must be put in, taken out or exchanged to make @a of @b. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1], len = strlen(b), i, j;

	if (strlen(a) > WORD_MAX || len > WORD_MAX)
		return WORD_MAX;
	for (j = 0; j <= len; j++)
		row[j] = j;
	for (i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (j = 0; j < len; j++) {
			size_t cost = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			row[j + 1] = smallest(cost, row[j] + 1, row[j + 1] + 1);
		}
	}
	return row[len];
}

static int unknown_verb(struct cli *cli, const char *word)
{
	const char *nearest = NULL;
	size_t best = 3, i;

	for (i = 0; cli_verbs[i].name; i++) {
		size_t distance = edit_distance(word, cli_verbs[i].name);

		if (distance < best) {
			best = distance;
			nearest = cli_verbs[i].name;
		}
	}
	if (nearest)
		return cli_usage(cli, "unknown verb \"%s\"; did you mean \"%s\"?", word, nearest);
	return cli_usage(cli, "unknown verb \"%s\"", word);
}

/* ---- the command line ---- */

/* Options that stand anywhere before a "--". */
struct globals {
	const char *root;
	bool wants_help;
	bool wants_version;
};

static int parse_color(struct cli *cli, const char *when)
{
	if (!strcmp(when, "always"))
		cli->is_color = true;
	else if (!strcmp(when, "never"))
		cli->is_color = false;
	else if (strcmp(when, "auto") != 0)
		return cli_usage(cli, "--color takes auto, always or never, not \"%s\"", when);
	return 0;
}

static void be_verbose(struct cli *cli, size_t times)
{
	cli->is_verbose = true;
	while (times-- && cli->log_level > PT_LOG_DEBUG)
		cli->log_level--;
}

/* The value of "--NAME VALUE" or "--NAME=VALUE" at argv[*at], which moves on; NULL for another
 * word. */
static const char *option_value(const char *name, int argc, char **argv, int *at)
{
	const char *word = argv[*at];
	size_t len = strlen(name);

	if (!word || strncmp(word, name, len) != 0)
		return NULL;
	if (word[len] == '=')
		return word + len + 1;
	if (word[len] || *at + 1 >= argc)
		return NULL;
	return argv[++*at];
}

/* Take the global options out of argv. Returns the exit status, 0 to go on. */
static int parse_globals(struct cli *cli, int *argc, char **argv, struct globals *globals)
{
	int from, to = 0, status = 0;

	for (from = 0; from < *argc && !status; from++) {
		char *word = argv[from];
		const char *value;

		if (!strcmp(word, "--"))
			break;
		if (!strcmp(word, "--json"))
			cli->is_json = true;
		else if (!strcmp(word, "--help") || !strcmp(word, "-h"))
			globals->wants_help = true;
		else if (!strcmp(word, "--version"))
			globals->wants_version = true;
		else if (!strcmp(word, "--verbose"))
			be_verbose(cli, 1);
		else if (word[0] == '-' && word[1] && strspn(word + 1, "v") == strlen(word + 1))
			be_verbose(cli, strlen(word + 1));
		else if ((value = option_value("--color", *argc, argv, &from)))
			status = parse_color(cli, value);
		else if ((value = option_value("--root", *argc, argv, &from)))
			globals->root = value;
		else
			argv[to++] = word;
	}
	while (from < *argc)
		argv[to++] = argv[from++];
	argv[to] = NULL;
	*argc = to;
	return status;
}

static int run_verb(struct cli *cli, const struct cli_verb *verb, const char *root, int argc,
		    char **argv)
{
	struct pt_host *here = cli->host;
	struct pt_error err;
	int status;

	if (root && verb->may_change)
		return cli_usage(cli, "%s changes the machine, but --root is for reading only",
				 verb->name);
	if (root && pt_host_new(root, &cli->host, &err) < 0) {
		cli->host = here;
		return cli_fail(cli, &err);
	}
	pt_host_set_log(cli->host, print_log, cli);
	/* 0, not 1: a glibc extension that also forgets about the last argv */
	optind = 0;
	opterr = 0;
	status = verb->run(cli, argc, argv);
	pt_host_set_log(cli->host, NULL, NULL);
	if (root) {
		pt_host_free(cli->host);
		cli->host = here;
	}
	return status;
}

int cli_main(struct cli *cli, int argc, char **argv)
{
	AUTO_FREE char **args = calloc((size_t)argc + 1, sizeof(*args));
	struct globals globals = {0};
	const struct cli_verb *verb;
	int count = argc > 0 ? argc - 1 : 0, status;

	if (!args)
		return cli_usage(cli, "out of memory");
	memcpy(args, argv + 1, (size_t)count * sizeof(*args));
	cli->log_level = PT_LOG_NOTICE;
	status = parse_globals(cli, &count, args, &globals);
	if (status)
		return status;
	if (globals.wants_version) {
		(void)fprintf(cli->out, "passthru %s\n", PASSTHRU_VERSION);
		return 0;
	}
	if (count && !strcmp(args[0], "help")) {
		globals.wants_help = true;
		count--;
		memmove(args, args + 1, ((size_t)count + 1) * sizeof(*args));
	}
	if (!count && globals.wants_help)
		return print_help(cli);
	if (!count)
		return cli_usage(cli, "a verb is missing. To see the PCI devices: passthru list");
	verb = find_verb(args[0]);
	if (!verb && args[0][0] == '-')
		return cli_usage(cli, "unknown option %s", args[0]);
	if (!verb)
		return unknown_verb(cli, args[0]);
	if (globals.wants_help)
		return print_verb_help(cli, verb);
	return run_verb(cli, verb, globals.root, count, args);
}
