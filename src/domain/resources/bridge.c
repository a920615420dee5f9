/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <interface type='network'>: what virt-install and virt-manager make by default. Networks are
 * libvirt's (virtnetworkd, libvirtd), and this daemon serves none; but one that has a bridge says
 * so in its definition, and then a tap on that bridge is all there is to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/text.h"
#include "domain/definition/xml_node.h"
#include "domain/resources/bridge.h"
#include "domain/resources/libvirt_file.h"

static int fail_unknown(const char *path, const char *network, int errnum, struct pt_error *err)
{
	return pt_fail(err, PT_INVALID, errnum,
		       "Network not found: no network with matching name '%s' (%s: %s); define the "
		       "network with libvirt's virtnetworkd, or name the bridge: <interface "
		       "type='bridge'><source bridge='…'/></interface>",
		       network, path, strerror(errnum));
}

static int read_bridge(const char *text, const char *path, char bridge[IF_NAMESIZE],
		       struct pt_error *err)
{
	AUTO(auto_doc) xmlDoc *doc = NULL;
	const char *name, *mode;
	int r = libvirt_file_parse(path, text, &doc, err);

	if (r < 0)
		return r;
	name = node_get(xmlDocGetRootElement(doc), "bridge@name");
	mode = node_get(xmlDocGetRootElement(doc), "forward@mode");
	if (name && text_copy(bridge, IF_NAMESIZE, name))
		return 0;
	return pt_fail(err, PT_INVALID, EOPNOTSUPP,
		       "%s: networks without a bridge (forward mode '%s') are not supported; name "
		       "a bridge with <interface type='bridge'>, or the device with <interface "
		       "type='hostdev'>",
		       path, mode ? mode : "none");
}

int bridge_find(struct pt_host *host, const char *network, char bridge[IF_NAMESIZE],
		struct pt_error *err)
{
	AUTO_FREE char *text = NULL;
	char path[LIBVIRT_FILE_PATH];
	int r = libvirt_file_read(host, LIVE_NETWORKS, network, path, &text);

	if (r < 0)
		return fail_unknown(path, network, -r, err);
	r = read_bridge(text, path, bridge, err);
	if (r < 0)
		return r;
	if (text_format(path, sizeof(path), "sys/class/net/%s", bridge) < 0 ||
	    faccessat(host->root_fd, path, F_OK, 0) < 0)
		return pt_fail(err, PT_SYSTEM, ENODEV,
			       "network '%s' is not active: its bridge %s does not exist. To start "
			       "the network:\n"
			       "  virsh -c network:///system net-start %s",
			       network, bridge, network);
	return 0;
}
