/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guests, start, stop: the guests of passthrud, or of libvirt's own daemon. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/print.h"
#include "cli/virt.h"

#define STOP_S	     60
#define STOP_LOOK_MS 200

/* ---- guests ---- */

struct guest {
	const char *name;
	const char *state;
	bool is_persistent;
	char **messages; /* when a file of it can't be read: which, and why */
	struct cli_devices devices;
};

static void free_messages(struct guest *guest)
{
	size_t i;

	for (i = 0; guest->messages && guest->messages[i]; i++)
		free(guest->messages[i]);
	free(guest->messages);
	guest->messages = NULL;
}

/*
 * passthrud tells of a file that can't be read, by its path; libvirt's own messages are others.
 * Such a guest has no state, unless it runs: then the file is its definition, and it can be used.
 */
static void read_unreadable(struct virt *virt, virDomainPtr domain, struct guest *guest)
{
	if (virt->call.virDomainGetMessages(domain, &guest->messages, 0) < 0)
		guest->messages = NULL;
	if (!guest->messages || !guest->messages[0] || guest->messages[0][0] != '/')
		free_messages(guest);
	else
		text_clean(guest->messages[0]);
}

static void free_guest(struct guest *guest)
{
	free_messages(guest);
	cli_devices_free(&guest->devices);
}

static int read_guest(struct virt *virt, virDomainPtr domain, struct guest *ret_guest,
		      struct pt_error *err)
{
	int state, why;

	ret_guest->name = virt->call.virDomainGetName(domain);
	if (virt->call.virDomainGetState(domain, &state, &why, 0) < 0)
		return virt_fail(virt, err, ret_guest->name);
	ret_guest->state = virt_state_name(state);
	ret_guest->is_persistent = virt->call.virDomainIsPersistent(domain) == 1;
	read_unreadable(virt, domain, ret_guest);
	if (ret_guest->messages && state == VIR_DOMAIN_NOSTATE) {
		ret_guest->state = "unreadable";
		return 0;
	}
	return virt_read_hostdevs(virt, domain, 0, &ret_guest->devices, err);
}

static struct json_object *guest_to_json(const struct guest *guest)
{
	struct json_object *object = json_object_new_object();
	struct json_object *devices = json_object_new_array();
	size_t i;

	json_object_object_add(object, "name", json_new_text(guest->name));
	json_object_object_add(object, "state", json_new_text(guest->state));
	json_object_object_add(object, "persistent", json_object_new_boolean(guest->is_persistent));
	for (i = 0; i < guest->devices.count; i++)
		json_object_array_add(devices, cli_json_address(&guest->devices.addresses[i]));
	json_object_object_add(object, "devices", devices);
	if (guest->messages)
		(void)json_set_text(object, "why", guest->messages[0]);
	return object;
}

static void print_guest(struct cli *cli, const struct guest *guest)
{
	char text[PT_ADDRESS_TEXT];
	size_t i;

	(void)fprintf(cli->out, "%s%s%s", cli_bold(cli), guest->name, cli_plain(cli));
	print_spaces(cli->out,
		     print_columns(guest->name) < 20 ? 20 - print_columns(guest->name) : 0);
	(void)fprintf(cli->out, "  %-13s ", guest->state);
	for (i = 0; i < guest->devices.count; i++)
		(void)fprintf(cli->out, " %s",
			      pt_address_format(&guest->devices.addresses[i], text));
	(void)fprintf(cli->out, "%s\n", guest->devices.count ? "" : " -");
	if (guest->messages)
		(void)fprintf(cli->out, "                      %s\n", guest->messages[0]);
}

static int list_guests(struct cli *cli, struct virt *virt)
{
	struct json_object *array = cli->is_json ? json_object_new_array() : NULL;
	virDomainPtr *domains = NULL;
	struct pt_error err;
	int i, r = 0, count;

	count = virt->call.virConnectListAllDomains(virt->connection, &domains, 0);
	if (count < 0)
		r = virt_fail(virt, &err, "can't list the guests");
	if (!r && !array && count)
		(void)fprintf(cli->out, "%s%-20s  %-13s  %s%s\n", cli_dim(cli), "GUEST", "STATE",
			      "DEVICES", cli_plain(cli));
	for (i = 0; i < count; i++) {
		struct guest guest = {0};

		/* one that went away meanwhile is no reason to show none */
		if (!r && (r = read_guest(virt, domains[i], &guest, &err)) < 0 &&
		    err.reason == PT_NO_GUEST)
			r = 0;
		else if (!r && array)
			json_object_array_add(array, guest_to_json(&guest));
		else if (!r)
			print_guest(cli, &guest);
		free_guest(&guest);
		(void)virt->call.virDomainFree(domains[i]);
	}
	free(domains);
	if (r < 0) {
		json_object_put(array);
		return cli_fail(cli, &err);
	}
	if (!array && !count)
		(void)fprintf(cli->out, "There are no guests.\n");
	return array ? cli_print_json(cli, array) : 0;
}

/* ---- start and stop ---- */

/* 1 when it is off, or no longer there at all, as guests without a definition. */
static int is_off(struct virt *virt, virDomainPtr domain, struct pt_error *err)
{
	int state, why;

	if (virt->call.virDomainGetState(domain, &state, &why, 0) == 0)
		return state == VIR_DOMAIN_SHUTOFF || state == VIR_DOMAIN_CRASHED;
	return virt_last_code(virt) == VIR_ERR_NO_DOMAIN ? 1 : virt_fail(virt, err, "its state");
}

static int stop_guest(struct virt *virt, virDomainPtr domain, bool is_forced, unsigned int seconds,
		      struct pt_error *err)
{
	const char *name = virt->call.virDomainGetName(domain);
	int64_t until = clock_now_ms() + (int64_t)seconds * 1000;
	int r;

	if (is_forced)
		return virt->call.virDomainDestroy(domain) < 0 ? virt_fail(virt, err, name) : 0;
	if (virt->call.virDomainShutdown(domain) < 0)
		return virt_fail(virt, err, name);
	while ((r = is_off(virt, domain, err)) == 0) {
		if (clock_now_ms() >= until)
			return pt_fail(err, PT_BUSY, ETIMEDOUT,
				       "%s is still running %u s after the shutdown request. Wait "
				       "longer (--timeout S), or power it off:\n"
				       "  passthru stop --force %s",
				       name, seconds, name);
		clock_sleep_ms(STOP_LOOK_MS);
	}
	return r < 0 ? r : 0;
}

/* ---- the verbs ---- */

struct options {
	const char *uri;
	bool is_forced;
	bool is_paused;
	uint64_t timeout_s;
};

static const struct option long_options[] = {
	{"connect", required_argument, NULL, 'c'},
	{"force", no_argument, NULL, 'f'},
	{"paused", no_argument, NULL, 'p'},
	{"timeout", required_argument, NULL, 't'},
	{NULL, 0, NULL, 0},
};

/* Those of @allowed, letters as in the table. Returns the exit status. */
static int guests_parse(struct cli *cli, int argc, char **argv, const char *allowed,
			struct options *options)
{
	int c;

	*options = (struct options){.timeout_s = STOP_S};
	while ((c = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (c == '?' || c == ':')
			return cli_bad_option(cli, argv, c);
		if (!strchr(allowed, c))
			return cli_usage(cli, "%s has no option %s", argv[0], argv[optind - 1]);
		if (c == 'c')
			options->uri = optarg;
		else if (c == 'f')
			options->is_forced = true;
		else if (c == 'p')
			options->is_paused = true;
		else if (text_parse_number(optarg, 10, 86400, &options->timeout_s) < 0)
			return cli_usage(cli, "--timeout takes seconds, not \"%s\"", optarg);
	}
	return 0;
}

int verb_guests(struct cli *cli, int argc, char **argv)
{
	struct options options;
	struct pt_error err;
	struct virt virt;
	int status = guests_parse(cli, argc, argv, "c", &options);

	if (status)
		return status;
	if (optind < argc)
		return cli_usage(cli, "%s takes no arguments", argv[0]);
	if (virt_open(options.uri, &virt, &err) < 0)
		return cli_fail(cli, &err);
	status = list_guests(cli, &virt);
	virt_close(&virt);
	return status;
}

int verb_start_stop(struct cli *cli, int argc, char **argv)
{
	bool is_start = !strcmp(argv[0], "start");
	virDomainPtr domain = NULL;
	struct options options;
	struct pt_error err;
	struct virt virt;
	int r, status = guests_parse(cli, argc, argv, is_start ? "cp" : "cft", &options);

	if (status)
		return status;
	if (optind + 1 != argc)
		return cli_usage(cli,
				 "%s: name a guest. To see all guests:\n"
				 "  passthru guests",
				 argv[0]);
	r = virt_open(options.uri, &virt, &err);
	if (r < 0)
		return cli_fail(cli, &err);
	r = virt_find(&virt, argv[optind], &domain, &err);
	if (!r && !is_start)
		r = stop_guest(&virt, domain, options.is_forced, (unsigned int)options.timeout_s,
			       &err);
	else if (!r && virt.call.virDomainCreateWithFlags(
			       domain, options.is_paused ? VIR_DOMAIN_START_PAUSED : 0) < 0)
		r = virt_fail(&virt, &err, argv[optind]);
	if (domain)
		(void)virt.call.virDomainFree(domain);
	virt_close(&virt);
	return r < 0 ? cli_fail(cli, &err) : 0;
}
