/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files that one guest's QEMU opens by name, besides those that every QEMU opens: the files
 * of its definition, backing files of its images, files in <qemu:commandline>, sound cards, and
 * the nodes of its VFIO groups. The device policy of its control group and its AppArmor profile
 * are made from this list.
 */
#ifndef DOMAIN_CONFINE_REACH_H
#define DOMAIN_CONFINE_REACH_H

#include <sys/stat.h>

#include "domain/definition/definition.h"
#include "domain/store/store.h"
#include "pci/host.h"

struct reach_file {
	char *path;	/* without symbolic links */
	struct stat st; /* zeroed if it does not exist yet */
	bool is_written;
};

struct reach {
	struct reach_file *files;
	size_t count;
	uid_t guest; /* as whom QEMU runs */
};

/* The existing files, including lent ones (@record, or NULL); a group's node exists after its
 * devices were taken. */
int reach_list(struct pt_host *host, const struct definition *live, uid_t guest,
	       const struct store_live *record, struct reach *ret_reach, struct pt_error *err);

void reach_free(struct reach *reach);

#endif
