/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pci/header.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/sysfs.h"

/* After the kernel is done (it waits up to 60 s itself) this is for drivers that set up again. */
#define SETTLE_MS 2000

static uint32_t get(const struct header *header, size_t offset, size_t size)
{
	uint32_t value = 0;

	while (size--)
		value = value << 8 | header->bytes[offset + size];
	return value;
}

/*
 * Nothing answers: all ones. Looked for in the command register, as the kernel does: a VF's vendor
 * ID always reads ffff (PCIe base specification 9.3.4.1.1). 0001 as vendor ID
 * stands for a device that asks to be tried again (2.3.2).
 */
bool header_is_silent(const struct header *header)
{
	return get(header, 0x04, 2) == 0xffff || get(header, 0x00, 4) == 0xffff0001;
}

bool header_is_bridge(const struct header *header)
{
	return (header->bytes[0x0e] & 0x7f) != 0 && !header_is_silent(header);
}

int header_read(struct pt_host *host, const char *path, struct header *header)
{
	ssize_t n = io_read_at(host->root_fd, path, header->bytes, sizeof(header->bytes));

	if (n < 0)
		return (int)n;
	return (size_t)n == sizeof(header->bytes) ? 0 : -EIO;
}

struct field {
	const char *name;
	uint8_t offset, size;
	uint8_t header_types; /* bit 0: endpoints, bit 1: bridges */
	uint8_t mask;	      /* of the lowest byte, where not all of it counts; else 0 */
	bool may_change;      /* over a hot reset, for VFIO enables the device for that */
};

/*
 * I/O and memory decoding. The other bits of the command register are the driver's: nvme gives up
 * bus mastering in reset_prepare and takes it back some time after reset_done.
 */
#define COMMAND_DECODE 0x03

static const struct field fields[] = {
	{"vendor ID", 0x00, 2, 3, 0, false},
	{"device ID", 0x02, 2, 3, 0, false},
	{"class and revision", 0x08, 4, 3, 0, false},
	{"header type", 0x0e, 1, 3, 0, false},
	{"subsystem IDs", 0x2c, 4, 1, 0, false},
	{"BAR 0", 0x10, 4, 3, 0, false},
	{"BAR 1", 0x14, 4, 3, 0, false},
	{"BAR 2", 0x18, 4, 1, 0, false},
	{"BAR 3", 0x1c, 4, 1, 0, false},
	{"BAR 4", 0x20, 4, 1, 0, false},
	{"BAR 5", 0x24, 4, 1, 0, false},
	{"bus numbers", 0x18, 3, 2, 0, false},
	{"command", 0x04, 2, 3, COMMAND_DECODE, true},
};

static const struct field *find_difference(const struct header *before, const struct header *after,
					   bool is_hot)
{
	uint8_t type = (before->bytes[0x0e] & 0x7f) == 1 ? 2 : 1;
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const struct field *f = &fields[i];

		if (!(f->header_types & type) || (f->may_change && is_hot))
			continue;
		if ((get(before, f->offset, f->size) ^ get(after, f->offset, f->size)) &
		    (f->mask ? f->mask : ~0U))
			return f;
	}
	return NULL;
}

/*
 * Ask is_right(header, context) of configuration space until it says yes or the time is up;
 * @header holds what was read last. Returns 0, -ETIMEDOUT or why it can't be read.
 */
static int poll_header(struct pt_host *host, const struct pt_address *address,
		       bool (*is_right)(const struct header *header, const void *context),
		       const void *context, struct header *header)
{
	char path[SYSFS_PATH];
	unsigned int waited = 0, pause = 1;
	int r = sysfs_device_path(path, address, "config");

	assert(r == 0);
	for (;;) {
		r = header_read(host, path, header);
		if (r < 0)
			return r;
		if (is_right(header, context))
			return 0;
		if (waited >= SETTLE_MS)
			return -ETIMEDOUT;
		clock_sleep_ms(pause);
		waited += pause;
		if (pause < 128)
			pause *= 2;
	}
}

static int fail_header(struct pt_host *host, const struct pt_address *address, int r,
		       const struct header *header, struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT];

	pt_address_format(address, text);
	if (r != -ETIMEDOUT && !sysfs_has_device(host, address))
		return pt_fail(err, PT_DEVICE_GONE, ENODEV,
			       "%s: the device was removed during its reset", text);
	if (r != -ETIMEDOUT)
		return pt_fail(err, PT_RESET_FAILED, -r,
			       "%s: its configuration space can't be read after the reset: %s",
			       text, strerror(-r));
	if (header_is_silent(header))
		return pt_fail(err, PT_RESET_FAILED, EIO,
			       "%s: the device does not respond after the reset: its configuration "
			       "space reads %08x %08x. Some devices need a power cycle: suspend "
			       "the machine, or switch it off and on",
			       text, get(header, 0, 4), get(header, 4, 4));
	return 0;
}

struct ids {
	uint16_t vendor;
	uint16_t device;
	bool is_vf;
};

static bool has_ids(const struct header *header, const void *context)
{
	const struct ids *ids = context;
	uint32_t vendor = get(header, 0, 2), device = get(header, 2, 2);

	if (header_is_silent(header))
		return false;
	if (vendor == ids->vendor && device == ids->device)
		return true;
	return ids->is_vf && vendor == 0xffff && device == 0xffff;
}

int header_wait_ids(struct pt_host *host, const struct pt_address *address, uint16_t vendor_id,
		    uint16_t device_id, struct pt_error *err)
{
	struct ids ids = {.vendor = vendor_id, .device = device_id};
	char text[PT_ADDRESS_TEXT], physfn[PT_ADDRESS_TEXT];
	struct header header;
	int r;

	ids.is_vf = sysfs_read_link(host, address, "physfn", physfn, sizeof(physfn)) == 0;
	r = poll_header(host, address, has_ids, &ids, &header);
	if (r == 0)
		return 0;
	r = fail_header(host, address, r, &header, err);
	if (r < 0)
		return r;
	return pt_fail(err, PT_RESET_FAILED, EIO,
		       "%s: its configuration space reads %04x:%04x after the reset, before it was "
		       "%04x:%04x: this is another device, or the device has lost its firmware",
		       pt_address_format(address, text), get(&header, 0, 2), get(&header, 2, 2),
		       vendor_id, device_id);
}

struct expected {
	const struct header *before;
	bool is_hot;
};

static bool is_as_before(const struct header *header, const void *context)
{
	const struct expected *expected = context;

	return !header_is_silent(header) &&
	       !find_difference(expected->before, header, expected->is_hot);
}

/* What the kernel noted at discovery, for a device that was silent before its reset already. */
static int wait_known_ids(struct pt_host *host, const struct pt_address *address,
			  struct pt_error *err)
{
	uint64_t vendor = 0xffff, device = 0xffff;
	char text[16];

	if (sysfs_read(host, address, "vendor", text, sizeof(text)) > 0)
		(void)text_parse_number(text, 16, 0xffff, &vendor);
	if (sysfs_read(host, address, "device", text, sizeof(text)) > 0)
		(void)text_parse_number(text, 16, 0xffff, &device);
	return header_wait_ids(host, address, (uint16_t)vendor, (uint16_t)device, err);
}

int header_wait_same(struct pt_host *host, const struct pt_address *address,
		     const struct header *before, bool is_hot, struct pt_error *err)
{
	struct expected expected = {before, is_hot};
	const struct field *field;
	char text[PT_ADDRESS_TEXT];
	struct header now;
	int r;

	if (header_is_silent(before))
		return wait_known_ids(host, address, err);
	r = poll_header(host, address, is_as_before, &expected, &now);
	if (r == 0)
		return 0;
	r = fail_header(host, address, r, &now, err);
	if (r < 0)
		return r;
	field = find_difference(before, &now, is_hot);
	return pt_fail(err, PT_RESET_FAILED, EIO,
		       "%s: after the reset its %s reads %0*x, before it was %0*x",
		       pt_address_format(address, text), field->name, field->size * 2,
		       get(&now, field->offset, field->size), field->size * 2,
		       get(before, field->offset, field->size));
}
