/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* status, recover: what is claimed, and what was left behind. */
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "cli/auto.h"
#include "cli/print.h"

static const char *owner_kind(const struct pt_owner *owner)
{
	static const char *const names[] = {"manual", "process", "domain"};

	return names[owner->kind];
}

static struct json_object *owner_to_json(struct cli *cli, const struct pt_owner *owner)
{
	struct json_object *object = json_object_new_object();

	(void)json_set_text(object, "kind", owner_kind(owner));
	(void)json_set_text(object, "name", owner->name);
	(void)json_set_number(object, "pid", owner->pid);
	(void)json_set_bool(object, "alive", pt_owner_is_alive(cli->host, owner));
	return object;
}

/* The driver that has the device now; "" for none. */
static const char *driver_now(const struct pt_function *function)
{
	return function && function->driver ? function->driver : "";
}

/* @function: NULL if the device was removed. */
static struct json_object *claim_to_json(struct cli *cli, const struct pt_claim *claim,
					 const struct pt_function *function)
{
	struct json_object *object = json_object_new_object();

	(void)json_set(object, "device", cli_json_address(&claim->address));
	(void)json_set_text(object, "state", pt_claim_state_name(claim->state));
	(void)json_set_bool(object, "present", function != NULL);
	(void)json_set(object, "owner", owner_to_json(cli, &claim->owner));
	(void)json_set_bool(object, "over", pt_claim_is_over(claim, driver_now(function)));
	(void)json_set_text(object, "driver", driver_now(function));
	(void)json_set_text(object, "driver_before", claim->driver_before);
	(void)json_set_text(object, "override_before", claim->override_before);
	(void)json_set_number(object, "since", claim->since);
	(void)json_set_text(object, "why", claim->why);
	return object;
}

static void format_owner(struct cli *cli, const struct pt_claim *claim, char *buffer, size_t size)
{
	if (claim->owner.kind == PT_OWNER_MANUAL)
		(void)text_format(buffer, size, "manual");
	else if (claim->owner.kind == PT_OWNER_DOMAIN)
		(void)text_format(buffer, size, "guest %s", claim->owner.name);
	else
		(void)text_format(buffer, size, "%s (pid %ld%s)", claim->owner.name,
				  (long)claim->owner.pid,
				  pt_owner_is_alive(cli->host, &claim->owner) ? "" : ", gone");
}

/* For a terminal. */
static const char *cleaned(const char *text, char buffer[256])
{
	(void)text_copy(buffer, 256, text);
	text_clean(buffer);
	return buffer;
}

static void print_claim(struct cli *cli, const struct pt_claim *claim,
			const struct pt_function *function)
{
	char text[PT_ADDRESS_TEXT], owner[128], since[32], driver[256], before[256], why[256];
	bool is_over = pt_claim_is_over(claim, driver_now(function));
	const char *color =
		claim->state == PT_CLAIM_HELD && !is_over ? cli_green(cli) : cli_red(cli);
	time_t when = (time_t)claim->since;
	struct tm local;

	format_owner(cli, claim, owner, sizeof(owner));
	if (!localtime_r(&when, &local) ||
	    !strftime(since, sizeof(since), "%Y-%m-%d %H:%M:%S", &local))
		since[0] = '\0';
	(void)fprintf(cli->out, "%s%-12s%s  %s%-11s%s  %-24s  %-12s  %-12s  %s\n", cli_bold(cli),
		      pt_address_format(&claim->address, text), cli_plain(cli), color,
		      is_over ? "over" : pt_claim_state_name(claim->state), cli_plain(cli), owner,
		      *driver_now(function) ? cleaned(driver_now(function), driver) : "-",
		      claim->driver_before[0] ? cleaned(claim->driver_before, before) : "-", since);
	if (*claim->why)
		(void)fprintf(cli->out, "              %s\n", cleaned(claim->why, why));
	if (is_over)
		(void)fprintf(cli->out,
			      "              Another program returned it to the host driver %s; "
			      "passthru recover deletes this claim.\n",
			      cleaned(driver_now(function), driver));
	if (!function)
		(void)fprintf(cli->out, "              The device was removed from the machine%s\n",
			      claim->owner.kind == PT_OWNER_MANUAL
				      ? "; passthru recover deletes this claim."
				      : ".");
}

static struct json_object *status_to_json(struct cli *cli, const struct pt_claims *claims,
					  const struct pt_snapshot *snapshot)
{
	struct json_object *array = json_object_new_array();
	const struct pt_unreadable *file;
	const struct pt_claim *claim;
	size_t i;

	for (i = 0; (claim = pt_claims_at(claims, i)); i++)
		(void)json_append(
			array,
			claim_to_json(cli, claim, pt_snapshot_find(snapshot, &claim->address)));
	for (i = 0; (file = pt_claims_unreadable_at(claims, i)); i++)
		(void)json_append(array, cli_json_unreadable(file));
	return array;
}

int verb_status(struct cli *cli, int argc, char **argv)
{
	AUTO(auto_claims) struct pt_claims *claims = NULL;
	AUTO(auto_snapshot) struct pt_snapshot *snapshot = NULL;
	const struct pt_unreadable *file;
	const struct pt_claim *claim;
	struct pt_error err;
	size_t i;

	if (argc > 1)
		return cli_usage(cli, "%s takes no arguments", argv[0]);
	if (pt_claims_read(cli->host, &claims, &err) < 0 ||
	    pt_snapshot_read(cli->host, &snapshot, &err) < 0)
		return cli_fail(cli, &err);
	if (cli->is_json)
		return cli_print_json(cli, status_to_json(cli, claims, snapshot));
	if (!pt_claims_count(claims) && !pt_claims_unreadable_count(claims)) {
		(void)fprintf(cli->out, "No device is claimed.\n");
		return 0;
	}
	(void)fprintf(cli->out, "%s%-12s  %-11s  %-24s  %-12s  %-12s  %s%s\n", cli_dim(cli),
		      "DEVICE", "STATE", "OWNER", "DRIVER", "GOES BACK TO", "SINCE",
		      cli_plain(cli));
	for (i = 0; (claim = pt_claims_at(claims, i)); i++)
		print_claim(cli, claim, pt_snapshot_find(snapshot, &claim->address));
	for (i = 0; (file = pt_claims_unreadable_at(claims, i)); i++)
		print_unreadable(cli, file, 11);
	return 0;
}

struct recovered {
	struct cli *cli;
	struct json_object *list;
	size_t count;
};

static void report_recovered(void *context, const struct pt_address *address, const char *what)
{
	struct recovered *recovered = context;
	char text[PT_ADDRESS_TEXT];

	recovered->count++;
	pt_address_format(address, text);
	if (recovered->list) {
		struct json_object *object = json_object_new_object();

		json_object_object_add(object, "device", json_new_text(text));
		json_object_object_add(object, "what", json_new_text(what));
		json_object_array_add(recovered->list, object);
		return;
	}
	(void)fprintf(recovered->cli->out, "%s%s%s: %s\n", cli_bold(recovered->cli), text,
		      cli_plain(recovered->cli), what);
}

int verb_recover(struct cli *cli, int argc, char **argv)
{
	struct recovered recovered = {.cli = cli};
	struct pt_error err;
	int r;

	if (argc > 1)
		return cli_usage(cli, "%s takes no arguments", argv[0]);
	if (cli->is_json)
		recovered.list = json_object_new_array();
	r = pt_recover(cli->host, report_recovered, &recovered, &err);
	if (r < 0) {
		json_object_put(recovered.list);
		return cli_fail(cli, &err);
	}
	if (recovered.list)
		return cli_print_json(cli, recovered.list);
	if (!recovered.count)
		(void)fprintf(cli->out, "Nothing to recover.\n");
	return 0;
}
