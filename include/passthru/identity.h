/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PASSTHRU_IDENTITY_H
#define PASSTHRU_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <passthru/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: Identity
 *
 * The identity of a device, as opposed to its address (&struct pt_address). State that survives a
 * reboot contains both, and if they disagree the device is refused.
 *
 * The ids and the slot are always known. The serial number is not: it comes from the Device
 * Serial Number capability (PCIe 7.9.3) or the "SN" field of Vital Product Data (PCIe 6.28), and
 * many devices have neither; only the driver of an NVMe drive knows that of the drive. Two
 * devices of the same model without serial numbers can't be told apart if they swap slots.
 */

/** PT_SERIAL_TEXT - room for a serial number */
#define PT_SERIAL_TEXT 80

/** PT_SLOT_TEXT - room for a slot path; PCI allows no deeper chain than 256 buses */
#define PT_SLOT_TEXT 512

/**
 * struct pt_identity - the identity of a function
 * @vendor_id: 16 bits, as are the next three
 * @device_id: see @vendor_id
 * @subsystem_vendor_id: 0 if the function has none
 * @subsystem_device_id: see @subsystem_vendor_id
 * @class_code: 24 bits
 * @revision: 8 bits
 * @is_serial_known: false if it could not be read without privilege
 * @serial: "dsn:52-54-00-ff-ff-1a-b0-02", "vpd:ABC123", or "" when there is none
 * @slot: the path from its root bus, as device.function of each bridge and of the function:
 *	"0000:00/1c.0/00.0". It contains no bus number below the root, so it does not change when
 *	the firmware renumbers the buses because of another card. Empty if it is unknown (a copy
 *	of a sysfs without its links)
 */
struct pt_identity {
	uint16_t vendor_id;
	uint16_t device_id;
	uint16_t subsystem_vendor_id;
	uint16_t subsystem_device_id;
	uint32_t class_code;
	uint8_t revision;
	bool is_serial_known;
	char serial[PT_SERIAL_TEXT];
	char slot[PT_SLOT_TEXT];
};

/**
 * pt_identity_read() - read the identity of the function at an address
 * @host: the host
 * @address: which
 * @ret_identity: untouched on failure
 * @err: PT_NO_DEVICE; PT_DEVICE_GONE if it does not respond
 *
 * Reads configuration space, and Vital Product Data if there is no serial number capability,
 * which can take tens of milliseconds. Without root the serial number is unknown.
 *
 * Return: 0 or a negative errno.
 */
int pt_identity_read(struct pt_host *host, const struct pt_address *address,
		     struct pt_identity *ret_identity, struct pt_error *err);

/**
 * enum pt_identity_match - the result of comparing two identities
 * @PT_IDENTITY_SAME: the same device in the same slot
 * @PT_IDENTITY_MOVED: the same device in another slot; without a serial number, a
 *	device of the same model in another slot
 * @PT_IDENTITY_OTHER: another device
 */
enum pt_identity_match { PT_IDENTITY_SAME, PT_IDENTITY_MOVED, PT_IDENTITY_OTHER };

/**
 * pt_identity_compare() - compare the recorded identity with the current one
 * @was: the recorded identity
 * @is: the current identity
 * @text: text that describes the difference; may be NULL
 * @size: of @text in bytes
 *
 * A serial number or slot that is unknown on one side is not compared. The revision is compared
 * only if there is no serial number.
 *
 * Return: the result; @text is "" for PT_IDENTITY_SAME.
 */
enum pt_identity_match pt_identity_compare(const struct pt_identity *was,
					   const struct pt_identity *is, char *text, size_t size);

/**
 * pt_identity_find() - find the current address of a device
 * @host: the host
 * @snapshot: the functions to search
 * @identity: the device
 * @ret_address: its address
 * @err: PT_NO_DEVICE names the functions of the same model, if there are any
 *
 * A device with a serial number is found in any slot, a device without one only in its own. A
 * number that several functions of one model carry (some makers write one number into all their
 * cards, and virtual functions may have that of their physical function) identifies none of them.
 *
 * Return: 0 or a negative errno.
 */
int pt_identity_find(struct pt_host *host, const struct pt_snapshot *snapshot,
		     const struct pt_identity *identity, struct pt_address *ret_address,
		     struct pt_error *err);

/** PT_IDENTITY_TEXT - room for a formatted identity */
#define PT_IDENTITY_TEXT 192

/**
 * pt_identity_format() - format an identity as text
 * @identity: the identity
 * @text: at least PT_IDENTITY_TEXT bytes: "8086:10c9, serial number dsn:…" or
 *	"8086:10c9 without serial number"
 *
 * Return: @text.
 */
char *pt_identity_format(const struct pt_identity *identity, char text[PT_IDENTITY_TEXT]);

#ifdef __cplusplus
}
#endif
#endif
