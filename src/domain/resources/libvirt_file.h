/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Definitions of libvirt's that guests refer to by name: networks, storage pools. */
#ifndef DOMAIN_RESOURCES_LIBVIRT_FILE_H
#define DOMAIN_RESOURCES_LIBVIRT_FILE_H

#include "domain/definition/tree.h"
#include "pci/host.h"

/*
 * @directory/@name.xml. -ENOENT, and other failures to read it, say nothing in @err: what is
 * missing is the caller's to say; @ret_path is what was looked for. -EINVAL: no name of a file.
 */
#define LIBVIRT_FILE_PATH 512
int libvirt_file_read(struct pt_host *host, const char *directory, const char *name,
		      char ret_path[LIBVIRT_FILE_PATH], char **ret_text);

/* PT_INVALID, with @path in front. */
int libvirt_file_parse(const char *path, const char *text, xmlDoc **ret_doc, struct pt_error *err);

#endif
