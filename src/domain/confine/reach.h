/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files that one guest's QEMU opens by name, besides those that every QEMU opens: the files
 * and sockets of its definition, backing files of its images, files in <qemu:commandline>, sound
 * cards and servers, and the nodes of its VFIO groups. The device policy of its control group, its
 * AppArmor profile and what its mount namespace has (view.h) are made from this list.
 */
#ifndef DOMAIN_CONFINE_REACH_H
#define DOMAIN_CONFINE_REACH_H

#include <sys/stat.h>

#include "domain/definition/definition.h"
#include "domain/store/store.h"
#include "pci/host.h"

struct reach_file {
	char *named;	/* as QEMU is told it */
	char *path;	/* without symbolic links */
	struct stat st; /* zeroed for what need not be there yet, in a directory that is */
	bool is_written;
};

struct reach {
	struct reach_file *files;
	size_t count;
	uid_t guest; /* as whom QEMU runs */
};

/*
 * The existing files, including lent ones (@record, or NULL); a group's node exists after its
 * devices were taken. PT_NOT_PERMITTED: a socket on whose way another user's directory is.
 */
int reach_list(struct pt_host *host, const struct definition *live, uid_t guest,
	       const struct store_live *record, struct reach *ret_reach, struct pt_error *err);

void reach_free(struct reach *reach);

#endif
