/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's PCI buses, as its definition's controllers make them (machines q35 and pc). */
#ifndef DOMAIN_DEFINITION_TOPOLOGY_H
#define DOMAIN_DEFINITION_TOPOLOGY_H

#include <libxml/tree.h>
#include <passthru/address.h>

#include "base/error.h"

enum { BUSES = 256, SLOTS = 32 };

enum bus_kind {
	BUS_NONE,
	BUS_ROOT,     /* pcie.0 */
	BUS_PCI_ROOT, /* pci.0 of machine pc: 1 is PIIX3, from 3 on whatever comes */
	BUS_PORT,     /* behind a root port or a switch's downstream port: slot 0 only */
	BUS_BRIDGE,   /* behind a bridge to conventional PCI: slots 1 … 31 */
	BUS_DMI,      /* behind a dmi-to-pci-bridge: slots 0 … 31 */
	BUS_UPSTREAM, /* in a switch, for its downstream ports */
	BUS_EXPANDER, /* a root beside pcie.0: root ports only, slots 0 … 31 */
};

struct topology {
	xmlNode *devices;
	struct bus {
		enum bus_kind kind;
		bool has_hotplug;
		bool is_placed;	     /* its controller has an address, so something may go there */
		uint8_t used[SLOTS]; /* a bit for each function */
	} buses[BUSES];
};

/* Where a device goes when it doesn't say. */
enum placement {
	PLACE_NOWHERE, /* not a PCI device, or one that is part of the machine */
	PLACE_PORT,    /* PCI Express, so behind a port of its own */
	PLACE_ROOT,    /* on the root bus: root ports, and conventional PCI devices */
	PLACE_SWITCH,  /* a switch's downstream port */
	PLACE_PCI,     /* on a conventional bus, behind a bridge */
};

enum placement device_placement(const xmlNode *device);

/* True for the video device that firmware and boot loaders draw on: the first, or primary='yes'. */
bool device_is_primary_video(const xmlNode *video);

/*
 * Read what @devices says. Buses that addresses speak of and nobody makes get root ports
 * (@may_add), as in libvirt. Fails when something sits where nothing can.
 */
int topology_read(struct topology *topology, xmlNode *devices, bool may_add, struct pt_error *err);

/* Give a device without address one; root ports are added where needed. EBUSY: full. */
int topology_place(struct topology *topology, xmlNode *device, struct pt_error *err);

/*
 * The bus of the first port that is free for a hot-plug, 0 if there is none, and the number of free
 * ports.
 */
unsigned int topology_free_port(const struct topology *topology);

/* The first free slot of pci.0; 0: none, or there is no such bus. */
unsigned int topology_free_slot(const struct topology *topology);
unsigned int topology_count_free(const struct topology *topology);

/* A root port of @devices behind which nothing is. */
bool topology_is_empty_port(const xmlNode *devices, const xmlNode *controller);

/* Add a root port with its address. */
int topology_add_port(struct topology *topology, struct pt_error *err);

/* Write <address type='pci'>. */
int device_set_address(xmlNode *device, const struct pt_address *address, bool is_multifunction);

#endif
