/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a table of elements can't say: what must be there, and what may be there only once. */
#include "domain/definition/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/text.h"
#include "domain/definition/definition.h"
#include "domain/definition/device.h"
#include "domain/definition/filesystem.h"
#include "domain/definition/host_usb.h"
#include "domain/definition/iothreads.h"
#include "domain/definition/units.h"
#include "domain/definition/xml_node.h"

/* What a device of this name (and type) must have in it: "CHILD" or "CHILD@ATTRIBUTE". */
static const struct {
	const char *name;
	const char *type; /* NULL: any */
	const char *path;
} musts[] = {
	{"hostdev", "pci", "source/address"},
	{"hostdev", NULL, "source"},
	{"interface", "hostdev", "source/address"},
	{"interface", "bridge", "source"},
	{"interface", "network", "source"},
	{"interface", "direct", "source"},
	{"disk", NULL, "target"},
	{"disk", "nvme", "source/address"},
	{"channel", NULL, "target"},
	{"channel", "file", "source"},
	{"serial", "file", "source"},
	{"console", "file", "source"},
	{"video", NULL, "model"},
	{"input", "evdev", "source"},
	{"tpm", NULL, "backend"},
	{"rng", NULL, "backend"},
	{"filesystem", NULL, "source"},
	{"filesystem", NULL, "target"},
	{"shmem", NULL, "model"},
	{"shmem", NULL, "size"},
};

static int check_musts(const xmlNode *device, struct pt_error *err)
{
	for (size_t i = 0; i < sizeof(musts) / sizeof(musts[0]); i++) {
		if (!node_is(device, musts[i].name) ||
		    (musts[i].type && !node_has(device, "type", musts[i].type)) ||
		    node_find(device, musts[i].path))
			continue;
		return pt_fail(err, PT_INVALID, EINVAL,
			       "domain/devices/%s/%s is missing (line %ld)", musts[i].name,
			       musts[i].path, xmlGetLineNo(device));
	}
	return 0;
}

/* Both become parts of paths. */
static int check_volume(const xmlNode *disk, struct pt_error *err)
{
	static const char *const names[] = {"source@pool", "source@volume"};

	for (size_t i = 0; i < 2; i++) {
		const char *name = node_get(disk, names[i]);

		if (name && (!*name || *name == '.' || strchr(name, '/')))
			return pt_fail(
				err, PT_INVALID, EINVAL,
				"domain/devices/disk/%s='%s' is no name: it is empty, begins "
				"with a dot or has a slash (line %ld)",
				names[i], name, xmlGetLineNo(disk));
	}
	return 0;
}

static int check_device(const xmlNode *device, struct pt_error *err)
{
	const xmlNode *size = node_child(device, "size");
	struct definition_hostdev hostdev;
	struct host_usb usb;
	uint64_t bytes;
	int r;

	r = check_musts(device, err);
	if (r == 0 && size)
		r = size_of_node(size, &bytes, err);
	if (r == 0 && node_is(device, "disk") && !node_has(device, "type", "nvme") &&
	    !node_child(device, "source") && !node_has(device, "device", "cdrom"))
		r = pt_fail(err, PT_INVALID, EINVAL,
			    "domain/devices/disk/source is missing (line %ld)",
			    xmlGetLineNo(device));
	if (r == 0 && node_is(device, "disk"))
		r = check_volume(device, err);
	if (r == 0 && node_is(device, "vsock") && !node_says(device, "cid@auto", "yes") &&
	    !node_get(device, "cid@address"))
		r = pt_fail(err, PT_INVALID, EINVAL,
			    "domain/devices/vsock/cid says neither auto='yes' nor an address (line "
			    "%ld)",
			    xmlGetLineNo(device));
	if (r == 0 && node_is(device, "filesystem"))
		r = filesystem_check(device, err);
	if (r == 0)
		r = device_hostdev((xmlNode *)(uintptr_t)device, &hostdev, err);
	if (r == 0)
		r = device_host_usb((xmlNode *)(uintptr_t)device, &usb, err);
	return r < 0 ? r : 0;
}

/* Fails when the last device has the same as one before it of something that tells them apart. */
static int check_unique(const struct device_identity *identities, size_t last, struct pt_error *err)
{
	const xmlNode *device = identities[last].node;

	for (size_t i = 0; i < last; i++) {
		const xmlNode *at = identities[i].node;
		const char *what = device_conflict(&identities[i], &identities[last]);

		if (what)
			return pt_fail(err, PT_INVALID, EINVAL,
				       "domain/devices/%s (line %ld) and domain/devices/%s (line "
				       "%ld) have the same %s",
				       (const char *)at->name, xmlGetLineNo(at),
				       (const char *)device->name, xmlGetLineNo(device), what);
	}
	return 0;
}

int definition_check_count(const xmlNode *devices, unsigned int more, struct pt_error *err)
{
	unsigned long count = devices ? xmlChildElementCount((xmlNode *)(uintptr_t)devices) : 0;

	if (count + more <= DEFINITION_MAX_DEVICES)
		return 0;
	return pt_fail(err, PT_INVALID, EOPNOTSUPP,
		       "domain/devices: a guest can have at most %d devices, with its controllers",
		       DEFINITION_MAX_DEVICES);
}

static int check_devices(const xmlNode *domain, struct pt_error *err)
{
	const xmlNode *devices = node_child(domain, "devices");
	bool has_order = node_find(domain, "os/boot");
	AUTO_FREE struct device_identity *identities = NULL;
	size_t count = 0, usbs = 0;
	int r = definition_check_count(devices, 0, err);

	if (r < 0)
		return r;
	identities = calloc(DEFINITION_MAX_DEVICES, sizeof(*identities));
	if (!identities)
		return pt_fail_memory(err);
	for (const xmlNode *at = node_child(devices, NULL); at; at = node_next(at, NULL)) {
		r = check_device(at, err);
		identities[count] = device_identity(at);
		if (r == 0 && identities[count].is_usb)
			r = host_usb_check_count(++usbs, err);
		if (r == 0)
			r = check_unique(identities, count++, err);
		if (r < 0)
			return r;
		if (has_order && node_child(at, "boot"))
			return pt_fail(
				err, PT_INVALID, EOPNOTSUPP,
				"per-device boot elements cannot be used together with os/boot "
				"elements (line %ld)",
				xmlGetLineNo(at));
	}
	return 0;
}

/* It becomes part of file names, of QEMU's options and of messages. */
static int check_name(const xmlNode *domain, struct pt_error *err)
{
	const char *name = node_get(domain, "name");

	if (!name)
		return pt_fail(err, PT_INVALID, EINVAL, "missing domain name");
	for (const char *at = name; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == '/' || *at == 0x7f)
			return pt_fail(
				err, PT_INVALID, EINVAL,
				"domain/name contains a slash or control character, which is not "
				"allowed");
	if (name[0] == '.' || strlen(name) > 128 || !name[strspn(name, " ")])
		return pt_fail(
			err, PT_INVALID, EINVAL,
			"domain/name begins with a dot, is blank, or is longer than 128 bytes: "
			"'%s'",
			name);
	return 0;
}

static int check_memory(const xmlNode *domain, struct pt_error *err)
{
	static const char *const sizes[] = {"memory", "currentMemory", "memtune/hard_limit",
					    "memtune/swap_hard_limit"};
	uint64_t bytes[4] = {0};

	for (size_t i = 0; i < 4; i++) {
		int r = size_of_node(node_find(domain, sizes[i]), &bytes[i], err);

		if (r == -ENOENT)
			continue;
		if (r < 0) {
			pt_error_prefix(err, "domain/%s: ", sizes[i]);
			return r;
		}
	}
	if (bytes[0] < 1024 * 1024)
		return pt_fail(err, PT_INVALID, EINVAL,
			       "domain/memory is missing or less than a MiB");
	if (bytes[1] > bytes[0])
		return pt_fail(err, PT_INVALID, EINVAL,
			       "domain/currentMemory is more than domain/memory");
	if (bytes[3] && (!bytes[2] || bytes[3] < bytes[2]))
		return pt_fail(err, PT_INVALID, EINVAL,
			       "domain/memtune/swap_hard_limit limits memory and swap together: it "
			       "needs a hard_limit that is not larger");
	return 0;
}

static int check_pages(const xmlNode *domain, struct pt_error *err)
{
	const xmlNode *page = node_find(domain, "memoryBacking/hugepages/page");
	uint64_t bytes;
	int r;

	if (!page)
		return 0;
	r = size_parse(node_attribute(page, "size"), node_attribute(page, "unit"), &bytes, err);
	if (r == 0 && (bytes & (bytes - 1)))
		r = pt_fail(
			err, PT_INVALID, EINVAL,
			"domain/memoryBacking/hugepages/page@size is not a power of two (line %ld)",
			xmlGetLineNo(page));
	return r;
}

static int check_iothread(const xmlNode *node, const char *path, const struct iothread *iothreads,
			  size_t count, struct pt_error *err)
{
	const char *text = node_get(node, path);
	uint64_t id;

	if (!text || text_parse_number(text, 10, UINT32_MAX, &id) < 0 ||
	    iothreads_have(iothreads, count, (unsigned int)id))
		return 0;
	return pt_fail(
		err, PT_INVALID, EINVAL,
		"%s: IOThread '%s' not defined in iothreadid: the guest has no I/O thread of "
		"this number (line %ld)",
		(const char *)node->name, text, xmlGetLineNo(node));
}

/* Whoever names one: a disk, a controller, and where it is pinned. */
static int check_iothreads(const xmlNode *domain, struct pt_error *err)
{
	const xmlNode *at = node_child(node_child(domain, "devices"), NULL);
	struct iothread iothreads[IOTHREADS_MAX];
	size_t count = iothreads_read(domain, iothreads);
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		if (iothreads_have(iothreads, i, iothreads[i].id))
			r = pt_fail(err, PT_INVALID, EINVAL,
				    "domain/iothreadids: %u is the number of two I/O threads",
				    iothreads[i].id);
	for (; at && r == 0; at = node_next(at, NULL))
		r = check_iothread(at, "driver@iothread", iothreads, count, err);
	for (at = node_find(domain, "cputune/iothreadpin"); at && r == 0;
	     at = node_next(at, "iothreadpin"))
		r = check_iothread(at, "@iothread", iothreads, count, err);
	return r;
}

/* Each processor by itself, as libvirt writes them: QEMU begins with the first ones. */
static int check_vcpus(const xmlNode *domain, struct pt_error *err)
{
	const xmlNode *at = node_find(domain, "vcpus/vcpu");
	const char *maximum = node_get(domain, "vcpu"), *current = node_get(domain, "vcpu@current");
	uint64_t count = 1, id = 0;

	if (!at)
		return 0;
	if (maximum)
		(void)text_parse_number(maximum, 10, 1024, &count);
	if (current)
		(void)text_parse_number(current, 10, 1024, &count);
	for (; at; at = node_next(at, "vcpu"))
		if (node_number(at, "id", 1023, &id) == 0 &&
		    node_has(at, "enabled", "yes") != (id < count))
			return pt_fail(
				err, PT_INVALID, EOPNOTSUPP,
				"domain/vcpus: vCPU %llu is %s, but the first %llu are those that "
				"the guest begins with (line %ld)",
				(unsigned long long)id,
				node_has(at, "enabled", "yes") ? "enabled" : "off",
				(unsigned long long)count, xmlGetLineNo(at));
	return 0;
}

/* QEMU gets its devices as JSON, which -set doesn't reach. */
static int check_own_arguments(const xmlNode *domain, struct pt_error *err)
{
	for (const xmlNode *own = domain->children; own; own = own->next) {
		bool is_set = false;

		if (!own->ns || strcmp((const char *)own->name, "commandline") != 0)
			continue;
		for (const xmlNode *arg = own->children; arg; arg = arg->next) {
			const char *value = node_attribute(arg, "value");

			if (is_set && value && strncmp(value, "device.", 7) == 0)
				return pt_fail(
					err, PT_INVALID, EOPNOTSUPP,
					"qemu:commandline: -set %s can't reach the device, for QEMU "
					"gets it as JSON; say it as <qemu:override><qemu:device "
					"alias='%.*s'><qemu:frontend><qemu:property name=… type=… "
					"value=…/></qemu:frontend></qemu:device></qemu:override> "
					"(line %ld)",
					value, (int)strcspn(value + 7, "."), value + 7,
					xmlGetLineNo(arg));
			is_set = text_equal(value, "-set");
		}
	}
	return 0;
}

int definition_check_rules(const xmlNode *root, struct pt_error *err)
{
	int r;

	if (!node_is(root, "domain"))
		return check_device(root, err);
	r = check_name(root, err);
	if (r == 0)
		r = check_memory(root, err);
	if (r == 0)
		r = check_pages(root, err);
	if (r == 0 && !node_find(root, "os/type"))
		r = pt_fail(err, PT_INVALID, EINVAL, "domain/os/type is missing");
	if (r == 0)
		r = check_iothreads(root, err);
	if (r == 0)
		r = check_vcpus(root, err);
	if (r == 0)
		r = check_own_arguments(root, err);
	return r < 0 ? r : check_devices(root, err);
}
