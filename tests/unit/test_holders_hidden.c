/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Filesystems that are mounted where nobody's mountinfo shows it, or not any more. */
#include <sys/sysmacros.h>

#include "holders_tree.h"

/* The kernel has it mounted, but no process that can be seen does. */
static void hidden_mount(void **state)
{
	(void)state;
	make_disk();
	put_mounts("");
	tree_directory("sys/fs/ext4/nvme0n1p1");
	tree_directory("sys/fs/ext4/features");
	tree_expect(DEVICE,
		    "filesystem|ext4, mounted in a place invisible to this process|nvme0n1p1|",
		    NULL);
}

/* Of each mounted filesystem, kernels with CONFIG_SHRINKER_DEBUG tell the device. */
static void mounts_by_shrinker(void **state)
{
	(void)state;
	make_disk();
	put_mounts("");
	tree_directory("sys/kernel/debug/shrinker/sb-vfat:nvme0n1p12-7");
	tree_directory("sys/kernel/debug/shrinker/sb-tmpfs-8");
	tree_expect(DEVICE, NULL);
	tree_directory("sys/kernel/debug/shrinker/sb-vfat:nvme0n1p1-41");
	tree_directory("proc/fs/ntfs3/nvme0n1p2");
	tree_expect(
		DEVICE, "filesystem|ntfs3, mounted in a place invisible to this process|nvme0n1p2|",
		"filesystem|vfat, mounted in a place invisible to this process|nvme0n1p1|", NULL);
}

/* The tree's own filesystem as if it were on the device, for a file that is really there. */
static void put_partition_here(void)
{
	char path[TREE_LINE], text[TREE_LINE];
	struct stat st;

	assert_int_equal(stat(tree, &st), 0);
	tree_format(text, "%u:%u", major(st.st_dev), minor(st.st_dev));
	tree_put(DISK "/nvme0n1p1/dev", text);
	tree_put("opened", "");
	tree_format(path, "run/udev/data/b%s", text);
	tree_put(path, "E:ID_FS_USAGE=filesystem\nE:ID_FS_TYPE=vfat");
}

/* umount -l: the filesystem has no mount, and lives as long as its files are open. */
static void unmounted_lazily(void **state)
{
	char opened[TREE_LINE], text[TREE_LINE];
	struct stat st;

	(void)state;
	make_disk();
	put_mounts("");
	put_partition_here();
	tree_process(1, "systemd", "/dev/null");
	tree_expect(DEVICE, NULL);
	tree_format(opened, "%s/opened", tree);
	tree_process(50, "tail", opened);
	tree_put("proc/50/cgroup", "0::/system.slice/logs.service");
	tree_process(51, "shell", "/dev/null");
	tree_link_text("proc/51/cwd", tree);
	tree_process(52, "program", "/dev/null");
	assert_int_equal(stat(tree, &st), 0);
	tree_format(text, "7f00-7f01 r-xp 00000000 %02x:%02x 12  /program", major(st.st_dev),
		    minor(st.st_dev));
	tree_put("proc/52/maps", text);
	tree_expect(DEVICE,
		    "filesystem|a filesystem without a mount point, used by program (pid "
		    "52)|nvme0n1p1|kill 52",
		    "filesystem|a filesystem without a mount point, used by shell (pid "
		    "51)|nvme0n1p1|kill 51",
		    "filesystem|a filesystem without a mount point, used by tail (pid "
		    "50)|nvme0n1p1|systemctl stop logs.service",
		    NULL);
	/* mounted, the mount is the holder */
	tree_format(text, "30 22 %u:%u / /boot/efi rw - vfat /dev/nvme0n1p1 rw", major(st.st_dev),
		    minor(st.st_dev));
	put_mounts(text);
	tree_expect(DEVICE, "filesystem|/boot/efi|nvme0n1p1|umount /boot/efi", NULL);
}

/* A mount namespace that only a file or a mount keeps: nobody's mountinfo is its. */
static void namespace_without_processes(void **state)
{
	(void)state;
	make_disk();
	put_partition_here();
	put_mounts("40 22 0:4 mnt:[11] /run/kept rw - nsfs nsfs rw");
	tree_process(1, "systemd", "/dev/null");
	tree_link_text("proc/1/ns/mnt", "mnt:[10]");
	tree_expect(DEVICE, "incomplete", NULL);
	tree_process(60, "inside", "mnt:[10]");
	tree_link_text("proc/60/ns/mnt", "mnt:[11]");
	tree_expect(DEVICE, NULL);
	tree_process(61, "keeper", "mnt:[12]");
	tree_expect(DEVICE, "incomplete", NULL);
}

/* A disk that is below the function, and whose class directory something covers. */
static void hidden_disk(void **state)
{
	(void)state;
	make_disk();
	put_mounts("30 22 259:1 / /srv rw - ext4 /dev/nvme0n1p1 rw");
	tree_expect(DEVICE, "filesystem|/srv|nvme0n1p1|umount /srv", NULL);
	tree_remove("sys/class/block/nvme0n1");
	tree_remove("sys/class/block/nvme0n1p1");
	tree_remove("sys/class/block/nvme0n1p2");
	tree_expect(DEVICE, "incomplete", NULL);
}

/* A process's mountinfo shows only what is below its root. */
static void behind_a_chroot(void **state)
{
	(void)state;
	make_disk();
	put_mounts("");
	tree_process(50, "jailed", "/dev/null");
	tree_process(51, "elsewhere", "/dev/null");
	tree_link_text("proc/50/ns/mnt", "mnt:[11]");
	tree_link_text("proc/51/ns/mnt", "mnt:[11]");
	tree_link_text("proc/50/root", "/jail");
	tree_link_text("proc/51/root", "/srv");
	tree_put("proc/50/mountinfo", "50 49 259:1 / /a rw - vfat /dev/nvme0n1p1 rw");
	tree_put("proc/51/mountinfo", "50 49 259:2 / /b rw - vfat /dev/nvme0n1p2 rw");
	tree_expect(DEVICE,
		    "filesystem|/a (in the mount namespace of jailed, pid 50)|nvme0n1p1|"
		    "nsenter -t 50 -m umount /a",
		    "filesystem|/b (in the mount namespace of elsewhere, pid 51)|nvme0n1p2|"
		    "nsenter -t 51 -m umount /b",
		    NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TREE_TEST(hidden_mount),     TREE_TEST(mounts_by_shrinker),
		TREE_TEST(unmounted_lazily), TREE_TEST(namespace_without_processes),
		TREE_TEST(behind_a_chroot),  TREE_TEST(hidden_disk),
	};

	return cmocka_run_group_tests_name("holders: hidden mounts", tests, NULL, NULL);
}
