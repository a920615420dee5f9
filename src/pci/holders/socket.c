/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packet, AF_XDP, PPPoE and CAN sockets that are bound to an interface. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/xdp_diag.h>

#include "base/auto.h"
#include "base/text.h"
#include "pci/holders/net.h"

/* ---- packet sockets: a file of /proc ---- */

static void load_packet(struct net_scan *nets)
{
	AUTO_FREE char *text = holders_read_net(nets, "packet");
	struct packet_line line;
	char *cursor = text;

	/* those on interface 0 listen to all: no device in particular */
	while (text && packet_next(&cursor, &line))
		if (line.ifindex)
			HOLDERS_APPEND(nets->scan, nets->open, nets->open_count,
				       {.ifindex = (unsigned int)line.ifindex,
					.inode = line.inode,
					.uid = line.uid,
					.what = "packet socket"});
}

/* ---- AF_XDP sockets: only sock_diag tells ---- */

static void add_xdp(struct net_scan *nets, const struct nlmsghdr *header)
{
	const struct xdp_diag_msg *message = NLMSG_DATA(header);
	struct net_socket found = {.what = "AF_XDP socket"};
	struct rtattr *attribute;
	unsigned int left;

	if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*message)))
		return;
	found.inode = message->xdiag_ino;
	left = header->nlmsg_len - (unsigned int)NLMSG_LENGTH(sizeof(*message));
	/* netlink aligns attributes as its messages, to 4 bytes */
	attribute = (struct rtattr *)((uintptr_t)message + NLMSG_ALIGN(sizeof(*message)));
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		if (attribute->rta_type == XDP_DIAG_INFO &&
		    RTA_PAYLOAD(attribute) >= sizeof(struct xdp_diag_info)) {
			struct xdp_diag_info info;

			memcpy(&info, RTA_DATA(attribute), sizeof(info));
			found.ifindex = info.ifindex;
		} else if (attribute->rta_type == XDP_DIAG_UID &&
			   RTA_PAYLOAD(attribute) >= sizeof(found.uid)) {
			memcpy(&found.uid, RTA_DATA(attribute), sizeof(found.uid));
		}
	}
	if (found.ifindex)
		HOLDERS_APPEND(nets->scan, nets->open, nets->open_count, found);
}

/* False when the answer is at its end, or broken off. */
static bool take_answer(struct net_scan *nets, const struct nlmsghdr *header, ssize_t length,
			bool *ret_ok)
{
	for (; NLMSG_OK(header, (size_t)length); header = NLMSG_NEXT(header, length)) {
		if (header->nlmsg_type == NLMSG_DONE) {
			*ret_ok = true;
			return false;
		}
		if (header->nlmsg_type == NLMSG_ERROR)
			return false;
		if (header->nlmsg_type == SOCK_DIAG_BY_FAMILY)
			add_xdp(nets, header);
	}
	return true;
}

static bool ask_xdp(struct net_scan *nets)
{
	AUTO_CLOSE int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
	struct {
		struct nlmsghdr header;
		struct xdp_diag_req request;
	} question = {
		.header = {.nlmsg_len = sizeof(question),
			   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.request = {.sdiag_family = AF_XDP, .xdiag_show = XDP_SHOW_INFO},
	};
	union {
		struct nlmsghdr header;
		char bytes[32768];
	} answer;
	bool is_ok = false;
	ssize_t length;

	if (fd < 0 || send(fd, &question, sizeof(question), 0) != (ssize_t)sizeof(question))
		return false;
	/* the kernel has a dump's next part ready whenever it is asked for; it never has to be
	 * waited for */
	do {
		length = recv(fd, &answer, sizeof(answer), 0);
	} while (length > 0 && take_answer(nets, &answer.header, length, &is_ok));
	return is_ok;
}

static void load_xdp(struct net_scan *nets)
{
	AUTO_FREE char *text = holders_read_net(nets, "protocols");
	struct protocol_line line = {.name = ""};
	char *cursor = text;

	/* asking loads a module; only when the kernel counts such sockets */
	while (text && protocol_next(&cursor, &line) && strcmp(line.name, "XDP") != 0)
		line.name = "";
	if (strcmp(line.name, "XDP") != 0 || !line.sockets)
		return;
	if (nets->scan->host->is_this_machine && nets->is_own && ask_xdp(nets))
		return;
	holders_unseen_netlink(nets, nets->is_own
					     ? "who has AF_XDP sockets (the kernel lacks xsk_diag)"
					     : "who has AF_XDP sockets");
}

/* ---- PPPoE sessions and CAN receivers: files of /proc, without the socket's number ---- */

static void add_net_user(struct net_scan *nets, const char *interface, const char *what,
			 const char *advice)
{
	HOLDERS_APPEND(nets->scan, nets->users, nets->user_count,
		       {.interface = holders_text(nets->scan, "%s", interface),
			.what = what,
			.advice = advice});
}

static void load_pppoe(struct net_scan *nets)
{
	AUTO_FREE char *text = holders_read_net(nets, "pppoe");
	struct pppoe_line line;
	char *cursor = text;

	while (text && pppoe_next(&cursor, &line))
		add_net_user(nets, line.interface,
			     holders_text(nets->scan, "PPPoE session %u with %s", line.session,
					  line.peer),
			     "poff -a");
}

static void add_receiver(struct net_scan *nets, const struct can_line *line)
{
	struct holder_scan *scan = nets->scan;
	const char *interface = holders_text(scan, "%s", line->interface);

	/* can-gw forwards frames inside the kernel; the others are sockets */
	if (!strcmp(line->receiver, "gw"))
		add_net_user(nets, interface, "CAN gateway", "cangw -F");
	else
		add_net_user(
			nets, interface, holders_text(scan, "CAN receiver (%s)", line->receiver),
			holders_text(scan, "ip link set %s down", holders_quote(scan, interface)));
}

static void load_can(struct net_scan *nets)
{
	/* by the sort of the filter */
	static const char *const lists[] = {"all", "fil", "inv", "sff", "eff", "err"};
	size_t i;

	for (i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		AUTO_FREE char *text = holders_read_net(
			nets, holders_text(nets->scan, "can/rcvlist_%s", lists[i]));
		struct can_line line;
		char *cursor = text;

		while (text && can_next(&cursor, &line))
			add_receiver(nets, &line);
	}
}

void holders_load_sockets(struct net_scan *nets)
{
	load_packet(nets);
	load_xdp(nets);
	load_pppoe(nets);
	load_can(nets);
}

void holders_read_sockets(struct net_scan *nets, size_t target, const char *interface,
			  const char *chain)
{
	struct holder_scan *scan = nets->scan;
	char text[16];
	uint64_t ifindex;
	size_t i;

	for (i = 0; i < nets->user_count; i++)
		if (!strcmp(nets->users[i].interface, interface))
			holders_add(scan, target, PT_HOLDER_SOCKET, 0, nets->users[i].what, chain,
				    nets->users[i].advice);
	if (!nets->open_count ||
	    !holders_read_file(scan, text, sizeof(text), "sys/class/net/%s/ifindex", interface) ||
	    text_parse_number(text, 10, INT32_MAX, &ifindex) < 0)
		return;
	for (i = 0; i < nets->open_count; i++) {
		const struct net_socket *open = &nets->open[i];

		if (open->ifindex == ifindex)
			HOLDERS_APPEND(scan, scan->sockets, scan->socket_count,
				       {.target = target,
					.inode = open->inode,
					.what = open->what,
					.through = chain,
					.uid = open->uid});
	}
}
