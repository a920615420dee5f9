/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parser of Vital Product Data: a pure function over bytes that a broken or hostile device may
 * have chosen.
 */
#ifndef PCI_VPD_H
#define PCI_VPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VPD_FIELDS_MAX 64
#define VPD_SIZE_MAX   32768 /* the address register has 15 bits */

/* One field; @value points into the bytes and isn't terminated. */
struct vpd_field {
	char keyword[3];
	bool is_writable;
	const uint8_t *value;
	size_t len;
};

struct vpd {
	const uint8_t *name; /* the identifier string, not terminated; NULL when there is none */
	size_t name_len;
	size_t field_count;
	struct vpd_field fields[VPD_FIELDS_MAX]; /* as they stand, read-only before writable */
};

/*
 * Read VPD (PCIe 6.28, "Vital Product Data"). Fields of other than printable
 * ASCII, and those that only frame the rest (RV, RW), are left out; spaces and
 * NULs at the end are cut. -EBADMSG when it is malformed or its checksum is wrong:
 * then nothing of it can be believed.
 */
int vpd_parse(const uint8_t *bytes, size_t size, struct vpd *ret_vpd);

#endif
