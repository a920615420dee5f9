/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Interfaces: addresses, routes, what is built on them, sockets; and whose namespace counts. */
#include "holders_tree.h"

#define NETWORK DIRECTORY "/net/eth0"
#define LINKS	"sys/devices/virtual/net/"

static void make_nic(const char *flags)
{
	tree_function(DEVICE, "0x020000", "igb");
	make_interface(NETWORK, flags, "3");
	tree_process(1, "systemd", "/dev/null");
	tree_put("proc/1/net/if_inet6", "fe8000000000000000000000000000aa 03 40 20 80     eth0\n"
					"00000000000000000000000000000001 01 80 10 80       lo");
	tree_put("proc/1/net/packet",
		 "sk               RefCnt Type Proto  Iface R Rmem   User   Inode");
}

/* Up, with the link-local address that every interface has: nothing depends on it. */
static void idle_interface(void **state)
{
	(void)state;
	make_nic("0x1003");
	tree_put("proc/1/net/route", ROUTES);
	tree_put("proc/1/net/ipv6_route",
		 "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 "
		 "00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n"
		 "ff000000000000000000000000000000 08 00000000000000000000000000000000 00 "
		 "00000000000000000000000000000000 00000100 00000002 00000000 00000001     eth0");
	tree_expect(DEVICE, NULL);
}

static void addresses(void **state)
{
	(void)state;
	make_nic("0x1003");
	put_ipv4("eth0");
	tree_put("proc/1/net/if_inet6", "fd000000000000000000000000000002 03 40 00 80     eth0");
	tree_expect(DEVICE,
		    "network|eth0 (10.0.2.15, fd00::2, default route)||ip link set eth0 down",
		    NULL);
	/* an address of which no network tells whose it is */
	tree_put("proc/1/net/fib_trie", "     |-- 198.51.100.7\n        /32 host LOCAL");
	tree_expect(DEVICE, "network|eth0 (fd00::2, default route)||ip link set eth0 down",
		    "incomplete", NULL);
	put_ipv4("eth0");
	/* an interface that is down carries nothing */
	tree_put(NETWORK "/flags", "0x1002");
	tree_expect(DEVICE, NULL);
}

/* The facts are those of the namespace whose interfaces sysfs shows, whatever the caller's is. */
static void network_namespaces(void **state)
{
	(void)state;
	make_nic("0x1003");
	put_ipv4("eth0");
	tree_put("proc/self/net/dev", NET_DEV);
	tree_put("proc/self/net/route", ROUTES);
	tree_put("proc/self/net/packet", "");
	tree_expect(DEVICE, "network|eth0 (10.0.2.15, default route)||ip link set eth0 down", NULL);
	/* netlink would answer for the caller's */
	tree_put("proc/1/net/protocols",
		 "XDP        960      1      -1   NI       0   no   kernel");
	tree_expect(DEVICE, "network|eth0 (10.0.2.15, default route)||ip link set eth0 down",
		    "incomplete", NULL);
	tree_remove("proc/1/net/protocols");
	/* `ip netns exec` mounts a sysfs of its own, in which the interface is the caller's */
	tree_put("proc/1/net/dev", NET_DEV "veth0: 1 0\n eth01: 1 0");
	tree_rename("proc/1/net/route", "proc/self/net/route");
	tree_rename("proc/1/net/fib_trie", "proc/self/net/fib_trie");
	tree_put("proc/self/net/dev", NET_DEV "  eth0: 1 0");
	tree_expect(DEVICE, "network|eth0 (10.0.2.15, default route)||ip link set eth0 down", NULL);
	/* a third one's */
	tree_put("proc/self/net/dev", NET_DEV);
	tree_expect(DEVICE, "incomplete", NULL);
}

/* Process 1 of a container isn't the host's: its addresses say nothing. */
static void network_of_a_container(void **state)
{
	(void)state;
	make_nic("0x1003");
	tree_link_text("proc/self", "1");
	tree_link_text("proc/1/ns/pid", "pid:[4026531836]");
	tree_expect(DEVICE, NULL);
	tree_remove("proc/1/ns/pid");
	tree_link_text("proc/1/ns/pid", "pid:[4026532000]");
	tree_expect(DEVICE, "incomplete", NULL);
}

/* An interface that is below the function, and whose class directory something covers. */
static void hidden_interface(void **state)
{
	(void)state;
	make_nic("0x1003");
	put_ipv4("eth0");
	tree_remove("sys/class/net/eth0");
	tree_expect(DEVICE, "incomplete", NULL);
}

static void routes_only(void **state)
{
	(void)state;
	make_nic("0x1003");
	tree_put("proc/1/net/ipv6_route",
		 "20010db8000000000000000000000000 20 00000000000000000000000000000000 00 "
		 "00000000000000000000000000000000 00000400 00000001 00000000 00000001     eth0");
	tree_expect(DEVICE, "network|eth0 (routes)||ip link set eth0 down", NULL);
}

static void bridge(void **state)
{
	(void)state;
	make_nic("0x1103");
	make_interface(LINKS "br0", "0x1003", "9");
	tree_put(LINKS "br0/bridge/stp_state", "0");
	tree_link(NETWORK "/master", LINKS "br0");
	tree_link(NETWORK "/upper_br0", LINKS "br0");
	tree_expect(DEVICE, "bridge|br0 (bridge)|eth0|ip link set eth0 nomaster", NULL);
	put_ipv4("br0");
	tree_expect(DEVICE, "network|br0 (10.0.2.15, default route)|eth0|ip link set br0 down",
		    "bridge|br0 (bridge)|eth0|ip link set eth0 nomaster", NULL);
}

static void bond_with_vlan(void **state)
{
	(void)state;
	make_nic("0x1803");
	make_interface(LINKS "bond0", "0x1403", "9");
	tree_put(LINKS "bond0/bonding/mode", "802.3ad 4");
	tree_link(NETWORK "/master", LINKS "bond0");
	tree_link(NETWORK "/upper_bond0", LINKS "bond0");
	make_interface(LINKS "bond0.5", "0x1003", "10");
	tree_put(LINKS "bond0.5/uevent", "DEVTYPE=vlan\nINTERFACE=bond0.5");
	tree_link(LINKS "bond0/upper_bond0.5", LINKS "bond0.5");
	put_ipv4("bond0.5");
	tree_expect(DEVICE,
		    "network|bond0.5 (10.0.2.15, default route)|eth0 > bond0|"
		    "ip link set bond0.5 down",
		    "bridge|bond0 (bond)|eth0|ip link set eth0 nomaster",
		    "bridge|bond0.5 (vlan)|eth0 > bond0|ip link delete bond0.5", NULL);
}

static void openvswitch(void **state)
{
	(void)state;
	make_nic("0x1103");
	make_interface(LINKS "ovs-system", "0x1002", "9");
	tree_link(NETWORK "/master", LINKS "ovs-system");
	tree_link(NETWORK "/upper_ovs-system", LINKS "ovs-system");
	tree_expect(DEVICE, "bridge|ovs-system (openvswitch)|eth0|ovs-vsctl del-port eth0", NULL);
}

static void packet_sockets(void **state)
{
	(void)state;
	make_nic("0x1003");
	tree_put("proc/1/net/packet",
		 "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"
		 "ffff888005ea1000 3      3    0003   3     1 0      0      5001\n"
		 "0000000000000000 3      3    88cc   3     1 0      105    5002\n"
		 "0000000000000000 3      3    0003   4     1 0      0      5003\n"
		 "0000000000000000 3      3    0003   0     1 0      0      5004");
	tree_process(30, "tcpdump", "socket:[5001]");
	tree_process(31, "other", "socket:[5003]");
	tree_process(32, "all", "socket:[5004]");
	tree_expect(DEVICE, "socket|packet socket of tcpdump (pid 30)|eth0|kill 30",
		    "socket|packet socket of user 105|eth0|", NULL);
}

/* Only a kernel that runs can tell whose AF_XDP sockets there are. */
static void xdp_sockets(void **state)
{
	(void)state;
	make_nic("0x1003");
	tree_put("proc/1/net/protocols",
		 "protocol  size sockets  memory press maxhdr  slab module\n"
		 "XDP        960      0      -1   NI       0   no   kernel");
	tree_expect(DEVICE, NULL);
	tree_put("proc/1/net/protocols",
		 "protocol  size sockets  memory press maxhdr  slab module\n"
		 "PACKET    1600      0      -1   NI       0   no   kernel\n"
		 "XDP        960      1      -1   NI       0   no   kernel");
	tree_expect(DEVICE, "incomplete", NULL);
}

/* The host's uplink by DSL: an interface without an address. */
static void pppoe(void **state)
{
	(void)state;
	make_nic("0x1003");
	tree_put("proc/net/pppoe", "00000100 52:54:00:00:00:01     eth0");
	tree_put("proc/1/net/pppoe", "Id       Address              Device\n"
				     "00000200 52:54:00:00:00:02    eth01");
	tree_expect(DEVICE, NULL);
	tree_put("proc/1/net/pppoe", "Id       Address              Device\n"
				     "00000100 52:54:00:00:00:01     eth0");
	tree_expect(DEVICE, "socket|PPPoE session 1 with 52:54:00:00:00:01|eth0|poff -a", NULL);
}

static void can(void **state)
{
	(void)state;
	make_nic("0x1003");
	tree_put("proc/1/net/can/rcvlist_all", "\nreceive list 'rx_all':\n  (any: no entry)\n"
					       "  (eth0: no entry)");
	tree_put("proc/1/net/can/rcvlist_fil",
		 "  device   can_id   can_mask  function  userdata   matches  ident\n"
		 "   eth01     123    000007ff  00000000aa  00000000bb         0  raw\n"
		 "   any       123    000007ff  00000000aa  00000000bb         0  raw");
	tree_expect(DEVICE, NULL);
	tree_put("proc/1/net/can/rcvlist_sff",
		 "  device   can_id   can_mask  function  userdata   matches  ident\n"
		 "   eth0      123    c00007ff  00000000aa  00000000bb         0  raw\n"
		 "   eth0      124    c00007ff  00000000aa  00000000bb         0  raw");
	tree_put("proc/1/net/can/rcvlist_eff",
		 "  device   can_id   can_mask  function  userdata   matches  ident\n"
		 "   eth0   80000123  dfffffff  00000000aa  00000000bb         0  gw");
	tree_expect(DEVICE, "socket|CAN gateway|eth0|cangw -F",
		    "socket|CAN receiver (raw)|eth0|ip link set eth0 down", NULL);
}

static void missing_interface(void **state)
{
	(void)state;
	tree_function(DEVICE, "0x020000", "igb");
	tree_process(1, "systemd", "/dev/null");
	tree_link_text("proc/1/ns/net", "net:[1]");
	tree_expect(DEVICE, "incomplete", NULL);
	tree_process(60, "pod", "/dev/null");
	tree_link_text("proc/60/ns/net", "net:[2]");
	tree_directory("proc/60/root/sys/bus/pci/devices/" DEVICE "/net/eth1");
	tree_expect(DEVICE, "network|eth1 (in the network namespace of pod, pid 60)||kill 60",
		    NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TREE_TEST(idle_interface),
		TREE_TEST(addresses),
		TREE_TEST(network_namespaces),
		TREE_TEST(network_of_a_container),
		TREE_TEST(hidden_interface),
		TREE_TEST(routes_only),
		TREE_TEST(bridge),
		TREE_TEST(bond_with_vlan),
		TREE_TEST(openvswitch),
		TREE_TEST(packet_sockets),
		TREE_TEST(xdp_sockets),
		TREE_TEST(pppoe),
		TREE_TEST(can),
		TREE_TEST(missing_interface),
	};

	return cmocka_run_group_tests_name("holders_net", tests, NULL, NULL);
}
