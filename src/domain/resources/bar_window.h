/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Room in the guest's address space for the BARs of host devices. The BARs of accelerators and
 * graphics cards need gibibytes, and a device without room for its BARs is visible but does not
 * work:
 *
 * - the processor needs enough address bits: 40 with QEMU's models, the host's number with
 *   host-passthrough. BARs that do not fit are refused with the sizes.
 * - OVMF reserves 32 GiB above the memory, unless it gets another size (fw_cfg
 *   opt/ovmf/X-PciMmio64Mb, in MiB: OvmfPkg/Library/PlatformInitLib). SeaBIOS takes what it
 *   needs.
 * - a root port that is empty when the firmware scans it gets almost nothing, unless it reserves
 *   more (pref64-reserve of pcie-root-port: QEMU's docs/pcie_pci_bridge.txt). Linux enlarges the
 *   window when a device is hot-plugged, others don't.
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
 * The prefetchable window that the running guest assigned to the bridge with this alias, from the
 * reply to query-pci; 0 if it has none, or does not exist.
 */
uint64_t bar_window_of_bridge(struct json_object *query_pci, const char *alias);

#endif
