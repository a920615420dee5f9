/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's devices as libvirt names them: "computer", PCI functions and what hangs on
 * them. A name is subsystem_entry, with something more for network interfaces (the
 * address) and disks (the serial number), and "_" for all but letters and digits.
 */
#ifndef DAEMON_HOST_NODES_H
#define DAEMON_HOST_NODES_H

#include <passthru/device.h>

#include "base/arena.h"
#include "pci/host.h"

enum node_kind {
	NODE_SYSTEM,
	NODE_PCI,
	NODE_USB_DEVICE,
	NODE_USB_INTERFACE,
	NODE_NET,
	NODE_SCSI_HOST,
	NODE_SCSI_TARGET,
	NODE_SCSI,
	NODE_STORAGE,
	NODE_SCSI_GENERIC,
	NODE_DRM,
	NODE_KIND_COUNT,
};

#define NODES_ALL ((1u << NODE_KIND_COUNT) - 1)

/* virConnectListAllNodeDevices flags */
#define NODES_FLAG_PCI	      (1u << 1)
#define NODES_FLAG_VPD	      (1u << 21)
#define NODES_FLAG_PERSISTENT (1u << 28)
#define NODES_FLAG_TRANSIENT  (1u << 29)
#define NODES_FLAG_INACTIVE   (1u << 30)
#define NODES_FLAG_ACTIVE     (1u << 31)

struct node {
	enum node_kind kind;
	const char *name;
	const char
		*path; /* "/sys/devices/…"; NULL for the system, and for PCI where not asked for */
	const char *entry; /* of the subsystem: "eth0", "0000:01:00.0" */
};

struct nodes {
	struct node *items;
	size_t count, room;
	struct arena strings;
};

/* The word of a kind in XML and filters: "pci", "storage" … */
const char *node_kind_word(enum node_kind kind);

/* Kinds (a bit each) for a filter word of the old calls, 0 for one that matches nothing here. */
unsigned int nodes_of_word(const char *word);

/* Kinds for the capability flags of virConnectListAllNodeDevices. */
unsigned int nodes_of_flags(unsigned int flags);

/*
 * All nodes of some kinds, each kind in the kernel's order. PCI functions get paths only with
 * @has_paths: the names need one folder read. Freed with nodes_free().
 */
int nodes_read(struct pt_host *host, unsigned int kinds, bool has_paths, struct nodes *ret_nodes);
void nodes_free(struct nodes *nodes);

/* Whether a name is one of a PCI function, be it there or not: the one spelling of its address. */
bool node_is_pci_name(const char *name, struct pt_address *ret_address);

/* The node with this name, as the only one in *ret_nodes; -ENOENT if it does not exist. */
int node_of_name(struct pt_host *host, const char *name, struct nodes *ret_nodes);

/* The node of a path below /sys, as an event tells it; -ENOENT when it is no node here. */
int node_of_path(struct pt_host *host, const char *path, struct nodes *ret_nodes);

/* Name of the next node above a path, "computer" if there is none; malloc()ed, NULL: no memory.
 */
char *node_parent(struct pt_host *host, const char *path);

/* A udev property of a device of this machine, "" when there is none. */
void node_property(const char *path, const char *key, char *value, size_t size);

/* A text attribute below a node's path; "" when there is none. */
void node_read_text(struct pt_host *host, const char *path, const char *name, char *value,
		    size_t size);

/* The kind of a disk, "disk", "cdrom" …; "" if libvirt does not list it. */
void node_drive_type(struct pt_host *host, const struct node *node, char *value, size_t size);

/* The document of a node that is not a PCI function; malloc()ed, NULL without memory. */
char *node_xml(struct pt_host *host, const struct node *node);

#endif
