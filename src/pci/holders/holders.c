/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pci/holders/holders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "base/text.h"
#include "pci/holders/scan.h"
#include "pci/sysfs.h"

/* ---- the list ---- */

static const char *const kind_names[] = {
	[PT_HOLDER_FILESYSTEM] = "filesystem",
	[PT_HOLDER_SWAP] = "swap",
	[PT_HOLDER_STORAGE] = "storage",
	[PT_HOLDER_PROCESS] = "process",
	[PT_HOLDER_NETWORK] = "network",
	[PT_HOLDER_BRIDGE] = "bridge",
	[PT_HOLDER_SOCKET] = "socket",
	[PT_HOLDER_CONSOLE] = "console",
	[PT_HOLDER_VF] = "vf",
	[PT_HOLDER_GUEST] = "guest",
};

const char *pt_holder_kind_name(enum pt_holder_kind kind)
{
	if ((size_t)kind >= sizeof(kind_names) / sizeof(*kind_names))
		return "unknown";
	return kind_names[kind];
}

size_t pt_holders_count(const struct pt_holders *holders)
{
	return holders->count;
}

const struct pt_holder *pt_holders_at(const struct pt_holders *holders, size_t index)
{
	return index < holders->count ? &holders->items[index] : NULL;
}

bool pt_holders_is_complete(const struct pt_holders *holders)
{
	return !holders->unseen;
}

const char *pt_holders_unseen(const struct pt_holders *holders)
{
	return holders->unseen;
}

bool pt_holders_is_unprivileged(const struct pt_holders *holders)
{
	return holders->is_unprivileged;
}

void pt_holders_free(struct pt_holders *holders)
{
	if (!holders)
		return;
	arena_free(&holders->memory);
	free(holders->items);
	free(holders);
}

static int compare_holders(const void *a, const void *b)
{
	const struct pt_holder *left = a, *right = b;
	int r;

	if (left->kind != right->kind)
		return left->kind < right->kind ? -1 : 1;
	r = strcmp(left->what, right->what);
	return r ? r : strcmp(left->through, right->through);
}

/* ---- virtual functions ---- */

/* How many VFs are named one by one; a NIC can have hundreds. */
#define VFS_NAMED 8

/* VFs of a PF are removed when its driver is unbound, so a holder of a VF is a holder of the PF. */
static void add_vf(struct holder_scan *scan, const struct holder_target *pf,
		   const struct pt_address *address)
{
	char text[PT_ADDRESS_TEXT];

	HOLDERS_APPEND(scan, scan->targets, scan->target_count,
		       {.address = *address,
			.holders = pf->holders,
			.prefix = holders_text(scan, "VF %s", pt_address_format(address, text))});
}

/* By the links that the kernel makes for them: reading sriov_numvfs takes the lock of the device.
 */
static unsigned int count_vfs(struct holder_scan *scan, const struct pt_address *pf)
{
	char link[32], text[PT_ADDRESS_TEXT];
	unsigned int count = 0;

	do
		(void)text_format(link, sizeof(link), "virtfn%u", count);
	while (sysfs_read_link(scan->host, pf, link, text, sizeof(text)) == 0 &&
	       ++count < UINT16_MAX);
	return count;
}

static void read_vfs(struct holder_scan *scan, size_t target)
{
	struct holder_target pf = scan->targets[target];
	unsigned int i, found = 0, bound = 0, count = count_vfs(scan, &pf.address);
	char text[PT_ADDRESS_TEXT];
	const char *what;

	if (!count)
		return;
	what = holders_text(scan, "%u VF%s", count, count == 1 ? "" : "s");
	for (i = 0; i < count && !scan->error; i++) {
		char link[32], driver[64];
		struct pt_address vf;

		(void)text_format(link, sizeof(link), "virtfn%u", i);
		if (sysfs_read_link(scan->host, &pf.address, link, text, sizeof(text)) < 0 ||
		    pt_address_parse(text, &vf, NULL) < 0)
			continue;
		found++;
		add_vf(scan, &pf, &vf);
		if (sysfs_read_link(scan->host, &vf, "driver", driver, sizeof(driver)) < 0)
			continue;
		if (bound++ < VFS_NAMED)
			what = holders_text(scan, "%s, %s on %s", what, text, driver);
	}
	if (bound > VFS_NAMED)
		what = holders_text(scan, "%s, %u more on drivers", what, bound - VFS_NAMED);
	if (found > bound)
		what = holders_text(scan, "%s, %u without a driver", what, found - bound);
	holders_add(scan, target, PT_HOLDER_VF, 0, what, pf.prefix,
		    holders_text(scan, "echo 0 > /sys/bus/pci/devices/%s/sriov_numvfs",
				 pt_address_format(&pf.address, text)));
}

/* ---- the scan ---- */

/* The functions VFIO refuses anyway; their directories hold the whole tree below them. */
static bool is_bridge(struct holder_scan *scan, const struct pt_address *address)
{
	char text[16];
	uint64_t class_code;

	if (sysfs_read(scan->host, address, "class", text, sizeof(text)) < 0 ||
	    text_parse_number(text, 16, 0xffffff, &class_code) < 0)
		return false;
	return pt_function_kind(&(struct pt_function){.class_code = (uint32_t)class_code}) ==
	       PT_BRIDGE;
}

static void examine_root(struct holder_scan *scan)
{
	struct statfs proc;
	int fd = openat(scan->host->root_fd, "proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	scan->has_procfs = fstatfs(fd, &proc) == 0 && proc.f_type == PROC_SUPER_MAGIC;
	close(fd);
}

/*
 * Something mounted over a directory that holders are looked for in hides them: a container's
 * runtime does that, and lxcfs. Any other directory of sysfs can be missing in a kernel.
 */
static void check_covered(struct holder_scan *scan)
{
	static const struct {
		const char *path;
		__fsword_t type;
	} places[] = {
		{"sys", SYSFS_MAGIC},
		{"sys/class", SYSFS_MAGIC},
		{"sys/class/block", SYSFS_MAGIC},
		{"sys/class/net", SYSFS_MAGIC},
		{"sys/class/vfio", SYSFS_MAGIC},
		{"sys/class/vfio-dev", SYSFS_MAGIC},
		{"sys/class/vtconsole", SYSFS_MAGIC},
		{"sys/fs", SYSFS_MAGIC},
		{"sys/kernel", SYSFS_MAGIC},
		{"sys/kernel/iommu_groups", SYSFS_MAGIC},
		{"sys/dev", SYSFS_MAGIC},
		{"sys/devices", SYSFS_MAGIC},
		{"sys/bus/pci", SYSFS_MAGIC},
		{"proc/1", PROC_SUPER_MAGIC},
		{"proc/swaps", PROC_SUPER_MAGIC},
		{"proc/iomem", PROC_SUPER_MAGIC},
		{"proc/consoles", PROC_SUPER_MAGIC},
	};
	struct statfs fs;
	size_t i, target;

	for (i = 0; scan->has_procfs && i < sizeof(places) / sizeof(*places); i++) {
		int fd = openat(scan->host->root_fd, places[i].path, O_PATH | O_CLOEXEC);
		bool is_covered = fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type != places[i].type;

		if (fd >= 0)
			close(fd);
		for (target = 0; is_covered && target < scan->target_count; target++)
			holders_unseen(
				scan, target,
				holders_text(scan,
					     "/%s, because something is mounted over it (try: "
					     "umount /%s)",
					     places[i].path, places[i].path));
	}
}

static void holders_run(struct holder_scan *scan, size_t asked)
{
	size_t i;

	if (!scan->targets)
		return;
	examine_root(scan);
	for (i = 0; i < asked; i++)
		if (!is_bridge(scan, &scan->targets[i].address))
			read_vfs(scan, i);
	for (i = 0; i < scan->target_count; i++)
		if (!is_bridge(scan, &scan->targets[i].address))
			holders_walk(scan, i);
	check_covered(scan);
	holders_read_blocks(scan);
	holders_read_char_exports(scan);
	holders_read_networks(scan);
	holders_read_consoles(scan);
	holders_read_processes(scan);
	holders_read_rest(scan);
	for (i = 0; i < asked; i++)
		if (scan->targets[i].holders->count)
			qsort(scan->targets[i].holders->items, scan->targets[i].holders->count,
			      sizeof(struct pt_holder), compare_holders);
}

static int add_target(struct holder_scan *scan, const struct pt_address *address,
		      struct pt_holders **ret_holders, struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT];
	struct pt_holders *holders;

	if (!sysfs_has_device(scan->host, address))
		return pt_fail(err, PT_NO_DEVICE, ENODEV, "%s: this host has no such PCI device",
			       pt_address_format(address, text));
	holders = calloc(1, sizeof(*holders));
	if (!holders)
		return pt_fail_memory(err);
	*ret_holders = holders;
	HOLDERS_APPEND(scan, scan->targets, scan->target_count,
		       {.address = *address, .holders = holders, .prefix = ""});
	return scan->targets && !scan->error ? 0 : pt_fail_memory(err);
}

/* Of no function: what is looked for in sysfs by it isn't there. */
static const struct pt_address no_function = {
	.domain = UINT32_MAX, .bus = 0xff, .device = 0x1f, .function = 7};

static int add_usb_target(struct holder_scan *scan, const char *name,
			  struct pt_holders **ret_holders, struct pt_error *err)
{
	if (!holders_exists(scan, "sys/bus/usb/devices/%s", name))
		return pt_fail(err, PT_NO_DEVICE, ENODEV, "this host has no USB device %s", name);
	*ret_holders = calloc(1, sizeof(**ret_holders));
	if (!*ret_holders)
		return pt_fail_memory(err);
	HOLDERS_APPEND(
		scan, scan->targets, scan->target_count,
		{.address = no_function, .usb = name, .holders = *ret_holders, .prefix = ""});
	return scan->targets && !scan->error ? 0 : pt_fail_memory(err);
}

static int scan_end(const struct holder_scan *scan, struct pt_error *err)
{
	return scan->error
		       ? pt_fail(err, scan->error == -ENOMEM ? PT_NO_MEMORY : PT_SYSTEM,
				 -scan->error, "looking for holders: %s", strerror(-scan->error))
		       : 0;
}

int holders_read_many(struct pt_host *host, const struct pt_address *addresses, size_t count,
		      struct pt_holders **ret_holders, struct pt_error *err)
{
	struct holder_scan scan = {.host = host};
	struct pt_holders **lists = calloc(count ? count : 1, sizeof(*lists));
	size_t i;
	int r = 0;

	if (!lists)
		return pt_fail_memory(err);
	for (i = 0; i < count && !r; i++)
		r = add_target(&scan, &addresses[i], &lists[i], err);
	if (!r) {
		holders_run(&scan, count);
		r = scan_end(&scan, err);
	}
	for (i = 0; i < count; i++) {
		if (r)
			pt_holders_free(lists[i]);
		else
			ret_holders[i] = lists[i];
	}
	free(lists);
	holders_free_scan(&scan);
	return r;
}

int pt_holders_read(struct pt_host *host, const struct pt_address *address,
		    struct pt_holders **ret_holders, struct pt_error *err)
{
	return holders_read_many(host, address, 1, ret_holders, err);
}

int holders_read_usb(struct pt_host *host, const char *name, struct pt_holders **ret_holders,
		     struct pt_error *err)
{
	struct holder_scan scan = {.host = host};
	struct pt_holders *holders = NULL;
	int r = add_usb_target(&scan, name, &holders, err);

	if (!r) {
		holders_run(&scan, 1);
		r = scan_end(&scan, err);
	}
	holders_free_scan(&scan);
	if (r < 0)
		pt_holders_free(holders);
	else
		*ret_holders = holders;
	return r;
}

void holder_print(FILE *out, const struct pt_holder *holder)
{
	(void)fprintf(out, "\n  %s %s", pt_holder_kind_name(holder->kind), holder->what);
	if (holder->through && *holder->through)
		(void)fprintf(out, " through %s", holder->through);
	if (holder->advice && *holder->advice)
		(void)fprintf(out, ": %s", holder->advice);
}
