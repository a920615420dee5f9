/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Network interfaces of a function. An interface that is up but carries nothing (no address
 * beside the link-local one every interface gets, no route, nothing built on it, no listener) is
 * not a holder: NICs are commonly up without being used.
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/text.h"
#include "pci/holders/holders.h"
#include "pci/holders/net.h"
#include "pci/sysfs.h"

/* ---- which network namespace ---- */

char *holders_read_net(struct net_scan *nets, const char *name)
{
	char path[64];

	(void)text_format(path, sizeof(path), "%s/%s", nets->directory, name);
	return holders_read_proc(nets->scan, path);
}

void holders_unseen_net(struct net_scan *nets, const char *what)
{
	size_t i;

	for (i = 0; i < nets->scan->interface_count; i++)
		holders_unseen(nets->scan, nets->scan->interfaces[i].target, what);
}

void holders_unseen_netlink(struct net_scan *nets, const char *what)
{
	if (!nets->is_own && nets->scan->host->is_this_machine)
		what = holders_text(nets->scan,
				    "%s, because it runs in another network namespace than "
				    "process 1 (try: nsenter --net=/proc/1/ns/net passthru …)",
				    what);
	holders_unseen_net(nets, what);
}

/* A namespace has all the interfaces that sysfs shows below the functions. */
static bool has_interfaces(const struct net_scan *nets, const char *path)
{
	AUTO_FREE char *devices = holders_read_proc(nets->scan, path);
	size_t i;

	for (i = 0; devices && i < nets->scan->interface_count; i++) {
		const char *name = nets->scan->interfaces[i].name, *at = devices;
		size_t length = strlen(name);

		/* "  eth0: 1256 …" */
		while ((at = strstr(at, name)) &&
		       !(at[length] == ':' && (at == devices || at[-1] == ' ' || at[-1] == '\n')))
			at++;
		if (!at)
			return false;
	}
	return devices;
}

/* Each namespace has its own files, also for those who may not read the links in /proc/1/ns. */
static bool is_in_namespace_of_1(struct holder_scan *scan)
{
	struct stat own, first;

	return fstatat(scan->host->root_fd, "proc/self/net/dev", &own, 0) == 0 &&
	       fstatat(scan->host->root_fd, "proc/1/net/dev", &first, 0) == 0 &&
	       own.st_dev == first.st_dev && own.st_ino == first.st_ino;
}

/*
 * /proc/net is this process's (a link to self/net). The host's is that of process 1, unless sysfs
 * was mounted in this process's namespace, as `ip netns exec` does.
 */
static void choose_namespace(struct net_scan *nets)
{
	nets->directory = "proc/1/net";
	nets->is_own = is_in_namespace_of_1(nets->scan);
	if (has_interfaces(nets, "proc/1/net/dev") && holders_see_all_processes(nets->scan->host))
		return;
	if (has_interfaces(nets, "proc/self/net/dev") &&
	    holders_see_all_processes(nets->scan->host)) {
		nets->directory = "proc/self/net";
		nets->is_own = true;
		return;
	}
	holders_unseen_net(nets, "the addresses, routes and sockets of its network interface");
}

/* ---- addresses and routes of the machine, read once a scan ---- */

/* Once each: a router has a million routes. */
static void add_fact(struct net_scan *nets, const char *interface, const char *text)
{
	size_t i;

	for (i = 0; i < nets->fact_count; i++)
		if (!strcmp(nets->facts[i].interface, interface) &&
		    !strcmp(nets->facts[i].text, text))
			return;
	HOLDERS_APPEND(nets->scan, nets->facts, nets->fact_count,
		       {.interface = holders_text(nets->scan, "%s", interface),
			.text = holders_text(nets->scan, "%s", text)});
}

static void add_address(struct net_scan *nets, const char *interface, const void *address,
			int family)
{
	char text[INET6_ADDRSTRLEN];

	if (inet_ntop(family, address, text, sizeof(text)))
		add_fact(nets, interface, text);
}

/*
 * Asked of the kernel, which takes the lock that a hung network driver may hold: only when
 * files don't tell.
 */
static void ask_addresses(struct net_scan *nets)
{
	struct ifaddrs *list = NULL;
	const struct ifaddrs *entry;

	if (getifaddrs(&list) < 0)
		return;
	for (entry = list; entry; entry = entry->ifa_next) {
		struct sockaddr_in address;

		if (!entry->ifa_addr || entry->ifa_addr->sa_family != AF_INET)
			continue;
		memcpy(&address, entry->ifa_addr, sizeof(address));
		add_address(nets, entry->ifa_name, &address.sin_addr, AF_INET);
	}
	freeifaddrs(list);
}

/* The networks that an interface is connected to, that is, routes without a gateway. */
struct network {
	const char *interface;
	uint32_t destination;
	uint32_t mask;
};

/*
 * An address of this machine belongs to the interface with the narrowest network around it, or
 * to each of those that have the same. False when there is none.
 */
static bool place_address(struct net_scan *nets, const struct network *networks, size_t count,
			  uint32_t address)
{
	bool is_found = false;
	uint32_t narrowest = 0;
	size_t i;

	if (!networks)
		count = 0;
	for (i = 0; i < count; i++)
		if ((address & networks[i].mask) == networks[i].destination &&
		    ntohl(networks[i].mask) > narrowest)
			narrowest = ntohl(networks[i].mask);
	for (i = 0; narrowest && i < count; i++) {
		if ((address & networks[i].mask) != networks[i].destination ||
		    ntohl(networks[i].mask) != narrowest)
			continue;
		add_address(nets, networks[i].interface, &address, AF_INET);
		is_found = true;
	}
	return is_found || ntohl(address) >> 24 == 127;
}

/*
 * IPv4 addresses, from the routing trie, which has them without their interfaces. One without a
 * network around it (a /32, or a network in another routing table) can't be placed.
 */
static void read_addresses(struct net_scan *nets)
{
	AUTO_FREE char *trie = holders_read_net(nets, "fib_trie");
	AUTO_FREE char *routes = holders_read_net(nets, "route");
	AUTO_FREE struct network *networks = NULL;
	char *trie_cursor = trie, *cursor = routes;
	struct route_line route;
	uint32_t address;
	size_t count = 0;
	bool is_placed = true;

	while (routes && route_next(&cursor, &route))
		if (!route.has_gateway && route.mask)
			HOLDERS_APPEND(nets->scan, networks, count,
				       {.interface = route.interface,
					.destination = route.destination,
					.mask = route.mask});
	while (trie && trie_next(&trie_cursor, &address))
		is_placed &= place_address(nets, networks, count, address);
	if (is_placed)
		return;
	if (nets->scan->host->is_this_machine && nets->is_own)
		ask_addresses(nets);
	else
		holders_unseen_netlink(nets, "which interface has an address without a network");
}

static void read_addresses6(struct net_scan *nets)
{
	AUTO_FREE char *text = holders_read_net(nets, "if_inet6");
	struct address6_line line;
	char *cursor = text;

	while (text && address6_next(&cursor, &line))
		add_address(nets, line.interface, line.address, AF_INET6);
}

static const char default_route[] = "default route", other_routes[] = "routes";

static void read_routes(struct net_scan *nets)
{
	AUTO_FREE char *text = holders_read_net(nets, "route");
	AUTO_FREE char *text6 = holders_read_net(nets, "ipv6_route");
	char *cursor = text, *cursor6 = text6;
	struct route_line line;
	struct route6_line line6;

	while (text && route_next(&cursor, &line))
		add_fact(nets, line.interface,
			 !line.destination && !line.mask ? default_route : other_routes);
	while (text6 && route6_next(&cursor6, &line6))
		add_fact(nets, line6.interface, line6.prefix ? other_routes : default_route);
}

/* ---- one interface ---- */

/* How many addresses are named one by one. */
#define ADDRESSES_NAMED 4

static bool is_up(struct holder_scan *scan, size_t target, const char *name)
{
	char text[32];
	uint64_t flags;

	if (holders_read_file(scan, text, sizeof(text), "sys/class/net/%s/flags", name) &&
	    text_parse_number(text, 16, UINT32_MAX, &flags) == 0)
		return flags & IFF_UP;
	/* found below the function, and not there: hidden, or it has just gone */
	holders_unseen(scan, target,
		       holders_text(scan, "/sys/class/net/%s (check: findmnt -R /sys)", name));
	return false;
}

/* "eth0 (10.0.2.15, default route)"; false when nothing of the host's depends on it */
static bool holders_describe_network(struct net_scan *nets, const char *name, const char **ret_what)
{
	struct holder_scan *scan = nets->scan;
	const char *text = "", *routes = "";
	size_t i, shown = 0;

	for (i = 0; i < nets->fact_count; i++) {
		const struct net_fact *fact = &nets->facts[i];

		if (strcmp(fact->interface, name) != 0)
			continue;
		/* an address brings routes with it; only those without one are worth a word */
		if (!strcmp(fact->text, other_routes))
			routes = other_routes;
		else if (shown++ < ADDRESSES_NAMED)
			text = holders_text(scan, "%s%s%s", text, *text ? ", " : "", fact->text);
	}
	if (shown > ADDRESSES_NAMED)
		text = holders_text(scan, "%s, %zu more", text, shown - ADDRESSES_NAMED);
	*ret_what = holders_text(scan, "%s (%s)", name, *text ? text : routes);
	return *text || *routes;
}

/* What sort of thing is built on an interface. */
static const char *upper_type(struct holder_scan *scan, const char *name)
{
	char uevent[1024], type[64];

	if (!strcmp(name, "ovs-system"))
		return "openvswitch";
	if (holders_exists(scan, "sys/class/net/%s/bridge", name))
		return "bridge";
	if (holders_exists(scan, "sys/class/net/%s/bonding", name))
		return "bond";
	if (holders_read_file(scan, uevent, sizeof(uevent), "sys/class/net/%s/uevent", name) &&
	    text_find_value(uevent, "DEVTYPE", type, sizeof(type)))
		return holders_text(scan, "%s", type);
	return "";
}

static const char *upper_advice(struct holder_scan *scan, const char *name, const char *upper,
				bool is_master)
{
	if (!strcmp(upper, "ovs-system"))
		return holders_text(scan, "ovs-vsctl del-port %s", holders_quote(scan, name));
	if (is_master)
		return holders_text(scan, "ip link set %s nomaster", holders_quote(scan, name));
	return holders_text(scan, "ip link delete %s", holders_quote(scan, upper));
}

static void read_interface(struct net_scan *nets, size_t target, const char *name,
			   const char *before, unsigned int depth)
{
	struct holder_scan *scan = nets->scan;
	const char *what, *chain = holders_chain(scan, before, name), *const * entry;
	char master[64] = "";

	if (is_up(scan, target, name) && holders_describe_network(nets, name, &what))
		holders_add(scan, target, PT_HOLDER_NETWORK, 0, what, before,
			    holders_text(scan, "ip link set %s down", holders_quote(scan, name)));
	holders_read_sockets(nets, target, name, chain);
	if (depth == HOLDERS_DEPTH_MAX)
		return;
	(void)holders_read_link(scan, master, sizeof(master), "sys/class/net/%s/master", name);
	for (entry = holders_list(scan, "sys/class/net/%s", name); *entry; entry++) {
		const char *upper = *entry + 6, *type;

		if (strncmp(*entry, "upper_", 6) != 0)
			continue;
		type = upper_type(scan, upper);
		holders_add(scan, target, PT_HOLDER_BRIDGE, 0,
			    *type ? holders_text(scan, "%s (%s)", upper, type) : upper, chain,
			    upper_advice(scan, name, upper, !strcmp(upper, master)));
		read_interface(nets, target, upper, chain, depth + 1);
	}
}

/* ---- interfaces that aren't here ---- */

/*
 * A NIC's driver without an interface: one that doesn't make any, or they were moved to
 * another network namespace. A container shows its own in its own /sys;
 * that needs a process in it, and process.c looks there.
 */
static void read_missing(struct holder_scan *scan, size_t target)
{
	static const char *const quiet[] = {"pci-stub", "uio_pci_generic", "igb_uio"};
	const struct holder_target *t = &scan->targets[target];
	char text[64];
	uint64_t class_code;
	size_t i;

	if (t->has_interface ||
	    sysfs_read(scan->host, &t->address, "class", text, sizeof(text)) < 0 ||
	    text_parse_number(text, 16, 0xffffff, &class_code) < 0 || class_code >> 16 != 0x02 ||
	    sysfs_read_link(scan->host, &t->address, "driver", text, sizeof(text)) < 0 ||
	    strstr(text, "vfio"))
		return;
	for (i = 0; i < sizeof(quiet) / sizeof(*quiet); i++)
		if (!strcmp(text, quiet[i]))
			return;
	scan->targets[target].is_interface_missing = true;
	/* PCI Code and ID Assignment Specification, 1.3: 07 InfiniBand, 08 host fabric */
	scan->targets[target].may_lack_interface =
		(class_code >> 8) == 0x0207 || (class_code >> 8) == 0x0208;
	scan->has_missing = true;
}

void holders_read_networks(struct holder_scan *scan)
{
	struct net_scan nets = {.scan = scan};
	size_t i;

	for (i = 0; i < scan->target_count; i++)
		read_missing(scan, i);
	if (!scan->interface_count)
		return;
	choose_namespace(&nets);
	read_addresses(&nets);
	read_addresses6(&nets);
	read_routes(&nets);
	holders_load_sockets(&nets);
	for (i = 0; i < scan->interface_count; i++) {
		const struct holder_interface *interface = &scan->interfaces[i];

		read_interface(&nets, interface->target, interface->name,
			       scan->targets[interface->target].prefix, 0);
	}
	free(nets.facts);
	free(nets.open);
	free(nets.users);
}
