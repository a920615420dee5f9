/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What one guest's QEMU opens by name, beyond what every QEMU does: the files of its definition,
 * what its images lie on, what words for QEMU itself name, sound cards, and the nodes of its VFIO
 * groups. One list, of which the device policy of its control group and its AppArmor profile are
 * made.
 */
#ifndef DOMAIN_CONFINE_REACH_H
#define DOMAIN_CONFINE_REACH_H

#include <sys/stat.h>

#include "domain/definition/definition.h"
#include "domain/store/store.h"
#include "pci/host.h"

struct reach_file {
	char *path;	/* without symbolic links */
	struct stat st; /* zeroed when it isn't there yet */
	bool is_written;
};

struct reach {
	struct reach_file *files;
	size_t count;
	uid_t guest; /* as whom QEMU runs */
};

/* What is there by now, also of what is lent (@record, or NULL); a group's node is there when its
 * devices were taken. */
int reach_list(struct pt_host *host, const struct definition *live, uid_t guest,
	       const struct store_live *record, struct reach *ret_reach, struct pt_error *err);

void reach_free(struct reach *reach);

#endif
