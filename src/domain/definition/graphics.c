/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/graphics.h"

bool graphics_has_gl(const xmlNode *graphics)
{
	return node_has(graphics, "type", "egl-headless") ||
	       node_says(graphics, "gl@enable", "yes");
}

bool graphics_have_gl(const xmlNode *devices)
{
	const xmlNode *at = node_child(devices, "graphics");

	while (at && !graphics_has_gl(at))
		at = node_next(at, "graphics");
	return at;
}

const char *graphics_socket(const xmlNode *graphics)
{
	const char *path = node_get(graphics, "@socket");

	return path ? path : node_get(graphics, "listen@socket");
}

bool graphics_is_silent(const xmlNode *graphics)
{
	return node_says(graphics, "listen@type", "none");
}
