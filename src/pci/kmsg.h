/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors of devices in the kernel's log: a pure function over what /dev/kmsg gives. */
#ifndef PCI_KMSG_H
#define PCI_KMSG_H

#include <stdbool.h>
#include <stddef.h>

#include <passthru/address.h>

/* The largest record (CONSOLE_EXT_LOG_MAX of the kernel). */
#define KMSG_RECORD 8192

enum kmsg_kind {
	KMSG_BUS_ERROR, /* AER, DPC */
	KMSG_DMA_FAULT, /* VT-d, AMD-Vi, SMMUv3 */
};

struct kmsg_error {
	enum kmsg_kind kind;
	struct pt_address address;
	bool has_domain; /* VT-d names its devices without the PCI domain */
	char text[256];
};

/*
 * Read one record (Documentation/ABI/testing/dev-kmsg). False for everything but
 * the errors above, and for what didn't come from the kernel itself: programs can write
 * to the log too.
 */
bool kmsg_parse(const char *record, size_t size, struct kmsg_error *ret_error);

#endif
