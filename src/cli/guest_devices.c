/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * attach, detach-from: devices of guests, running or not. The return value of libvirt's client
 * library does not prove an unplug: libvirt returns success before the guest has released the
 * device. So the guest's live definition is checked afterwards, until a deadline.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/virt.h"

#define UNPLUG_S       20
#define UNPLUG_LOOK_MS 200

struct work {
	struct cli *cli;
	struct virt virt;
	virDomainPtr domain;
	const char *guest;
	struct cli_devices devices;
	const char *uri;
	unsigned int flags; /* VIR_DOMAIN_AFFECT_…; 0: whatever the guest has */
	bool is_unmanaged;
	uint64_t timeout_s;
};

static void free_work(struct work *work)
{
	if (work->domain)
		(void)work->virt.call.virDomainFree(work->domain);
	if (work->virt.connection)
		virt_close(&work->virt);
	cli_devices_free(&work->devices);
}

/* ---- the command line ---- */

static const struct option long_options[] = {
	{"to", required_argument, NULL, 'g'},	   {"from", required_argument, NULL, 'g'},
	{"connect", required_argument, NULL, 'c'}, {"live", no_argument, NULL, 'l'},
	{"config", no_argument, NULL, 'o'},	   {"unmanaged", no_argument, NULL, 'u'},
	{"timeout", required_argument, NULL, 't'}, {NULL, 0, NULL, 0},
};

static int guest_devices_parse(struct work *work, int argc, char **argv)
{
	struct cli *cli = work->cli;
	struct pt_error err;
	int c;

	work->timeout_s = UNPLUG_S;
	while ((c = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (c == '?' || c == ':')
			return cli_bad_option(cli, argv, c);
		if (c == 'g')
			work->guest = optarg;
		else if (c == 'c')
			work->uri = optarg;
		else if (c == 'l')
			work->flags |= VIR_DOMAIN_AFFECT_LIVE;
		else if (c == 'o')
			work->flags |= VIR_DOMAIN_AFFECT_CONFIG;
		else if (c == 'u')
			work->is_unmanaged = true;
		else if (text_parse_number(optarg, 10, 86400, &work->timeout_s) < 0)
			return cli_usage(cli, "--timeout takes seconds, not \"%s\"", optarg);
	}
	if (cli_devices_add_rest(&work->devices, argc, argv, &err) < 0)
		return cli_fail(cli, &err);
	if (!work->guest)
		return cli_usage(cli,
				 "%s: name a guest with %s NAME. To see all guests:\n"
				 "  passthru guests",
				 argv[0], strcmp(argv[0], "attach") ? "--from" : "--to");
	if (!work->devices.count)
		return cli_usage(cli,
				 "%s: name a device. To see all devices:\n"
				 "  passthru list",
				 argv[0]);
	return 0;
}

/* With neither --live nor --config: both as far as there is such a part. */
static int choose_flags(struct work *work, struct pt_error *err)
{
	int is_active, is_persistent;

	if (work->flags)
		return 0;
	is_active = work->virt.call.virDomainIsActive(work->domain);
	is_persistent = work->virt.call.virDomainIsPersistent(work->domain);
	if (is_active < 0 || is_persistent < 0)
		return virt_fail(&work->virt, err, work->guest);
	work->flags = (is_active ? VIR_DOMAIN_AFFECT_LIVE : 0U) |
		      (is_persistent ? VIR_DOMAIN_AFFECT_CONFIG : 0U);
	return 0;
}

static int guest_devices_begin(struct work *work, struct pt_error *err)
{
	int r = virt_open(work->uri, &work->virt, err);

	if (!r)
		r = virt_find(&work->virt, work->guest, &work->domain, err);
	return r ? r : choose_flags(work, err);
}

/* ---- one device ---- */

static void format_hostdev(const struct work *work, const struct pt_address *address, char *xml,
			   size_t size)
{
	(void)text_format(xml, size,
			  "<hostdev mode='subsystem' type='pci' managed='%s'><source><address "
			  "domain='0x%04x' bus='0x%02x' slot='0x%02x' function='0x%x'/></source>"
			  "</hostdev>",
			  work->is_unmanaged ? "no" : "yes", address->domain, address->bus,
			  address->device, address->function);
}

/* 1 if the running guest has the device, according to its live definition. */
static int has_device(struct work *work, const struct pt_address *address, struct pt_error *err)
{
	struct cli_devices devices = {0};
	int r = virt_read_hostdevs(&work->virt, work->domain, 0, &devices, err);
	size_t i;

	if (r < 0)
		return err->reason == PT_NO_GUEST ? 0 : r;
	for (i = 0; i < devices.count && !r; i++)
		r = pt_address_compare(&devices.addresses[i], address) == 0;
	cli_devices_free(&devices);
	return r;
}

static int fail_pending(const struct work *work, const struct pt_address *address,
			struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT];

	return pt_fail(
		err, PT_UNPLUG_PENDING, ETIMEDOUT,
		"%s: %s has not released the device; the unplug request is still pending. Stop the "
		"guest to force the release, or see the state with:\n"
		"  passthru guests",
		pt_address_format(address, text), work->guest);
}

/* After a success: wait until the guest has released the device. */
static int wait_gone(struct work *work, const struct pt_address *address, struct pt_error *err)
{
	uint64_t looks = work->timeout_s * 1000 / UNPLUG_LOOK_MS + 1;
	int r = 1;

	if (!(work->flags & VIR_DOMAIN_AFFECT_LIVE))
		return 0;
	while (looks-- && (r = has_device(work, address, err)) == 1)
		clock_sleep_ms(UNPLUG_LOOK_MS);
	return r == 1 ? fail_pending(work, address, err) : r;
}

static int detach_one(struct work *work, const struct pt_address *address, struct pt_error *err)
{
	char xml[512], text[PT_ADDRESS_TEXT];
	int r;

	format_hostdev(work, address, xml, sizeof(xml));
	if (work->virt.call.virDomainDetachDeviceFlags(work->domain, xml, work->flags) == 0)
		return wait_gone(work, address, err);
	if (virt_last_code(&work->virt) == VIR_ERR_OPERATION_TIMEOUT)
		return fail_pending(work, address, err);
	r = virt_fail(&work->virt, err, pt_address_format(address, text));
	if (virt_last_code(&work->virt) == VIR_ERR_OPERATION_FAILED)
		err->reason = PT_UNPLUG_REFUSED;
	return r;
}

static int attach_one(struct work *work, const struct pt_address *address, struct pt_error *err)
{
	char xml[512], text[PT_ADDRESS_TEXT];

	format_hostdev(work, address, xml, sizeof(xml));
	if (work->virt.call.virDomainAttachDeviceFlags(work->domain, xml, work->flags) < 0)
		return virt_fail(&work->virt, err, pt_address_format(address, text));
	return 0;
}

/* ---- the verbs ---- */

static void guest_devices_report(struct work *work, const struct pt_address *address,
				 const char *what)
{
	char text[PT_ADDRESS_TEXT];

	if (!work->cli->is_json)
		(void)fprintf(work->cli->out, "%s%s%s: %s %s%s\n", cli_bold(work->cli),
			      pt_address_format(address, text), cli_plain(work->cli), what,
			      work->guest,
			      work->flags & VIR_DOMAIN_AFFECT_LIVE ? "" : ", from its next start");
}

/* All or none: if one fails, the previous ones are detached again. */
static int attach_all(struct work *work, struct pt_error *err)
{
	struct pt_error undo;
	size_t i, done;
	int r = 0;

	for (done = 0; done < work->devices.count && !r; done += !r)
		r = attach_one(work, &work->devices.addresses[done], err);
	for (i = 0; r && i < done; i++)
		if (detach_one(work, &work->devices.addresses[i], &undo) < 0)
			pt_error_append(err,
					"\n"
					"Detaching the other devices again failed: "
					"%s",
					undo.message);
	for (i = 0; !r && i < done; i++)
		guest_devices_report(work, &work->devices.addresses[i], "attached to");
	return r;
}

int verb_attach(struct cli *cli, int argc, char **argv)
{
	struct work work = {.cli = cli};
	struct pt_error err;
	int r, status = guest_devices_parse(&work, argc, argv);

	if (!status) {
		r = guest_devices_begin(&work, &err);
		if (!r)
			r = attach_all(&work, &err);
		status = r < 0 ? cli_fail(cli, &err) : 0;
	}
	free_work(&work);
	return status;
}

int verb_detach_from(struct cli *cli, int argc, char **argv)
{
	struct work work = {.cli = cli};
	struct pt_error err;
	size_t i;
	int r, status = guest_devices_parse(&work, argc, argv);

	if (!status && guest_devices_begin(&work, &err) < 0)
		status = cli_fail(cli, &err);
	else if (!status)
		for (i = 0; i < work.devices.count; i++) {
			r = detach_one(&work, &work.devices.addresses[i], &err);
			if (r < 0)
				status = cli_fail(cli, &err); /* the others still can */
			else
				guest_devices_report(&work, &work.devices.addresses[i],
						     "detached from");
		}
	free_work(&work);
	return status;
}
