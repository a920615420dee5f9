/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/resources/usb.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "domain/definition/host_usb.h"
#include "domain/definition/xml_node.h"
#include "pci/auto.h"
#include "pci/helper.h"
#include "pci/holders/holders.h"

#define DEVICES "sys/bus/usb/devices"

#define CLASS_HUB 9 /* USB 2.0 specification, 11.23.1 */

/* How long a driver may take to begin with an interface. */
#define PROBE_MS 10000

/* One that is plugged in. */
struct usb_device {
	char name[64]; /* "1-2.3" */
	unsigned int vendor, product, bus, device, class, configuration;
	char port[32];
};

/* ---- reading ---- */

static bool read_text(struct pt_host *host, const char *name, const char *attribute, char *value,
		      size_t size)
{
	char path[256];

	return text_format(path, sizeof(path), DEVICES "/%s/%s", name, attribute) > 0 &&
	       io_read_text_at(host->root_fd, path, value, size) >= 0;
}

static bool read_number(struct pt_host *host, const char *name, const char *attribute, int base,
			unsigned int *ret_number)
{
	char text[32];
	uint64_t number;

	if (!read_text(host, name, attribute, text, sizeof(text)) ||
	    text_parse_number(text, base, UINT32_MAX, &number) < 0)
		return false;
	*ret_number = (unsigned int)number;
	return true;
}

/* False when it isn't there any more. One without a configuration has none active. */
static bool read_device(struct pt_host *host, const char *name, struct usb_device *ret_device)
{
	struct usb_device device = {.name = ""};

	if (!text_copy(device.name, sizeof(device.name), name) ||
	    !read_number(host, name, "idVendor", 16, &device.vendor) ||
	    !read_number(host, name, "idProduct", 16, &device.product) ||
	    !read_number(host, name, "busnum", 10, &device.bus) ||
	    !read_number(host, name, "devnum", 10, &device.device) ||
	    !read_number(host, name, "bDeviceClass", 16, &device.class) ||
	    !read_text(host, name, "devpath", device.port, sizeof(device.port)))
		return false;
	(void)read_number(host, name, "bConfigurationValue", 10, &device.configuration);
	*ret_device = device;
	return true;
}

static bool is_meant(const struct usb_device *device, const struct host_usb *usb)
{
	if (usb->vendor >= 0 && (device->vendor != (unsigned int)usb->vendor ||
				 device->product != (unsigned int)usb->product))
		return false;
	if (!usb->bus || (usb->is_chosen && !usb->port))
		return true;
	return device->bus == usb->bus &&
	       (usb->port ? text_equal(device->port, usb->port) : device->device == usb->device);
}

/* How many there are that are meant, the first of them in *ret_device; a negative errno. */
static int find(struct pt_host *host, const struct host_usb *usb, struct usb_device *ret_device)
{
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	int count = 0, r = io_open_directory_at(host->root_fd, DEVICES, &dir);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	while ((entry = readdir(dir))) {
		struct usb_device device;

		/* with a colon it is an interface of one */
		if (entry->d_name[0] == '.' || strchr(entry->d_name, ':') ||
		    !read_device(host, entry->d_name, &device) || !is_meant(&device, usb))
			continue;
		if (count++ == 0)
			*ret_device = device;
	}
	return count;
}

/* ---- choosing ---- */

static int fail_missing(const struct host_usb *usb, struct pt_error *err)
{
	char words[HOST_USB_WORDS];

	return pt_fail(err, PT_NO_DEVICE, ENODEV,
		       "Did not find USB device %s (line %ld). Plug it in (lsusb lists what is "
		       "there); with <source startupPolicy='optional'> the guest starts without it",
		       host_usb_words(usb, words), xmlGetLineNo(usb->node));
}

static int fail_several(const struct host_usb *usb, int count, struct pt_error *err)
{
	char words[HOST_USB_WORDS];

	return pt_fail(err, PT_INVALID, EINVAL,
		       "Multiple USB devices for %s, use <address> to specify one (line %ld): "
		       "there are %d. <address bus=… port=…/> names one by where it is plugged in "
		       "(busnum and devpath in /sys/bus/usb/devices)",
		       host_usb_words(usb, words), xmlGetLineNo(usb->node), count);
}

static int check_unique(const struct definition *live, const struct host_usb *usb,
			const struct usb_device *device, struct pt_error *err)
{
	struct host_usb others[HOST_USB_MAX];
	char words[HOST_USB_WORDS];
	size_t count = 0;
	int r = definition_host_usbs(live, others, &count, err);

	for (size_t i = 0; r == 0 && i < count; i++)
		if (others[i].node != usb->node && !others[i].is_missing &&
		    others[i].bus == device->bus && others[i].device == device->device)
			r = pt_fail(err, PT_INVALID, EEXIST,
				    "the guest has USB device %s twice: two of its host devices "
				    "mean the one at bus %u device %u",
				    host_usb_words(usb, words), device->bus, device->device);
	return r;
}

static int check_holders(struct pt_host *host, const struct usb_device *device,
			 struct pt_error *err)
{
	AUTO(auto_holders) struct pt_holders *holders = NULL;
	AUTO_FREE char *list = NULL;
	size_t size;
	FILE *out;
	int r = holders_read_usb(host, device->name, &holders, err);

	if (r < 0 || (!pt_holders_count(holders) && pt_holders_is_complete(holders)))
		return r;
	out = open_memstream(&list, &size);
	if (!out)
		return pt_fail_memory(err);
	for (size_t i = 0; i < pt_holders_count(holders); i++)
		holder_print(out, pt_holders_at(holders, i));
	if (fclose(out) != 0)
		return pt_fail_memory(err);
	if (!pt_holders_count(holders))
		return pt_fail(err, PT_IN_USE, EBUSY,
			       "USB device %04x:%04x (bus %u device %u) may be in use: this "
			       "process can't see %s",
			       device->vendor, device->product, device->bus, device->device,
			       pt_holders_unseen(holders));
	return pt_fail(err, PT_IN_USE, EBUSY,
		       "USB device %04x:%04x (bus %u device %u) is in use and can't be taken:%s\n"
		       "Stop using it as shown.",
		       device->vendor, device->product, device->bus, device->device, list);
}

static int choose_one(struct pt_host *host, const struct definition *live,
		      const struct host_usb *usb, struct pt_error *err)
{
	struct usb_device device = {.name = ""};
	char words[HOST_USB_WORDS];
	int count = find(host, usb, &device), r = 0;

	if (count < 0)
		return pt_fail(err, PT_SYSTEM, -count, "/" DEVICES ": %s", strerror(-count));
	if (!count && usb->may_be_missing) {
		if (!usb->is_missing)
			host_log(
				host, PT_LOG_NOTICE,
				"there is no USB device %s: guest %s gets it when it is plugged in",
				host_usb_words(usb, words), definition_name(live));
		return host_usb_choose(usb->node, 0, 0) < 0 ? pt_fail_memory(err) : 0;
	}
	if (!count)
		return fail_missing(usb, err);
	if (count > 1)
		return fail_several(usb, count, err);
	if (device.class == CLASS_HUB)
		return pt_fail(err, PT_INVALID, EINVAL,
			       "USB device %s is a hub, which a guest can't have (line %ld); name "
			       "the devices that are plugged into it",
			       host_usb_words(usb, words), xmlGetLineNo(usb->node));
	r = check_unique(live, usb, &device, err);
	if (!r)
		r = check_holders(host, &device, err);
	if (!r && host_usb_choose(usb->node, device.bus, device.device) < 0)
		r = pt_fail_memory(err);
	return r;
}

int usb_choose(struct pt_host *host, const struct definition *live, xmlNode *device,
	       struct pt_error *err)
{
	struct host_usb usbs[HOST_USB_MAX];
	size_t count = 0;
	int r;

	if (device) {
		r = device_host_usb(device, &usbs[0], err);
		return r == 1 ? choose_one(host, live, &usbs[0], err) : r;
	}
	r = definition_host_usbs(live, usbs, &count, err);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = choose_one(host, live, &usbs[i], err);
	return r;
}

/* The one that has these numbers now. */
static bool find_place(struct pt_host *host, const struct host_usb *usb,
		       struct usb_device *ret_device)
{
	const struct host_usb place = {.vendor = usb->vendor,
				       .product = usb->product,
				       .bus = usb->bus,
				       .device = usb->device};

	return find(host, &place, ret_device) == 1;
}

bool usb_is_there(struct pt_host *host, const xmlNode *device)
{
	struct usb_device found;
	struct host_usb usb;

	return device_host_usb((xmlNode *)(uintptr_t)device, &usb, NULL) == 1 && usb.device &&
	       find_place(host, &usb, &found);
}

/* ---- claims ---- */

/* The driver of interface @number of its configuration; "" without one. */
static void read_driver(struct pt_host *host, const struct store_usb *usb, unsigned int number,
			char interface[128], char driver[64])
{
	char path[256];

	(void)text_format(interface, 128, "%s:%u.%u", usb->name, usb->configuration, number);
	(void)text_format(path, sizeof(path), DEVICES "/%s/driver", interface);
	(void)io_read_link_word_at(host->root_fd, path, driver, 64); /* "": none */
}

static struct store_usb claim_of(struct pt_host *host, const struct usb_device *device)
{
	struct store_usb usb = {.bus = device->bus,
				.device = device->device,
				.configuration = device->configuration};

	(void)text_copy(usb.name, sizeof(usb.name), device->name);
	for (unsigned int i = 0; i < STORE_USB_INTERFACES; i++) {
		char interface[128], driver[64];

		read_driver(host, &usb, i, interface, driver);
		if (*driver)
			usb.bound |= UINT32_C(1) << i;
	}
	return usb;
}

struct claimant {
	const struct usb_device *device;
	struct pt_error *err;
};

static int refuse_claimed(void *context, const struct store_live *other)
{
	const struct claimant *claimant = context;
	const struct usb_device *device = claimant->device;

	for (size_t i = 0; i < other->usb_count; i++)
		if (other->usbs[i].bus == device->bus && other->usbs[i].device == device->device)
			return pt_fail(claimant->err, PT_IN_USE, EBUSY,
				       "USB device %04x:%04x (bus %u device %u) is in use by guest "
				       "%s; detach it there first",
				       device->vendor, device->product, device->bus, device->device,
				       other->name);
	return 0;
}

static bool is_claimed(const struct store_live *record, const struct usb_device *device)
{
	for (size_t i = 0; i < record->usb_count; i++)
		if (record->usbs[i].bus == device->bus && record->usbs[i].device == device->device)
			return true;
	return false;
}

static int claim_one(struct pt_host *host, const struct host_usb *usb, struct store_live *record,
		     struct pt_error *err)
{
	struct usb_device device = {.name = ""};
	struct claimant claimant = {.device = &device, .err = err};
	int r;

	if (usb->is_missing)
		return 0;
	if (!find_place(host, usb, &device))
		return fail_missing(usb, err);
	if (is_claimed(record, &device))
		return 0;
	/* a record that can't be read may have it; by its node, that guest's QEMU is a holder */
	r = store_each_other(host, record->name, refuse_claimed, &claimant);
	if (r < 0 && r != -EBADMSG)
		return r;
	if (record->usb_count == STORE_USB_MAX)
		return pt_fail(err, PT_INVALID, EOPNOTSUPP,
			       "a guest can have at most %d USB devices of the host",
			       STORE_USB_MAX);
	record->usbs[record->usb_count++] = claim_of(host, &device);
	return 0;
}

int usb_claim(struct pt_host *host, const struct definition *live, const xmlNode *device,
	      struct store_live *record, struct pt_error *err)
{
	struct host_usb usbs[HOST_USB_MAX];
	size_t count = 0;
	int r = definition_host_usbs(live, usbs, &count, err);

	for (size_t i = 0; r == 0 && i < count; i++)
		if (!device || device == usbs[i].node)
			r = claim_one(host, &usbs[i], record, err);
	return r;
}

/* ---- giving back ---- */

static void write_usb(struct pt_host *host, const struct store_usb *usb, const char *path,
		      const char *text)
{
	int r = helper_write(host, path, text, PROBE_MS);

	/* no driver wants it: -ENODEV; it was unplugged meanwhile: -ENOENT */
	if (r < 0 && r != -ENODEV && r != -ENOENT && r != -EINVAL)
		host_log(host, PT_LOG_WARNING, "USB device %s: writing %s to /%s: %s", usb->name,
			 text, path, strerror(-r));
}

/* Does a process hold it by its node? */
static bool is_held(struct pt_host *host, const struct store_usb *usb)
{
	for (unsigned int i = 0; i < STORE_USB_INTERFACES; i++) {
		char interface[128], driver[64];

		read_driver(host, usb, i, interface, driver);
		if (strcmp(driver, "usbfs") == 0)
			return true;
	}
	return false;
}

/* Interfaces that had a driver get one again. */
static void return_to_drivers(struct pt_host *host, const struct store_usb *usb)
{
	struct usb_device device;
	char path[256], text[16];

	if (!read_device(host, usb->name, &device) || device.bus != usb->bus ||
	    device.device != usb->device)
		return; /* it was unplugged: another one is there, or none */
	if (usb->configuration && device.configuration != usb->configuration) {
		(void)text_format(path, sizeof(path), DEVICES "/%s/bConfigurationValue", usb->name);
		(void)text_format(text, sizeof(text), "%u", usb->configuration);
		write_usb(host, usb, path, text);
	}
	for (unsigned int i = 0; i < STORE_USB_INTERFACES; i++) {
		char interface[128], driver[64];

		read_driver(host, usb, i, interface, driver);
		if ((usb->bound & (UINT32_C(1) << i)) && !*driver)
			write_usb(host, usb, "sys/bus/usb/drivers_probe", interface);
	}
}

static bool is_named(const struct definition *live, const struct store_usb *usb)
{
	struct host_usb usbs[HOST_USB_MAX];
	size_t count = 0;

	if (!live || definition_host_usbs(live, usbs, &count, NULL) < 0)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!usbs[i].is_missing && usbs[i].bus == usb->bus && usbs[i].device == usb->device)
			return true;
	return false;
}

void usb_settle(struct pt_host *host, const struct definition *live, struct store_live *record)
{
	size_t kept = 0;

	for (size_t i = 0; i < record->usb_count; i++) {
		const struct store_usb usb = record->usbs[i];
		bool stays = is_named(live, &usb) || (live && is_held(host, &usb));

		if (!stays)
			return_to_drivers(host, &usb);
		else
			record->usbs[kept++] = usb;
	}
	record->usb_count = kept;
}
