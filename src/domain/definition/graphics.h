/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <graphics>, and what of it <video> needs (libvirt.org/formatdomain.html, "Graphical
 * framebuffers"). */
#ifndef DOMAIN_DEFINITION_GRAPHICS_H
#define DOMAIN_DEFINITION_GRAPHICS_H

#include "base/error.h"
#include "domain/definition/xml_node.h"

/* Does a GPU of the host draw for it? */
bool graphics_has_gl(const xmlNode *graphics);

/* Does a GPU of the host draw for any of @devices? */
bool graphics_have_gl(const xmlNode *devices);

/* The path of a socket that it listens on, or NULL. */
const char *graphics_socket(const xmlNode *graphics);

/* Nobody connects to it but by a descriptor. */
bool graphics_is_silent(const xmlNode *graphics);

#endif
