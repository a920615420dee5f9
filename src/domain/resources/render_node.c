/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's GPU that draws for a guest without one of its own: <gl>. Which one may be left open,
 * and then it is the first render node (Documentation/gpu/drm-uapi.rst) that isn't of a device that
 * the guest itself gets.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "domain/definition/graphics.h"
#include "domain/definition/xml_node.h"
#include "domain/resources/resources.h"

/* DRM's minors of render nodes: 128 to 191. */
enum { FIRST_NODE = 128, LAST_NODE = 191 };

static bool is_of_guest(struct pt_host *host, unsigned int node,
			const struct definition_hostdev *hostdevs, size_t count)
{
	struct pt_address address;
	char path[64], name[64];
	size_t i = 0;

	(void)text_format(path, sizeof(path), "sys/class/drm/renderD%u/device", node);
	if (io_read_link_word_at(host->root_fd, path, name, sizeof(name)) < 0 ||
	    pt_address_parse(name, &address, NULL) < 0)
		return false;
	while (i < count && pt_address_compare(&hostdevs[i].address, &address) != 0)
		i++;
	return i < count;
}

static int choose(struct pt_host *host, const struct definition_hostdev *hostdevs, size_t count,
		  xmlNode *graphics, struct pt_error *err)
{
	xmlNode *gl = node_child(graphics, "gl");

	for (unsigned int node = FIRST_NODE; node <= LAST_NODE; node++) {
		char path[64];

		(void)text_format(path, sizeof(path), "/dev/dri/renderD%u", node);
		if (faccessat(host->root_fd, io_relative(path), F_OK, 0) < 0 ||
		    is_of_guest(host, node, hostdevs, count))
			continue;
		if (!gl)
			gl = node_add(graphics, "gl", NULL);
		return gl && node_set(gl, "rendernode", path) == 0 ? 0 : pt_fail_memory(err);
	}
	return pt_fail(err, PT_SYSTEM, ENOENT,
		       "domain/devices/graphics/gl: no GPU of the host can draw for the guest: "
		       "there is no render node (/dev/dri/renderD*) but of devices that the guest "
		       "gets itself; load the GPU's driver, or remove <gl> and accel3d");
}

int resources_choose_render_node(struct pt_host *host, struct definition *live,
				 const struct definition_hostdev *hostdevs, size_t count,
				 struct pt_error *err)
{
	xmlNode *at = node_find(definition_root(live), "devices/graphics");
	int r = 0;

	for (; at && r == 0; at = node_next(at, "graphics"))
		if (graphics_has_gl(at) && !node_get(at, "gl@rendernode"))
			r = choose(host, hostdevs, count, at, err);
	return r;
}
