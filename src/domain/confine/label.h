/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SELinux: where a policy is loaded, each guest's QEMU runs with the policy's label for guests (its
 * type is svirt_t in most) and two categories of its own, and what it writes to gets the same
 * categories, as with libvirt (libvirt.org/drvqemu.html, "SELinux sVirt"). The label is in the live
 * definition (seclabel.h). Files are relabelled by relabel.h.
 *
 * The two categories follow from the number of the guest's own user (own_user.h), so that no two
 * guests of a host have the same, and a guest keeps them.
 */
#ifndef DOMAIN_CONFINE_LABEL_H
#define DOMAIN_CONFINE_LABEL_H

#include "domain/confine/confine.h"
#include "domain/definition/definition.h"
#include "pci/host.h"

#define LABEL_MODEL "selinux"

/* At the start: its <seclabel>, unless it says type='none' or no policy is loaded. */
int label_choose(struct pt_host *host, struct definition *live, const struct confine_user *user,
		 struct pt_error *err);

/* The label of its QEMU, and of what it writes to; NULL when it has none. */
const char *label_of(const struct definition *live);
const char *label_image_of(const struct definition *live);

/*
 * Before anything is changed: does the policy permit what QEMU needs, besides its files, and what
 * passthrud needs to start it so? PT_NOT_PERMITTED names the boolean that is off, or the module
 * that is missing. @device: only what this device of @live needs (hot-plug); NULL: all of it. In
 * permissive mode nothing is refused.
 */
int label_check(struct pt_host *host, const struct definition *live, const xmlNode *device,
		struct pt_error *err);

/*
 * For a process beside its QEMU that begins with @program: the label of QEMU, or NULL, where the
 * guest has none or the policy doesn't let it begin so (which is logged).
 */
const char *label_for(struct pt_host *host, const struct definition *live, const char *program);

/*
 * A directory that is this guest's for good, and the plain files in it, get the label of what QEMU
 * writes to. Nobody else may change the directory meanwhile. 0 or a negative errno.
 */
int label_directory(struct pt_host *host, const struct definition *live, int dir_fd);

/*
 * A node of the kernel's that was made for this guest, its VFIO group's: until udev has labelled
 * it, the policy may not let QEMU use it, and then it gets the label of what QEMU writes to.
 */
void label_node(struct pt_host *host, const struct definition *live, const char *path);

/* The boolean that lets guests use files of this type, such as nfs_t; NULL: there is none. */
const char *label_boolean_of_type(const char *type);

/*
 * For the child between fork() and exec(): the next executed program has this label.
 * Async-signal-safe; 0 or a negative errno.
 */
int label_enter(struct pt_host *host, const char *label);

/*
 * Sockets that this thread makes from now on have QEMU's label, so that it may use them, until
 * @are_qemus is false. Nothing where the guest has no label.
 */
void label_sockets(struct pt_host *host, const struct definition *live, bool are_qemus);

#endif
