/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PASSTHRU_ADDRESS_H
#define PASSTHRU_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <passthru/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: Addresses
 *
 * The address of a PCI function: domain (segment), bus, device (slot) and function. An address is
 * not an identity: cards move, firmware renumbers buses. The identity of a device is &struct
 * pt_identity (passthru/identity.h).
 */

/**
 * struct pt_address - the address of a PCI function
 * @domain: PCI domain (segment); 16 bits by the firmware, wider for the domains that Linux
 *	creates itself (VMD: 0x10000 and up)
 * @bus: 0 … 255
 * @device: the slot, 0 … 31
 * @function: 0 … 7
 */
struct pt_address {
	uint32_t domain;
	uint8_t bus;
	uint8_t device;
	uint8_t function;
};

/** PT_ADDRESS_TEXT - room for any formatted address and its NUL */
#define PT_ADDRESS_TEXT 24

/**
 * pt_address_parse() - parse an address in any of its usual spellings
 * @text: "0000:65:00.0", "65:00.0" (domain 0) or libvirt's "pci_0000_65_00_0"
 * @ret_address: untouched on failure
 * @err: the error in @text
 *
 * All of @text must be the address: spaces, signs, "0x", slots above 1f and
 * functions above 7 are refused. Hex digits may be of either case.
 *
 * Return: 0, or -EINVAL (PT_INVALID).
 */
int pt_address_parse(const char *text, struct pt_address *ret_address, struct pt_error *err);

/**
 * pt_address_format() - the kernel's spelling, "0000:65:00.0"
 * @address: the address
 * @text: at least PT_ADDRESS_TEXT bytes
 *
 * Return: @text.
 */
char *pt_address_format(const struct pt_address *address, char text[PT_ADDRESS_TEXT]);

/**
 * pt_address_compare() - order by domain, bus, device, function
 * @a: one
 * @b: the other
 *
 * Return: less than, equal to or greater than 0, as for qsort().
 */
int pt_address_compare(const struct pt_address *a, const struct pt_address *b);

#ifdef __cplusplus
}
#endif
#endif
