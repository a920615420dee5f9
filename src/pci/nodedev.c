/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One function as virsh nodedev-dumpxml writes it, so that what reads that reads this. Reads
 * nothing that waits for the device's lock (driver_override, sriov_numvfs): a stuck
 * driver must not keep people from looking at its device.
 */
#include "pci/nodedev.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/error.h"
#include "base/io.h"
#include "base/text.h"
#include "base/xml.h"
#include "pci/config.h"
#include "pci/sysfs.h"
#include "pci/uevent_text.h"

/* All that is shown stands in the part that conventional PCI has too. */
#define CONFIG_SHOWN 256

#define HEADER_BRIDGE  PCI_HEADER_TYPE_BRIDGE
#define HEADER_CARDBUS PCI_HEADER_TYPE_CARDBUS

/* From SYSFS_DEVICES up to sys, as the entries there are linked. */
#define UP_TO_SYS "../../../"

/* The kernel composes a uevent file in 2048 bytes (UEVENT_BUFFER_SIZE). */
#define UEVENT_SIZE 4096

/*
 * One function on its way to the document. Its directory is opened once: going by the
 * entry of the bus each time would make the kernel resolve a link and a long path for each file.
 */
struct writer {
	struct pt_host *host;
	const struct pt_address *address;
	int dir_fd;
	char path[PATH_MAX];
	char uevent_text[UEVENT_SIZE];
	struct uevent uevent;
	const struct nodedev_fixed *fixed;
	struct pt_link link_now;
	FILE *out;
};

char *pt_nodedev_name(const struct pt_address *address, char name[PT_NODEDEV_NAME])
{
	(void)text_format(name, PT_NODEDEV_NAME, "pci_%04x_%02x_%02x_%x", address->domain,
			  address->bus, address->device, address->function);
	return name;
}

static void write_address(FILE *out, const struct pt_address *address)
{
	(void)fprintf(out,
		      "      <address domain='0x%04x' bus='0x%02x' slot='0x%02x' "
		      "function='0x%x'/>\n",
		      address->domain, address->bus, address->device, address->function);
}

/*
 * The nearest PCI function above, for a root bus below a function (VMD) too, which
 * is no parent to pt_function; else "computer".
 */
static void write_parent(const struct writer *writer)
{
	const char *path = writer->path;
	const char *last = strrchr(path, '/');
	size_t end = last ? (size_t)(last - path) : 0;
	char name[PT_NODEDEV_NAME];

	while (end > 0) {
		char word[PT_ADDRESS_TEXT];
		struct pt_address address;
		size_t part = end, len;

		while (part > 0 && path[part - 1] != '/')
			part--;
		len = end - part;
		if (len < sizeof(word)) {
			memcpy(word, path + part, len);
			word[len] = '\0';
			if (pt_address_parse(word, &address, NULL) == 0) {
				xml_element(writer->out, 2, "parent",
					    pt_nodedev_name(&address, name));
				return;
			}
		}
		end = part > 0 ? part - 1 : 0;
	}
	xml_element(writer->out, 2, "parent", "computer");
}

static void write_id(const struct writer *writer, const char *element, uint16_t id,
		     const char *name)
{
	(void)fprintf(writer->out, "    <%s id='0x%04x'", element, id);
	if (!name) {
		(void)fputs("/>\n", writer->out);
		return;
	}
	(void)fputc('>', writer->out);
	xml_text(writer->out, name);
	(void)fprintf(writer->out, "</%s>\n", element);
}

/* ---- SR-IOV ---- */

/* A file of sysfs comes whole with the first read(); there is no need to ask for its end. */
static ssize_t read_text(const struct writer *writer, const char *name, char *text, size_t size)
{
	AUTO_CLOSE int fd = openat(writer->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t len = fd < 0 ? -1 : TEMP_FAILURE_RETRY(read(fd, text, size - 1));

	if (len < 0)
		return -errno;
	text[len] = '\0';
	return len;
}

static bool nodedev_read_number(const struct writer *writer, const char *name, uint64_t max,
				uint64_t *ret_number)
{
	char text[32];

	if (read_text(writer, name, text, sizeof(text)) < 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	return text_parse_number(text, 10, max, ret_number) == 0;
}

/* The last component of a link of the function. */
static bool read_link(const struct writer *writer, const char *name, char *text, size_t size)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(writer->dir_fd, name, target, sizeof(target) - 1);
	const char *base;

	if (len < 0)
		return false;
	target[len] = '\0';
	base = strrchr(target, '/');
	return text_copy(text, size, base ? base + 1 : target);
}

static bool read_address_link(const struct writer *writer, const char *name,
			      struct pt_address *ret_address)
{
	char target[PT_ADDRESS_TEXT];

	return read_link(writer, name, target, sizeof(target)) &&
	       pt_address_parse(target, ret_address, NULL) == 0;
}

static void write_relations(const struct writer *writer)
{
	struct pt_address other;
	char name[32];
	uint64_t total = 0;
	bool is_open = false;
	unsigned int i;

	if (writer->fixed->header_type == HEADER_BRIDGE)
		return;
	if (read_address_link(writer, "physfn", &other)) {
		(void)fputs("    <capability type='phys_function'>\n", writer->out);
		write_address(writer->out, &other);
		(void)fputs("    </capability>\n", writer->out);
		return; /* a virtual function has none of its own */
	}
	if (!writer->fixed->may_have_vfs ||
	    !nodedev_read_number(writer, "sriov_totalvfs", UINT16_MAX, &total) || !total)
		return;
	(void)fprintf(writer->out, "    <capability type='virt_functions' maxCount='%u'",
		      (unsigned int)total);
	for (i = 0; i < total; i++) {
		(void)text_format(name, sizeof(name), "virtfn%u", i);
		if (!read_address_link(writer, name, &other))
			break;
		if (!is_open)
			(void)fputs(">\n", writer->out);
		is_open = true;
		write_address(writer->out, &other);
	}
	(void)fputs(is_open ? "    </capability>\n" : "/>\n", writer->out);
}

/* ---- group, node, link ---- */

static int compare_addresses(const void *a, const void *b)
{
	return pt_address_compare(a, b);
}

/* 0 also for what is no function; -ENOMEM. */
static int add_member(const char *name, struct pt_address **members, size_t *count, size_t *room)
{
	struct pt_address address, *grown;

	if (pt_address_parse(name, &address, NULL) < 0)
		return 0;
	if (*count == *room) {
		grown = reallocarray(*members, *room ? *room * 2 : 8, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		*members = grown;
		*room = *room ? *room * 2 : 8;
	}
	(*members)[(*count)++] = address;
	return 0;
}

/* The members of a group, in order; at least one. -ENOMEM, or -ENOENT when it is gone. */
static int read_members(const struct writer *writer, struct pt_address **ret_members,
			size_t *ret_count)
{
	/* without opendir(), which asks five things more than are needed here */
	AUTO_CLOSE int fd =
		openat(writer->dir_fd, "iommu_group/devices", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_FREE struct pt_address *members = NULL;
	_Alignas(struct dirent64) char entries[2048];
	size_t count = 0, room = 0;
	ssize_t size, at;

	if (fd < 0)
		return -ENOENT;
	while ((size = getdents64(fd, entries, sizeof(entries))) > 0) {
		for (at = 0; at < size;) {
			const struct dirent64 *entry = (const struct dirent64 *)(entries + at);
			int r = add_member(entry->d_name, &members, &count, &room);

			if (r < 0)
				return r;
			at += entry->d_reclen;
		}
	}
	if (!count)
		return -ENOENT;
	qsort(members, count, sizeof(*members), compare_addresses);
	*ret_members = TAKE_POINTER(members);
	*ret_count = count;
	return 0;
}

static int write_group(const struct writer *writer)
{
	AUTO_FREE struct pt_address *members = NULL;
	char number[16];
	uint64_t group;
	size_t i, count;
	int r;

	if (!read_link(writer, "iommu_group", number, sizeof(number)) ||
	    text_parse_number(number, 10, INT_MAX, &group) < 0)
		return 0;
	r = read_members(writer, &members, &count);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	(void)fprintf(writer->out, "    <iommuGroup number='%d'>\n", (int)group);
	for (i = 0; i < count; i++)
		write_address(writer->out, &members[i]);
	(void)fputs("    </iommuGroup>\n", writer->out);
	return 0;
}

static void write_numa(const struct writer *writer)
{
	uint64_t node;

	/* "-1" where the firmware doesn't say is no number here */
	if (nodedev_read_number(writer, "numa_node", INT32_MAX, &node))
		(void)fprintf(writer->out, "    <numa node='%u'/>\n", (unsigned int)node);
}

static void write_link(FILE *out, const char *validity, int port, const struct pt_link *link)
{
	(void)fprintf(out, "      <link validity='%s'", validity);
	if (port >= 0)
		(void)fprintf(out, " port='%d'", port);
	if (link->speed_mtps)
		(void)fprintf(out, " speed='%g'", link->speed_mtps / 1000.0);
	(void)fprintf(out, " width='%u'/>\n", link->width);
}

static void write_pcie(const struct writer *writer)
{
	const struct nodedev_fixed *fixed = writer->fixed;

	if (!fixed->is_pcie)
		return;
	if (!fixed->has_link) {
		(void)fputs("    <pci-express/>\n", writer->out);
		return;
	}
	(void)fputs("    <pci-express>\n", writer->out);
	write_link(writer->out, "cap", fixed->port_number, &fixed->link_max);
	write_link(writer->out, "sta", -1, &writer->link_now);
	(void)fputs("    </pci-express>\n", writer->out);
}

/* ---- configuration space ---- */

static bool read_piece(int fd, uint8_t *bytes, size_t offset, size_t size)
{
	if (offset + size > CONFIG_SHOWN)
		size = CONFIG_SHOWN - offset;
	return pread(fd, bytes + offset, size, (off_t)offset) == (ssize_t)size;
}

/*
 * Every word is asked of the device, which takes microseconds each, in a virtual machine
 * tens of them: read what is shown, and leave the rest zero.
 */
static bool read_shown(int fd, uint8_t bytes[CONFIG_SHOWN])
{
	unsigned int at, steps;

	/*
	 * Ids, command and status, class, header type. All ones: the device does not respond (of
	 * virtual functions, only the ids read so).
	 */
	if (!read_piece(fd, bytes, 0, 16) || !memcmp(bytes + 4, "\xff\xff\xff\xff", 4))
		return false;
	if (!(bytes[PCI_STATUS] & PCI_STATUS_CAP_LIST))
		return true;
	at = (bytes[PCI_HEADER_TYPE] & 0x7f) == HEADER_CARDBUS ? PCI_CB_CAPABILITY_LIST
							       : PCI_CAPABILITY_LIST;
	if (!read_piece(fd, bytes, at, 1))
		return false;
	at = bytes[at] & ~3u;
	for (steps = 0; at >= CONFIG_HEADER_SIZE && steps < CONFIG_SHOWN / 4; steps++) {
		if (!read_piece(fd, bytes, at, 2))
			return true; /* unprivileged readers get the header alone */
		if (bytes[at] == PCI_CAP_ID_EXP && !read_piece(fd, bytes, at, PCI_EXP_LNKSTA + 2))
			return true;
		at = bytes[at + 1] & ~3u;
	}
	return true;
}

/*
 * Kept only if configuration space was read to its end: a device that doesn't answer may do so
 * later. What it tells is left zeroed when it doesn't, or when the file can't be read.
 */
static int read_fixed(struct writer *writer, struct nodedev_fixed *ret_fixed)
{
	AUTO_FREE struct config *config = malloc(sizeof(*config));
	uint8_t bytes[CONFIG_SHOWN] = {0};
	AUTO_CLOSE int fd = openat(writer->dir_fd, "config", O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (!config)
		return -ENOMEM;
	*ret_fixed = (struct nodedev_fixed){
		.product = pt_name_device(writer->host, writer->uevent.vendor_id,
					  writer->uevent.device_id),
		.vendor = pt_name_vendor(writer->host, writer->uevent.vendor_id),
		.may_have_vfs = faccessat(writer->dir_fd, "sriov_totalvfs", F_OK, 0) == 0,
	};
	if (fd < 0 || !read_shown(fd, bytes) || config_parse(bytes, sizeof(bytes), config) < 0)
		return 0;
	ret_fixed->header_type = config->header_type;
	ret_fixed->has_vpd = config->has_vpd;
	ret_fixed->is_pcie = config->is_pcie;
	ret_fixed->has_link = config->has_link;
	ret_fixed->port_number = config->port_number;
	ret_fixed->link_max = config->link_max;
	writer->link_now = config->link_now;
	if (fstat(writer->dir_fd, &st) == 0) {
		ret_fixed->inode = st.st_ino;
		ret_fixed->made = st.st_ctim;
	}
	return 0;
}

static bool is_of(const struct nodedev_fixed *fixed, int dir_fd)
{
	struct stat st;

	return fixed->inode && fstat(dir_fd, &st) == 0 && st.st_ino == fixed->inode &&
	       st.st_ctim.tv_sec == fixed->made.tv_sec && st.st_ctim.tv_nsec == fixed->made.tv_nsec;
}

/*
 * The state of the link as the kernel's own attributes tell it, which neither wake a device
 * nor wait for its reset. False where there are none.
 */
static bool read_link_now(const struct writer *writer, struct pt_link *ret_link)
{
	struct pt_link link = {0};
	unsigned int whole = 0, tenths = 0;
	char text[64];
	uint64_t width;

	if (!nodedev_read_number(writer, "current_link_width", UINT8_MAX, &width) ||
	    read_text(writer, "current_link_speed", text, sizeof(text)) < 0)
		return false;
	/* "2.5 GT/s PCIe", or "Unknown" */
	if (sscanf(text, "%4u.%1u GT/s", &whole, &tenths) == 2)
		link.speed_mtps = whole * 1000 + tenths * 100;
	link.width = (uint8_t)width;
	*ret_link = link;
	return true;
}

/* Without asking the device: false when that can't be. */
static bool is_known(struct writer *writer, const struct nodedev_fixed *fixed)
{
	return is_of(fixed, writer->dir_fd) && !fixed->has_vpd &&
	       (!fixed->has_link || read_link_now(writer, &writer->link_now));
}

/* ---- all of it ---- */

static int write_capability(const struct writer *writer)
{
	const struct pt_address *address = writer->address;
	const struct uevent *uevent = &writer->uevent;
	FILE *out = writer->out;
	int r;

	(void)fprintf(out,
		      "  <capability type='pci'>\n    <class>0x%06x</class>\n"
		      "    <domain>%u</domain>\n    <bus>%u</bus>\n    <slot>%u</slot>\n"
		      "    <function>%u</function>\n",
		      uevent->class_code, address->domain, address->bus, address->device,
		      address->function);
	write_id(writer, "product", uevent->device_id, writer->fixed->product);
	write_id(writer, "vendor", uevent->vendor_id, writer->fixed->vendor);
	write_relations(writer);
	if (writer->fixed->header_type == HEADER_BRIDGE)
		(void)fputs("    <capability type='pci-bridge'/>\n", out);
	else if (writer->fixed->header_type == HEADER_CARDBUS)
		(void)fputs("    <capability type='cardbus-bridge'/>\n", out);
	if (writer->fixed->has_vpd)
		nodedev_write_vpd(writer->host, writer->address, out);
	r = write_group(writer);
	write_numa(writer);
	write_pcie(writer);
	(void)fputs("  </capability>\n", out);
	return r;
}

static int write_device(const struct writer *writer)
{
	const struct uevent *uevent = &writer->uevent;
	char name[PT_NODEDEV_NAME], driver[256];
	int r;

	(void)fputs("<device>\n", writer->out);
	xml_element(writer->out, 2, "name", pt_nodedev_name(writer->address, name));
	xml_element(writer->out, 2, "path", writer->path);
	write_parent(writer);
	if (uevent->driver_len && uevent->driver_len < sizeof(driver)) {
		memcpy(driver, uevent->driver, uevent->driver_len);
		driver[uevent->driver_len] = '\0';
		(void)fputs("  <driver>\n", writer->out);
		xml_element(writer->out, 4, "name", driver);
		(void)fputs("  </driver>\n", writer->out);
	}
	r = write_capability(writer);
	(void)fputs("</device>\n", writer->out);
	return r;
}

/* The document as text: 0 or -ENOMEM. */
static int compose(struct writer *writer, char **ret_xml)
{
	char *xml = NULL;
	size_t size = 0;
	int r;

	writer->out = open_memstream(&xml, &size);
	if (!writer->out)
		return -ENOMEM;
	r = write_device(writer);
	if (fclose(writer->out) != 0 || r < 0) {
		free(xml);
		return -ENOMEM;
	}
	*ret_xml = xml;
	return 0;
}

/* Where the function is and what it is. -ENOENT or -ENODEV when it isn't there (any more). */
static int open_function(struct writer *writer)
{
	char entry[SYSFS_PATH], target[PATH_MAX];
	ssize_t len;
	int r = sysfs_device_path(entry, writer->address, "");

	if (r < 0)
		return r;
	len = readlinkat(writer->host->root_fd, entry, target, sizeof(target) - 1);
	if (len < 0 && errno != EINVAL)
		return errno > 0 ? -errno : -EIO; /* always the first; analyzers wonder */
	target[len < 0 ? 0 : len] = '\0';
	if (strncmp(target, UP_TO_SYS, strlen(UP_TO_SYS)) != 0) /* a copy of a sysfs */
		r = text_format(writer->path, sizeof(writer->path), "/%s", entry);
	else
		r = text_format(writer->path, sizeof(writer->path), "/sys/%s",
				target + strlen(UP_TO_SYS));
	if (r < 0)
		return r;
	writer->dir_fd = openat(writer->host->root_fd, entry, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (writer->dir_fd < 0)
		return errno > 0 ? -errno : -EIO;
	len = read_text(writer, "uevent", writer->uevent_text, sizeof(writer->uevent_text));
	if (len < 0)
		return (int)len;
	/* a function that tells nonsense is shown all the same */
	(void)uevent_parse(writer->uevent_text, (size_t)len, &writer->uevent);
	return 0;
}

static int nodedev_fail_unreadable(const struct pt_address *address, int r, struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT];

	pt_address_format(address, text);
	if (r == -ENOENT || r == -ENODEV)
		return pt_fail(err, PT_NO_DEVICE, ENODEV,
			       "%s: this host has no such PCI function. To see all devices:\n"
			       "  passthru list",
			       text);
	return pt_fail(err, PT_SYSTEM, -r, "%s: its files under /sys can't be read: %s", text,
		       strerror(-r));
}

int nodedev_xml(struct pt_host *host, const struct pt_address *address, bool may_wait,
		struct nodedev_fixed *fixed, char **ret_xml, struct pt_error *err)
{
	struct writer writer = {.host = host, .address = address, .dir_fd = -1, .fixed = fixed};
	int r = open_function(&writer);

	if (r < 0)
		r = nodedev_fail_unreadable(address, r, err);
	else if (!is_known(&writer, fixed))
		r = !may_wait ? -EAGAIN
			      : (read_fixed(&writer, fixed) < 0 ? pt_fail_memory(err) : 0);
	if (r == 0)
		r = compose(&writer, ret_xml) < 0 ? pt_fail_memory(err) : 0;
	if (writer.dir_fd >= 0)
		close(writer.dir_fd);
	return r;
}

int pt_nodedev_xml(struct pt_host *host, const struct pt_address *address, char **ret_xml,
		   struct pt_error *err)
{
	struct nodedev_fixed fixed = {0};

	return nodedev_xml(host, address, true, &fixed, ret_xml, err);
}
