/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PASSTHRU_DEVICE_H
#define PASSTHRU_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <passthru/address.h>
#include <passthru/host.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: Devices of a machine
 *
 * There are two levels of detail. A &struct pt_snapshot contains, for every PCI function, the
 * facts in its uevent file and three links: enough for a list, the tree and IOMMU groups. A
 * &struct pt_details contains the other facts of one function.
 *
 * Functions return these structures as pointers to const; they belong to the object that was
 * read. Callers never allocate them, so fields can be added at their end without breaking the
 * ABI.
 *
 * Sources: Documentation/ABI/testing/sysfs-bus-pci and
 * Documentation/PCI/sysfs-pci.rst of the kernel.
 */

struct pt_snapshot;

/**
 * struct pt_function - one PCI function, as listed
 * @address: where it is
 * @path: its directory, "/sys/devices/pci0000:00/…/0000:01:00.0"
 * @has_parent: false on a root bus
 * @parent: the bridge or port above; only with @has_parent
 * @vendor_id: 16 bits, as are the next three
 * @device_id: see @vendor_id
 * @subsystem_vendor_id: 0 if the function has none (bridges)
 * @subsystem_device_id: see @subsystem_vendor_id
 * @class_code: 24 bits: base class, subclass, programming interface
 * @driver: the bound driver's name, NULL when none
 * @iommu_group: the group's number, -1 when none
 * @is_vf: true for an SR-IOV virtual function
 * @physfn: its physical function; only with @is_vf
 */
struct pt_function {
	struct pt_address address;
	const char *path;
	bool has_parent;
	struct pt_address parent;
	uint16_t vendor_id;
	uint16_t device_id;
	uint16_t subsystem_vendor_id;
	uint16_t subsystem_device_id;
	uint32_t class_code;
	const char *driver;
	int iommu_group;
	bool is_vf;
	struct pt_address physfn;
};

/**
 * pt_snapshot_read() - read all PCI functions of the host
 * @host: the host
 * @ret_snapshot: freed by the caller with pt_snapshot_free()
 * @err: PT_SYSTEM when /sys/bus/pci can't be read
 *
 * A function that is removed during the read is omitted. Functions are ordered by address. Needs
 * no privilege.
 *
 * Return: 0 or a negative errno.
 */
int pt_snapshot_read(struct pt_host *host, struct pt_snapshot **ret_snapshot, struct pt_error *err);

/**
 * pt_snapshot_free() - free a snapshot and everything that belongs to it
 * @snapshot: NULL is allowed
 */
void pt_snapshot_free(struct pt_snapshot *snapshot);

/**
 * pt_snapshot_count() - the number of functions
 * @snapshot: a snapshot
 *
 * Return: the number; 0 on a machine without PCI.
 */
size_t pt_snapshot_count(const struct pt_snapshot *snapshot);

/**
 * pt_snapshot_at() - the function at an index
 * @snapshot: a snapshot
 * @index: below pt_snapshot_count()
 *
 * Return: the function, in address order; NULL past the end.
 */
const struct pt_function *pt_snapshot_at(const struct pt_snapshot *snapshot, size_t index);

/**
 * pt_snapshot_find() - the function at an address
 * @snapshot: a snapshot
 * @address: which
 *
 * Return: the function, or NULL if there is none.
 */
const struct pt_function *pt_snapshot_find(const struct pt_snapshot *snapshot,
					   const struct pt_address *address);

/**
 * enum pt_kind - kinds of functions, with respect to assignment
 * @PT_ENDPOINT: can be assigned
 * @PT_BRIDGE: a PCI(e) bridge, port or host bridge: stays with the host
 */
enum pt_kind { PT_ENDPOINT, PT_BRIDGE };

/**
 * pt_function_kind() - bridge or endpoint, by class code
 * @function: a function
 *
 * Base class 06 with subclass 00 (host), 04 (PCI-PCI), 07 (CardBus) and 09 (semi-transparent) are
 * bridges (PCI Code and ID Assignment Specification, 1.7); vfio-pci refuses a function with a
 * bridge header.
 *
 * Return: PT_BRIDGE or PT_ENDPOINT.
 */
enum pt_kind pt_function_kind(const struct pt_function *function);

/* ---- names ---- */

/**
 * pt_name_vendor() - the vendor's name from the hardware database
 * @host: the host
 * @vendor_id: 16 bits
 *
 * Return: a string owned by @host and valid until the next pt_name_* call on
 * it, or NULL when unknown or no database is installed.
 */
const char *pt_name_vendor(struct pt_host *host, uint16_t vendor_id);

/**
 * pt_name_device() - the product's name
 * @host: the host
 * @vendor_id: 16 bits
 * @device_id: 16 bits
 *
 * Return: as pt_name_vendor().
 */
const char *pt_name_device(struct pt_host *host, uint16_t vendor_id, uint16_t device_id);

/**
 * pt_name_subsystem() - the name of a product made with a given chip
 * @host: the host
 * @function: its ids and subsystem ids are looked up
 *
 * Return: as pt_name_vendor(); NULL also if the database contains the chip but not this product.
 */
const char *pt_name_subsystem(struct pt_host *host, const struct pt_function *function);

/**
 * pt_name_class() - the name of a device class
 * @host: the host
 * @class_code: 24 bits; the subclass is named ("Non-Volatile memory controller"), or the base
 *	class if the subclass is unknown
 *
 * Return: as pt_name_vendor().
 */
const char *pt_name_class(struct pt_host *host, uint32_t class_code);

/**
 * pt_name_interface() - the name of a class's programming interface
 * @host: the host
 * @class_code: 24 bits, the last 8 are the interface ("NVM Express", "XHCI")
 *
 * Return: as pt_name_vendor(); most classes have no names at this level.
 */
const char *pt_name_interface(struct pt_host *host, uint32_t class_code);

/* ---- details ---- */

/**
 * struct pt_bar - one base address register, or the expansion ROM
 * @start: address as the kernel assigned it, seen from the host's processors; 0 when
 *	unassigned
 * @size: bytes; 0 when this BAR isn't implemented
 * @is_io: I/O ports rather than memory
 * @is_64bit: memory that may lie above 4 GiB
 * @is_prefetchable: memory without read side effects
 */
struct pt_bar {
	uint64_t start;
	uint64_t size;
	bool is_io;
	bool is_64bit;
	bool is_prefetchable;
};

/**
 * struct pt_capability - one entry of a capability list
 * @id: capability ID, or extended capability ID
 * @version: of an extended capability, else 0
 * @offset: in bytes into configuration space
 * @is_extended: from the list that starts at 0x100
 * @name: "pcie", "msi-x", "sr-iov" …; "unknown" for IDs not known here
 */
struct pt_capability {
	uint16_t id;
	uint8_t version;
	uint16_t offset;
	bool is_extended;
	const char *name;
};

/**
 * struct pt_link - a PCI Express link
 * @speed_mtps: per lane, in MT/s (2500, 5000, 8000, 16000, 32000, 64000); 0 unknown
 * @width: lanes; 0 unknown or link down
 */
struct pt_link {
	uint32_t speed_mtps;
	uint8_t width;
};

/** PT_RESET_METHODS_MAX - more than current kernels have */
#define PT_RESET_METHODS_MAX 16

/**
 * struct pt_details - details of one function
 * @header_type: 0 endpoint, 1 PCI bridge, 2 CardBus; without the multifunction bit
 * @is_multifunction: the device has more than function 0
 * @revision: 8 bits
 * @irq: legacy interrupt line as the kernel routed it, 0 none
 * @driver_override: as set in sysfs, NULL when not set
 * @candidates: modules whose aliases match this function, best first; NULL-terminated
 * @vfio_candidates: VFIO drivers for it, the device's own variant driver (by
 *	vfio_pci: aliases) before the generic vfio-pci; NULL-terminated
 * @bars: the six BARs
 * @rom: the expansion ROM
 * @msi_vectors: vectors of the MSI capability, 0 without one
 * @msix_vectors: size of the MSI-X table, 0 without one
 * @is_pcie: has a PCI Express capability
 * @port_type: PCIe device/port type (PCIe 7.5.3.2), "endpoint", "root port" …; NULL when not PCIe
 * @link_now: the current link
 * @link_max: the maximum of the function
 * @has_flr: Function Level Reset in Device Capabilities
 * @has_af_flr: Advanced Features FLR (conventional PCI)
 * @has_pm_reset: D3hot to D0 resets it (PM capability without No_Soft_Reset)
 * @acs_capable: bits of the ACS capability register, 0 without one
 * @acs_enabled: bits of the ACS control register
 * @capabilities: in list order, standard then extended
 * @capability_count: how many
 * @is_config_whole: the capabilities were readable; false without privilege,
 *	when only the first 64 bytes of configuration space can be read and
 *	everything derived from capabilities is absent
 * @reset_methods: the kernel's reset_method, in its order; NULL-terminated; empty when none
 * @numa_node: -1 if the firmware does not report it
 * @power_state: "D0", "D3hot", "D3cold", "unknown" …
 * @has_serial: a Device Serial Number capability exists
 * @serial: its 64 bits
 * @vpd_name: the VPD's product name (identifier string), NULL when none
 * @vpd_fields: "PN", "SN", "EC", "V0" … as keyword, value pairs; NULL-terminated
 * @sriov_total: the maximum number of VFs, 0 if not a PF
 * @sriov_enabled: the current number of VFs
 * @vfs: their addresses, @sriov_enabled of them
 * @is_boot_vga: the boot display of the firmware
 * @has_link: the function has a PCI Express link; false for functions of the root complex, whose
 *	link fields are 0
 * @port_number: of the link, from Link Capabilities (PCIe 7.5.3.6)
 * @secondary_bus: of bridges: the bus below; 0 for endpoints
 * @subordinate_bus: of bridges: the last bus below; 0 for endpoints
 * @vpd_readonly_count: how many of the pairs of @vpd_fields, from the first on, are read-only;
 *	the others can be written by software
 * @is_stuck: driver code has held the function's lock in the kernel for 2 s; @driver_override is
 *	unknown then
 */
struct pt_details {
	uint8_t header_type;
	bool is_multifunction;
	uint8_t revision;
	int irq;
	const char *driver_override;
	const char *const *candidates;
	const char *const *vfio_candidates;
	struct pt_bar bars[6];
	struct pt_bar rom;
	uint16_t msi_vectors;
	uint16_t msix_vectors;
	bool is_pcie;
	const char *port_type;
	struct pt_link link_now;
	struct pt_link link_max;
	bool has_flr;
	bool has_af_flr;
	bool has_pm_reset;
	uint16_t acs_capable;
	uint16_t acs_enabled;
	const struct pt_capability *capabilities;
	size_t capability_count;
	bool is_config_whole;
	const char *const *reset_methods;
	int numa_node;
	const char *power_state;
	bool has_serial;
	uint64_t serial;
	const char *vpd_name;
	const char *const *vpd_fields;
	uint16_t sriov_total;
	uint16_t sriov_enabled;
	const struct pt_address *vfs;
	bool is_boot_vga;
	bool has_link;
	uint8_t port_number;
	uint8_t secondary_bus;
	uint8_t subordinate_bus;
	size_t vpd_readonly_count;
	bool is_stuck;
};

/**
 * pt_details_read() - read the details of one function
 * @host: the host
 * @address: which
 * @ret_details: freed by the caller with pt_details_free()
 * @err: PT_NO_DEVICE; PT_DEVICE_GONE if it was removed during the read, or its configuration
 *	space reads all ones
 *
 * Reading VPD can take tens of milliseconds, and the kernel resumes a suspended function for it.
 * Without privilege the capabilities and VPD are omitted.
 *
 * Return: 0 or a negative errno.
 */
int pt_details_read(struct pt_host *host, const struct pt_address *address,
		    struct pt_details **ret_details, struct pt_error *err);

/**
 * pt_details_free() - free details
 * @details: NULL is allowed
 */
void pt_details_free(struct pt_details *details);

#ifdef __cplusplus
}
#endif
#endif
