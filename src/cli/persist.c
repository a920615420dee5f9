/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* persist, unpersist, persisted: devices that the host shall never drive. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/auto.h"
#include "cli/change.h"
#include "cli/print.h"

enum {
	OPTION_DOMAIN = 256,
	OPTION_BUS,
	OPTION_SLOT,
	OPTION_FUNCTION,
	OPTION_DRIVER,
	OPTION_FORCE,
	OPTION_REASON,
	OPTION_NOW,
	OPTION_APPLY,
	OPTION_UDEV,
};

static const struct option long_options[] = {
	{"domain", required_argument, NULL, OPTION_DOMAIN},
	{"bus", required_argument, NULL, OPTION_BUS},
	{"slot", required_argument, NULL, OPTION_SLOT},
	{"function", required_argument, NULL, OPTION_FUNCTION},
	{"driver", required_argument, NULL, OPTION_DRIVER},
	{"force", no_argument, NULL, OPTION_FORCE},
	{"reason", required_argument, NULL, OPTION_REASON},
	{"now", no_argument, NULL, OPTION_NOW},
	{"apply", no_argument, NULL, OPTION_APPLY},
	{"udev", required_argument, NULL, OPTION_UDEV},
	{NULL, 0, NULL, 0},
};

struct arguments {
	struct cli_devices devices;
	struct pt_persist_request request;
	bool is_now;
	bool is_apply;
	const char *udev;
};

static int cli_persist_take_option(struct arguments *args, int option, struct pt_error *err)
{
	static const char fields[] = {'d', 'b', 's', 'f'};

	switch (option) {
	case OPTION_DRIVER:
		args->request.driver = optarg;
		return 0;
	case OPTION_FORCE:
		args->request.is_forced = true;
		return 0;
	case OPTION_REASON:
		args->request.why = optarg;
		return 0;
	case OPTION_NOW:
		args->is_now = true;
		return 0;
	case OPTION_APPLY:
		args->is_apply = true;
		return 0;
	case OPTION_UDEV:
		args->udev = optarg;
		return 0;
	default:
		return cli_devices_decimal(&args->devices, fields[option - OPTION_DOMAIN], optarg,
					   err);
	}
}

/* Returns 0, or the exit status of what is wrong with the command line. */
static int cli_persist_parse(struct cli *cli, int argc, char **argv, struct arguments *args)
{
	struct pt_error err;
	int c;

	while ((c = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (c == '?' || c == ':')
			return cli_bad_option(cli, argv, c);
		if (cli_persist_take_option(args, c, &err) < 0)
			return cli_fail(cli, &err);
	}
	if (cli_devices_add_rest(&args->devices, argc, argv, &err) < 0)
		return cli_fail(cli, &err);
	args->request.devices = args->devices.addresses;
	args->request.count = args->devices.count;
	if (args->request.is_forced && !args->request.why)
		return cli_usage(cli, "%s: --force needs --reason TEXT; the reason is logged",
				 argv[0]);
	return 0;
}

/* ---- what is persisted ---- */

static struct json_object *persisted_to_json(const struct pt_persisted *persisted)
{
	const struct pt_identity *identity = &persisted->identity;
	struct json_object *object = json_object_new_object();
	struct json_object *what = json_object_new_object();

	json_object_object_add(object, "device", cli_json_address(&persisted->address));
	json_object_object_add(object, "state",
			       json_new_text(pt_persist_state_name(persisted->state)));
	json_object_object_add(object, "words", json_new_text(persisted->text));
	json_object_object_add(object, "driver", json_new_text(persisted->driver));
	json_object_object_add(object, "now",
			       persisted->is_there ? cli_json_address(&persisted->now) : NULL);
	json_object_object_add(
		object, "driver_now",
		json_new_text(*persisted->driver_now ? persisted->driver_now : NULL));
	json_object_object_add(what, "vendor_id", cli_json_hex(identity->vendor_id, 4));
	json_object_object_add(what, "device_id", cli_json_hex(identity->device_id, 4));
	json_object_object_add(what, "subsystem_vendor_id",
			       cli_json_hex(identity->subsystem_vendor_id, 4));
	json_object_object_add(what, "subsystem_device_id",
			       cli_json_hex(identity->subsystem_device_id, 4));
	json_object_object_add(what, "class", cli_json_hex(identity->class_code, 6));
	json_object_object_add(what, "revision", cli_json_hex(identity->revision, 2));
	json_object_object_add(what, "serial",
			       json_new_text(*identity->serial ? identity->serial : NULL));
	json_object_object_add(what, "slot", json_new_text(identity->slot));
	json_object_object_add(object, "identity", what);
	json_object_object_add(object, "since", json_object_new_int64(persisted->since));
	json_object_object_add(object, "why", json_new_text(persisted->why));
	return object;
}

static const char *color_of(const struct cli *cli, enum pt_persist_state state)
{
	if (state == PT_PERSIST_APPLIED)
		return cli_green(cli);
	return state == PT_PERSIST_PENDING ? cli_yellow(cli) : cli_red(cli);
}

static void print_persisted(struct cli *cli, const struct pt_persisted *persisted)
{
	char text[PT_ADDRESS_TEXT], identity[PT_IDENTITY_TEXT], why[sizeof(persisted->why)];

	(void)text_copy(why, sizeof(why), persisted->why);
	text_clean(why);
	text_clean(pt_identity_format(&persisted->identity, identity));
	(void)fprintf(cli->out, "%s%-12s%s  %s%-10s%s  %-12s  %s\n", cli_bold(cli),
		      pt_address_format(&persisted->address, text), cli_plain(cli),
		      color_of(cli, persisted->state), pt_persist_state_name(persisted->state),
		      cli_plain(cli), persisted->driver, identity);
	if (persisted->state != PT_PERSIST_APPLIED ||
	    pt_address_compare(&persisted->now, &persisted->address) != 0)
		(void)fprintf(cli->out, "              %s\n", persisted->text);
	if (*why)
		(void)fprintf(cli->out, "              forced: %s\n", why);
}

int verb_persisted(struct cli *cli, int argc, char **argv)
{
	AUTO(auto_persist_list) struct pt_persist_list *list = NULL;
	const struct pt_unreadable *file;
	struct pt_error err;
	size_t i;

	if (argc > 1)
		return cli_usage(cli, "%s takes no arguments", argv[0]);
	if (pt_persist_read(cli->host, &list, &err) < 0)
		return cli_fail(cli, &err);
	if (cli->is_json) {
		struct json_object *array = json_object_new_array();

		for (i = 0; i < pt_persist_count(list); i++)
			json_object_array_add(array, persisted_to_json(pt_persist_at(list, i)));
		for (i = 0; (file = pt_persist_unreadable_at(list, i)); i++)
			(void)json_append(array, cli_json_unreadable(file));
		return cli_print_json(cli, array);
	}
	if (!pt_persist_count(list) && !pt_persist_unreadable_count(list)) {
		(void)fprintf(cli->out, "No device is persisted.\n");
		return 0;
	}
	(void)fprintf(cli->out, "%s%-12s  %-10s  %-12s  %s%s\n", cli_dim(cli), "DEVICE", "STATE",
		      "DRIVER", "WHAT IT IS", cli_plain(cli));
	for (i = 0; i < pt_persist_count(list); i++)
		print_persisted(cli, pt_persist_at(list, i));
	for (i = 0; (file = pt_persist_unreadable_at(list, i)); i++)
		print_unreadable(cli, file, 10);
	return 0;
}

/* ---- what to know besides ---- */

/* If only the command was copied, nothing applies the entries at boot. */
static void note_missing_rule(struct cli *cli)
{
	static const char *const places[] = {
		"/etc/udev/rules.d/60-passthru.rules",
		"/run/udev/rules.d/60-passthru.rules",
		"/usr/local/lib/udev/rules.d/60-passthru.rules",
		"/usr/lib/udev/rules.d/60-passthru.rules",
		"/lib/udev/rules.d/60-passthru.rules",
	};
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (access(places[i], F_OK) == 0)
			return;
	}
	(void)fprintf(cli->err, "Warning: the udev rule 60-passthru.rules is not installed, so "
				"this has no effect at boot.\n");
}

/* The initramfs uses its own copy until it is updated. */
static void note_initramfs(struct cli *cli)
{
	const char *command = NULL;

	if (access("/usr/share/initramfs-tools/hooks/passthru", F_OK) == 0 ||
	    access("/etc/initramfs-tools/hooks/passthru", F_OK) == 0)
		command = "update-initramfs -u";
	else if (access("/usr/lib/dracut/modules.d/90passthru", F_OK) == 0)
		command = "dracut -f";
	if (command)
		(void)fprintf(cli->out,
			      "The initramfs contains a copy of the persisted devices. "
			      "Update it:\n"
			      "  %s\n",
			      command);
}

static bool is_persisted_now(const struct pt_persist_list *list, const struct pt_address *address)
{
	size_t i;

	for (i = 0; i < pt_persist_count(list); i++) {
		const struct pt_persisted *persisted = pt_persist_at(list, i);

		if (persisted->is_there && pt_address_compare(&persisted->now, address) == 0)
			return true;
	}
	return false;
}

/* No guest can have a device while the rest of its group is with the host. */
static void note_group(struct cli *cli, const struct pt_snapshot *snapshot,
		       const struct pt_persist_list *list, const struct pt_address *address)
{
	const struct pt_function *function = pt_snapshot_find(snapshot, address);
	const struct pt_group *group =
		function ? pt_snapshot_group(snapshot, function->iommu_group) : NULL;
	char text[PT_ADDRESS_TEXT], other[PT_ADDRESS_TEXT];
	size_t i;

	for (i = 0; group && i < group->count; i++) {
		const struct pt_function *member = group->members[i];

		if (pt_function_kind(member) == PT_BRIDGE ||
		    is_persisted_now(list, &member->address))
			continue;
		(void)fprintf(
			cli->out,
			"  %s is in the same IOMMU group: while a host driver uses it, no guest "
			"can use %s\n",
			pt_address_format(&member->address, other),
			pt_address_format(address, text));
	}
}

static void tell_persisted(struct cli *cli, const struct pt_snapshot *snapshot,
			   const struct pt_persist_list *list, const struct pt_persisted *persisted)
{
	char text[PT_ADDRESS_TEXT], identity[PT_IDENTITY_TEXT];
	bool is_applied = persisted->state == PT_PERSIST_APPLIED;

	pt_address_format(&persisted->address, text);
	(void)fprintf(cli->out, "%s%s%s: at each boot: %s, now: %s\n", cli_bold(cli), text,
		      cli_plain(cli), persisted->driver, persisted->text);
	(void)fprintf(cli->out, "  identity: %s, slot %s\n",
		      pt_identity_format(&persisted->identity, identity), persisted->identity.slot);
	if (!*persisted->identity.serial)
		(void)fprintf(cli->out,
			      "  no serial number: passthru can't tell it from another device of "
			      "the same model\n");
	note_group(cli, snapshot, list, &persisted->address);
	if (!is_applied)
		(void)fprintf(cli->out, "  to detach it now: passthru detach %s\n", text);
}

static int tell_all(struct cli *cli, const struct arguments *args)
{
	AUTO(auto_persist_list) struct pt_persist_list *list = NULL;
	AUTO(auto_snapshot) struct pt_snapshot *snapshot = NULL;
	struct json_object *array = cli->is_json ? json_object_new_array() : NULL;
	struct pt_error err;
	size_t i, k;

	if (pt_persist_read(cli->host, &list, &err) < 0 ||
	    pt_snapshot_read(cli->host, &snapshot, &err) < 0) {
		json_object_put(array);
		return cli_fail(cli, &err);
	}
	for (i = 0; i < args->devices.count; i++) {
		for (k = 0; k < pt_persist_count(list); k++) {
			const struct pt_persisted *persisted = pt_persist_at(list, k);

			if (pt_address_compare(&persisted->address, &args->devices.addresses[i]))
				continue;
			if (array)
				json_object_array_add(array, persisted_to_json(persisted));
			else
				tell_persisted(cli, snapshot, list, persisted);
		}
	}
	note_missing_rule(cli);
	if (array)
		return cli_print_json(cli, array);
	note_initramfs(cli);
	return 0;
}

/* ---- applying ---- */

/* Each thing that went wrong; what is in order needs no words in the log of a boot. */
static void report_applied(void *context, const struct pt_persisted *persisted, int result,
			   const char *message)
{
	struct cli *cli = context;
	char text[PT_ADDRESS_TEXT];

	if (result < 0)
		(void)fprintf(cli->err, "passthru: %s\n", message);
	else
		(void)fprintf(cli->out, "%s: %s\n", pt_address_format(&persisted->now, text),
			      message);
}

/* Properties for udev's database, on standard output. */
static void report_udev(void *context, const struct pt_persisted *persisted, int result,
			const char *message)
{
	struct cli *cli = context;

	if (result < 0)
		(void)fprintf(cli->err, "passthru: %s\n", message);
	(void)fprintf(cli->out, "PASSTHRU_PERSIST=%s\n", pt_persist_state_name(persisted->state));
}

/*
 * A "change of the kernel's own" and one that udevadm trigger wrote are told apart by the
 * latter's UUID. Only a card that has just been plugged in is unbound from a host driver: at boot
 * the early unit does that, and later the binding may be intentional.
 */
static bool is_plugged_in(void)
{
	const char *action = getenv("ACTION");

	return action && !strcmp(action, "add") && !getenv("SYNTH_UUID");
}

static int cli_persist_apply(struct cli *cli, const struct arguments *args)
{
	struct pt_address only;
	struct pt_error err;
	int r;

	if (args->udev && pt_address_parse(args->udev, &only, &err) < 0)
		return cli_fail(cli, &err);
	r = pt_persist_apply(cli->host, args->udev ? &only : NULL, !args->udev || is_plugged_in(),
			     args->udev ? report_udev : report_applied, cli, &err);
	/* told already, but for what is not about one device; and udev wants 0 to import */
	if (args->udev)
		return 0;
	if (r < 0 && err.reason != PT_IDENTITY)
		return cli_fail(cli, &err);
	return r < 0 ? pt_reason_exit_status(err.reason) : 0;
}

/* ---- the verbs ---- */

static int detach_now(struct cli *cli, const struct arguments *args)
{
	struct pt_request request = {
		.verb = PT_DETACH,
		.devices = args->request.devices,
		.count = args->request.count,
		.driver = args->request.driver,
		.is_forced = args->request.is_forced,
		.why = args->request.why,
	};

	return cli_request_apply(cli, &request, cli->is_json ? cli->err : cli->out);
}

static int persist(struct cli *cli, const struct arguments *args)
{
	struct pt_error err;
	int status;

	if (pt_persist_add(cli->host, &args->request, &err) < 0)
		return cli_fail(cli, &err);
	status = args->is_now ? detach_now(cli, args) : 0;
	if (status)
		(void)fprintf(cli->err, "passthru: the devices are persisted nevertheless: the "
					"next boot keeps them from the host\n");
	return status ? status : tell_all(cli, args);
}

int verb_persist(struct cli *cli, int argc, char **argv)
{
	struct arguments args = {0};
	int status = cli_persist_parse(cli, argc, argv, &args);

	if (!status && args.is_apply) {
		status = args.devices.count
				 ? cli_usage(cli,
					     "%s: --apply takes no devices: it applies all "
					     "that are persisted",
					     argv[0])
				 : cli_persist_apply(cli, &args);
	} else if (!status && args.udev) {
		status = cli_usage(cli, "%s: --udev needs --apply", argv[0]);
	} else if (!status && !args.devices.count) {
		status = cli_usage(cli, "%s: which device?", argv[0]);
	} else if (!status) {
		status = persist(cli, &args);
	}
	cli_devices_free(&args.devices);
	return status;
}

static int unpersist(struct cli *cli, const struct arguments *args)
{
	struct pt_error err;
	size_t removed;

	if (pt_persist_remove(cli->host, args->devices.addresses, args->devices.count, &removed,
			      &err) < 0)
		return cli_fail(cli, &err);
	if (cli->is_json) {
		struct json_object *object = json_object_new_object();

		json_object_object_add(object, "removed", json_object_new_int64((int64_t)removed));
		return cli_print_json(cli, object);
	}
	if (!removed) {
		(void)fprintf(cli->out, "Nothing to do: no such device is persisted.\n");
		return 0;
	}
	(void)fprintf(cli->out,
		      "From the next boot on, host drivers can bind %s again. To return a device "
		      "now: passthru reattach DEVICE\n",
		      removed == 1 ? "it" : "them");
	note_initramfs(cli);
	return 0;
}

int verb_unpersist(struct cli *cli, int argc, char **argv)
{
	struct arguments args = {0};
	int status = cli_persist_parse(cli, argc, argv, &args);

	if (!status && !args.devices.count)
		status = cli_usage(cli, "%s: which device?", argv[0]);
	if (!status && (args.request.driver || args.request.is_forced || args.is_now ||
			args.is_apply || args.udev))
		status = cli_usage(cli, "%s takes only devices", argv[0]);
	if (!status)
		status = unpersist(cli, &args);
	cli_devices_free(&args.devices);
	return status;
}
