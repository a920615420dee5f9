/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taps of a guest: its interfaces' other ends on the host (Documentation/networking/tuntap.rst). */
#include <fcntl.h>
#include <libudev.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/text.h"
#include "domain/resources/bridge.h"
#include "domain/resources/resources.h"
#include "domain/definition/xml_node.h"

/* So long udev may take to handle a guest's taps; it takes milliseconds where nothing is wrong. */
#define UDEV_MS	     5000
#define UDEV_LOOK_MS 5

static bool has_tap(const xmlNode *interface)
{
	return node_has(interface, "type", "bridge") || node_has(interface, "type", "network") ||
	       node_has(interface, "type", "ethernet");
}

static int name_of(const xmlNode *interface, struct ifreq *request, struct pt_error *err)
{
	const char *name = node_get(interface, "target@dev");

	/* the kernel fills in the number */
	if (text_copy(request->ifr_name, sizeof(request->ifr_name), name ? name : "vnet%d"))
		return 0;
	return pt_fail(
		err, PT_INVALID, EINVAL,
		"domain/devices/interface/target@dev '%.100s' is longer than 15 bytes (line %ld)",
		name, xmlGetLineNo(interface));
}

static int open_tap(const xmlNode *interface, struct ifreq *request, int *ret_fd,
		    struct pt_error *err)
{
	AUTO_CLOSE int fd = -1;
	int r = name_of(interface, request, err);

	if (r < 0)
		return r;
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return pt_fail(
			err, PT_SYSTEM, errno,
			"/dev/net/tun: %s: no tap for the guest's interface (is the module tun "
			"loaded?)",
			strerror(errno));
	request->ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	if (ioctl(fd, TUNSETIFF, request) < 0)
		return pt_fail(err, PT_SYSTEM, errno, "the tap %s can't be made or opened: %s",
			       request->ifr_name, strerror(errno));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/*
 * udev gives a new interface an address of its own unless it sees that one was set
 * (MACAddressPolicy= in systemd.link(5)), and ours may be set between its look and its write. So
 * it goes first, where there is one.
 */
static void await_udev(const char *name, int64_t until_ms)
{
	struct udev *udev = access("/run/udev/control", F_OK) == 0 ? udev_new() : NULL;

	if (!udev)
		return;
	while (clock_now_ms() < until_ms) {
		struct udev_device *device =
			udev_device_new_from_subsystem_sysname(udev, "net", name);
		bool is_handled = !device || udev_device_get_is_initialized(device) > 0;

		(void)udev_device_unref(device);
		if (is_handled)
			break;
		clock_sleep_ms(UDEV_LOOK_MS);
	}
	(void)udev_unref(udev);
}

static int set_mtu(int fd, const char *name, const xmlNode *interface)
{
	struct ifreq request = {0};
	uint64_t size;

	if (node_number(node_child(interface, "mtu"), "size", 65535, &size) < 0)
		return 0;
	(void)text_copy(request.ifr_name, sizeof(request.ifr_name), name);
	request.ifr_mtu = (int)size;
	return ioctl(fd, SIOCSIFMTU, &request) < 0 ? -errno : 0;
}

/*
 * A bridge without an address of its own takes the lowest of its ports': it would change with each
 * guest, and the host's own connections with it. As libvirt does, the tap gets the guest's with
 * the highest first byte there is for that (fe: locally administered, to one receiver).
 */
static int set_mac(int fd, const char *name, const xmlNode *interface)
{
	struct ifreq request = {.ifr_hwaddr.sa_family = ARPHRD_ETHER};
	unsigned char *mac = (unsigned char *)request.ifr_hwaddr.sa_data;
	const char *text = node_get(interface, "mac@address");

	if (!text || sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &mac[0], &mac[1], &mac[2],
			    &mac[3], &mac[4], &mac[5]) != 6)
		return 0;
	mac[0] = 0xfe;
	(void)text_copy(request.ifr_name, sizeof(request.ifr_name), name);
	return ioctl(fd, SIOCSIFHWADDR, &request) < 0 ? -errno : 0;
}

static int join_bridge(int fd, const char *name, const char *bridge)
{
	struct ifreq request = {0};

	if (!bridge)
		return 0;
	if (!text_copy(request.ifr_name, sizeof(request.ifr_name), bridge))
		return -ENODEV;
	request.ifr_ifindex = (int)if_nametoindex(name);
	return ioctl(fd, SIOCBRADDIF, &request) < 0 ? -errno : 0;
}

static int bring_up(int fd, const char *name)
{
	struct ifreq request = {0};

	(void)text_copy(request.ifr_name, sizeof(request.ifr_name), name);
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return -errno;
	request.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

/* What a tap of ours gets; one that someone else manages (managed='no') has it already. */
static int set_up(const xmlNode *interface, const char *name, int64_t udev_until_ms,
		  struct pt_error *err)
{
	const char *bridge = node_get(interface, "source@bridge");
	AUTO_CLOSE int fd = -1;
	int r;

	if (node_says(interface, "target@managed", "no"))
		return 0;
	await_udev(name, udev_until_ms);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	r = fd < 0 ? -errno : set_mtu(fd, name, interface);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "the tap %s can't have its mtu: %s", name,
			       strerror(-r));
	r = set_mac(fd, name, interface);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "the tap %s can't have its MAC address: %s",
			       name, strerror(-r));
	r = join_bridge(fd, name, bridge);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r,
			       "the tap %s can't be put on the bridge %s: %s; does it exist?", name,
			       bridge, strerror(-r));
	r = bring_up(fd, name);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "the tap %s can't be brought up: %s", name,
			       strerror(-r));
	return 0;
}

static int remember_name(xmlNode *interface, const char *name)
{
	xmlNode *target = node_child(interface, "target");

	if (!target)
		target = node_add(interface, "target", NULL);
	return target ? node_set(target, "dev", name) : -ENOMEM;
}

/* The kernel's own half of virtio-net, unless another one is asked for; without it QEMU's does. */
static int open_vhost(const xmlNode *interface)
{
	const char *model = node_get(interface, "model@type");

	if (node_says(interface, "driver@name", "qemu") ||
	    (model && strncmp(model, "virtio", 6) != 0))
		return -1;
	return open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
}

/* A network's bridge stands in the live copy, where libvirt has it too. */
static int settle_bridge(xmlNode *interface, struct pt_error *err)
{
	xmlNode *source = node_child(interface, "source");
	char bridge[IF_NAMESIZE];
	int r;

	if (!node_has(interface, "type", "network"))
		return 0;
	r = live_find_bridge(node_attribute(source, "network"), bridge, err);
	if (r < 0)
		return r;
	return node_set(source, "bridge", bridge) < 0 ? pt_fail_memory(err) : 0;
}

static int add_tap(xmlNode *interface, int64_t udev_until_ms, struct command_line_tap *tap,
		   struct pt_error *err)
{
	struct ifreq request = {0};
	AUTO_CLOSE int fd = -1;
	int r = settle_bridge(interface, err);

	if (r == 0)
		r = open_tap(interface, &request, &fd, err);
	if (r == 0)
		r = set_up(interface, request.ifr_name, udev_until_ms, err);
	if (r < 0)
		return r;
	if (remember_name(interface, request.ifr_name) < 0)
		return pt_fail_memory(err);
	*tap = (struct command_line_tap){
		.alias = node_get(interface, "alias@name"),
		.fd = TAKE_FD(fd),
		.vhost_fd = open_vhost(interface),
	};
	if (tap->vhost_fd < 0 && node_says(interface, "driver@name", "vhost"))
		return pt_fail(err, PT_SYSTEM, errno,
			       "domain/devices/interface/driver@name='vhost': /dev/vhost-net: %s",
			       strerror(errno));
	return 0;
}

void live_close_taps(struct command_line_tap *taps, size_t count)
{
	for (size_t i = 0; taps && i < count; i++) {
		close(taps[i].fd);
		if (taps[i].vhost_fd >= 0)
			close(taps[i].vhost_fd);
	}
	free(taps);
}

int live_open_taps(struct definition *live, struct command_line_tap **ret_taps, size_t *ret_count,
		   struct pt_error *err)
{
	xmlNode *devices = node_child(definition_root(live), "devices");
	int64_t udev_until_ms = clock_now_ms() + UDEV_MS;
	struct command_line_tap *taps;
	size_t count = 0;

	taps = calloc(xmlChildElementCount(devices) + 1, sizeof(*taps));
	if (!taps)
		return pt_fail_memory(err);
	for (xmlNode *at = node_child(devices, "interface"); at; at = node_next(at, "interface")) {
		struct command_line_tap tap = {.fd = -1, .vhost_fd = -1};
		int r;

		if (!has_tap(at))
			continue;
		r = add_tap(at, udev_until_ms, &tap, err);
		if (tap.fd >= 0)
			taps[count++] = tap;
		if (r < 0) {
			live_close_taps(taps, count);
			return r;
		}
	}
	*ret_taps = taps;
	*ret_count = count;
	return 0;
}
