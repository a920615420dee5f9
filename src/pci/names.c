/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names come from udev's hardware database, which is made from pci.ids: it is an
 * index mapped into memory, where reading pci.ids would cost more than listing
 * all devices. It is a book of names, not a fact about the host, so it is always this
 * machine's, also when the host is a recording of another.
 */
#include "pci/names.h"

#include <errno.h>
#include <passthru/device.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libudev.h>

#include "base/text.h"

#define KEY_SIZE 64

struct names {
	struct udev *udev;
	struct udev_hwdb *hwdb; /* NULL when none is installed */
	/* the last question and its answers: vendor and device are asked for one after the other */
	char key[KEY_SIZE];
	struct udev_list_entry *entries;
};

static struct names *names_open(struct pt_host *host)
{
	struct names *names = host->hwdb;

	if (names)
		return names;
	names = calloc(1, sizeof(*names));
	if (!names)
		return NULL;
	names->udev = udev_new();
	names->hwdb = names->udev ? udev_hwdb_new(names->udev) : NULL;
	if (!names->hwdb)
		host_log(host, PT_LOG_INFO,
			 "no hardware database is installed: devices are shown "
			 "without names");
	host->hwdb = names;
	return names;
}

int names_do_without(struct pt_host *host)
{
	names_close(host);
	host->hwdb = calloc(1, sizeof(struct names));
	return host->hwdb ? 0 : -ENOMEM;
}

void names_close(struct pt_host *host)
{
	struct names *names = host->hwdb;

	if (!names)
		return;
	udev_hwdb_unref(names->hwdb);
	udev_unref(names->udev);
	free(names);
	host->hwdb = NULL;
}

/* The database is asked with a modalias, or the beginning of one, and answers with properties. */
static const char *look_up(struct pt_host *host, const char key[KEY_SIZE], const char *property)
{
	struct names *names = names_open(host);

	if (!names || !names->hwdb)
		return NULL;
	if (strcmp(names->key, key) != 0) {
		names->entries = udev_hwdb_get_properties_list_entry(names->hwdb, key, 0);
		memcpy(names->key, key, KEY_SIZE);
	}
	return udev_list_entry_get_value(udev_list_entry_get_by_name(names->entries, property));
}

const char *pt_name_vendor(struct pt_host *host, uint16_t vendor_id)
{
	char key[KEY_SIZE] = "";
	const struct names *names = host->hwdb;

	(void)text_format(key, sizeof(key), "pci:v%08X", vendor_id);
	/* the answer to a question for one of its devices holds it too */
	if (names && !strncmp(names->key, key, strlen(key)))
		return look_up(host, names->key, "ID_VENDOR_FROM_DATABASE");
	return look_up(host, key, "ID_VENDOR_FROM_DATABASE");
}

const char *pt_name_device(struct pt_host *host, uint16_t vendor_id, uint16_t device_id)
{
	char key[KEY_SIZE] = "";

	(void)text_format(key, sizeof(key), "pci:v%08Xd%08X", vendor_id, device_id);
	return look_up(host, key, "ID_MODEL_FROM_DATABASE");
}

const char *pt_name_subsystem(struct pt_host *host, const struct pt_function *function)
{
	char key[KEY_SIZE] = "", chip[256] = "";
	const char *name;

	name = pt_name_device(host, function->vendor_id, function->device_id);
	if (name)
		(void)text_format(chip, sizeof(chip), "%s", name);
	(void)text_format(key, sizeof(key), "pci:v%08Xd%08Xsv%08Xsd%08X", function->vendor_id,
			  function->device_id, function->subsystem_vendor_id,
			  function->subsystem_device_id);
	name = look_up(host, key, "ID_MODEL_FROM_DATABASE");
	return name && strncmp(name, chip, sizeof(chip) - 1) != 0 ? name : NULL;
}

static const char *look_up_class(struct pt_host *host, uint32_t class_code, const char *property)
{
	char key[KEY_SIZE] = "";

	(void)text_format(key, sizeof(key), "pci:v*d*sv*sd*bc%02Xsc%02Xi%02X",
			  class_code >> 16 & 0xff, class_code >> 8 & 0xff, class_code & 0xff);
	return look_up(host, key, property);
}

const char *pt_name_class(struct pt_host *host, uint32_t class_code)
{
	const char *name = look_up_class(host, class_code, "ID_PCI_SUBCLASS_FROM_DATABASE");

	return name ? name : look_up_class(host, class_code, "ID_PCI_CLASS_FROM_DATABASE");
}

const char *pt_name_interface(struct pt_host *host, uint32_t class_code)
{
	return look_up_class(host, class_code, "ID_PCI_INTERFACE_FROM_DATABASE");
}
