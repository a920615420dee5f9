/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include <netlink/route/link/sriov.h>

#include "base/auto.h"
#include "domain/machine/machine.h"
#include "domain/machine/netlink.h"

AUTO_DEFINE(vf, struct rtnl_link_vf *, rtnl_link_vf_put)
AUTO_DEFINE(vlans, nl_vf_vlans_t *, rtnl_link_vf_vlan_put)

static int machine_vf_fail(const char *netdev, uint32_t index, int r, struct pt_error *err)
{
	return pt_fail(err, PT_SYSTEM, EIO, "virtual function %u of %s: %s", index, netdev,
		       nl_geterror(r));
}

int machine_read_vf(struct pt_host *host, const char *netdev, uint32_t index,
		    struct machine_vf *ret_vf, struct pt_error *err)
{
	AUTO(auto_socket) struct nl_sock *socket = NULL;
	AUTO(auto_link) struct rtnl_link *link = NULL;
	AUTO(auto_vf) struct rtnl_link_vf *vf = NULL;
	AUTO(auto_vlans) nl_vf_vlans_t *vlans = NULL; /* counted for us */
	struct nl_addr *mac = NULL;		      /* the vf's own */
	int r = netlink_open(&socket);

	(void)host;
	if (!r)
		r = rtnl_link_get_kernel(socket, 0, netdev, &link);
	if (r < 0)
		return machine_vf_fail(netdev, index, r, err);
	vf = rtnl_link_vf_get(link, index);
	if (!vf || rtnl_link_vf_get_addr(vf, &mac) < 0 || nl_addr_get_len(mac) != 6)
		return pt_fail(err, PT_SYSTEM, ENODEV,
			       "virtual function %u of %s: the driver of the physical function "
			       "does not report it",
			       index, netdev);
	(void)nl_addr2str(mac, ret_vf->mac, sizeof(ret_vf->mac));
	ret_vf->vlan = 0;
	if (rtnl_link_vf_get_vlans(vf, &vlans) == 0 && vlans && vlans->size > 0)
		ret_vf->vlan = (int)vlans->vlans[0].vf_vlan;
	return 0;
}

int machine_write_vf(struct pt_host *host, const char *netdev, uint32_t index, const char *mac,
		     int vlan, struct pt_error *err)
{
	AUTO(auto_socket) struct nl_sock *socket = NULL;
	AUTO(auto_link) struct rtnl_link *link = NULL;
	AUTO(auto_link) struct rtnl_link *change = rtnl_link_alloc();
	AUTO(auto_vf) struct rtnl_link_vf *vf = rtnl_link_vf_alloc();
	AUTO(auto_addr) struct nl_addr *addr = NULL;
	AUTO(auto_vlans) nl_vf_vlans_t *vlans = NULL;
	int r = change && vf ? netlink_open(&socket) : -NLE_NOMEM;

	(void)host;
	if (!r)
		r = rtnl_link_get_kernel(socket, 0, netdev, &link);
	if (!r && mac)
		r = nl_addr_parse(mac, AF_LLC, &addr);
	if (!r && vlan >= 0)
		r = rtnl_link_vf_vlan_alloc(&vlans, 1);
	if (r < 0)
		return machine_vf_fail(netdev, index, r, err);
	rtnl_link_vf_set_index(vf, index);
	if (addr)
		rtnl_link_vf_set_addr(vf, addr);
	if (vlans) {
		vlans->vlans[0] = (nl_vf_vlan_info_t){.vf_vlan = (uint32_t)vlan};
		rtnl_link_vf_set_vlans(vf, vlans);
	}
	r = rtnl_link_vf_add(change, vf);
	if (!r)
		r = rtnl_link_change(socket, link, change, 0);
	return r < 0 ? machine_vf_fail(netdev, index, r, err) : 0;
}
