/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The identities of a defined guest's host devices, in etc/passthru/guests/devices/NAME.json. An
 * address names a slot: after a card was moved or exchanged, another device may be there, which
 * must not be assigned to the guest.
 *
 * A device is recorded when it is defined or attached to the definition, or, if it was missing
 * then, at the first start or attach that finds it. Defining the guest again accepts the devices
 * that are present now.
 */
#ifndef DOMAIN_STORE_DEVICES_H
#define DOMAIN_STORE_DEVICES_H

#include <passthru/identity.h>

#include "base/json.h"
#include "domain/definition/definition.h"
#include "pci/host.h"

#define STORE_DEVICES "etc/passthru/guests/devices"

/* A definition is a MiB at most, and a device takes more than a hundred bytes of it. */
#define STORE_DEVICES_MAX 8192

struct store_device {
	struct pt_address address;
	struct pt_identity identity;
};

struct store_devices {
	size_t count;
	struct store_device items[];
};

/*
 * Update the record for @def, before @def is written. The identities of devices that @before also
 * contains are kept (NULL: the guest is being defined, and all identities are read again), and so
 * are those of devices that are not in the machine now. Without devices there is no file.
 */
int store_record_devices(struct pt_host *host, const struct definition *def,
			 const struct definition *before, struct pt_error *err);

/*
 * Before these devices are assigned to guest @name: each recorded one must still be the same
 * device. PT_IDENTITY lists the others, one per line, with the new addresses. Unrecorded devices
 * are recorded, if the guest is defined.
 */
int store_check_devices(struct pt_host *host, const char *name,
			const struct definition_hostdev *hostdevs, size_t count,
			struct pt_error *err);

/* The guest is forgotten. */
int store_remove_devices(struct pt_host *host, const char *name, struct pt_error *err);

/* The JSON of a file; NULL without memory. */
struct json_object *store_devices_to_json(const struct store_devices *devices);

/* The bytes of a file. Freed with free(). */
int store_parse_devices(const char *text, size_t size, struct store_devices **ret_devices,
			struct pt_error *err);

#endif
