/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <passthru/identity.h>

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/error.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/config.h"
#include "pci/identity.h"
#include "pci/sysfs.h"
#include "pci/uevent_text.h"
#include "pci/vpd.h"

#define DSN_PREFIX "dsn:"
#define VPD_PREFIX "vpd:"

/* ---- slots ---- */

/*
 * "…/pci0000:00/0000:00:1c.0/0000:03:00.0" is "0000:00/1c.0/00.0". A second root on the way
 * (VMD shows the drives below it in a domain of their own) stays in it as "10000:e0".
 */
int identity_slot_of_path(const char *path, char slot[PT_SLOT_TEXT])
{
	char made[PT_SLOT_TEXT] = "";
	size_t used = 0;

	while (*path) {
		size_t len = strcspn(path, "/");
		char part[32];
		struct pt_address address;
		int n = 0;

		if (len && len < sizeof(part)) {
			memcpy(part, path, len);
			part[len] = '\0';
			if (!strncmp(part, "pci", 3) && isxdigit((unsigned char)part[3]))
				n = text_format(made + used, sizeof(made) - used, "%s%s",
						used ? "/" : "", part + 3);
			else if (used && pt_address_parse(part, &address, NULL) == 0)
				n = text_format(made + used, sizeof(made) - used, "/%02x.%x",
						address.device, address.function);
			if (n < 0)
				return n;
			used += (size_t)n;
		}
		path += len;
		path += strspn(path, "/");
	}
	text_copy(slot, PT_SLOT_TEXT, made);
	return 0;
}

static int read_slot(struct pt_host *host, const struct pt_address *address,
		     char slot[PT_SLOT_TEXT])
{
	char path[SYSFS_PATH], target[PATH_MAX];
	ssize_t len;
	int r = sysfs_device_path(path, address, "");

	if (r < 0)
		return r;
	len = readlinkat(host->root_fd, path, target, sizeof(target) - 1);
	if (len < 0 && errno == EINVAL) { /* a directory, not a link: a copy of a sysfs */
		slot[0] = '\0';
		return 0;
	}
	if (len < 0)
		return -errno;
	target[len] = '\0';
	return identity_slot_of_path(target, slot);
}

/* ---- serial numbers ---- */

static void format_dsn(uint64_t serial, char text[PT_SERIAL_TEXT])
{
	size_t i, used = strlen(DSN_PREFIX);

	text_copy(text, PT_SERIAL_TEXT, DSN_PREFIX);
	for (i = 0; i < 8; i++)
		used += (size_t)snprintf(text + used, PT_SERIAL_TEXT - used, "%s%02x", i ? "-" : "",
					 (unsigned int)(serial >> (56 - 8 * i) & 0xff));
}

static void read_vpd_serial(struct pt_host *host, const struct pt_address *address,
			    char text[PT_SERIAL_TEXT])
{
	AUTO_FREE uint8_t *bytes = malloc(VPD_SIZE_MAX);
	char path[SYSFS_PATH];
	struct vpd vpd;
	ssize_t len = -1;
	size_t i;

	if (bytes && sysfs_device_path(path, address, "vpd") == 0)
		len = io_read_at(host->root_fd, path, bytes, VPD_SIZE_MAX);
	if (len < 0 || vpd_parse(bytes, (size_t)len, &vpd) < 0)
		return;
	for (i = 0; i < vpd.field_count; i++) {
		const struct vpd_field *field = &vpd.fields[i];

		if (strcmp(field->keyword, "SN") != 0 || field->is_writable || !field->len)
			continue;
		if (text_format(text, PT_SERIAL_TEXT, VPD_PREFIX "%.*s", (int)field->len,
				(const char *)field->value) < 0)
			text[0] = '\0';
		return;
	}
}

/* Realtek's RTL8111/8168 all carry this one. */
#define REALTEK_SERIAL	    0x01000000684ce000ULL
#define REALTEK_SERIAL_TEXT "dsn:01-00-00-00-68-4c-e0-00"

/* Cards whose maker never wrote one carry zeros or ones there, or one number for a whole model. */
static bool is_real_serial(uint64_t serial)
{
	return serial && serial != UINT64_MAX && serial != REALTEK_SERIAL;
}

/* Of a record that an earlier version made, too: what the card has instead, it didn't read. */
static bool has_shared_serial(const struct pt_identity *identity)
{
	return !strcmp(identity->serial, REALTEK_SERIAL_TEXT);
}

static int read_config(struct pt_host *host, const struct pt_address *address,
		       struct pt_identity *identity, struct pt_error *err)
{
	AUTO_FREE struct config *config = calloc(1, sizeof(*config));
	char path[SYSFS_PATH], text[PT_ADDRESS_TEXT];
	uint8_t bytes[CONFIG_SIZE];
	ssize_t len;
	int r;

	if (!config)
		return pt_fail_memory(err);
	pt_address_format(address, text);
	r = sysfs_device_path(path, address, "config");
	len = r < 0 ? r : io_read_at(host->root_fd, path, bytes, sizeof(bytes));
	r = len < 0 ? (int)len : config_parse(bytes, (size_t)len, config);
	if (r == -ENODEV || r == -ENOENT)
		return pt_fail(err, PT_DEVICE_GONE, ENODEV,
			       "%s does not respond: its identity can't be read", text);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "%s: configuration space: %s", text,
			       strerror(-r));
	identity->revision = config->revision;
	identity->is_serial_known = len > CONFIG_HEADER_SIZE;
	if (config->has_serial && is_real_serial(config->serial))
		format_dsn(config->serial, identity->serial);
	else if (config->has_vpd)
		read_vpd_serial(host, address, identity->serial);
	return 0;
}

int pt_identity_read(struct pt_host *host, const struct pt_address *address,
		     struct pt_identity *ret_identity, struct pt_error *err)
{
	char uevent_text[4096], text[PT_ADDRESS_TEXT];
	struct pt_identity identity = {0};
	struct uevent uevent;
	ssize_t len;
	int r;

	pt_address_format(address, text);
	r = read_slot(host, address, identity.slot);
	if (r == -ENOENT)
		return pt_fail(err, PT_NO_DEVICE, ENODEV, "%s: this host has no such PCI function",
			       text);
	len = r < 0 ? r : sysfs_read(host, address, "uevent", uevent_text, sizeof(uevent_text));
	if (len < 0)
		return pt_fail(err, PT_SYSTEM, (int)-len, "%s: %s", text, strerror((int)-len));
	if (!uevent_parse(uevent_text, (size_t)len, &uevent))
		return pt_fail(err, PT_SYSTEM, EBADMSG, "%s: its uevent file is malformed", text);
	identity.vendor_id = uevent.vendor_id;
	identity.device_id = uevent.device_id;
	identity.subsystem_vendor_id = uevent.subsystem_vendor_id;
	identity.subsystem_device_id = uevent.subsystem_device_id;
	identity.class_code = uevent.class_code;
	r = read_config(host, address, &identity, err);
	if (r < 0)
		return r;
	*ret_identity = identity;
	return 0;
}

/* ---- comparing ---- */

char *pt_identity_format(const struct pt_identity *identity, char text[PT_IDENTITY_TEXT])
{
	const char *serial = identity->serial;
	char subsystem[32] = "";

	if (identity->subsystem_vendor_id)
		(void)text_format(subsystem, sizeof(subsystem), " (%04x:%04x)",
				  identity->subsystem_vendor_id, identity->subsystem_device_id);
	(void)text_format(text, PT_IDENTITY_TEXT, "%04x:%04x%s%s%s", identity->vendor_id,
			  identity->device_id, subsystem,
			  *serial		      ? ", serial number "
			  : identity->is_serial_known ? " without serial number"
						      : "",
			  *serial ? strchr(serial, ':') + 1 : "");
	return text;
}

static bool same_model(const struct pt_identity *a, const struct pt_identity *b)
{
	return a->vendor_id == b->vendor_id && a->device_id == b->device_id &&
	       a->subsystem_vendor_id == b->subsystem_vendor_id &&
	       a->subsystem_device_id == b->subsystem_device_id && a->class_code == b->class_code;
}

static bool both_known(const struct pt_identity *a, const struct pt_identity *b)
{
	return a->is_serial_known && b->is_serial_known && !has_shared_serial(a) &&
	       !has_shared_serial(b);
}

enum pt_identity_match pt_identity_compare(const struct pt_identity *was,
					   const struct pt_identity *is, char *text, size_t size)
{
	bool has_serial = both_known(was, is) && *was->serial;
	char old[PT_IDENTITY_TEXT], now[PT_IDENTITY_TEXT];

	if (text && size)
		text[0] = '\0';
	if (!same_model(was, is) || (both_known(was, is) && strcmp(was->serial, is->serial) != 0) ||
	    (!has_serial && was->revision != is->revision)) {
		pt_identity_format(was, old);
		pt_identity_format(is, now);
		if (text)
			(void)text_format(text, size,
					  "another device: expected %s, found "
					  "%s%s",
					  old, now,
					  strcmp(old, now) ? ""
							   : " with another class or revision");
		return PT_IDENTITY_OTHER;
	}
	if (!*was->slot || !*is->slot || !strcmp(was->slot, is->slot))
		return PT_IDENTITY_SAME;
	if (text)
		(void)text_format(text, size, "%s in another slot: expected in %s, found in %s",
				  has_serial ? "the same device" : "a device of the same model",
				  was->slot, is->slot);
	return PT_IDENTITY_MOVED;
}

/* ---- finding ---- */

static bool may_be(const struct pt_identity *identity, const struct pt_function *function)
{
	return function->vendor_id == identity->vendor_id &&
	       function->device_id == identity->device_id &&
	       function->subsystem_vendor_id == identity->subsystem_vendor_id &&
	       function->subsystem_device_id == identity->subsystem_device_id &&
	       function->class_code == identity->class_code;
}

/*
 * All functions of a device carry one serial number (PCIe 7.9.3), so the function's number
 * must be the same too.
 */
static bool same_function(const struct pt_identity *identity, const struct pt_address *address)
{
	const char *dot = strrchr(identity->slot, '.');
	uint64_t number;

	return !dot || text_parse_number(dot + 1, 16, 7, &number) < 0 ||
	       number == address->function;
}

int pt_identity_find(struct pt_host *host, const struct pt_snapshot *snapshot,
		     const struct pt_identity *identity, struct pt_address *ret_address,
		     struct pt_error *err)
{
	char likes[256] = "", text[PT_ADDRESS_TEXT], formatted[PT_IDENTITY_TEXT];
	const struct pt_function *moved = NULL;
	size_t i, used = 0, moved_count = 0;

	for (i = 0; i < pt_snapshot_count(snapshot); i++) {
		const struct pt_function *function = pt_snapshot_at(snapshot, i);
		enum pt_identity_match match;
		struct pt_identity is = {0};
		int n;

		if (!may_be(identity, function) || !same_function(identity, &function->address) ||
		    pt_identity_read(host, &function->address, &is, NULL) < 0)
			continue;
		match = pt_identity_compare(identity, &is, NULL, 0);
		if (match == PT_IDENTITY_SAME) {
			*ret_address = function->address;
			return 0;
		}
		if (match == PT_IDENTITY_MOVED && both_known(identity, &is) && *is.serial) {
			moved = function;
			moved_count++;
		}
		if (match == PT_IDENTITY_MOVED) {
			n = text_format(likes + used, sizeof(likes) - used, "%s%s",
					used ? ", " : "",
					pt_address_format(&function->address, text));
			used += n > 0 ? (size_t)n : 0;
		}
	}
	/* a number that several functions carry identifies none of them */
	if (moved_count == 1) {
		*ret_address = moved->address;
		return 0;
	}
	return pt_fail(err, PT_NO_DEVICE, ENODEV, "%s is not in this machine%s%s",
		       pt_identity_format(identity, formatted),
		       used ? "; devices of the same model are at " : "", likes);
}
