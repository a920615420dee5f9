/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* drivers/net/macvtap.c: a network interface whose other end is the node /dev/tapN. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <netlink/route/link/macvtap.h>

#include "base/auto.h"
#include "base/text.h"
#include "domain/machine/machine.h"
#include "domain/machine/netlink.h"

static int fail_on(const char *link, int r, struct pt_error *err)
{
	return pt_fail(err, PT_SYSTEM, EIO, "can't create a macvtap on %s: %s", link,
		       nl_geterror(r));
}

/*
 * The kernel chooses the number in the name, and tells which it is only if it is asked: it is the
 * last one of these.
 */
static int find_made(struct nl_sock *socket, const struct machine_tap *tap, int parent,
		     struct rtnl_link **ret_link)
{
	AUTO(auto_addr) struct nl_addr *mac = nl_addr_build(AF_LLC, tap->mac, sizeof(tap->mac));
	struct nl_cache *cache = NULL;
	int r = mac ? rtnl_link_alloc_cache(socket, AF_UNSPEC, &cache) : -NLE_NOMEM;

	for (struct nl_object *at = r < 0 ? NULL : nl_cache_get_first(cache); at;
	     at = nl_cache_get_next(at)) {
		struct rtnl_link *link = (struct rtnl_link *)at;

		if (!rtnl_link_is_macvtap(link) || rtnl_link_get_link(link) != parent ||
		    nl_addr_cmp(rtnl_link_get_addr(link), mac) != 0 ||
		    (*ret_link && rtnl_link_get_ifindex(*ret_link) > rtnl_link_get_ifindex(link)))
			continue;
		rtnl_link_put(*ret_link);
		nl_object_get(at);
		*ret_link = link;
	}
	nl_cache_free(cache);
	return r < 0 ? r : *ret_link ? 0 : -NLE_NODEV;
}

static int create(struct nl_sock *socket, const struct machine_tap *tap, int parent)
{
	AUTO(auto_link) struct rtnl_link *link = rtnl_link_macvtap_alloc();
	AUTO(auto_addr) struct nl_addr *mac = nl_addr_build(AF_LLC, tap->mac, sizeof(tap->mac));

	if (!link || !mac)
		return -NLE_NOMEM;
	rtnl_link_set_link(link, parent);
	rtnl_link_set_name(link, tap->name);
	rtnl_link_set_addr(link, mac);
	if (tap->mtu)
		rtnl_link_set_mtu(link, tap->mtu);
	(void)rtnl_link_macvtap_set_mode(link, (uint32_t)rtnl_link_macvtap_str2mode(tap->mode));
	return rtnl_link_add(socket, link, NLM_F_CREATE | NLM_F_EXCL);
}

static int bring_up(struct nl_sock *socket, struct rtnl_link *link)
{
	AUTO(auto_link) struct rtnl_link *change = rtnl_link_alloc();

	if (!change)
		return -NLE_NOMEM;
	rtnl_link_set_flags(change, IFF_UP);
	return rtnl_link_change(socket, link, change, 0);
}

static int open_node(struct pt_host *host, struct rtnl_link *link, bool is_one_of_many, int *ret_fd,
		     struct pt_error *err)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	AUTO_CLOSE int fd = -1;
	char path[32];

	if (is_one_of_many)
		request.ifr_flags |= IFF_MULTI_QUEUE;
	(void)text_format(path, sizeof(path), "dev/tap%d", rtnl_link_get_ifindex(link));
	fd = openat(host->root_fd, path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
		return pt_fail(err, PT_SYSTEM, errno, "can't open macvtap %s: /%s: %s",
			       rtnl_link_get_name(link), path, strerror(errno));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int open_queues(struct pt_host *host, struct rtnl_link *link, unsigned int queues,
		       int *ret_fds, struct pt_error *err)
{
	unsigned int opened = 0;
	int r = 0;

	for (; r == 0 && opened < queues; opened += r == 0)
		r = open_node(host, link, queues > 1, &ret_fds[opened], err);
	while (r < 0 && opened)
		close(ret_fds[--opened]);
	return r;
}

int machine_open_macvtap(struct pt_host *host, struct machine_tap *tap, int *ret_fds,
			 struct pt_error *err)
{
	AUTO(auto_socket) struct nl_sock *socket = NULL;
	AUTO(auto_link) struct rtnl_link *parent = NULL;
	AUTO(auto_link) struct rtnl_link *link = NULL;
	int r = netlink_open(&socket);

	if (!r)
		r = rtnl_link_get_kernel(socket, 0, tap->link, &parent);
	if (r == -NLE_OBJ_NOTFOUND || r == -NLE_NODEV)
		return pt_fail(
			err, PT_SYSTEM, ENODEV,
			"Cannot get interface MTU on '%s': No such device. ip link lists the "
			"interfaces there are",
			tap->link);
	if (!r && !(rtnl_link_get_flags(parent) & IFF_UP))
		return pt_fail(err, PT_SYSTEM, ENETDOWN,
			       "%s is down, and so would be the guest's macvtap on it: ip link set "
			       "%s up",
			       tap->link, tap->link);
	if (!r)
		r = create(socket, tap, rtnl_link_get_ifindex(parent));
	if (r == -NLE_BUSY)
		return pt_fail(err, PT_SYSTEM, EBUSY,
			       "can't create a macvtap on %s: it is busy; a port of a bridge can't "
			       "have one (ip link show %s), use <interface type='bridge'>",
			       tap->link, tap->link);
	if (r < 0)
		return fail_on(tap->link, r, err);
	r = find_made(socket, tap, rtnl_link_get_ifindex(parent), &link);
	if (r < 0)
		return fail_on(tap->link, r, err);
	(void)text_copy(tap->name, sizeof(tap->name), rtnl_link_get_name(link));
	r = bring_up(socket, link);
	if (r == -NLE_EXIST)
		r = pt_fail(err, PT_SYSTEM, EADDRINUSE,
			    "can't create a macvtap on %s: an interface there has the guest's MAC "
			    "address already",
			    tap->link);
	else
		r = r < 0 ? fail_on(tap->link, r, err)
			  : open_queues(host, link, machine_tap_queues(tap), ret_fds, err);
	if (r < 0)
		(void)rtnl_link_delete(socket, link);
	return r;
}

int machine_remove_macvtap(struct pt_host *host, const char *name)
{
	AUTO(auto_socket) struct nl_sock *socket = NULL;
	AUTO(auto_link) struct rtnl_link *link = NULL;
	int r = netlink_open(&socket);

	(void)host;
	if (!r)
		r = rtnl_link_get_kernel(socket, 0, name, &link);
	if (r == -NLE_OBJ_NOTFOUND || r == -NLE_NODEV)
		return 0;
	if (!r && !rtnl_link_is_macvtap(link))
		return -EPERM;
	if (!r)
		r = rtnl_link_delete(socket, link);
	return r < 0 ? -EIO : 0;
}
