/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The header of configuration space: did a function survive its reset? */
#ifndef PCI_HEADER_H
#define PCI_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "pci/host.h"

/* The first 64 bytes, which anyone may read. */
struct header {
	uint8_t bytes[64];
};

/* @path is that of the function's config file; makes only async-signal-safe calls. */
int header_read(struct pt_host *host, const char *path, struct header *header);

/* True when no device answered. */
bool header_is_silent(const struct header *header);

bool header_is_bridge(const struct header *header); /* of whatever kind: type 1 or 2 */

/*
 * Wait until configuration space answers with these ids, or is what it was in
 * @before (ids, class, BARs; the command register too unless @is_hot). After some seconds
 * PT_RESET_FAILED with what was read instead, PT_DEVICE_GONE when it left.
 */
int header_wait_ids(struct pt_host *host, const struct pt_address *address, uint16_t vendor_id,
		    uint16_t device_id, struct pt_error *err);
int header_wait_same(struct pt_host *host, const struct pt_address *address,
		     const struct header *before, bool is_hot, struct pt_error *err);

#endif
