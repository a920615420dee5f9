/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The holders of a function; the public part is in passthru/holders.h. */
#ifndef PCI_HOLDERS_HOLDERS_H
#define PCI_HOLDERS_HOLDERS_H

#include <stdbool.h>
#include <stdio.h>

#include <passthru/holders.h>

#include "base/error.h"
#include "pci/host.h"

/*
 * pt_holders_read() for several functions in one scan. ret_holders has room for
 * @count lists, freed by the caller one by one. All or none.
 */
int holders_read_many(struct pt_host *host, const struct pt_address *addresses, size_t count,
		      struct pt_holders **ret_holders, struct pt_error *err);

/*
 * The same of the USB device @name of sys/bus/usb/devices ("1-2.3"). A driver tells those who have
 * its input devices, serial ports or sound cards open that they are gone, so these aren't holders:
 * what holds it are filesystems and the like, networks, and who has it open by its own node.
 */
int holders_read_usb(struct pt_host *host, const char *name, struct pt_holders **ret_holders,
		     struct pt_error *err);

/* A line of a refusal: "\n  filesystem /srv through nvme0n1p1: umount /srv" */
void holder_print(FILE *out, const struct pt_holder *holder);

/*
 * False in a container, where a process that isn't to be seen may still live. (A pid means another
 * process there, too.)
 */
bool holders_see_all_processes(struct pt_host *host);

#endif
