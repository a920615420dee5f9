/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <filesystem> with <driver type='virtiofs'/>: a directory of the host's, which the guest mounts by
 * its tag. A process for each, virtiofsd, does what the guest asks for; QEMU has only a socket to
 * it, and the two share the guest's memory.
 *
 * virtiofsd runs as root, for the files belong to whom the guest says, and ends when QEMU has. It
 * sees the directory and the distribution's programs, by a view of its own (confine/view.h), puts
 * itself into namespaces with nothing but the directory, and keeps only the capabilities that files
 * take: without CAP_MKNOD and CAP_SETFCAP, so that no device node and no program with capabilities
 * gets onto the host. Set-user-ID programs do, unless passthrud runs as its unit says
 * (RestrictSUIDSGID=): a log message warns where the host would heed them.
 *
 * gitlab.com/virtio-fs/virtiofsd, README.md; libvirt.org/kbase/virtiofs.html.
 */
#ifndef DOMAIN_RESOURCES_VIRTIOFS_H
#define DOMAIN_RESOURCES_VIRTIOFS_H

#include "domain/command_line/command_line.h"
#include "domain/resources/companion.h"

/* Before what is said of its process. */
#define VIRTIOFS_WORDS "the guest's shared directory, virtiofsd: "

/* One directory. */
struct virtiofs_share {
	const xmlNode *node;
	char *program;	/* its path; ours */
	int program_fd; /* O_PATH; -1: where every view has it */
	int fd;		/* O_PATH, of the directory */
	int listener;	/* virtiofsd's, to which QEMU is connected already */
};

/* Zeroed: none. */
struct virtiofs {
	struct virtiofs_share shares[STORE_FILESYSTEMS_MAX];
	struct command_line_output sockets[STORE_FILESYSTEMS_MAX]; /* QEMU's ends */
	size_t count;
};

/*
 * Before a start, when the guest's own folder is there: the programs and the directories are there,
 * and a definition's author gains nothing by them (base/safe_path.h). @live must last as long as
 * @ret_virtiofs. virtiofs_close() either way.
 */
int virtiofs_prepare(struct pt_host *host, const struct definition *live,
		     struct virtiofs *ret_virtiofs, struct pt_error *err);

/* Their processes, which see their directories; @record notes them. */
int virtiofs_hold(struct pt_host *host, const struct virtiofs *virtiofs,
		  const struct confine_user *user, int output_fd, struct store_live *record,
		  struct companions *companions, struct pt_error *err);

/* All of ours; its processes and QEMU have their own. */
void virtiofs_close(struct virtiofs *virtiofs);

#endif
