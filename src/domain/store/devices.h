/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the host's devices of a defined guest are, beside where they are, in
 * etc/passthru/guests/devices/NAME.json. An address names a slot: after a card was moved or
 * exchanged another device may answer there, and a guest must not be handed that one.
 *
 * A device is recorded when it is defined or attached to the definition, or, when it wasn't
 * there then, at the first start or attach that sees it. Defining the guest again is the consent to
 * whatever is there now.
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
 * Before these devices go to guest @name: each that is recorded must still be that device.
 * PT_IDENTITY lists those that aren't, a line each, with where they are now. What wasn't seen
 * before is recorded, when the guest is a defined one.
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
