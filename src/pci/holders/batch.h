/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What only a helper process may ask, since the answer can hang: what processes have mapped, and
 * the devices of their files. It is asked for several processes at once, and for one by one where
 * that didn't work: then one of them hangs, or has a lot.
 */
#ifndef PCI_HOLDERS_BATCH_H
#define PCI_HOLDERS_BATCH_H

#include "pci/helper.h"
#include "pci/holders/process.h"

#define BATCH_PROCESSES 32
/* BARs of one process; a DPDK with more of them has one that is the target's, or the scan fails. */
#define BATCH_BARS    120
#define BATCH_DEVICES 64

/* What goes to the helper, and comes back. */
struct batch_job {
	unsigned int process_count;
	struct {
		char path[16];	/* "proc/12" */
		int result;	/* 0 or a negative errno */
		uint64_t found; /* a bit for each device */
	} processes[BATCH_PROCESSES];
	bool has_mappings; /* BARs and nodes are asked for */
	bool is_full;	   /* there are more */
	unsigned int device_count;
	struct {
		unsigned int major;
		unsigned int minor;
	} devices[BATCH_DEVICES];
	unsigned int bar_count;
	struct {
		struct pt_address address;
		uint8_t bar;
		uint8_t process; /* its index */
	} bars[BATCH_BARS];
	unsigned int node_size;
	char nodes[512]; /* the index of a process, a path below /dev and its NUL, and so on */
};

_Static_assert(sizeof(struct batch_job) <= HELPER_REPLY, "a helper's request has this room");

/* A job, and the process that is looked at. */
struct batch_cursor {
	struct batch_job *job;
	unsigned int process;
};

/* These run in the helper: async-signal-safe. */
void batch_take_mapping(const struct batch_cursor *cursor, const char *line);
void batch_compare_mapping(const struct batch_cursor *cursor, const char *line);
int batch_compare_files(const struct batch_cursor *cursor, int process_fd);

/* The devices from node *@from on whose filesystems may be hidden, as many as fit. */
void batch_take_devices(const struct holder_scan *scan, struct batch_job *job, size_t *from,
			size_t nodes[BATCH_DEVICES]);

/* The process has a filesystem of the node's without a mount point. */
void batch_add_hidden(struct holder_scan *scan, struct process *process,
		      const struct holder_node *node);

#endif
