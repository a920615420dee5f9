/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The SELinux policy that this kernel has loaded. What a guest may do is not guessed: the policy
 * is asked, with its booleans as they are (/sys/fs/selinux, selinuxfs of the kernel).
 *
 * A label is "user:role:type:level"; the level is missing in a policy without MCS. Two guests of
 * one type are apart by the two categories of their levels: "s0:c12,c300".
 */
#ifndef DOMAIN_CONFINE_SELINUX_H
#define DOMAIN_CONFINE_SELINUX_H

#include <stdbool.h>

#include "base/error.h"
#include "domain/machine/machine.h"
#include "domain/store/store.h"
#include "pci/host.h"

/* Bytes of a label, with its NUL. Longer ones, with many categories, are refused. */
#define SELINUX_LABEL STORE_LABEL
_Static_assert(SELINUX_LABEL == MACHINE_LABEL, "a label has one size");

bool selinux_is_loaded(struct pt_host *host);
bool selinux_is_enforcing(struct pt_host *host);

/* The labels that the policy has for guests, without categories, and without quotes or brackets. */
struct selinux_types {
	char process[SELINUX_LABEL]; /* of QEMU */
	char image[SELINUX_LABEL];   /* of what it writes to */
	char content[SELINUX_LABEL]; /* of what guests only read */
};

/*
 * From virtual_domain_context and virtual_image_context, two files of the policy, as libvirt does.
 * @is_kvm: guests that are emulated may have another label. PT_SYSTEM where there are none.
 */
int selinux_read_types(struct pt_host *host, bool is_kvm, struct selinux_types *ret_types,
		       struct pt_error *err);

/*
 * May a process labelled @subject do all of @permissions (words; of those that the class doesn't
 * have, none is needed) with an @class object labelled @object? 1 or 0; -EINVAL: the policy doesn't
 * know one of the labels; another negative errno.
 */
int selinux_may(struct pt_host *host, const char *subject, const char *object, const char *class,
		const char *permissions);

/* A part of a label: its type; "" for what isn't one. */
void selinux_type(const char *label, char type[SELINUX_LABEL]);

/* @label with another type, or with categories ("c1,c2"). 0 or -ENAMETOOLONG. */
int selinux_with_type(const char *label, const char *type, char changed[SELINUX_LABEL]);
int selinux_with_categories(const char *label, const char *categories, char changed[SELINUX_LABEL]);

/* A boolean of the policy: 1 or 0; -ENOENT: it has none of this name. */
int selinux_boolean(struct pt_host *host, const char *name);

/* Of a file, and of this thread. 0 or a negative errno: -ENODATA for one without a label. */
int selinux_read_label(struct pt_host *host, int fd, char label[SELINUX_LABEL]);
int selinux_write_label(struct pt_host *host, int fd, const char *label);
int selinux_own_label(struct pt_host *host, char label[SELINUX_LABEL]);

#endif
