/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Small machines for the tests of holders: a temporary directory with just the
 * files of sys, proc and run that a case shows in. Made in each test, removed after.
 */
#ifndef UNIT_HOLDERS_TREE_H
#define UNIT_HOLDERS_TREE_H

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "pci/holders/holders.h"

#define TREE_LINE 1024
/* The function that most tests are about, and its directory. */
#define DEVICE	  "0000:01:00.0"
#define DIRECTORY "sys/devices/pci0000:00/" DEVICE

static char tree[64];

__attribute__((unused)) static int tree_setup(void **state)
{
	(void)state;
	(void)strcpy(tree, "/tmp/holders-XXXXXX");
	return mkdtemp(tree) ? 0 : -1;
}

static int tree_remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

__attribute__((unused)) static int tree_teardown(void **state)
{
	(void)state;
	return nftw(tree, tree_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

__attribute__((format(printf, 2, 3))) static void tree_format(char text[TREE_LINE],
							      const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(text, TREE_LINE, format, args);
	va_end(args);
	assert_in_range(length, 0, TREE_LINE - 1);
}

/* The path in the tree, with the directories above it made. */
static void tree_path(char path[TREE_LINE], const char *name)
{
	char *slash;

	tree_format(path, "%s/%s", tree, name);
	slash = strrchr(path, '/');
	*slash = '\0';
	assert_int_equal(io_make_directories_at(AT_FDCWD, path, 0755), 0);
	*slash = '/';
}

__attribute__((unused)) static void tree_directory(const char *name)
{
	char path[TREE_LINE];

	tree_path(path, name);
	assert_int_equal(io_make_directories_at(AT_FDCWD, path, 0755), 0);
}

/* A file whose text ends with a newline, as those of sysfs do. */
__attribute__((unused)) static void tree_put(const char *name, const char *text)
{
	char path[TREE_LINE], line[8192];
	int length = snprintf(line, sizeof(line), "%s\n", text);

	assert_in_range(length, 1, sizeof(line) - 1);
	tree_path(path, name);
	assert_int_equal(io_replace_at(AT_FDCWD, path, line, (size_t)length, 0644), 0);
}

/* A link as in sysfs: relative, from the directory of @name to @target below the root. */
__attribute__((unused)) static void tree_link(const char *name, const char *target)
{
	char path[TREE_LINE], text[TREE_LINE] = "";
	const char *p;

	tree_path(path, name);
	for (p = strchr(name, '/'); p; p = strchr(p + 1, '/'))
		(void)strcat(text, "../");
	(void)strcat(text, target);
	assert_int_equal(symlink(text, path), 0);
}

__attribute__((unused)) static int tree_exists(const char *name)
{
	char path[TREE_LINE];

	tree_format(path, "%s/%s", tree, name);
	return access(path, F_OK) == 0;
}

__attribute__((unused)) static void tree_remove(const char *name)
{
	char path[TREE_LINE];

	tree_path(path, name);
	assert_int_equal(unlink(path), 0);
}

__attribute__((unused)) static void tree_rename(const char *from, const char *to)
{
	char path[TREE_LINE], target[TREE_LINE];

	tree_path(path, from);
	tree_path(target, to);
	assert_int_equal(rename(path, target), 0);
}

/* A link with any text: the open files of a process. */
__attribute__((unused)) static void tree_link_text(const char *name, const char *text)
{
	char path[TREE_LINE];

	tree_path(path, name);
	assert_int_equal(symlink(text, path), 0);
}

/* A PCI function at sys/devices/pci0000:00/ADDRESS. */
__attribute__((unused)) static void tree_function(const char *address, const char *class_code,
						  const char *driver)
{
	char name[TREE_LINE], target[TREE_LINE];

	tree_format(target, "sys/devices/pci0000:00/%s", address);
	tree_format(name, "%s/class", target);
	tree_put(name, class_code);
	tree_format(name, "%s/uevent", target);
	tree_put(name, "PCI_CLASS=10802");
	tree_format(name, "sys/bus/pci/devices/%s", address);
	tree_link(name, target);
	if (!driver)
		return;
	tree_format(name, "%s/driver", target);
	tree_format(target, "sys/bus/pci/drivers/%s", driver);
	tree_link(name, target);
}

/* A device directory with its uevent, the link to its subsystem and from its class. */
static void tree_device(const char *directory, const char *subsystem, const char *uevent)
{
	char name[TREE_LINE], target[TREE_LINE];

	tree_format(name, "%s/uevent", directory);
	tree_put(name, uevent);
	tree_format(name, "%s/subsystem", directory);
	tree_format(target, "sys/class/%s", subsystem);
	tree_link(name, target);
	tree_format(name, "sys/class/%s/%s", subsystem, strrchr(directory, '/') + 1);
	tree_link(name, directory);
}

/* A device with a node in /dev. */
__attribute__((unused)) static void tree_node(const char *directory, const char *subsystem,
					      unsigned int major, unsigned int minor,
					      const char *devname)
{
	char uevent[TREE_LINE], name[TREE_LINE];

	tree_format(uevent, "MAJOR=%u\nMINOR=%u\nDEVNAME=%s", major, minor, devname);
	tree_device(directory, subsystem, uevent);
	tree_format(name, "%s/dev", directory);
	tree_format(uevent, "%u:%u", major, minor);
	tree_put(name, uevent);
}

/* A block device; a partition when its directory lies in a disk's and is named so. */
__attribute__((unused)) static void tree_block(const char *directory, unsigned int major,
					       unsigned int minor)
{
	tree_node(directory, "block", major, minor, strrchr(directory, '/') + 1);
}

/* A process, and a file it has open. */
__attribute__((unused)) static void tree_process(int pid, const char *name, const char *open)
{
	static int number;
	char path[TREE_LINE];

	tree_format(path, "proc/%d/comm", pid);
	tree_put(path, name);
	tree_format(path, "proc/%d/fd/%d", pid, ++number);
	tree_link_text(path, open);
}

/* A network interface, and what the host does with one. */
#define NET_DEV "Inter-|   Receive\n face |bytes    packets\n    lo:       1       1\n"

__attribute__((unused)) static void make_interface(const char *directory, const char *flags,
						   const char *ifindex)
{
	char name[TREE_LINE], uevent[TREE_LINE];

	tree_format(uevent, "INTERFACE=%s\nIFINDEX=%s", strrchr(directory, '/') + 1, ifindex);
	tree_device(directory, "net", uevent);
	tree_format(name, "%s/flags", directory);
	tree_put(name, flags);
	tree_format(name, "%s/ifindex", directory);
	tree_put(name, ifindex);
	if (!tree_exists("proc/1/net/dev"))
		tree_put("proc/1/net/dev", NET_DEV "  eth0: 1 0\n  eth4: 1 0");
}

#define ROUTES "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"

__attribute__((unused)) static void put_ipv4(const char *interface)
{
	char text[TREE_LINE];

	tree_format(text,
		    ROUTES "\nwide\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n"
			   "%s\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
			   "%s\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
		    interface, interface);
	tree_put("proc/1/net/route", text);
	tree_put("proc/1/net/fib_trie", "Local:\n"
					"  +-- 10.0.2.0/24 2 0 2\n"
					"     |-- 10.0.2.0\n"
					"        /24 link UNICAST\n"
					"     |-- 10.0.2.15\n"
					"        /32 host LOCAL\n"
					"     |-- 10.0.2.255\n"
					"        /32 link BROADCAST\n"
					"     |-- 127.0.0.1\n"
					"        /32 host LOCAL");
}

/* A disk with two partitions, and what is mounted. */
#define DISK DIRECTORY "/nvme/nvme0/nvme0n1"

__attribute__((unused)) static void make_disk(void)
{
	tree_function(DEVICE, "0x010802", "nvme");
	tree_node(DIRECTORY "/nvme/nvme0", "nvme", 240, 0, "nvme0");
	tree_block(DISK, 259, 0);
	tree_directory(DISK "/holders");
	tree_directory(DISK "/queue");
	tree_block(DISK "/nvme0n1p1", 259, 1);
	tree_put(DISK "/nvme0n1p1/partition", "1");
	tree_block(DISK "/nvme0n1p2", 259, 2);
	tree_put(DISK "/nvme0n1p2/partition", "2");
	tree_put("proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority");
	tree_process(1, "init", "/dev/null");
}

__attribute__((unused)) static void put_mounts(const char *lines)
{
	char text[4096];

	(void)snprintf(text, sizeof(text),
		       "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
		       "23 22 0:20 / /proc rw shared:2 - proc proc rw\n%s",
		       lines);
	tree_put("proc/1/mountinfo", text);
}

static void append_line(char *text, size_t size, const char *line)
{
	assert_true(strlen(text) + strlen(line) + 2 < size);
	(void)strcat(text, line);
	(void)strcat(text, "\n");
}

/* Which holders pt_holders_read() finds, a line "kind|what|through|advice" for each. */
static void tree_read(const char *address, char *text, size_t size)
{
	struct pt_address parsed;
	struct pt_holders *holders;
	struct pt_host *host;
	struct pt_error err;
	size_t i;

	assert_int_equal(pt_host_new(tree, &host, &err), 0);
	assert_int_equal(pt_address_parse(address, &parsed, &err), 0);
	assert_int_equal(pt_holders_read(host, &parsed, &holders, &err), 0);
	*text = '\0';
	for (i = 0; i < pt_holders_count(holders); i++) {
		const struct pt_holder *holder = pt_holders_at(holders, i);
		char line[TREE_LINE];

		tree_format(line, "%s|%s|%s|%s", pt_holder_kind_name(holder->kind), holder->what,
			    holder->through, holder->advice);
		append_line(text, size, line);
	}
	assert_null(pt_holders_at(holders, i));
	if (!pt_holders_is_complete(holders))
		append_line(text, size, "incomplete");
	pt_holders_free(holders);
	pt_host_free(host);
}

/* @...: the lines expected, in order, "incomplete" last if so, then NULL. */
__attribute__((unused, sentinel)) static void tree_expect(const char *address, ...)
{
	char found[16384], expected[16384] = "";
	const char *line;
	va_list lines;

	va_start(lines, address);
	while ((line = va_arg(lines, const char *)))
		append_line(expected, sizeof(expected), line);
	va_end(lines);
	tree_read(address, found, sizeof(found));
	assert_string_equal(found, expected);
}

#define TREE_TEST(name) cmocka_unit_test_setup_teardown(name, tree_setup, tree_teardown)

#endif
