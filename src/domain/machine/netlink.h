/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libnl's objects, for AUTO(): base/auto.h. Only for this folder. */
#ifndef DOMAIN_MACHINE_NETLINK_H
#define DOMAIN_MACHINE_NETLINK_H

#include <netlink/netlink.h>
#include <netlink/route/link.h>

#include "base/auto.h"

AUTO_DEFINE(socket, struct nl_sock *, nl_socket_free)
AUTO_DEFINE(link, struct rtnl_link *, rtnl_link_put)
AUTO_DEFINE(addr, struct nl_addr *, nl_addr_put)

/* Of rtnetlink; 0 or libnl's error. */
static inline int netlink_open(struct nl_sock **ret_socket)
{
	*ret_socket = nl_socket_alloc();
	return *ret_socket ? nl_connect(*ret_socket, NETLINK_ROUTE) : -NLE_NOMEM;
}

#endif
