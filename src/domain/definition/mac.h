/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DOMAIN_DEFINITION_MAC_H
#define DOMAIN_DEFINITION_MAC_H

#include "domain/definition/definition.h"

/* "52:54:00:12:34:56"; false for anything else, NULL too. */
bool mac_parse(const char *text, unsigned char ret_mac[6]);

/*
 * A MAC address for each emulated interface that says none: QEMU's own default is the same in
 * every guest, and two on one bridge would have it. Made from the guest's UUID, so that it is
 * the same at every start of a definition that was written without one.
 */
int definition_complete_macs(struct definition *def, struct pt_error *err);

#endif
