/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text by which the kernel tells udev of a PCI function, as in its uevent file. */
#ifndef PCI_UEVENT_TEXT_H
#define PCI_UEVENT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a uevent file of a PCI function tells. @driver points into the text. */
struct uevent {
	const char *driver;
	size_t driver_len;
	uint32_t class_code;
	uint16_t vendor_id;
	uint16_t device_id;
	uint16_t subsystem_vendor_id;
	uint16_t subsystem_device_id;
};

/*
 * Read KEY=VALUE lines from any bytes. Unknown keys are passed over; false when
 * PCI_CLASS or PCI_ID is missing or malformed, with the fields that could be read.
 */
bool uevent_parse(const char *text, size_t len, struct uevent *ret_uevent);

#endif
