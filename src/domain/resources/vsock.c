/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's half of <vsock>: drivers/vhost/vsock.c, which each address is one guest's of. */
#include <errno.h>
#include <string.h>

#include "domain/definition/xml_node.h"
#include "domain/machine/machine.h"
#include "domain/resources/resources.h"

/* 0 to 2 are the hypervisor's, the loopback's and the host's: vsock(7) */
#define FIRST_CID 3u
/* More than there are guests on a host; each try is a quick call. */
#define TRIES 4096u

static int open_cid(struct pt_host *host, uint32_t first, bool is_auto, uint32_t *ret_cid)
{
	uint32_t cid = first;
	int fd = machine_of(host)->open_vsock(host, cid);

	while (is_auto && fd == -EADDRINUSE && cid - first < TRIES)
		fd = machine_of(host)->open_vsock(host, ++cid);
	*ret_cid = cid;
	return fd;
}

int resources_open_vsock(struct pt_host *host, struct definition *live, int *ret_fd,
			 struct pt_error *err)
{
	xmlNode *vsock = node_find(definition_root(live), "devices/vsock");
	bool is_auto = node_says(vsock, "cid@auto", "yes");
	uint64_t number = FIRST_CID;
	uint32_t cid;
	int fd;

	if (!vsock)
		return 0;
	if (!is_auto)
		(void)node_number(node_child(vsock, "cid"), "address", UINT32_MAX, &number);
	fd = open_cid(host, (uint32_t)number, is_auto, &cid);
	if (fd == -EADDRINUSE)
		return pt_fail(err, PT_IN_USE, EADDRINUSE,
			       "domain/devices/vsock/cid: another guest has the address %u; with "
			       "auto='yes' one is chosen",
			       cid);
	if (fd < 0)
		return pt_fail(err, PT_SYSTEM, -fd,
			       "domain/devices/vsock: /dev/vhost-vsock: %s (is the module "
			       "vhost_vsock loaded?)",
			       strerror(-fd));
	*ret_fd = fd;
	if (node_set_format(node_child(vsock, "cid"), "address", "%u", cid) < 0)
		return pt_fail_memory(err);
	return 0;
}
