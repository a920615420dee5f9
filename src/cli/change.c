/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* detach, reattach, reset, release, plan: verbs that make one request of their devices. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/auto.h"
#include "cli/change.h"

enum change_option {
	OPTION_DOMAIN = 256,
	OPTION_BUS,
	OPTION_SLOT,
	OPTION_FUNCTION,
	OPTION_DRIVER,
	OPTION_FORCE,
	OPTION_REASON,
	OPTION_DRY_RUN,
	OPTION_NO_RESET,
	OPTION_QUARANTINE,
	OPTION_DEVICE,
};

static const struct option long_options[] = {
	{"device", required_argument, NULL, OPTION_DEVICE},
	{"domain", required_argument, NULL, OPTION_DOMAIN},
	{"bus", required_argument, NULL, OPTION_BUS},
	{"slot", required_argument, NULL, OPTION_SLOT},
	{"function", required_argument, NULL, OPTION_FUNCTION},
	{"driver", required_argument, NULL, OPTION_DRIVER},
	{"force", no_argument, NULL, OPTION_FORCE},
	{"reason", required_argument, NULL, OPTION_REASON},
	{"dry-run", no_argument, NULL, OPTION_DRY_RUN},
	{"no-reset", no_argument, NULL, OPTION_NO_RESET},
	{"quarantine", no_argument, NULL, OPTION_QUARANTINE},
	{"json", no_argument, NULL, 'j'},
	{NULL, 0, NULL, 0},
};

struct arguments {
	struct cli_devices devices;
	struct pt_request request;
	bool is_dry_run;
	bool is_quarantine;
};

static int change_take_option(struct cli *cli, struct arguments *args, int option,
			      struct pt_error *err)
{
	switch (option) {
	case OPTION_DEVICE: /* virsh nodedev-detach --device NAME */
		return cli_devices_add(&args->devices, optarg, err);
	case OPTION_DOMAIN:
		return cli_devices_decimal(&args->devices, 'd', optarg, err);
	case OPTION_BUS:
		return cli_devices_decimal(&args->devices, 'b', optarg, err);
	case OPTION_SLOT:
		return cli_devices_decimal(&args->devices, 's', optarg, err);
	case OPTION_FUNCTION:
		return cli_devices_decimal(&args->devices, 'f', optarg, err);
	case OPTION_DRIVER:
		args->request.driver = optarg;
		break;
	case OPTION_FORCE:
		args->request.is_forced = true;
		break;
	case OPTION_REASON:
		args->request.why = optarg;
		break;
	case OPTION_DRY_RUN:
		args->is_dry_run = true;
		break;
	case OPTION_NO_RESET:
		args->request.is_unreset_allowed = true;
		break;
	case OPTION_QUARANTINE:
		args->is_quarantine = true;
		break;
	case 'j':
		cli->is_json = true;
		break;
	default:
		return 1;
	}
	return 0;
}

/* Returns 0, or the exit status of what is wrong with the command line. */
static int change_parse(struct cli *cli, int argc, char **argv, struct arguments *args)
{
	struct pt_error err;
	int option, r;

	optind = 0; /* GNU: start over, cli_main() may be called many times */
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == '?')
			return cli_usage(cli, "%s: unknown option or missing value: %s", argv[0],
					 argv[optind - 1]);
		r = change_take_option(cli, args, option, &err);
		if (r < 0)
			return cli_fail(cli, &err);
	}
	if (cli_devices_add_rest(&args->devices, argc, argv, &err) < 0)
		return cli_fail(cli, &err);
	if (!args->devices.count)
		return cli_usage(cli, "%s: which device?", argv[0]);
	if (args->request.is_forced && !args->request.why)
		return cli_usage(cli, "%s: --force needs --reason TEXT; the reason is logged",
				 argv[0]);
	args->request.devices = args->devices.addresses;
	args->request.count = args->devices.count;
	return 0;
}

/* ---- what was done ---- */

struct report {
	struct cli *cli;
	struct cli *owner;	   /* of the open line */
	struct json_object *steps; /* with --json */
	struct pt_address last;
	bool is_open; /* something of the text form was printed */
};

static void report_step(void *context, const struct pt_step *step)
{
	struct report *report = context;
	char text[PT_ADDRESS_TEXT];
	bool is_same;

	if (report->steps) {
		json_object_array_add(report->steps, cli_step_to_json(step));
		return;
	}
	if (strcmp(step->name, "unbind") != 0 && strcmp(step->name, "probe") != 0 &&
	    strcmp(step->name, "reset") != 0)
		return;
	is_same =
		report->owner->open_line && pt_address_compare(&report->last, &step->address) == 0;
	if (is_same)
		(void)fprintf(report->cli->out, ", %s", step->description);
	else
		(void)fprintf(report->cli->out, "%s%s%s%s: %s",
			      report->owner->open_line ? "\n" : "", cli_bold(report->cli),
			      pt_address_format(&step->address, text), cli_plain(report->cli),
			      step->description);
	(void)fflush(report->cli->out);
	report->last = step->address;
	report->is_open = true;
	report->owner->open_line = report->cli->out;
}

struct json_object *cli_step_to_json(const struct pt_step *step)
{
	struct json_object *object = json_object_new_object();
	char text[PT_ADDRESS_TEXT];

	json_object_object_add(object, "step", json_new_text(step->name));
	json_object_object_add(object, "device",
			       json_new_text(pt_address_format(&step->address, text)));
	json_object_object_add(object, "description", json_new_text(step->description));
	return object;
}

int cli_request_apply(struct cli *cli, const struct pt_request *request, FILE *out)
{
	struct cli shown = *cli;
	struct report report = {.cli = &shown, .owner = cli};
	struct cli_signals signals;
	struct pt_error err;
	int r;

	shown.out = out;
	if (cli->is_json)
		report.steps = json_object_new_array();
	/* with -v the log tells each step as it is done */
	if (!cli->is_verbose || cli->is_json)
		pt_host_set_progress(cli->host, report_step, &report);
	cli_signals_block(&signals);
	r = pt_request_apply(cli->host, request, &err);
	cli_signals_restore(&signals);
	pt_host_set_progress(cli->host, NULL, NULL);
	if (cli->open_line)
		(void)fprintf(out, "\n");
	cli->open_line = NULL;
	if (r < 0) {
		json_object_put(report.steps);
		return cli_fail(cli, &err);
	}
	if (report.steps) {
		struct json_object *object = json_object_new_object();

		json_object_object_add(object, "steps", report.steps);
		return cli_print_json(&shown, object);
	}
	if (!report.is_open && !cli->is_verbose)
		(void)fprintf(out, "Nothing to do: the %s already in the requested state.\n",
			      request->count > 1 ? "devices are" : "device is");
	return 0;
}

/* ---- plans ---- */

static struct json_object *plan_to_json(const struct pt_plan *plan)
{
	struct json_object *object = json_object_new_object();
	struct json_object *steps = json_object_new_array();
	struct json_object *refusals = json_object_new_array();
	struct json_object *notices = json_object_new_array();
	char text[PT_ADDRESS_TEXT];
	size_t i;

	for (i = 0; i < pt_plan_step_count(plan); i++)
		json_object_array_add(steps, cli_step_to_json(pt_plan_step_at(plan, i)));
	for (i = 0; i < pt_plan_refusal_count(plan); i++) {
		const struct pt_refusal *refusal = pt_plan_refusal_at(plan, i);
		struct json_object *item = json_object_new_object();

		json_object_object_add(item, "reason",
				       json_new_text(pt_reason_name(refusal->reason)));
		json_object_object_add(item, "device",
				       json_new_text(pt_address_format(&refusal->address, text)));
		json_object_object_add(item, "message", json_new_text(refusal->message));
		json_object_array_add(refusals, item);
	}
	for (i = 0; i < pt_plan_notice_count(plan); i++)
		json_object_array_add(notices, json_new_text(pt_plan_notice_at(plan, i)));
	json_object_object_add(object, "possible",
			       json_object_new_boolean(pt_plan_refusal_count(plan) == 0));
	json_object_object_add(object, "steps", steps);
	json_object_object_add(object, "refusals", refusals);
	json_object_object_add(object, "notices", notices);
	json_object_object_add(object, "expected_ms",
			       json_object_new_int64(pt_plan_expected_ms(plan)));
	return object;
}

static void print_plan(struct cli *cli, const struct pt_plan *plan)
{
	char text[PT_ADDRESS_TEXT];
	size_t i;

	for (i = 0; i < pt_plan_refusal_count(plan); i++)
		(void)fprintf(cli->out, "%srefused%s %s\n", cli_red(cli), cli_plain(cli),
			      pt_plan_refusal_at(plan, i)->message);
	for (i = 0; i < pt_plan_notice_count(plan); i++)
		(void)fprintf(cli->out, "%snote%s %s\n", cli_yellow(cli), cli_plain(cli),
			      pt_plan_notice_at(plan, i));
	if (pt_plan_refusal_count(plan))
		return;
	if (!pt_plan_step_count(plan)) {
		(void)fprintf(cli->out, "Nothing to do: all devices are already in the requested "
					"state.\n");
		return;
	}
	for (i = 0; i < pt_plan_step_count(plan); i++) {
		const struct pt_step *step = pt_plan_step_at(plan, i);

		(void)fprintf(cli->out, "%3zu  %s%s%s  %s\n", i + 1, cli_bold(cli),
			      pt_address_format(&step->address, text), cli_plain(cli),
			      step->description);
	}
	(void)fprintf(cli->out, "About %.1f s. Nothing was changed.\n",
		      pt_plan_expected_ms(plan) / 1000.0);
}

int cli_show_plan(struct cli *cli, const struct pt_request *request)
{
	AUTO(auto_plan) struct pt_plan *plan = NULL;
	struct pt_error err;

	if (pt_plan_make(cli->host, request, &plan, &err) < 0)
		return cli_fail(cli, &err);
	if (cli->is_json)
		(void)cli_print_json(cli, plan_to_json(plan));
	else
		print_plan(cli, plan);
	if (pt_plan_refusal_count(plan))
		return pt_reason_exit_status(pt_plan_refusal_at(plan, 0)->reason);
	return 0;
}

/* ---- the verbs ---- */

static int change(struct cli *cli, enum pt_verb verb, bool is_dry_run, int argc, char **argv)
{
	struct arguments args = {.request.verb = verb, .is_dry_run = is_dry_run};
	int status = change_parse(cli, argc, argv, &args);

	/* whom plan run would take them for */
	(void)pt_owner_of_process(cli->host, getpid(), "QEMU", &args.request.owner, NULL);

	if (!status && args.is_quarantine)
		status = cli_usage(cli, "%s: only release takes --quarantine", argv[0]);
	if (!status)
		status = args.is_dry_run ? cli_show_plan(cli, &args.request)
					 : cli_request_apply(cli, &args.request, cli->out);
	cli_devices_free(&args.devices);
	return status;
}

int verb_detach(struct cli *cli, int argc, char **argv)
{
	return change(cli, PT_DETACH, false, argc, argv);
}

int verb_reattach(struct cli *cli, int argc, char **argv)
{
	return change(cli, PT_REATTACH, false, argc, argv);
}

int verb_reset(struct cli *cli, int argc, char **argv)
{
	return change(cli, PT_RESET, false, argc, argv);
}

int verb_release(struct cli *cli, int argc, char **argv)
{
	struct arguments args = {.request = {.verb = PT_REATTACH, .is_quarantine_lifted = true}};
	int status = change_parse(cli, argc, argv, &args);

	if (!status && !args.is_quarantine)
		status = cli_usage(cli, "release needs --quarantine: the device failed its reset "
					"and may misbehave");
	if (!status)
		status = args.is_dry_run ? cli_show_plan(cli, &args.request)
					 : cli_request_apply(cli, &args.request, cli->out);
	cli_devices_free(&args.devices);
	return status;
}

int verb_plan(struct cli *cli, int argc, char **argv)
{
	static const struct {
		const char *name;
		enum pt_verb verb;
	} verbs[] = {
		{"detach", PT_DETACH},
		{"reattach", PT_REATTACH},
		{"reset", PT_RESET},
		{"run", PT_TAKE},
	};
	size_t i;

	if (argc < 2)
		return cli_usage(cli, "plan needs a verb: detach, reattach, reset or run");
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (!strcmp(argv[1], verbs[i].name))
			return change(cli, verbs[i].verb, true, argc - 1, argv + 1);
	}
	return cli_usage(cli, "plan: \"%s\" is none of detach, reattach, reset and run", argv[1]);
}
