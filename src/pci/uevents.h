/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel announces of PCI functions (Documentation/core-api/kobject.rst, "Uevents"). */
#ifndef PCI_UEVENTS_H
#define PCI_UEVENTS_H

#include <passthru/address.h>

#include "base/error.h"
#include "pci/host.h"

enum uevent_action {
	UEVENT_ADD,
	UEVENT_REMOVE,
	UEVENT_BIND,
	UEVENT_UNBIND,
	UEVENT_LOST, /* some were lost: the socket was full */
};

struct uevents_event {
	enum uevent_action action;
	struct pt_address address;
	char driver[64]; /* with UEVENT_BIND */
};

struct uevents;

/*
 * Straight from the kernel, not by way of udev: without its delay, and where it doesn't run.
 * -ENOTSUP when @host isn't this machine.
 */
int uevents_open(struct pt_host *host, struct uevents **ret_uevents, struct pt_error *err);
void uevents_close(struct uevents *uevents); /* NULL is allowed */
int uevents_fd(const struct uevents *uevents);
/* 1 with an event, 0 if there is none now. */
int uevents_next(struct uevents *uevents, struct uevents_event *ret_event);

#endif
