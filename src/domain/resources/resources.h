/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host resources that a live definition needs for its start, besides its PCI devices. */
#ifndef DOMAIN_RESOURCES_RESOURCES_H
#define DOMAIN_RESOURCES_RESOURCES_H

#include <sys/types.h>

#include "domain/command_line/command_line.h"
#include "pci/host.h"
#include "qmp/qmp.h"

/*
 * Before the command line is built: choose a free port for graphics with autoport, and store it
 * in @live.
 */
int resources_choose_ports(struct pt_host *host, struct definition *live, struct pt_error *err);

/* Before the files are looked at: the GPU that draws for the guest, where that is left open. */
int resources_choose_render_node(struct pt_host *host, struct definition *live,
				 const struct definition_hostdev *hostdevs, size_t count,
				 struct pt_error *err);

/* Before anything is made: are there huge pages enough, where the definition wants such? */
int resources_check_pages(struct pt_host *host, const struct definition *live,
			  struct pt_error *err);

/*
 * Before QEMU: the guest's file for firmware variables (os/nvram), made from its template and
 * given to @uid and @gid. One that is there is left alone.
 */
int resources_make_nvram(struct pt_host *host, const struct definition *live, uid_t uid, gid_t gid,
			 struct pt_error *err);

/*
 * Before the command line: a tap for each interface of the types bridge and ethernet, on its
 * bridge and up; its name goes to @live. The descriptors are for QEMU to inherit. A tap is gone
 * when the last one that has it open is.
 */
int resources_open_taps(struct pt_host *host, struct definition *live,
			struct command_line_tap **ret_taps, size_t *ret_count,
			struct pt_error *err);
/*
 * The kernel's half of <vsock>, by its address; one that is chosen is noted in @live. *ret_fd is
 * set only if there is one. PT_IN_USE EADDRINUSE: another guest has the address.
 */
int resources_open_vsock(struct pt_host *host, struct definition *live, int *ret_fd,
			 struct pt_error *err);

void resources_close_taps(struct command_line_tap *taps,
			  size_t count); /* and frees; NULL is allowed */

/*
 * Before the guest runs: its threads onto the host's processors, and under the schedulers, as
 * cputune and vcpu@cpuset say.
 * @pid is QEMU's.
 */
int resources_pin(struct pt_host *host, const struct definition *live, struct qmp *qmp, pid_t pid,
		  struct pt_error *err);

#endif
