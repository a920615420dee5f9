/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "cli/cli.h"

static int devices_add(struct cli_devices *devices, const struct pt_address *address,
		       struct pt_error *err)
{
	struct pt_address *grown;
	size_t i;

	for (i = 0; i < devices->count; i++) {
		char text[PT_ADDRESS_TEXT];

		if (pt_address_compare(&devices->addresses[i], address) == 0)
			return pt_fail(err, PT_INVALID, EINVAL, "%s is named twice",
				       pt_address_format(address, text));
	}
	grown = reallocarray(devices->addresses, devices->count + 1, sizeof(*grown));
	if (!grown)
		return pt_fail_memory(err);
	grown[devices->count++] = *address;
	devices->addresses = grown;
	return 0;
}

int cli_devices_add(struct cli_devices *devices, const char *word, struct pt_error *err)
{
	struct pt_address address;
	int r = pt_address_parse(word, &address, err);

	return r < 0 ? r : devices_add(devices, &address, err);
}

/* ---- the seed's decimal fields ---- */

enum { DOMAIN, BUS, SLOT, FUNCTION, FIELDS };

static const struct {
	char option;
	const char *name;
	unsigned int max;
} fields[FIELDS] = {
	[DOMAIN] = {'d', "--domain", UINT32_MAX},
	[BUS] = {'b', "--bus", 255},
	[SLOT] = {'s', "--slot", 31},
	[FUNCTION] = {'f', "--function", 7},
};

#define BIT(field) (1U << (field))

/* Make a device of the fields seen; the domain alone may be missing. */
static int make_up(struct cli_devices *devices, struct pt_error *err)
{
	const unsigned int *decimal = devices->decimal;
	unsigned int missing = (BIT(BUS) | BIT(SLOT) | BIT(FUNCTION)) & ~devices->decimal_seen;
	struct pt_address address;
	size_t i;

	for (i = 0; i < FIELDS; i++)
		if (missing & BIT(i))
			return pt_fail(err, PT_INVALID, EINVAL,
				       "%s is missing: a device needs --bus, --slot and --function",
				       fields[i].name);
	address = (struct pt_address){
		.domain = devices->decimal_seen & BIT(DOMAIN) ? decimal[DOMAIN] : 0,
		.bus = (uint8_t)decimal[BUS],
		.device = (uint8_t)decimal[SLOT],
		.function = (uint8_t)decimal[FUNCTION],
	};
	devices->decimal_seen = 0;
	return devices_add(devices, &address, err);
}

int cli_devices_decimal(struct cli_devices *devices, char field, const char *digits,
			struct pt_error *err)
{
	uint64_t value;
	size_t i = 0;
	int r;

	while (i < FIELDS && fields[i].option != field)
		i++;
	if (i == FIELDS)
		return pt_fail(err, PT_INVALID, EINVAL, "no such field: %c", field);
	/* a field that is there already begins the next device */
	if (devices->decimal_seen & BIT(i)) {
		r = make_up(devices, err);
		if (r < 0)
			return r;
	}
	if (text_parse_number(digits, 10, fields[i].max, &value) < 0)
		return pt_fail(err, PT_INVALID, EINVAL,
			       "%s %s: not a decimal number from 0 to %u; for hex, write the whole "
			       "address as 0000:65:00.0",
			       fields[i].name, digits, fields[i].max);
	devices->decimal[i] = (unsigned int)value;
	devices->decimal_seen |= BIT(i);
	return devices->decimal_seen == BIT(FIELDS) - 1 ? make_up(devices, err) : 0;
}

int cli_devices_finish(struct cli_devices *devices, struct pt_error *err)
{
	return devices->decimal_seen ? make_up(devices, err) : 0;
}

void cli_devices_free(struct cli_devices *devices)
{
	free(devices->addresses);
	*devices = (struct cli_devices){0};
}

/* ---- unknown devices ---- */

/* How far off: another function of the slot, then another slot of the bus, then another domain. */
static unsigned int distance(const struct pt_address *a, const struct pt_address *b)
{
	if (a->domain == b->domain && a->bus == b->bus)
		return a->device == b->device ? 1 : 3;
	if (a->domain != b->domain && a->bus == b->bus && a->device == b->device &&
	    a->function == b->function)
		return 2;
	return 4;
}

const struct pt_function *cli_find_function(const struct pt_snapshot *snapshot,
					    const struct pt_address *address, struct pt_error *err)
{
	const struct pt_function *function = pt_snapshot_find(snapshot, address);
	char text[PT_ADDRESS_TEXT];
	unsigned int best = 4;
	size_t i, count = pt_snapshot_count(snapshot), named = 0;

	if (function)
		return function;
	(void)pt_fail(err, PT_NO_DEVICE, ENODEV, "%s: this host has no such PCI function",
		      pt_address_format(address, text));
	for (i = 0; i < count; i++) {
		unsigned int d = distance(address, &pt_snapshot_at(snapshot, i)->address);

		best = d < best ? d : best;
	}
	for (i = 0; best < 4 && i < count && named < 8; i++) {
		function = pt_snapshot_at(snapshot, i);
		if (distance(address, &function->address) != best)
			continue;
		pt_error_append(err, "%s%s",
				named++	    ? ", "
				: best == 1 ? "; the same slot has "
				: best == 2 ? "; another domain has "
					    : "; the same bus has ",
				pt_address_format(&function->address, text));
	}
	pt_error_append(err, "\n"
			     "To see all devices:\n"
			     "  passthru list");
	return NULL;
}
