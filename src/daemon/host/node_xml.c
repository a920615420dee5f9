/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Node devices that are no PCI functions, as virsh nodedev-dumpxml shows them
 * (https://libvirt.org/formatnode.html).
 */
#include <inttypes.h>
#include <libudev.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "base/xml.h"
#include "daemon/host/nodes.h"

#define VALUE 256

struct writer {
	struct pt_host *host;
	const struct node *node;
	FILE *out;
};

static const char *attribute(const struct writer *writer, const char *name, char value[VALUE])
{
	size_t len;

	node_read_text(writer->host, writer->node->path, name, value, VALUE);
	for (len = strlen(value); len && value[len - 1] == ' '; len--)
		value[len - 1] = '\0'; /* SCSI pads its strings */
	return value;
}

/* "<NAME>TEXT</NAME>", or nothing when there is no text. */
static void write_if(const struct writer *writer, int indent, const char *name, const char *text)
{
	if (*text)
		xml_element(writer->out, indent, name, text);
}

static void write_attribute(const struct writer *writer, const char *name, const char *file)
{
	char value[VALUE];

	write_if(writer, 4, name, attribute(writer, file, value));
}

/* ---- the system ---- */

static void write_system(const struct writer *writer)
{
	static const char dmi[] = "/sys/class/dmi/id";
	static const char *const hardware[][2] = {
		{"vendor", "sys_vendor"},
		{"version", "product_version"},
		{"serial", "product_serial"},
		{"uuid", "product_uuid"},
	};
	static const char *const firmware[][2] = {
		{"vendor", "bios_vendor"},
		{"version", "bios_version"},
		{"release_date", "bios_date"},
	};
	char value[VALUE];
	size_t i;

	node_read_text(writer->host, dmi, "product_name", value, sizeof(value));
	write_if(writer, 4, "product", value);
	(void)fputs("    <hardware>\n", writer->out);
	for (i = 0; i < sizeof(hardware) / sizeof(hardware[0]); i++) {
		node_read_text(writer->host, dmi, hardware[i][1], value, sizeof(value));
		if (!*value && !strcmp(hardware[i][0], "uuid")) /* the schema wants one */
			(void)text_copy(value, sizeof(value),
					"00000000-0000-0000-0000-000000000000");
		write_if(writer, 6, hardware[i][0], value);
	}
	(void)fputs("    </hardware>\n    <firmware>\n", writer->out);
	for (i = 0; i < sizeof(firmware) / sizeof(firmware[0]); i++) {
		node_read_text(writer->host, dmi, firmware[i][1], value, sizeof(value));
		write_if(writer, 6, firmware[i][0], value);
	}
	(void)fputs("    </firmware>\n", writer->out);
}

/* ---- network interfaces ---- */

static const struct {
	const char *name;
	uint32_t command;
	uint32_t flag; /* of ETHTOOL_GFLAGS; 0: any value */
} features[] = {
	{"rx", ETHTOOL_GRXCSUM, 0},
	{"tx", ETHTOOL_GTXCSUM, 0},
	{"sg", ETHTOOL_GSG, 0},
	{"tso", ETHTOOL_GTSO, 0},
	{"gso", ETHTOOL_GGSO, 0},
	{"gro", ETHTOOL_GGRO, 0},
	{"lro", ETHTOOL_GFLAGS, ETH_FLAG_LRO},
	{"rxvlan", ETHTOOL_GFLAGS, ETH_FLAG_RXVLAN},
	{"txvlan", ETHTOOL_GFLAGS, ETH_FLAG_TXVLAN},
	{"ntuple", ETHTOOL_GFLAGS, ETH_FLAG_NTUPLE},
	{"rxhash", ETHTOOL_GFLAGS, ETH_FLAG_RXHASH},
};

static void write_features(const struct writer *writer)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {0};
	size_t i;

	if (fd < 0 || !text_copy(request.ifr_name, sizeof(request.ifr_name), writer->node->entry))
		return;
	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		struct ethtool_value value = {.cmd = features[i].command};

		request.ifr_data = (void *)&value;
		if (ioctl(fd, SIOCETHTOOL, &request) < 0)
			continue;
		if (features[i].flag ? value.data & features[i].flag : value.data)
			(void)fprintf(writer->out, "    <feature name='%s'/>\n", features[i].name);
	}
}

static void write_net(const struct writer *writer)
{
	char value[VALUE];
	uint64_t speed;

	xml_element(writer->out, 4, "interface", writer->node->entry);
	write_attribute(writer, "address", "address");
	(void)fputs("    <link", writer->out);
	/* "-1" where it isn't known */
	if (text_parse_number(attribute(writer, "speed", value), 10, UINT32_MAX, &speed) == 0)
		(void)fprintf(writer->out, " speed='%" PRIu64 "'", speed);
	(void)fputs(" state='", writer->out);
	xml_text(writer->out, *attribute(writer, "operstate", value) ? value : "unknown");
	(void)fputs("'/>\n", writer->out);
	if (writer->host->is_this_machine)
		write_features(writer);
	/* the media of IEEE 802: wireless, and what has the addresses of Ethernet */
	if (*attribute(writer, "phy80211/index", value))
		(void)fputs("    <capability type='80211'/>\n", writer->out);
	else if (!strcmp(attribute(writer, "addr_len", value), "6"))
		(void)fputs("    <capability type='80203'/>\n", writer->out);
}

/* ---- disks ---- */

/* Nodes below /dev come before <parent>. */
static void write_devnodes(const struct writer *writer)
{
	struct udev *udev;
	struct udev_device *device;
	struct udev_list_entry *entry;

	if (writer->node->kind != NODE_STORAGE && writer->node->kind != NODE_DRM &&
	    writer->node->kind != NODE_SCSI_GENERIC && writer->node->kind != NODE_USB_DEVICE)
		return;
	udev = writer->host->is_this_machine ? udev_new() : NULL;
	device = udev ? udev_device_new_from_syspath(udev, writer->node->path) : NULL;
	if (device && udev_device_get_devnode(device)) {
		(void)fputs("  <devnode type='dev'>", writer->out);
		xml_text(writer->out, udev_device_get_devnode(device));
		(void)fputs("</devnode>\n", writer->out);
		udev_list_entry_foreach(entry, udev_device_get_devlinks_list_entry(device))
		{
			(void)fputs("  <devnode type='link'>", writer->out);
			xml_text(writer->out, udev_list_entry_get_name(entry));
			(void)fputs("</devnode>\n", writer->out);
		}
	}
	udev_device_unref(device);
	udev_unref(udev);
}

static void write_storage(const struct writer *writer)
{
	char value[VALUE];
	uint64_t sectors = 0, block = 512;

	(void)fprintf(writer->out, "    <block>/dev/%s</block>\n", writer->node->entry);
	if (writer->host->is_this_machine) {
		node_property(writer->node->path, "ID_BUS", value, sizeof(value));
		write_if(writer, 4, "bus", value);
	}
	node_drive_type(writer->host, writer->node, value, sizeof(value));
	write_if(writer, 4, "drive_type", value);
	write_attribute(writer, "model", "device/model");
	write_attribute(writer, "vendor", "device/vendor");
	if (writer->host->is_this_machine) {
		node_property(writer->node->path, "ID_SERIAL", value, sizeof(value));
		write_if(writer, 4, "serial", value);
	}
	/* the kernel counts in 512 bytes, whatever the disk does */
	(void)text_parse_number(attribute(writer, "size", value), 10, UINT64_MAX / 512, &sectors);
	if (text_parse_number(attribute(writer, "queue/logical_block_size", value), 10, UINT32_MAX,
			      &block) < 0 ||
	    !block)
		block = 512;
	if (!strcmp(attribute(writer, "removable", value), "1")) {
		(void)fprintf(writer->out,
			      "    <capability type='removable'>\n"
			      "      <media_available>%d</media_available>\n"
			      "      <media_size>%" PRIu64 "</media_size>\n    </capability>\n",
			      sectors != 0, sectors * 512);
		return;
	}
	(void)fprintf(writer->out,
		      "    <size>%" PRIu64 "</size>\n"
		      "    <logical_block_size>%" PRIu64 "</logical_block_size>\n"
		      "    <num_blocks>%" PRIu64 "</num_blocks>\n",
		      sectors * 512, block, sectors * 512 / block);
}

/* ---- USB, SCSI, DRM ---- */

static void write_number(const struct writer *writer, const char *name, const char *file,
			 unsigned int base)
{
	char value[VALUE];
	uint64_t number;

	/* interface numbers are written "00" */
	if (text_parse_number(attribute(writer, file, value), base, UINT32_MAX, &number) == 0)
		(void)fprintf(writer->out, "    <%s>%" PRIu64 "</%s>\n", name, number, name);
}

/* The database's names are better than those in the device, which may be anything. */
static void write_usb_id(const struct writer *writer, const char *name, const char *id,
			 const char *property, const char *text)
{
	char value[VALUE];

	if (!*attribute(writer, id, value))
		return;
	(void)fprintf(writer->out, "    <%s id='0x", name);
	xml_text(writer->out, value);
	(void)fputs("'>", writer->out);
	*value = '\0';
	if (writer->host->is_this_machine)
		node_property(writer->node->path, property, value, sizeof(value));
	xml_text(writer->out, *value ? value : attribute(writer, text, value));
	(void)fprintf(writer->out, "</%s>\n", name);
}

static void write_usb_device(const struct writer *writer)
{
	write_number(writer, "bus", "busnum", 10);
	write_number(writer, "device", "devnum", 10);
	write_usb_id(writer, "product", "idProduct", "ID_MODEL_FROM_DATABASE", "product");
	write_usb_id(writer, "vendor", "idVendor", "ID_VENDOR_FROM_DATABASE", "manufacturer");
}

static void write_usb_interface(const struct writer *writer)
{
	write_number(writer, "number", "bInterfaceNumber", 16);
	write_number(writer, "class", "bInterfaceClass", 16);
	write_number(writer, "subclass", "bInterfaceSubClass", 16);
	write_number(writer, "protocol", "bInterfaceProtocol", 16);
	write_attribute(writer, "description", "interface");
}

static void write_scsi(const struct writer *writer)
{
	static const char *const types[] = {"disk",  "tape",	"printer", "processor", "worm",
					    "cdrom", "scanner", "mod",	   "changer",	"comm"};
	unsigned int host, bus, target, lun;
	char value[VALUE];
	uint64_t type;

	if (sscanf(writer->node->entry, "%u:%u:%u:%u", &host, &bus, &target, &lun) != 4)
		return;
	(void)fprintf(writer->out,
		      "    <host>%u</host>\n    <bus>%u</bus>\n    <target>%u</target>\n"
		      "    <lun>%u</lun>\n",
		      host, bus, target, lun);
	if (text_parse_number(attribute(writer, "type", value), 10, 255, &type) == 0 &&
	    type < sizeof(types) / sizeof(types[0]))
		xml_element(writer->out, 4, "type", types[type]);
}

static void write_scsi_host(const struct writer *writer)
{
	char file[VALUE], value[VALUE];

	xml_element(writer->out, 4, "host", writer->node->entry + strlen("host"));
	if (text_format(file, sizeof(file), "scsi_host/%s/unique_id", writer->node->entry) > 0)
		write_if(writer, 4, "unique_id", attribute(writer, file, value));
}

/* ---- all of it ---- */

static void write_capability(const struct writer *writer)
{
	const char *entry = writer->node->entry;

	switch (writer->node->kind) {
	case NODE_SYSTEM:
		write_system(writer);
		break;
	case NODE_USB_DEVICE:
		write_usb_device(writer);
		break;
	case NODE_USB_INTERFACE:
		write_usb_interface(writer);
		break;
	case NODE_NET:
		write_net(writer);
		break;
	case NODE_SCSI_HOST:
		write_scsi_host(writer);
		break;
	case NODE_SCSI_TARGET:
		xml_element(writer->out, 4, "target", entry);
		break;
	case NODE_SCSI:
		write_scsi(writer);
		break;
	case NODE_STORAGE:
		write_storage(writer);
		break;
	case NODE_SCSI_GENERIC:
		(void)fprintf(writer->out, "    <char>/dev/%s</char>\n", entry);
		break;
	case NODE_DRM:
		xml_element(writer->out, 4, "type",
			    !strncmp(entry, "renderD", 7) ? "render" : "primary");
		break;
	case NODE_PCI:
	case NODE_KIND_COUNT:
		break;
	}
}

static void write_driver(const struct writer *writer)
{
	char link[PATH_MAX], driver[NAME_MAX + 1];

	if (text_format(link, sizeof(link), "%s/driver", writer->node->path + 1) < 0 ||
	    io_read_link_word_at(writer->host->root_fd, link, driver, sizeof(driver)) < 0)
		return;
	(void)fputs("  <driver>\n", writer->out);
	xml_element(writer->out, 4, "name", driver);
	(void)fputs("  </driver>\n", writer->out);
}

char *node_xml(struct pt_host *host, const struct node *node)
{
	AUTO_FREE char *xml = NULL;
	size_t size;
	struct writer writer = {host, node, open_memstream(&xml, &size)};

	if (!writer.out)
		return NULL;
	(void)fputs("<device>\n", writer.out);
	xml_element(writer.out, 2, "name", node->name);
	if (node->path) {
		AUTO_FREE char *parent = node_parent(host, node->path);

		xml_element(writer.out, 2, "path", node->path);
		write_devnodes(&writer);
		xml_element(writer.out, 2, "parent", parent ? parent : "computer");
		write_driver(&writer);
	}
	(void)fprintf(writer.out, "  <capability type='%s'>\n", node_kind_word(node->kind));
	write_capability(&writer);
	(void)fputs("  </capability>\n</device>\n", writer.out);
	return fclose(writer.out) == 0 ? TAKE_POINTER(xml) : NULL;
}
