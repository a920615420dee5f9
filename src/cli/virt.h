/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection to what runs guests, passthrud or libvirt's own daemon, by libvirt's client
 * library. It, and libxml2 for its documents, are opened when a verb needs them: with all
 * that they load they would make every other verb start several times as slowly, and hosts
 * without them can use those.
 */
#ifndef CLI_VIRT_H
#define CLI_VIRT_H

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>

#include "cli/cli.h"

#define VIRT_FUNCTIONS(X)                                                                          \
	X(virConnectOpen)                                                                          \
	X(virConnectClose)                                                                         \
	X(virConnectListAllDomains)                                                                \
	X(virDomainAttachDeviceFlags)                                                              \
	X(virDomainCreateWithFlags)                                                                \
	X(virDomainDestroy)                                                                        \
	X(virDomainDetachDeviceFlags)                                                              \
	X(virDomainFree)                                                                           \
	X(virDomainGetMessages)                                                                    \
	X(virDomainGetName)                                                                        \
	X(virDomainGetState)                                                                       \
	X(virDomainGetXMLDesc)                                                                     \
	X(virDomainIsActive)                                                                       \
	X(virDomainIsPersistent)                                                                   \
	X(virDomainLookupByName)                                                                   \
	X(virDomainShutdown)                                                                       \
	X(virGetLastError)                                                                         \
	X(virSetErrorFunc)

#define XML_FUNCTIONS(X)                                                                           \
	X(xmlReadMemory)                                                                           \
	X(xmlFreeDoc)                                                                              \
	X(xmlXPathNewContext)                                                                      \
	X(xmlXPathFreeContext)                                                                     \
	X(xmlXPathEvalExpression)                                                                  \
	X(xmlXPathFreeObject)

#define VIRT_POINTER(name) typeof(&(name)) name;

struct virt {
	void *libvirt;
	void *libxml;
	struct {
		VIRT_FUNCTIONS(VIRT_POINTER)
		XML_FUNCTIONS(VIRT_POINTER)
	} call;
	virConnectPtr connection;
};

/*
 * @uri NULL: what LIBVIRT_DEFAULT_URI says, else passthrud when its socket is there, else
 * qemu:///system.
 */
int virt_open(const char *uri, struct virt *ret_virt, struct pt_error *err);
void virt_close(struct virt *virt);

/* What libvirt said last, after "@what: "; PT_NO_GUEST, PT_NOT_PERMITTED or PT_SYSTEM. */
int virt_fail(struct virt *virt, struct pt_error *err, const char *what);

/* The code of libvirt's last error, a virErrorNumber. */
int virt_last_code(struct virt *virt);

int virt_find(struct virt *virt, const char *name, virDomainPtr *ret_domain, struct pt_error *err);

/* The host's PCI devices in a guest's document: @flags as for virDomainGetXMLDesc(). */
int virt_read_hostdevs(struct virt *virt, virDomainPtr domain, unsigned int flags,
		       struct cli_devices *ret_devices, struct pt_error *err);

/* "running", "shut off", … */
const char *virt_state_name(int state);

#endif
