/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes, guests, consoles and VFs: who holds a function that has no disks. */
#include "holders_tree.h"

#include <sys/resource.h>

#define NETWORK DIRECTORY "/net/eth0"

/* ---- processes ---- */

static void make_gpu(void)
{
	tree_function(DEVICE, "0x030000", "amdgpu");
	tree_node(DIRECTORY "/drm/card0", "drm", 226, 0, "dri/card0");
	tree_node(DIRECTORY "/drm/renderD128", "drm", 226, 128, "dri/renderD128");
	tree_device(DIRECTORY "/drm/card0/card0-DP-1", "drm", "DEVTYPE=drm_connector");
	tree_process(1, "systemd", "/dev/null");
}

static void idle_gpu(void **state)
{
	(void)state;
	make_gpu();
	tree_process(40, "reader", "/srv/dev/dri/card0");
	tree_expect(DEVICE, NULL);
}

static void display_server(void **state)
{
	(void)state;
	make_gpu();
	tree_process(812, "Xorg", "/dev/dri/card0");
	tree_process(900, "ha\nha\033[2J", "/dev/dri/card0");
	tree_put("proc/812/cgroup", "0::/system.slice/gdm.service");
	tree_expect(DEVICE, "process|Xorg (pid 812)|/dev/dri/card0|systemctl stop gdm.service",
		    "process|ha ha?[2J (pid 900)|/dev/dri/card0|kill 900", NULL);
}

/* One process is one holder, however many nodes it has open. */
static void many_nodes(void **state)
{
	char found[4096];

	(void)state;
	make_gpu();
	tree_process(812, "Xorg", "/dev/dri/card0");
	tree_process(812, "Xorg", "/dev/dri/card0");
	tree_process(812, "Xorg", "/dev/dri/renderD128");
	tree_put("proc/812/cgroup", "0::/user.slice/user-1000.slice/session-2.scope");
	tree_read(DEVICE, found, sizeof(found));
	/* in the order of the directory */
	if (!strstr(found, "|/dev/dri/renderD128, /dev/dri/card0|"))
		assert_string_equal(found, "process|Xorg (pid 812)|/dev/dri/card0, "
					   "/dev/dri/renderD128|kill 812\n");
	assert_non_null(strstr(found, "|kill 812\n"));
}

static void nvidia(void **state)
{
	(void)state;
	tree_function(DEVICE, "0x030000", "nvidia");
	tree_process(1, "systemd", "/dev/null");
	tree_put("proc/driver/nvidia/gpus/" DEVICE "/information",
		 "Model: \t\t A100\nIRQ:   \t\t 77\nDevice Minor: \t 2\nGPU Excluded:\t No");
	tree_process(55, "python3", "/dev/nvidia2");
	tree_process(56, "other", "/dev/nvidia1");
	tree_expect(DEVICE, "process|python3 (pid 55)|/dev/nvidia2|kill 55", NULL);
}

static void audio_and_input(void **state)
{
	(void)state;
	tree_function(DEVICE, "0x0c0330", "xhci_hcd");
	tree_process(1, "systemd", "/dev/null");
	tree_node(DIRECTORY "/usb1/1-1/1-1:1.0/0003:046D:C31C.0001/input/input5/event5", "input",
		  13, 69, "input/event5");
	tree_node(DIRECTORY "/usb1/1-1/1-1:1.0/0003:046D:C31C.0001/hidraw/hidraw0", "hidraw", 239,
		  0, "hidraw0");
	tree_node(DIRECTORY "/usb1/1-2/1-2:1.0/sound/card1/pcmC1D0p", "sound", 116, 2,
		  "snd/pcmC1D0p");
	tree_node(DIRECTORY "/usb1/1-2", "usb", 189, 3, "bus/usb/001/004");
	/* a keyboard that nobody reads, or that logind watches for its power key, holds nothing */
	tree_process(600, "systemd-logind", "/dev/input/event5");
	tree_process(601, "(udev-worker)", "/dev/hidraw0");
	tree_expect(DEVICE, NULL);
	tree_process(700, "mpv", "/dev/snd/pcmC1D0p");
	tree_process(701, "Xorg", "/dev/input/event5");
	tree_process(702, "qemu-system-x86", "/dev/bus/usb/001/004");
	tree_process(703, "systemd-logind", "/dev/hidraw0");
	tree_expect(DEVICE, "process|Xorg (pid 701)|/dev/input/event5|kill 701",
		    "process|mpv (pid 700)|/dev/snd/pcmC1D0p|kill 700",
		    "process|qemu-system-x86 (pid 702)|/dev/bus/usb/001/004|kill 702",
		    "process|systemd-logind (pid 703)|/dev/hidraw0|kill 703", NULL);
}

/* BARs through sysfs, without a node: open, or mapped and closed. */
static void bars(void **state)
{
	static const char path[] = "/sys/devices/pci0000:00/0000:00:1c.0/" DEVICE "/resource";
	char text[TREE_LINE];

	(void)state;
	tree_function(DEVICE, "0x020000", "igb_uio");
	tree_put(DIRECTORY "/resource2", "");
	tree_process(1, "systemd", "/dev/null");
	tree_format(text, "%s", path);
	tree_process(30, "lspci", text);
	tree_process(31, "other", "/sys/devices/pci0000:00/0000:01:00.1/resource0");
	tree_put("proc/31/maps", "7f00-7f01 rw-s 00000000 00:15 1     /srv/x/resource0\n"
				 "7f00-7f01 rw-s 00000000 00:15 1     /sys/0000:00:1c.0/resource0");
	tree_expect(DEVICE, NULL);
	tree_format(text, "%s2", path);
	tree_process(40, "flashrom", text);
	tree_process(41, "dpdk", "/dev/null");
	tree_format(text,
		    "7f00-7f01 r-xp 00000000 fe:01 77          /usr/bin/dpdk\n"
		    "7f00-7f01 rw-s 00000000 00:15 1           %s2_wc\n"
		    "7f00-7f01 rw-p 00000000 00:00 0           [stack]",
		    path);
	tree_put("proc/41/maps", text);
	tree_expect(DEVICE, "process|dpdk (pid 41)|BAR 2 (resource2 in sysfs)|kill 41",
		    "process|flashrom (pid 40)|BAR 2 (resource2 in sysfs)|kill 40", NULL);
}

/* A node that is mapped is in use, although it is closed. */
static void mapped_node(void **state)
{
	(void)state;
	make_gpu();
	tree_process(50, "game", "/dev/null");
	tree_put("proc/50/maps", "7f00-7f01 rw-s 00000000 00:06 300   /dev/dri/renderD128\n"
				 "7f01-7f02 rw-s 00001000 00:06 300   /dev/dri/renderD128\n"
				 "7f02-7f03 rw-s 00001000 00:06 300   /dev/dri/renderD129");
	tree_expect(DEVICE, "process|game (pid 50)|/dev/dri/renderD128|kill 50", NULL);
}

/* Descriptor tables that /proc/PID/fd doesn't show: of a thread, and of an io_uring. */
static void other_tables(void **state)
{
	(void)state;
	make_gpu();
	tree_process(50, "thread", "/dev/null");
	tree_link_text("proc/50/task/50/fd/3", "/dev/null");
	tree_link_text("proc/50/task/51/fd/3", "/dev/dri/card0");
	tree_process(60, "ring", "/dev/null");
	tree_link_text("proc/60/fd/5", "anon_inode:[io_uring]");
	tree_put("proc/60/fdinfo/5", "pos:\t0\nSqMask:\t0x7\nUserFiles:\t3\n    0: /dev/null\n"
				     "    2: /dev/dri/renderD128\nUserBufs:\t0");
	tree_process(61, "older", "/dev/null");
	tree_link_text("proc/61/fd/5", "anon_inode:[io_uring]");
	tree_put("proc/61/fdinfo/5", "UserFiles:\t2\n    0: <none>\n    1: card0\nUserBufs:\t0");
	tree_process(62, "none", "/dev/null");
	tree_link_text("proc/62/fd/5", "anon_inode:[io_uring]");
	tree_put("proc/62/fdinfo/5", "UserFiles:\t0\nUserBufs:\t1\n    0: card0");
	tree_expect(DEVICE, "process|older (pid 61)|/dev/dri/card0|kill 61",
		    "process|ring (pid 60)|/dev/dri/renderD128|kill 60",
		    "process|thread (pid 50)|/dev/dri/card0|kill 50", NULL);
}

/* A process whose mappings can't be read may have one of the device. */
static void unread_mappings(void **state)
{
	(void)state;
	tree_function(DEVICE, "0x020000", "igb_uio");
	tree_put(DIRECTORY "/resource0", "");
	tree_process(1, "systemd", "/dev/null");
	tree_directory("proc/1/maps");
	tree_expect(DEVICE, "incomplete", NULL);
}

/* Reading maps waits for as long as a thread hangs in the kernel: for this long, no longer. */
static void hanging_process(void **state)
{
	char path[TREE_LINE];
	int fd;

	(void)state;
	tree_function(DEVICE, "0x020000", "igb_uio");
	tree_put(DIRECTORY "/resource0", "");
	tree_process(1, "systemd", "/dev/null");
	tree_process(50, "hangs", "/dev/null");
	tree_path(path, "proc/50/maps");
	assert_int_equal(mkfifo(path, 0600), 0);
	tree_expect(DEVICE, "incomplete", NULL);
	/* let the helper end */
	fd = open(path, O_WRONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
}

/* A USB device that another machine uses. */
static void usbip(void **state)
{
	(void)state;
	tree_function(DEVICE, "0x0c0330", "xhci_hcd");
	tree_process(1, "systemd", "/dev/null");
	tree_node(DIRECTORY "/usb1/1-2", "usb", 189, 3, "bus/usb/001/004");
	tree_link(DIRECTORY "/usb1/1-2/driver", "sys/bus/usb/drivers/usb");
	tree_expect(DEVICE, NULL);
	tree_remove(DIRECTORY "/usb1/1-2/driver");
	tree_link(DIRECTORY "/usb1/1-2/driver", "sys/bus/usb/drivers/usbip-host");
	tree_expect(DEVICE, "storage|USB device 1-2, exported by usbip-host||usbip unbind -b 1-2",
		    NULL);
}

/* Where process 1 isn't to be seen, others aren't either. */
static void unseen_processes(void **state)
{
	(void)state;
	make_gpu();
	tree_link_text("proc/self", "1");
	tree_link_text("proc/1/ns/pid", "pid:[4026531836]");
	tree_expect(DEVICE, NULL);
	tree_remove("proc/1/ns/pid");
	tree_link_text("proc/1/ns/pid", "pid:[4026532000]");
	tree_expect(DEVICE, "incomplete", NULL);
	tree_remove("proc/1/ns/pid");
	tree_expect(DEVICE, NULL);
	tree_rename("proc/1", "proc/2");
	tree_expect(DEVICE, "incomplete", NULL);
}

/* ---- guests ---- */

static void make_group(void)
{
	tree_function(DEVICE, "0x020000", "vfio-pci");
	tree_function("0000:01:00.1", "0x020000", "vfio-pci");
	tree_link(DIRECTORY "/iommu_group", "sys/kernel/iommu_groups/7");
	tree_link("sys/devices/pci0000:00/0000:01:00.1/iommu_group", "sys/kernel/iommu_groups/7");
	tree_link("sys/kernel/iommu_groups/7/devices/" DEVICE, DIRECTORY);
	tree_link("sys/kernel/iommu_groups/7/devices/0000:01:00.1",
		  "sys/devices/pci0000:00/0000:01:00.1");
	tree_node("sys/devices/virtual/vfio/7", "vfio", 511, 0, "vfio/7");
	tree_process(1, "systemd", "/dev/null");
}

static void put_command_line(int pid, const char *command_line, size_t size)
{
	char path[TREE_LINE], name[TREE_LINE];

	tree_format(name, "proc/%d/cmdline", pid);
	tree_path(path, name);
	assert_int_equal(io_replace_at(AT_FDCWD, path, command_line, size, 0644), 0);
}

static void guest_by_group(void **state)
{
	static const char line[] = "qemu\0-name\0guest=web,debug-threads=on\0-m\0001G";
	static const char plain[] = "qemu\0-m\0001G\0-name";

	(void)state;
	make_group();
	tree_expect(DEVICE, NULL);
	tree_process(90, "qemu-system-x86", "/dev/vfio/7");
	put_command_line(90, line, sizeof(line));
	tree_process(91, "dpdk-testpmd", "/dev/vfio/7");
	put_command_line(91, plain, sizeof(plain));
	tree_process(92, "else", "/dev/vfio/70");
	tree_expect("0000:01:00.1", "guest|dpdk-testpmd (pid 91)|IOMMU group 7|kill 91",
		    "guest|guest web (qemu-system-x86, pid 90)|IOMMU group 7|shut down guest web",
		    NULL);
}

/* Linux 6.6 and later: each device has a node; an open one is an open group. */
static void guest_by_device(void **state)
{
	(void)state;
	make_group();
	tree_node(DIRECTORY "/vfio-dev/vfio3", "vfio-dev", 510, 3, "vfio/devices/vfio3");
	tree_process(90, "qemu-system-x86", "/dev/vfio/devices/vfio3");
	tree_expect(DEVICE, "guest|qemu-system-x86 (pid 90)|/dev/vfio/devices/vfio3|kill 90", NULL);
	tree_expect("0000:01:00.1", "guest|qemu-system-x86 (pid 90)|IOMMU group 7|kill 90", NULL);
}

/* A guest that has a mediated device opens its group, not the parent's. */
static void guest_by_mdev(void **state)
{
	static const char mdev[] = DIRECTORY "/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
	char name[TREE_LINE];

	(void)state;
	tree_function(DEVICE, "0x030000", "i915");
	tree_device(mdev, "mdev", "DRIVER=vfio_mdev");
	tree_format(name, "%s/iommu_group", mdev);
	tree_link(name, "sys/kernel/iommu_groups/77");
	tree_node("sys/devices/virtual/vfio/77", "vfio", 511, 4, "vfio/77");
	tree_process(1, "systemd", "/dev/null");
	tree_expect(DEVICE, NULL);
	tree_process(90, "qemu-system-x86", "/dev/vfio/77");
	tree_expect(DEVICE,
		    "guest|qemu-system-x86 (pid 90)|83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 > "
		    "IOMMU group 77|kill 90",
		    NULL);
}

/* ---- consoles ---- */

static void make_console(const char *name, const char *driver, const char *bind)
{
	char path[TREE_LINE];

	tree_format(path, "sys/class/vtconsole/%s/name", name);
	tree_put(path, driver);
	tree_format(path, "sys/class/vtconsole/%s/bind", name);
	tree_put(path, bind);
}

static void text_console(void **state)
{
	(void)state;
	make_gpu();
	tree_node(DIRECTORY "/graphics/fb0", "graphics", 29, 0, "fb0");
	make_console("vtcon0", "(S) dummy device", "0");
	make_console("vtcon1", "(M) frame buffer device", "1");
	tree_expect(DEVICE,
		    "console|text console|/dev/fb0|echo 0 > /sys/class/vtconsole/vtcon1/bind",
		    NULL);
	make_console("vtcon1", "(M) frame buffer device", "0");
	tree_expect(DEVICE, NULL);
}

/* The console draws on the first frame buffer, which is another card's. */
static void second_framebuffer(void **state)
{
	(void)state;
	make_gpu();
	tree_node("sys/devices/pci0000:00/0000:02:00.0/graphics/fb0", "graphics", 29, 0, "fb0");
	tree_node(DIRECTORY "/graphics/fb1", "graphics", 29, 1, "fb1");
	make_console("vtcon1", "(M) frame buffer device", "1");
	tree_expect(DEVICE, NULL);
}

static void vga_console(void **state)
{
	(void)state;
	tree_function(DEVICE, "0x030000", NULL);
	tree_put(DIRECTORY "/boot_vga", "1");
	make_console("vtcon0", "(S) VGA+", "1");
	tree_expect(DEVICE,
		    "console|text console|boot display|echo 0 > /sys/class/vtconsole/vtcon0/bind",
		    NULL);
	tree_put(DIRECTORY "/boot_vga", "0");
	tree_expect(DEVICE, NULL);
}

static void boot_framebuffer(void **state)
{
	(void)state;
	tree_function(DEVICE, "0x030000", NULL);
	tree_put(DIRECTORY "/resource", "0x00000000fd000000 0x00000000fdffffff 0x0000000000042208\n"
					"0x0000000000000000 0x0000000000000000 0x0000000000000000");
	tree_put("proc/iomem", "c0000000-febfffff : PCI Bus 0000:00\n"
			       "  fd000000-fdffffff : " DEVICE "\n"
			       "    fd000000-fd2fffff : BOOTFB");
	tree_expect(DEVICE,
		    "console|boot framebuffer (BOOTFB)||boot with initcall_blacklist=sysfb_init",
		    NULL);
	tree_put("proc/iomem", "c0000000-febfffff : PCI Bus 0000:00\n"
			       "  e0000000-e02fffff : efifb");
	tree_expect(DEVICE, NULL);
	tree_put("proc/iomem", "    fd000000-fd2fffff : efifb");
	tree_put("sys/bus/platform/devices/efi-framebuffer.0/driver/module", "");
	tree_expect(DEVICE,
		    "console|boot framebuffer (efifb)||echo efi-framebuffer.0 > "
		    "/sys/bus/platform/devices/efi-framebuffer.0/driver/unbind",
		    NULL);
	tree_put("proc/iomem", "00000000-00000000 : BOOTFB");
	tree_expect(DEVICE, "incomplete", NULL);
}

static void serial_console(void **state)
{
	(void)state;
	tree_function(DEVICE, "0x070002", "serial");
	tree_node(DIRECTORY "/tty/ttyS4", "tty", 4, 68, "ttyS4");
	tree_process(1, "systemd", "/dev/null");
	tree_put("proc/consoles", "tty0                 -WU (EC  p  )    4:7\n"
				  "netcon0              -W- (E     a)");
	tree_expect(DEVICE, NULL);
	tree_put("proc/consoles", "ttyS4                -W- (EC  p a)    4:68");
	tree_expect(DEVICE, "console|kernel console ttyS4|/dev/ttyS4|boot without console=ttyS4",
		    NULL);
}

/* ---- virtual functions ---- */

static void make_vf(unsigned int number, const char *address, const char *driver)
{
	char name[TREE_LINE], target[TREE_LINE];

	tree_function(address, "0x020000", driver);
	tree_format(name, DIRECTORY "/virtfn%u", number);
	tree_format(target, "sys/devices/pci0000:00/%s", address);
	tree_link(name, target);
}

static void virtual_functions(void **state)
{
	(void)state;
	tree_function(DEVICE, "0x020000", "vfio-pci");
	/* no sriov_numvfs here: reading it can hang */
	tree_process(1, "systemd", "/dev/null");
	tree_expect(DEVICE, NULL);
	make_vf(0, "0000:01:10.0", "igbvf");
	make_vf(1, "0000:01:10.2", "vfio-pci");
	make_vf(2, "0000:01:10.4", NULL);
	make_interface("sys/devices/pci0000:00/0000:01:10.0/net/eth4", "0x1003", "8");
	put_ipv4("eth4");
	tree_link("sys/devices/pci0000:00/0000:01:10.2/iommu_group", "sys/kernel/iommu_groups/9");
	tree_node("sys/devices/virtual/vfio/9", "vfio", 511, 1, "vfio/9");
	tree_process(90, "qemu-system-x86", "/dev/vfio/9");
	tree_expect(
		DEVICE,
		"network|eth4 (10.0.2.15, default route)|VF 0000:01:10.0|ip link set eth4 down",
		"vf|3 VFs, 0000:01:10.0 on igbvf, 0000:01:10.2 on vfio-pci, 1 without a driver||"
		"echo 0 > /sys/bus/pci/devices/" DEVICE "/sriov_numvfs",
		"guest|qemu-system-x86 (pid 90)|VF 0000:01:10.2 > IOMMU group 9|kill 90", NULL);
	/* the VF's own holders */
	tree_expect("0000:01:10.2", "guest|qemu-system-x86 (pid 90)|IOMMU group 9|kill 90", NULL);
}

static void many_virtual_functions(void **state)
{
	char address[PT_ADDRESS_TEXT], found[4096];
	unsigned int i;

	(void)state;
	tree_function(DEVICE, "0x020000", "igb");
	make_interface(NETWORK, "0x1002", "3");
	for (i = 0; i < 20; i++) {
		(void)snprintf(address, sizeof(address), "0000:01:%02x.0", i + 1);
		make_vf(i, address, i < 10 ? "vfio-pci" : NULL);
	}
	tree_read(DEVICE, found, sizeof(found));
	assert_non_null(strstr(found, "0000:01:08.0 on vfio-pci, 2 more on drivers, "
				      "10 without a driver|"));
}

/* ---- the calls ---- */

static void bridges_and_strangers(void **state)
{
	const struct pt_address address = {.bus = 1};
	struct pt_holders *holders = NULL;
	struct pt_host *host;
	struct pt_error err;

	(void)state;
	tree_directory("sys/bus/pci/devices");
	assert_int_equal(pt_host_new(tree, &host, &err), 0);
	assert_int_equal(pt_holders_read(host, &address, &holders, &err), -ENODEV);
	assert_int_equal(err.reason, PT_NO_DEVICE);
	assert_null(holders);
	pt_host_free(host);
	pt_holders_free(NULL);
	/* below a bridge are other functions, which are asked for themselves */
	tree_function(DEVICE, "0x060400", "pcieport");
	tree_node(DIRECTORY "/0000:02:00.0/drm/card0", "drm", 226, 0, "dri/card0");
	tree_process(1, "systemd", "/dev/dri/card0");
	tree_expect(DEVICE, NULL);
}

/* Several functions in one scan: each gets its own. */
static void together(void **state)
{
	const struct pt_address addresses[] = {{.bus = 1}, {.bus = 2}, {.bus = 3}};
	struct pt_holders *lists[3] = {NULL};
	struct pt_host *host;
	struct pt_error err;
	size_t i;

	(void)state;
	make_gpu();
	tree_function("0000:02:00.0", "0x030000", "amdgpu");
	tree_node("sys/devices/pci0000:00/0000:02:00.0/drm/card1", "drm", 226, 1, "dri/card1");
	tree_process(812, "Xorg", "/dev/dri/card1");
	assert_int_equal(pt_host_new(tree, &host, &err), 0);
	/* all or none */
	assert_int_equal(holders_read_many(host, addresses, 3, lists, &err), -ENODEV);
	assert_null(lists[0]);
	tree_function("0000:03:00.0", "0x010802", NULL);
	assert_int_equal(holders_read_many(host, addresses, 3, lists, &err), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(pt_holders_count(lists[i]), i == 1);
		assert_true(pt_holders_is_complete(lists[i]));
		pt_holders_free(lists[i]);
	}
	pt_host_free(host);
}

/* What can't be looked at for want of descriptors is not what nobody has. */
static void without_descriptors(void **state)
{
	const struct pt_address address = {.bus = 1};
	unsigned int failed = 0, found = 0;
	struct rlimit before, few;
	struct pt_host *host;
	int lowest;

	(void)state;
	make_gpu();
	tree_process(812, "Xorg", "/dev/dri/card0");
	assert_int_equal(pt_host_new(tree, &host, NULL), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	lowest = open("/", O_PATH | O_CLOEXEC);
	close(lowest);
	few = before;
	for (rlim_t more = 0; more < 8; more++) {
		struct pt_holders *holders = NULL;
		struct pt_error err;
		int r;

		few.rlim_cur = (rlim_t)lowest + more;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		r = pt_holders_read(host, &address, &holders, &err);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		if (r < 0) {
			assert_int_equal(r, -EMFILE);
			assert_string_equal(err.message,
					    "looking for holders: Too many open files");
			failed++;
			continue;
		}
		assert_int_equal(pt_holders_count(holders), 1);
		pt_holders_free(holders);
		found++;
	}
	/* as deep as the directories are */
	assert_in_range(failed, 2, 6);
	assert_int_equal(failed + found, 8);
	pt_host_free(host);
}

static void kind_names(void **state)
{
	int kind;

	(void)state;
	assert_string_equal(pt_holder_kind_name(PT_HOLDER_FILESYSTEM), "filesystem");
	assert_string_equal(pt_holder_kind_name(PT_HOLDER_GUEST), "guest");
	/* beyond the kinds there are as well */
	for (kind = -2; kind <= PT_HOLDER_GUEST + 2; kind++) {
		enum pt_holder_kind value;

		memcpy(&value, &kind, sizeof(value));
		assert_int_equal(!strcmp(pt_holder_kind_name(value), "unknown"),
				 kind < 0 || kind > PT_HOLDER_GUEST);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TREE_TEST(idle_gpu),
		TREE_TEST(display_server),

		TREE_TEST(many_nodes),
		TREE_TEST(nvidia),
		TREE_TEST(audio_and_input),
		TREE_TEST(bars),
		TREE_TEST(other_tables),
		TREE_TEST(unread_mappings),
		TREE_TEST(mapped_node),
		TREE_TEST(hanging_process),
		TREE_TEST(usbip),
		TREE_TEST(unseen_processes),
		TREE_TEST(guest_by_group),
		TREE_TEST(guest_by_device),
		TREE_TEST(guest_by_mdev),
		TREE_TEST(text_console),
		TREE_TEST(second_framebuffer),
		TREE_TEST(vga_console),
		TREE_TEST(boot_framebuffer),
		TREE_TEST(serial_console),
		TREE_TEST(virtual_functions),
		TREE_TEST(many_virtual_functions),
		TREE_TEST(bridges_and_strangers),
		TREE_TEST(together),
		TREE_TEST(without_descriptors),
		cmocka_unit_test(kind_names),
	};

	return cmocka_run_group_tests_name("holders", tests, NULL, NULL);
}
