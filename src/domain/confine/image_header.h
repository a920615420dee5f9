/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DOMAIN_CONFINE_IMAGE_HEADER_H
#define DOMAIN_CONFINE_IMAGE_HEADER_H

#include <limits.h>
#include <stdbool.h>

#include "base/safe_path.h"

/*
 * The backing file of a qcow2 image (QEMU, docs/interop/qcow2.rst). False if there is none, or if
 * it is not a local file, or the image is not qcow2. A guest may have written the image: use the
 * result only to check whether the file is readable, never to change the file.
 * @name: the image's path as QEMU gets it, which relative names are relative to.
 */
bool image_header_read_backing(const struct safe_path *image, const char *name,
			       char ret_path[PATH_MAX]);

#endif
