/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/resources/vf.h"

#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <strings.h>

#include "base/io.h"
#include "base/text.h"
#include "domain/definition/device.h"
#include "domain/machine/machine.h"
#include "domain/definition/xml_node.h"
#include "pci/sysfs.h"

enum { VF_MAX = 65535 };

/* Where a virtual function is set: number @index of @netdev. */
struct place {
	char netdev[IFNAMSIZ];
	uint32_t index;
};

/* ---- where ---- */

static bool find_netdev(struct pt_host *host, const struct pt_address *physical,
			char netdev[IFNAMSIZ])
{
	char path[SYSFS_PATH];
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;

	if (sysfs_device_path(path, physical, "net") >= 0)
		(void)io_open_directory_at(host->root_fd, path, &dir);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			return text_copy(netdev, IFNAMSIZ, entry->d_name);
	return false;
}

static bool find_index(struct pt_host *host, const struct pt_address *physical,
		       const struct pt_address *address, uint32_t *ret_index)
{
	char wanted[PT_ADDRESS_TEXT], found[PT_ADDRESS_TEXT], name[32];

	pt_address_format(address, wanted);
	for (uint32_t i = 0; i <= VF_MAX; i++) {
		(void)text_format(name, sizeof(name), "virtfn%u", i);
		if (sysfs_read_link(host, physical, name, found, sizeof(found)) < 0)
			return false;
		if (strcmp(wanted, found) == 0) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}

static int find_place(struct pt_host *host, const struct pt_address *address,
		      struct place *ret_place, struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT], name[PT_ADDRESS_TEXT];
	struct pt_address physical;

	pt_address_format(address, text);
	if (sysfs_read_link(host, address, "physfn", name, sizeof(name)) < 0 ||
	    pt_address_parse(name, &physical, NULL) < 0)
		return pt_fail(
			err, PT_UNSUITABLE, EOPNOTSUPP,
			"domain/devices/interface: %s is not an SR-IOV virtual function, so the "
			"host can't set its MAC address and VLAN; assign the device as <hostdev>",
			text);
	if (!find_netdev(host, &physical, ret_place->netdev) ||
	    !find_index(host, &physical, address, &ret_place->index))
		return pt_fail(
			err, PT_UNSUITABLE, EOPNOTSUPP,
			"domain/devices/interface: can't set the MAC address or VLAN of %s: its "
			"physical function %s has no network interface on this host; bind the "
			"driver of the physical function, or assign the device as <hostdev>",
			text, name);
	return 0;
}

/*
 * Its functions have no link then, and drivers take their settings for nothing. A host whose
 * interfaces can't be asked is taken at its word.
 */
static int check_up(struct pt_host *host, const struct place *place,
		    const struct pt_address *address, struct pt_error *err)
{
	char path[64 + IFNAMSIZ], text[32], name[PT_ADDRESS_TEXT];
	uint64_t flags;

	if (text_format(path, sizeof(path), "sys/class/net/%s/flags", place->netdev) < 0 ||
	    io_read_text_at(host->root_fd, path, text, sizeof(text)) < 0 ||
	    text_parse_number(text, 16, UINT32_MAX, &flags) < 0 || (flags & IFF_UP))
		return 0;
	return pt_fail(err, PT_UNSUITABLE, ENETDOWN,
		       "Unable to configure VF %u of PF '%s' because the PF is not online: the MAC "
		       "address and VLAN of %s would not be in force. To bring it up:\n"
		       "  ip link set %s up",
		       place->index, place->netdev, pt_address_format(address, name),
		       place->netdev);
}

/* ---- asking and telling the kernel ---- */

static int read_vf(struct pt_host *host, const struct place *place, struct store_vf *ret_vf,
		   struct pt_error *err)
{
	struct machine_vf is;
	int r = machine_of(host)->read_vf(host, place->netdev, place->index, &is, err);

	if (r < 0)
		return r;
	(void)text_copy(ret_vf->mac, sizeof(ret_vf->mac), is.mac);
	ret_vf->vlan = is.vlan;
	return 0;
}

static int write_vf(struct pt_host *host, const struct place *place, const char *mac, int vlan,
		    struct pt_error *err)
{
	return machine_of(host)->write_vf(host, place->netdev, place->index, mac, vlan, err);
}

/* ---- of a guest ---- */

/* The devices of @live, or only @device, that have settings in the definition. */
static int list_vfs(const struct definition *live, const xmlNode *device,
		    struct definition_hostdev **ret_vfs, size_t *ret_count, struct pt_error *err)
{
	AUTO_FREE struct definition_hostdev *all = NULL;
	size_t count, kept = 0;
	int r = definition_hostdevs(live, &all, &count, err);

	for (size_t i = 0; r == 0 && i < count; i++)
		if (all[i].kind == HOSTDEV_INTERFACE && (!device || all[i].node == device) &&
		    (all[i].mac || all[i].vlan >= 0))
			all[kept++] = all[i];
	if (r < 0)
		return r;
	*ret_vfs = TAKE_POINTER(all);
	*ret_count = kept;
	return 0;
}

static bool vf_is_listed(const struct store_live *record, const struct pt_address *address)
{
	for (size_t i = 0; i < record->vf_count; i++)
		if (pt_address_compare(&record->vfs[i].address, address) == 0)
			return true;
	return false;
}

int vf_record(struct pt_host *host, const struct definition *live, const xmlNode *device,
	      struct store_live *record, struct pt_error *err)
{
	AUTO_FREE struct definition_hostdev *vfs = NULL;
	size_t count = 0;
	int r = list_vfs(live, device, &vfs, &count, err);

	for (size_t i = 0; r == 0 && i < count; i++) {
		struct store_vf was = {.address = vfs[i].address};
		struct place place;

		r = find_place(host, &was.address, &place, err);
		if (!r)
			r = check_up(host, &place, &was.address, err);
		if (!r)
			r = read_vf(host, &place, &was, err);
		if (r < 0 || vf_is_listed(record, &was.address))
			continue;
		if (record->vf_count == STORE_VFS_MAX)
			return pt_fail(err, PT_INVALID, EOPNOTSUPP,
				       "a guest can have at most %d virtual functions with a MAC "
				       "address or VLAN",
				       STORE_VFS_MAX);
		record->vfs[record->vf_count++] = was;
	}
	return r;
}

int vf_set(struct pt_host *host, const struct definition *live, const xmlNode *device,
	   struct pt_error *err)
{
	AUTO_FREE struct definition_hostdev *vfs = NULL;
	size_t count = 0;
	int r = list_vfs(live, device, &vfs, &count, err);

	for (size_t i = 0; r == 0 && i < count; i++) {
		struct place place;

		r = find_place(host, &vfs[i].address, &place, err);
		if (!r)
			r = write_vf(host, &place, vfs[i].mac, vfs[i].vlan, err);
	}
	return r;
}

static void put_back(struct pt_host *host, const struct store_vf *was)
{
	char text[PT_ADDRESS_TEXT];
	struct store_vf is = {0};
	struct place place;
	struct pt_error err;
	int r = find_place(host, &was->address, &place, &err);

	if (!r)
		r = read_vf(host, &place, &is, &err);
	/* setting what is set already would still be a change: the driver takes it for an order */
	if (!r && (strcasecmp(is.mac, was->mac) != 0 || is.vlan != was->vlan))
		r = write_vf(host, &place, strcasecmp(is.mac, was->mac) != 0 ? was->mac : NULL,
			     is.vlan != was->vlan ? was->vlan : -1, &err);
	if (r < 0)
		host_log(host, PT_LOG_WARNING,
			 "%s: can't restore its MAC address %s and VLAN %d: %s",
			 pt_address_format(&was->address, text), was->mac, was->vlan, err.message);
}

void vf_restore(struct pt_host *host, const struct store_live *record)
{
	for (size_t i = 0; i < record->vf_count; i++)
		put_back(host, &record->vfs[i]);
}

void vf_settle(struct pt_host *host, const struct definition *live, struct store_live *record)
{
	size_t kept = 0;

	for (size_t i = 0; i < record->vf_count; i++) {
		if (live && definition_find_hostdev(live, &record->vfs[i].address))
			record->vfs[kept++] = record->vfs[i];
		else
			put_back(host, &record->vfs[i]);
	}
	record->vf_count = kept;
}
