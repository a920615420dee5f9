/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <libudev.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "domain/machine/machine.h"

#define UDEV_LOOK_MS 5

static int open_named(struct pt_host *host, struct machine_tap *tap, int *ret_fd,
		      struct pt_error *err)
{
	AUTO_CLOSE int fd = openat(host->root_fd, "dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};

	if (tap->queues > 1)
		request.ifr_flags |= IFF_MULTI_QUEUE;
	if (fd < 0)
		return pt_fail(
			err, PT_SYSTEM, errno,
			"can't create a tap for the guest's interface: /dev/net/tun: %s (is the "
			"module tun loaded?)",
			strerror(errno));
	(void)text_copy(request.ifr_name, sizeof(request.ifr_name), tap->name);
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		return pt_fail(err, PT_SYSTEM, errno, "can't create or open tap %s: %s", tap->name,
			       strerror(errno));
	(void)text_copy(tap->name, sizeof(tap->name), request.ifr_name);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/*
 * udev gives a new interface an address of its own unless it sees that one was set
 * (MACAddressPolicy= in systemd.link(5)), and ours may be set between its look and its write. So
 * it goes first, where there is one.
 */
static void await_udev(struct pt_host *host, const char *name, int64_t until_ms)
{
	struct udev *udev = NULL;

	if (faccessat(host->root_fd, "run/udev/control", F_OK, 0) == 0)
		udev = udev_new();
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

static int set_mtu(int fd, const struct machine_tap *tap)
{
	struct ifreq request = {0};

	if (!tap->mtu)
		return 0;
	(void)text_copy(request.ifr_name, sizeof(request.ifr_name), tap->name);
	request.ifr_mtu = (int)tap->mtu;
	return ioctl(fd, SIOCSIFMTU, &request) < 0 ? -errno : 0;
}

static int set_mac(int fd, const struct machine_tap *tap)
{
	struct ifreq request = {.ifr_hwaddr.sa_family = ARPHRD_ETHER};

	if (!tap->has_mac)
		return 0;
	memcpy(request.ifr_hwaddr.sa_data, tap->mac, sizeof(tap->mac));
	(void)text_copy(request.ifr_name, sizeof(request.ifr_name), tap->name);
	return ioctl(fd, SIOCSIFHWADDR, &request) < 0 ? -errno : 0;
}

static int join_bridge(int fd, const struct machine_tap *tap)
{
	struct ifreq request = {0};

	if (!tap->bridge)
		return 0;
	if (!text_copy(request.ifr_name, sizeof(request.ifr_name), tap->bridge))
		return -ENODEV;
	request.ifr_ifindex = (int)if_nametoindex(tap->name);
	return ioctl(fd, SIOCBRADDIF, &request) < 0 ? -errno : 0;
}

static int bring_up(int fd, const struct machine_tap *tap)
{
	struct ifreq request = {0};

	(void)text_copy(request.ifr_name, sizeof(request.ifr_name), tap->name);
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return -errno;
	request.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

static int set_up(struct pt_host *host, const struct machine_tap *tap, int64_t udev_until_ms,
		  struct pt_error *err)
{
	AUTO_CLOSE int fd = -1;
	int r;

	await_udev(host, tap->name, udev_until_ms);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	r = fd < 0 ? -errno : set_mtu(fd, tap);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "can't set the MTU of tap %s: %s", tap->name,
			       strerror(-r));
	r = set_mac(fd, tap);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "can't set the MAC address of tap %s: %s",
			       tap->name, strerror(-r));
	r = join_bridge(fd, tap);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r,
			       "can't add tap %s to bridge %s: %s; does the bridge exist?",
			       tap->name, tap->bridge, strerror(-r));
	r = bring_up(fd, tap);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "can't bring up tap %s: %s", tap->name,
			       strerror(-r));
	return 0;
}

int machine_open_tap(struct pt_host *host, struct machine_tap *tap, int64_t udev_until_ms,
		     int *ret_fds, struct pt_error *err)
{
	unsigned int queues = machine_tap_queues(tap), opened = 0;
	int r = 0;

	if (tap->link)
		return machine_open_macvtap(host, tap, ret_fds, err);
	/* the first has chosen the name for the others */
	for (; r == 0 && opened < queues; opened += r == 0)
		r = open_named(host, tap, &ret_fds[opened], err);
	if (!r && !tap->is_set_up)
		r = set_up(host, tap, udev_until_ms, err);
	while (r < 0 && opened)
		close(ret_fds[--opened]);
	return r;
}
