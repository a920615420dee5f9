/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One process of the walk, shared by process.c, descriptor.c and mapping.c. */
#ifndef PCI_HOLDERS_PROCESS_H
#define PCI_HOLDERS_PROCESS_H

#include "pci/holders/scan.h"

/* The process being checked. */
struct process {
	int pid;
	int fd; /* its directory */
	const char *name;
};

const char *holders_process_name(struct holder_scan *scan, struct process *process);
/* The command that ends it, or the service that it is. */
const char *holders_process_advice(struct holder_scan *scan, const struct process *process);

/* It has the node open. */
void holders_add_user(struct holder_scan *scan, struct process *process,
		      const struct holder_node *node);

/* It has the node at this path below /dev open or mapped. */
void holders_match_name(struct holder_scan *scan, struct process *process, const char *path);

/* Its open files. 0 or a negative errno: of the directory, which may be another user's. */
int holders_read_descriptors(struct holder_scan *scan, struct process *process);

/*
 * A path of a BAR in sysfs: "…/0000:01:00.0/resource0", "…_wc" for its write-combined twin.
 * Async-signal-safe.
 */
bool holders_parse_bar(const char *path, struct pt_address *ret_address, unsigned int *ret_bar);
/* It has the BAR open or mapped; nothing when it is none of a target's. */
void holders_add_bar(struct holder_scan *scan, struct process *process,
		     const struct pt_address *address, unsigned int bar);

/* "mnt:[4026532000]": a mount namespace that something keeps, be it without processes. */
void holders_keep_namespace(struct holder_scan *scan, const char *target);

/*
 * What processes have mapped, which stays when the descriptor is closed, and filesystems without
 * a mount point that their files are of.
 */
void holders_read_batch(struct holder_scan *scan, const int *pids, unsigned int count);

#endif
