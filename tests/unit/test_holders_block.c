/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is built on the disks of a function, and is mounted or swapped on. */
#include "holders_tree.h"

#define DISKS "sys/devices/virtual/block/"

/* An NVMe with two partitions; the host's own root is elsewhere. */
/* A device above @lower, "dm-0" say. */
static void make_layer(const char *name, const char *lower, unsigned int major, unsigned int minor)
{
	char path[TREE_LINE], target[TREE_LINE];

	tree_format(target, DISKS "%s", name);
	if (!tree_exists(target))
		tree_block(target, major, minor);
	tree_format(path, "%s/holders/%s", lower, name);
	tree_link(path, target);
}

static void clean_disk(void **state)
{
	(void)state;
	make_disk();
	put_mounts("");
	tree_expect(DEVICE, NULL);
}

static void mounted_partitions(void **state)
{
	(void)state;
	make_disk();
	put_mounts("30 22 259:1 / /srv rw - ext4 /dev/nvme0n1p1 rw\n"
		   "31 22 259:2 / /my\\040data rw master:1 - xfs /dev/nvme0n1p2 rw\n"
		   "32 22 259:1 /sub /bind rw - ext4 /dev/nvme0n1p1 rw\n"
		   "33 22 259:1 / /bell\\007 rw - ext4 /dev/nvme0n1p1 rw");
	tree_expect(DEVICE, "filesystem|/bell?|nvme0n1p1|umount '/bell?'",
		    "filesystem|/bind|nvme0n1p1|umount /bind",
		    "filesystem|/my data|nvme0n1p2|umount '/my data'",
		    "filesystem|/srv|nvme0n1p1|umount /srv", NULL);
}

/* Nothing frees the device that the host runs from, so there is no advice. */
static void mounted_root(void **state)
{
	(void)state;
	make_disk();
	tree_put("proc/1/mountinfo", "22 1 259:1 / / rw - ext4 /dev/nvme0n1p1 rw");
	tree_expect(DEVICE, "filesystem|/|nvme0n1p1|", NULL);
}

static void mountinfo_of_self(void **state)
{
	(void)state;
	make_disk();
	tree_put("proc/self/mountinfo", "22 1 259:0 / /x rw - ext4 /dev/nvme0n1 rw");
	tree_expect(DEVICE, "filesystem|/x|nvme0n1|umount /x", NULL);
}

static void no_mountinfo(void **state)
{
	(void)state;
	make_disk();
	tree_expect(DEVICE, "incomplete", NULL);
}

static void swap_areas(void **state)
{
	(void)state;
	make_disk();
	put_mounts("30 22 259:2 / /srv rw - ext4 /dev/nvme0n1p2 rw");
	tree_put("proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
			       "/dev/nvme0n1p1                          partition\t1\t0\t-2\n"
			       "/srv/swap\\040file                      file\t1\t0\t-3\n"
			       "/swapfile                               file\t1\t0\t-3");
	tree_expect(DEVICE, "filesystem|/srv|nvme0n1p2|umount /srv",
		    "swap|/dev/nvme0n1p1|nvme0n1p1|swapoff /dev/nvme0n1p1",
		    "swap|/srv/swap file|nvme0n1p2|swapoff '/srv/swap file'", NULL);
}

static void make_lvm(void)
{
	make_layer("dm-0", DISK "/nvme0n1p2", 254, 0);
	tree_put(DISKS "dm-0/dm/name", "my--vg-root");
	tree_put(DISKS "dm-0/dm/uuid", "LVM-abcdef");
	make_layer("dm-1", DISK "/nvme0n1p2", 254, 1);
	tree_put(DISKS "dm-1/dm/name", "my--vg-swap");
	tree_put(DISKS "dm-1/dm/uuid", "LVM-abcdeg");
	tree_link("dev/mapper/my--vg-swap", "dev/dm-1");
	tree_put("dev/dm-1", "");
}

static void lvm(void **state)
{
	(void)state;
	make_disk();
	make_lvm();
	put_mounts("30 22 254:0 / /srv rw - ext4 /dev/mapper/my--vg-root rw");
	tree_put("proc/swaps", "/dev/mapper/my--vg-swap  partition\t1\t0\t-2");
	tree_expect(DEVICE, "filesystem|/srv|nvme0n1p2 > dm-0 (my--vg-root)|umount /srv",
		    "swap|/dev/mapper/my--vg-swap|nvme0n1p2 > dm-1 (my--vg-swap)|"
		    "swapoff /dev/mapper/my--vg-swap",
		    NULL);
}

static void lvm_unused(void **state)
{
	(void)state;
	make_disk();
	make_lvm();
	put_mounts("");
	tree_expect(DEVICE, "storage|dm-0 (my--vg-root)|nvme0n1p2|vgchange -an my-vg",
		    "storage|dm-1 (my--vg-swap)|nvme0n1p2|vgchange -an my-vg", NULL);
}

/* md over both partitions, encrypted: one way through is enough to say. */
static void raid_and_crypt(void **state)
{
	(void)state;
	make_disk();
	make_layer("md0", DISK "/nvme0n1p1", 9, 0);
	make_layer("md0", DISK "/nvme0n1p2", 9, 0);
	tree_put(DISKS "md0/md/level", "raid1");
	make_layer("dm-0", DISKS "md0", 254, 0);
	tree_put(DISKS "dm-0/dm/name", "secret");
	tree_put(DISKS "dm-0/dm/uuid", "CRYPT-LUKS2-00-secret");
	put_mounts("");
	tree_expect(DEVICE, "storage|dm-0 (secret)|nvme0n1p1 > md0 (raid1)|cryptsetup close secret",
		    NULL);
	put_mounts("40 22 254:0 / /safe rw - ext4 /dev/mapper/secret rw");
	tree_expect(DEVICE, "filesystem|/safe|nvme0n1p1 > md0 (raid1) > dm-0 (secret)|umount /safe",
		    NULL);
}

static void raid_partition(void **state)
{
	(void)state;
	make_disk();
	make_layer("md0", DISK, 9, 0);
	tree_block(DISKS "md0/md0p1", 259, 9);
	tree_put(DISKS "md0/md0p1/partition", "1");
	tree_put(DISKS "md0/md/level", "raid0");
	put_mounts("");
	tree_expect(DEVICE, "storage|md0 (raid0)|nvme0n1|mdadm --stop /dev/md0", NULL);
	put_mounts("40 22 259:9 / /p rw - ext4 /dev/md0p1 rw");
	tree_expect(DEVICE, "filesystem|/p|nvme0n1 > md0p1|umount /p", NULL);
}

static void multipath(void **state)
{
	(void)state;
	make_disk();
	make_layer("dm-3", DISK, 254, 3);
	tree_put(DISKS "dm-3/dm/name", "mpatha");
	tree_put(DISKS "dm-3/dm/uuid", "mpath-3600");
	put_mounts("");
	tree_expect(DEVICE, "storage|dm-3 (mpatha)|nvme0n1|multipath -f mpatha", NULL);
}

static void bcache(void **state)
{
	(void)state;
	make_disk();
	/* p1 is backing device of bcache0, p2 in the cache set of bcache1 */
	make_layer("bcache0", DISK "/nvme0n1p1", 251, 0);
	tree_block(DISKS "bcache1", 251, 1);
	tree_link(DISK "/nvme0n1p2/bcache/set", "sys/fs/bcache/uuid-1");
	tree_link("sys/fs/bcache/uuid-1/bdev0/dev", DISKS "bcache1");
	put_mounts("40 22 251:1 / /cached rw - ext4 /dev/bcache1 rw");
	tree_expect(
		DEVICE,
		"filesystem|/cached|nvme0n1p2 > bcache cache set uuid-1 > bcache1|umount /cached",
		"storage|bcache0|nvme0n1p1|echo 1 > /sys/block/bcache0/bcache/stop", NULL);
}

static void loop_devices(void **state)
{
	(void)state;
	make_disk();
	put_mounts("30 22 259:1 / /srv rw - ext4 /dev/nvme0n1p1 rw\n"
		   "31 30 8:2 / /srv/other rw - ext4 /dev/sda2 rw\n"
		   "32 22 7:1 / /image rw - ext4 /dev/loop1 rw");
	tree_block(DISKS "loop0", 7, 0);
	tree_block(DISKS "loop1", 7, 1);
	tree_put(DISKS "loop1/loop/backing_file", "/srv/b.img");
	tree_block(DISKS "loop2", 7, 2);
	tree_put(DISKS "loop2/loop/backing_file", "/srv/a.img");
	tree_block(DISKS "loop3", 7, 3);
	tree_put(DISKS "loop3/loop/backing_file", "/srv/other/c.img");
	tree_block(DISKS "loop4", 7, 4);
	tree_put(DISKS "loop4/loop/backing_file", "/dev/nvme0n1p2");
	tree_expect(DEVICE, "filesystem|/image|nvme0n1p1 > loop1 (/srv/b.img)|umount /image",
		    "filesystem|/srv|nvme0n1p1|umount /srv",
		    "storage|loop2 (/srv/a.img)|nvme0n1p1|losetup -d /dev/loop2",
		    "storage|loop4 (/dev/nvme0n1p2)|nvme0n1p2|losetup -d /dev/loop4", NULL);
}

static void zram_writeback(void **state)
{
	(void)state;
	make_disk();
	put_mounts("");
	tree_block(DISKS "zram0", 252, 0);
	tree_put(DISKS "zram0/backing_dev", "/dev/nvme0n1p1");
	tree_block(DISKS "zram1", 252, 1);
	tree_put(DISKS "zram1/backing_dev", "none");
	tree_put("proc/swaps", "/dev/zram0  partition\t1\t0\t-2");
	tree_expect(DEVICE, "swap|/dev/zram0|nvme0n1p1 > zram0|swapoff /dev/zram0", NULL);
}

/* Two devices, of which mountinfo names the first; the function's is the second. */
static void btrfs(void **state)
{
	(void)state;
	make_disk();
	tree_block(DISKS "sda2", 8, 2);
	put_mounts("30 22 0:41 /@ /pool rw - btrfs /dev/sda2 rw,subvol=/@\n"
		   "31 22 0:45 / /other rw - btrfs /dev/sda3 rw");
	tree_link("sys/fs/btrfs/11-22/devices/sda2", DISKS "sda2");
	tree_link("sys/fs/btrfs/11-22/devices/nvme0n1p1", DISK "/nvme0n1p1");
	tree_directory("sys/fs/btrfs/features");
	tree_expect(DEVICE, "filesystem|/pool|nvme0n1p1|umount /pool", NULL);
}

static void btrfs_single(void **state)
{
	(void)state;
	make_disk();
	put_mounts("30 22 0:41 /@ /pool rw - btrfs /dev/disk/by-uuid/1-2 rw,subvol=/@");
	tree_link("dev/disk/by-uuid/1-2", "dev/nvme0n1p2");
	tree_expect(DEVICE, "filesystem|/pool|nvme0n1p2|umount /pool", NULL);
}

static void several_devices(void **state)
{
	(void)state;
	make_disk();
	tree_block(DISKS "sda2", 8, 2);
	tree_block(DISKS "sda3", 8, 3);
	put_mounts("30 22 0:50 / /many rw - bcachefs /dev/sda2:/dev/nvme0n1p1 rw\n"
		   "31 22 8:3 / /logged rw - xfs /dev/sda3 rw,attr2,logdev=/dev/nvme0n1p2,noquota");
	tree_put("proc/fs/jbd2/nvme0n1/info", "");
	tree_expect(DEVICE, "filesystem|/logged|nvme0n1p2|umount /logged",
		    "filesystem|/many|nvme0n1p1|umount /many",
		    "storage|the journal of a filesystem on another device|nvme0n1|"
		    "unmount that filesystem",
		    NULL);
}

static void zpool(void **state)
{
	(void)state;
	make_disk();
	put_mounts("30 22 0:60 / /tank/home rw - zfs tank/home rw\n"
		   "31 22 0:61 / /tankard rw - zfs tankard rw");
	tree_put("run/udev/data/b259:1", "E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=tank");
	tree_put("run/udev/data/b259:2", "E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=exported");
	tree_put("run/udev/data/b259:0", "E:ID_PART_TABLE_TYPE=gpt");
	tree_put("proc/spl/kstat/zfs/arcstats", "");
	/* no pool is imported: nothing is asked of anyone */
	tree_expect(DEVICE, NULL);
	tree_put("proc/spl/kstat/zfs/tank/state", "ONLINE");
	tree_expect(DEVICE, "filesystem|/tank/home|nvme0n1p1 > zpool tank|umount /tank/home",
		    "storage|zpool tank|nvme0n1p1|zpool export tank", NULL);
	/* without udev nobody knows what the pool is made of */
	tree_remove("run/udev/data/b259:2");
	tree_expect(DEVICE, "filesystem|/tank/home|nvme0n1p1 > zpool tank|umount /tank/home",
		    "storage|zpool tank|nvme0n1p1|zpool export tank", "incomplete", NULL);
}

static void exported(void **state)
{
	(void)state;
	make_disk();
	put_mounts("");
	tree_put("sys/kernel/config/nvmet/subsystems/nqn.a/namespaces/1/enable", "1");
	tree_put("sys/kernel/config/nvmet/subsystems/nqn.a/namespaces/1/device_path",
		 "/dev/nvme0n1p1");
	tree_put("sys/kernel/config/nvmet/subsystems/nqn.a/namespaces/2/enable", "0");
	tree_put("sys/kernel/config/nvmet/subsystems/nqn.a/namespaces/2/device_path",
		 "/dev/nvme0n1p2");
	tree_put("sys/kernel/config/target/core/iblock_0/shop/udev_path", "/dev/nvme0n1p2");
	tree_put("sys/kernel/config/target/core/fileio_0/file/udev_path", "/x");
	tree_expect(DEVICE,
		    "storage|NVMe target nqn.a, namespace 1|nvme0n1p1|"
		    "echo 0 > /sys/kernel/config/nvmet/subsystems/nqn.a/namespaces/1/enable",
		    "storage|SCSI target shop|nvme0n1p2|targetcli /backstores/block delete shop",
		    NULL);
}

/* What the kernel tells that a backstore has; targets of other kinds, also on a char node. */
static void exported_otherwise(void **state)
{
	static const char target[] = "sys/kernel/config/target/core/";
	char path[TREE_LINE];

	(void)state;
	make_disk();
	put_mounts("");
	tree_put("sys/kernel/config/nvmet/subsystems/nqn.a/passthru/device_path", "/dev/nvme0");
	tree_put("sys/kernel/config/nvmet/subsystems/nqn.a/passthru/enable", "0");
	tree_put("sys/kernel/config/nvmet/subsystems/nqn.b/passthru/device_path", "/dev/nvme01");
	tree_put("sys/kernel/config/nvmet/subsystems/nqn.b/passthru/enable", "1");
	tree_expect(DEVICE, NULL);
	tree_put("sys/kernel/config/nvmet/subsystems/nqn.a/passthru/enable", "1");
	tree_expect(DEVICE,
		    "storage|NVMe target nqn.a, the whole controller|/dev/nvme0|"
		    "echo 0 > /sys/kernel/config/nvmet/subsystems/nqn.a/passthru/enable",
		    NULL);
	tree_put("sys/kernel/config/nvmet/subsystems/nqn.a/passthru/enable", "0");
	tree_format(path, "%siblock_0/a/udev_path", target);
	tree_put(path, "");
	tree_format(path, "%siblock_0/a/info", target);
	tree_put(path, "Status: ACTIVATED\n        iBlock device: nvme0n1  readonly: 0");
	tree_format(path, "%sfileio_1/b/info", target);
	tree_put(path, "TCM FILEIO ID: 0        File: /dev/nvme0n1p1  Size: 8192");
	tree_format(path, "%spscsi_2/c/udev_path", target);
	tree_put(path, "/dev/nvme0n1p2");
	tree_expect(DEVICE, "storage|SCSI target a|nvme0n1|targetcli /backstores/block delete a",
		    "storage|SCSI target b|nvme0n1p1|targetcli /backstores/fileio delete b",
		    "storage|SCSI target c|nvme0n1p2|targetcli /backstores/pscsi delete c", NULL);
}

static void exported_by_others(void **state)
{
	(void)state;
	make_disk();
	put_mounts("");
	tree_link("sys/class/rnbd-server/ctl/devices/nvme0n1/block_dev", DISK);
	tree_directory("sys/class/rnbd-server/ctl/devices/nvme0n1/sessions/it's");
	tree_put("sys/kernel/scst_tgt/devices/vdisk/filename", "/dev/nvme0n1p1\n[key]");
	tree_put("sys/kernel/config/usb_gadget/g/functions/mass_storage.0/lun.0/file",
		 "/dev/nvme0n1p2");
	tree_put("sys/kernel/config/usb_gadget/g/functions/mass_storage.0/stall", "1");
	tree_expect(DEVICE,
		    "storage|RNBD server, device nvme0n1|nvme0n1|echo 1 > "
		    "/sys/class/rnbd-server/ctl/devices/nvme0n1/sessions/'it'\\''s'/force_close",
		    "storage|SCST target device vdisk|nvme0n1p1|scstadmin -close_dev vdisk",
		    "storage|USB gadget g, mass_storage.0|nvme0n1p2|echo > "
		    "/sys/kernel/config/usb_gadget/g/functions/mass_storage.0/lun.0/file",
		    NULL);
}

/* The disk that is used is the head; the path below the function is hidden. */
static void nvme_multipath(void **state)
{
	static const char head[] = "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n2";

	(void)state;
	tree_function(DEVICE, "0x010802", "nvme");
	tree_device(DIRECTORY "/nvme/nvme1/nvme0c1n2", "block", "DEVTYPE=disk");
	tree_block(head, 259, 5);
	tree_node("sys/devices/virtual/nvme-subsystem/nvme-subsys0/ng0n2", "nvme-generic", 238, 0,
		  "ng0n2");
	tree_link("sys/class/nvme-subsystem/nvme-subsys0",
		  "sys/devices/virtual/nvme-subsystem/nvme-subsys0");
	tree_link("sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme1", DIRECTORY "/nvme/nvme1");
	put_mounts("30 22 259:5 / /srv rw - ext4 /dev/nvme0n2 rw");
	tree_process(7, "reader", "/dev/ng0n2");
	tree_expect(DEVICE, "filesystem|/srv|nvme0n2|umount /srv",
		    "process|reader (pid 7)|/dev/ng0n2|kill 7", NULL);
	/* a second way to it */
	tree_directory("sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme4/nvme0c4n2");
	tree_expect(DEVICE, "filesystem|/srv|nvme0n2 (one of 2 paths)|umount /srv",
		    "process|reader (pid 7)|/dev/ng0n2|kill 7", NULL);
}

/* Virtio, SATA and USB disks lie deeper, and a USB one below hubs. */
static void other_disks(void **state)
{
	(void)state;
	tree_function(DEVICE, "0x0c0330", "xhci_hcd");
	tree_node(DIRECTORY "/usb1", "usb", 189, 0, "bus/usb/001/001");
	tree_block(DIRECTORY "/usb1/1-1/1-1.2/1-1.2:1.0/host2/target2:0:0/2:0:0:0/block/sdb", 8,
		   16);
	tree_node(DIRECTORY "/usb1/1-1/1-1.2/1-1.2:1.0/host2/target2:0:0/2:0:0:0/scsi_generic/sg1",
		  "scsi_generic", 21, 1, "sg1");
	put_mounts("30 22 8:16 / /media/stick rw - vfat /dev/sdb rw");
	tree_process(5, "vol_id", "/dev/sg1");
	tree_expect(DEVICE, "filesystem|/media/stick|sdb|umount /media/stick",
		    "process|vol_id (pid 5)|/dev/sg1|kill 5", NULL);
}

/* A container or a service has it mounted, and process 1 doesn't. */
static void other_namespace(void **state)
{
	(void)state;
	make_disk();
	put_mounts("");
	tree_link_text("proc/1/ns/mnt", "mnt:[1]");
	tree_process(50, "dockerd", "/dev/null");
	tree_link_text("proc/50/ns/mnt", "mnt:[2]");
	tree_put("proc/50/mountinfo", "9 1 259:1 / /inside rw - vfat /dev/nvme0n1p1 rw");
	tree_process(51, "child", "/dev/null");
	tree_link_text("proc/51/ns/mnt", "mnt:[2]");
	tree_put("proc/51/mountinfo", "9 1 259:1 / /inside rw - vfat /dev/nvme0n1p1 rw");
	/* directories come in any order, so which of the two is named isn't said */
	tree_put("proc/51/comm", "dockerd");
	{
		char found[4096];

		tree_read(DEVICE, found, sizeof(found));
		assert_non_null(strstr(found, "filesystem|/inside (in the mount namespace of "
					      "dockerd, pid 5"));
		assert_null(strchr(strchr(found, '\n') + 1, '\n'));
	}
	/* mounted here too, it is enough to say that */
	put_mounts("30 22 259:1 / /here rw - vfat /dev/nvme0n1p1 rw");
	tree_expect(DEVICE, "filesystem|/here|nvme0n1p1|umount /here", NULL);
}

static void virtio_shares(void **state)
{
	(void)state;
	tree_function(DEVICE, "0x000200", "virtio-pci");
	tree_device(DIRECTORY "/virtio3", "virtio", "DRIVER=9pnet_virtio");
	tree_put(DIRECTORY "/virtio3/mount_tag", "home");
	put_mounts("30 22 0:33 / /host rw - 9p home rw,trans=virtio\n"
		   "31 22 0:34 / /else rw - 9p other rw,trans=virtio");
	tree_expect(DEVICE, "filesystem|/host||umount /host", NULL);
	/* mounted or not, who can tell */
	put_mounts("");
	tree_expect(DEVICE, "incomplete", NULL);
}

/* A tree that a kernel can't have must still come to an end. */
static void circle(void **state)
{
	(void)state;
	make_disk();
	make_layer("dm-0", DISK, 254, 0);
	make_layer("dm-1", DISKS "dm-0", 254, 1);
	make_layer("dm-0", DISKS "dm-1", 254, 0);
	put_mounts("");
	tree_expect(DEVICE, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TREE_TEST(clean_disk),
		TREE_TEST(mounted_partitions),
		TREE_TEST(mounted_root),
		TREE_TEST(mountinfo_of_self),
		TREE_TEST(no_mountinfo),
		TREE_TEST(swap_areas),
		TREE_TEST(lvm),
		TREE_TEST(lvm_unused),
		TREE_TEST(raid_and_crypt),
		TREE_TEST(raid_partition),
		TREE_TEST(multipath),
		TREE_TEST(bcache),
		TREE_TEST(loop_devices),
		TREE_TEST(zram_writeback),
		TREE_TEST(btrfs),
		TREE_TEST(btrfs_single),
		TREE_TEST(several_devices),
		TREE_TEST(zpool),
		TREE_TEST(exported),
		TREE_TEST(exported_otherwise),
		TREE_TEST(exported_by_others),
		TREE_TEST(nvme_multipath),
		TREE_TEST(other_disks),
		TREE_TEST(other_namespace),
		TREE_TEST(virtio_shares),
		TREE_TEST(circle),
	};

	return cmocka_run_group_tests_name("holders: block devices", tests, NULL, NULL);
}
