/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <filesystem>: a directory of the host's in the guest, by virtiofs or by 9p
 * (libvirt.org/formatdomain.html, "Filesystems").
 */
#ifndef DOMAIN_DEFINITION_FILESYSTEM_H
#define DOMAIN_DEFINITION_FILESYSTEM_H

#include "base/error.h"
#include "domain/definition/xml_node.h"

/* By virtiofs, and not by 9p? */
bool filesystem_is_virtiofs(const xmlNode *filesystem);

/* The directory, or for a virtiofsd of somebody else's NULL. */
const char *filesystem_directory(const xmlNode *filesystem);

/* What the table can't say: what each of the two needs, and what would be lost of it. */
int filesystem_check(const xmlNode *filesystem, struct pt_error *err);

#endif
