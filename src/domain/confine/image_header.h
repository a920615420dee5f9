/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DOMAIN_CONFINE_IMAGE_HEADER_H
#define DOMAIN_CONFINE_IMAGE_HEADER_H

#include <limits.h>
#include <stdbool.h>

#include "base/safe_path.h"

/*
 * The file that a qcow2 image lies on (QEMU, docs/interop/qcow2.rst). False when there is none, or
 * when it is no local file, or the image isn't one. What comes out is the image's word, and the
 * image may be in a guest's hands: good for looking whether it can be read, never for changing it.
 * @name: the image's path as QEMU gets it, which relative names are relative to.
 */
bool image_header_read_backing(const struct safe_path *image, const char *name,
			       char ret_path[PATH_MAX]);

#endif
