/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/resources/listeners.h"

#include <errno.h>
#include <unistd.h>

#include "domain/confine/run_files.h"
#include "domain/definition/device.h"
#include "domain/definition/xml_node.h"

int listeners_open(struct pt_host *host, const struct definition *live,
		   struct listeners *ret_listeners, struct pt_error *err)
{
	const xmlNode *at = node_child(node_child(definition_root(live), "devices"), NULL);
	int r = 0;

	for (; at && r == 0; at = node_next(at, NULL)) {
		struct command_line_output socket = {.alias = node_get(at, "alias@name")};

		if (!socket.alias || !device_has_unnamed_socket(at))
			continue;
		if (ret_listeners->count == LISTENERS_MAX)
			return pt_fail(err, PT_INVALID, E2BIG, "more than %d sockets",
				       LISTENERS_MAX); /* not after command_line_check() */
		r = run_files_listen_own(host, definition_name(live), socket.alias, &socket.fd,
					 err);
		if (r == 0)
			ret_listeners->sockets[ret_listeners->count++] = socket;
	}
	return r;
}

void listeners_close(struct listeners *listeners)
{
	for (size_t i = 0; i < listeners->count; i++)
		close(listeners->sockets[i].fd);
	listeners->count = 0;
}
