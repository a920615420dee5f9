/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Room in the guest's address space for the BARs of the host's devices. Those of accelerators and
 * graphics cards take gibibytes, and a device whose BARs found no room is there and doesn't work:
 *
 * - the processor must have address bits enough: 40 with QEMU's models, the host's number when they
 *   are passed through. What doesn't fit is refused, with the figures.
 * - OVMF keeps 32 GiB above the memory, unless it is told more (fw_cfg opt/ovmf/X-PciMmio64Mb, in
 *   MiB: OvmfPkg/Library/PlatformInitLib). SeaBIOS takes what it needs.
 * - a root port that is empty when the firmware looks gets next to nothing, unless it asks
 *   (pref64-reserve of pcie-root-port: QEMU's docs/pcie_pci_bridge.txt). Linux makes room when a
 *   device comes, others don't.
 */
#ifndef DOMAIN_RESOURCES_BAR_WINDOW_H
#define DOMAIN_RESOURCES_BAR_WINDOW_H

#include <json-c/json.h>

#include "domain/command_line/command_line.h"
#include "pci/host.h"

/* What firmware gives an empty port without being asked. */
#define BAR_WINDOW_USUAL ((uint64_t)2 << 20)

/* PT_UNSUITABLE when the devices have no room beside the memory, whatever firmware does. */
int bar_window_choose(struct pt_host *host, const struct definition *live,
		      const struct definition_hostdev *hostdevs, size_t count,
		      struct command_line_window *ret_window, struct pt_error *err);

/* Address bits of the guest's processors. */
unsigned int bar_window_address_bits(struct pt_host *host, const struct definition *live);

/* What @device needs above 4 GiB: a power of two, 0 for nothing. */
uint64_t bar_window_need(struct pt_host *host, const struct pt_address *device);

/*
 * The prefetchable window that the running guest gave the bridge with this alias, from the answer
 * to query-pci; 0 when it has none, or isn't there.
 */
uint64_t bar_window_of_bridge(struct json_object *query_pci, const char *alias);

#endif
