/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sockets that a definition asks for and doesn't name, such as that of a guest agent's channel: in
 * the guest's folder, by the device's alias. Root makes them, and QEMU inherits them listening, so
 * that it needs no directory of the host's to make something in.
 */
#ifndef DOMAIN_RESOURCES_LISTENERS_H
#define DOMAIN_RESOURCES_LISTENERS_H

#include "domain/command_line/command_line.h"
#include "domain/definition/definition.h"
#include "pci/host.h"

/* Of one guest. */
#define LISTENERS_MAX COMMAND_LINE_INHERITED_MAX

/* Zeroed: none. */
struct listeners {
	struct command_line_output sockets[LISTENERS_MAX];
	size_t count;
};

/* For @live, which must last as long as @ret_listeners. listeners_close() either way. */
int listeners_open(struct pt_host *host, const struct definition *live,
		   struct listeners *ret_listeners, struct pt_error *err);

/* Ours; QEMU has its own. */
void listeners_close(struct listeners *listeners);

#endif
