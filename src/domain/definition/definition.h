/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest's definition in libvirt's XML (libvirt.org/formatdomain.html). The document itself is
 * kept, with all elements in the same order. An element that is not in the table of supported
 * elements (table.c) is refused with its path, never ignored.
 *
 * Errors: PT_INVALID with errnum EINVAL not XML, or not a definition: something missing,
 *	malformed, there twice (libvirt: VIR_ERR_XML_ERROR) EOPNOTSUPP good XML, but we don't do
 *	that (libvirt: VIR_ERR_CONFIG_UNSUPPORTED) EEXIST adding what is there already (libvirt:
 *	VIR_ERR_OPERATION_FAILED) ENOENT no such device (libvirt: VIR_ERR_DEVICE_MISSING) EBUSY no
 *	place for it (libvirt: VIR_ERR_INTERNAL_ERROR) Returned strings and nodes belong to the
 *	definition, and are valid until it is changed.
 */
#ifndef DOMAIN_DEFINITION_DEFINITION_H
#define DOMAIN_DEFINITION_DEFINITION_H

#include <stdbool.h>
#include <stdint.h>

#include <libxml/tree.h>
#include <passthru/address.h>

#include "base/auto.h"
#include "base/error.h"

#define DEFINITION_MAX_TEXT  (1024u * 1024)
#define DEFINITION_MAX_DEPTH 32
/* Each device is compared with each other one; q35 has no places for as many. */
#define DEFINITION_MAX_DEVICES 1024
#define DEFINITION_UUID_TEXT   37

/* A guest, or (definition_parse_device()) one device. */
struct definition;

enum definition_flags {
	/*
	 * Keep what only a running guest has: the id, aliases that we chose, names of taps and
	 * ptys. Without it, it is dropped when parsing and formatting, as libvirt does with
	 * XML that was dumped from a running guest.
	 */
	DEFINITION_LIVE = 1 << 0,
	/* Format passwords too. */
	DEFINITION_SECURE = 1 << 1,
};

int definition_parse(const char *text, unsigned int flags, struct definition **ret_def,
		     struct pt_error *err);

/* One device element, as attach-device and detach-device are given it. */
int definition_parse_device(const char *text, unsigned int flags, struct definition **ret_device,
			    struct pt_error *err);

/* NULL only without memory. */
struct definition *definition_copy(const struct definition *def);
void definition_free(struct definition *def); /* NULL is allowed */
AUTO_DEFINE(definition, struct definition *, definition_free)

/* New text as libvirt lays it out, for a device too; freed with free(). */
int definition_format(const struct definition *def, unsigned int flags, char **ret_text,
		      struct pt_error *err);

/* ---- values ---- */

const char *definition_name(const struct definition *def);
const char *definition_uuid(const struct definition *def); /* lower case, with dashes */
void definition_uuid_bytes(const struct definition *def, unsigned char ret_uuid[16]);
int definition_id(const struct definition *def); /* -1 if it is not running */
int definition_set_id(struct definition *def, int id, struct pt_error *err);

bool definition_is_kvm(const struct definition *def);	      /* otherwise emulated: type='qemu' */
uint64_t definition_memory(const struct definition *def);     /* bytes */
uint64_t definition_memory_now(const struct definition *def); /* bytes: currentMemory */
uint64_t definition_memory_hard_limit(const struct definition *def); /* bytes, 0: none said */
bool definition_memory_is_locked(const struct definition *def);
bool definition_memory_is_huge(const struct definition *def);
unsigned int definition_vcpus(const struct definition *def);
const char *definition_emulator(const struct definition *def); /* with the default */

/* What to do at an end: "destroy", "restart", "preserve", "coredump-destroy", …, defaults in. */
const char *definition_on_poweroff(const struct definition *def);
const char *definition_on_reboot(const struct definition *def);
const char *definition_on_crash(const struct definition *def);

/*
 * Any value by its path below <domain>: "os/nvram", "os/nvram@template",
 * "cputune/emulatorpin@cpuset"; of the first such element. NULL if there is none.
 */
const char *definition_get(const struct definition *def, const char *path);

/*
 * Set such a value, and create the elements of the path; NULL removes an attribute. For values
 * that the life cycle chooses: an nvram file, a port, a pty.
 */
int definition_set(struct definition *def, const char *path, const char *value,
		   struct pt_error *err);

/* Of a guest, or a device that stands alone; the next one is node_next(…, NULL). */
xmlNode *definition_first_device(const struct definition *def);

/* The <domain> element (or the device's), if a path is not sufficient. */
xmlNode *definition_root(const struct definition *def);

/* ---- devices ---- */

/* How a PCI device of the host stands in it. */
enum definition_hostdev_kind {
	HOSTDEV_PCI,	   /* <hostdev type='pci'> */
	HOSTDEV_INTERFACE, /* <interface type='hostdev'> */
	HOSTDEV_NVME,	   /* <disk type='nvme'>: QEMU itself drives it, by VFIO */
};

struct definition_hostdev {
	enum definition_hostdev_kind kind;
	xmlNode *node;
	struct pt_address address; /* on the host */
	const char *alias;  /* NULL before definition_make_live() or definition_place_device() */
	const char *driver; /* <driver model=…>: host driver to bind; NULL: vfio-pci */
	const char *mac;    /* of an interface, else NULL */
	int vlan;	    /* -1 if there is none */
	bool is_managed;
};

/*
 * All of them, in order; *ret_hostdevs is freed with free(). For a device definition: one or
 * none.
 */
int definition_hostdevs(const struct definition *def, struct definition_hostdev **ret_hostdevs,
			size_t *ret_count, struct pt_error *err);

/* The device with this alias, or NULL. */
xmlNode *definition_find_alias(const struct definition *def, const char *alias);

/* The hostdev with this source address, or NULL. */
xmlNode *definition_find_hostdev(const struct definition *def, const struct pt_address *address);

/*
 * The device of @def that matches @device: by alias, otherwise by the identifying values of its
 * kind (source address, MAC address, target). ENOENT with libvirt's message if there is none,
 * EINVAL if more than one matches.
 */
int definition_find_device(const struct definition *def, const struct definition *device,
			   xmlNode **ret_node, struct pt_error *err);

/* Put a copy of @device in, after those of its kind. EEXIST when it is there, in libvirt's words.
 */
int definition_add_device(struct definition *def, const struct definition *device,
			  xmlNode **ret_node, struct pt_error *err);

/* Take a device out; @node is gone then. */
void definition_remove_device(struct definition *def, xmlNode *node);

/* One device of @def as a separate definition (virsh's detach-device-alias, events). */
int definition_extract_device(const struct definition *def, const xmlNode *node,
			      struct definition **ret_device, struct pt_error *err);

#endif
