/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Network users of a function, shared by net.c and socket.c. */
#ifndef PCI_HOLDERS_NET_H
#define PCI_HOLDERS_NET_H

#include "pci/holders/scan.h"
#include "pci/holders/text.h"

/* An address or a route of an interface, in words. */
struct net_fact {
	const char *interface;
	const char *text;
};

/* A socket bound to an interface. */
struct net_socket {
	unsigned int ifindex;
	uint64_t inode;
	uint32_t uid;
	const char *what;
};

struct net_scan {
	struct holder_scan *scan;
	struct net_fact *facts;
	size_t fact_count;
	struct net_socket *open;
	size_t open_count;
};

/* Find the sockets that are bound to any interface. */
void holders_load_sockets(struct net_scan *nets);

/* Of these, those on @interface: for the process scan to find out whose they are. */
void holders_read_sockets(struct net_scan *nets, size_t target, const char *interface,
			  const char *chain);

#endif
