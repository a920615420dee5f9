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

/* A user of an interface inside the kernel, whose process isn't known. */
struct net_user {
	const char *interface;
	const char *what;
	const char *advice;
};

/*
 * The network namespace that the facts are read from: the one whose interfaces the mounted sysfs
 * shows, which is that of who mounted it (sysfs(5)), not that of this process.
 */
struct net_scan {
	struct holder_scan *scan;
	const char *directory; /* "proc/1/net" or "proc/self/net" */
	bool is_own;	       /* this process is in it, so netlink answers for it */
	struct net_fact *facts;
	size_t fact_count;
	struct net_socket *open;
	size_t open_count;
	struct net_user *users;
	size_t user_count;
};

/* A whole file of the namespace; NULL when it isn't there. Freed by the caller. */
char *holders_read_net(struct net_scan *nets, const char *name);

/* @what could not be checked on any interface. */
void holders_unseen_net(struct net_scan *nets, const char *what);
/* The same, of what only netlink tells: it answers for this process's namespace. */
void holders_unseen_netlink(struct net_scan *nets, const char *what);

/* Find the sockets that are bound to any interface. */
void holders_load_sockets(struct net_scan *nets);

/* Of these, those on @interface: for the process scan to find out whose they are. */
void holders_read_sockets(struct net_scan *nets, size_t target, const char *interface,
			  const char *chain);

#endif
