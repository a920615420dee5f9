/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/virt.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/error.h"
#include "base/text.h"

#define SOCKET "/run/passthru/passthru-sock"

/* ---- the libraries ---- */

static int open_library(const char *const *names, void **ret_library, struct pt_error *err)
{
	size_t i;

	for (i = 0; names[i]; i++) {
		*ret_library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
		if (*ret_library)
			return 0;
	}
	return pt_fail(err, PT_SYSTEM, ENOENT,
		       "%s is not installed, but the guest verbs need it: install libvirt's client "
		       "library (Debian: libvirt0)",
		       names[0]);
}

#define FIND(library, name) {library, #name, (void **)&virt->call.name},
#define FIND_VIRT(name)	    FIND(virt->libvirt, name)
#define FIND_XML(name)	    FIND(virt->libxml, name)

static int open_libraries(struct virt *virt, struct pt_error *err)
{
	static const char *const libvirt[] = {"libvirt.so.0", NULL};
	static const char *const libxml[] = {"libxml2.so.2", "libxml2.so.16", NULL};
	int r = open_library(libvirt, &virt->libvirt, err);

	if (!r)
		r = open_library(libxml, &virt->libxml, err);
	if (r)
		return r;

	const struct {
		void *library;
		const char *name;
		void **place;
	} functions[] = {VIRT_FUNCTIONS(FIND_VIRT) XML_FUNCTIONS(FIND_XML)};
	size_t i;

	for (i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		*functions[i].place = dlsym(functions[i].library, functions[i].name);
		if (!*functions[i].place)
			return pt_fail(err, PT_SYSTEM, ENOSYS,
				       "libvirt's client library is too old: it has no %s()",
				       functions[i].name);
	}
	return 0;
}

/* ---- the connection ---- */

/* libvirt prints every error by itself unless told not to. */
static void be_quiet(void *context, virErrorPtr error)
{
	(void)context;
	(void)error;
}

static const char *choose_uri(const char *uri)
{
	if (uri)
		return uri;
	if (getenv("LIBVIRT_DEFAULT_URI"))
		return NULL; /* the library reads it itself */
	return access(SOCKET, F_OK) == 0 ? "qemu+unix:///system?socket=" SOCKET : "qemu:///system";
}

int virt_open(const char *uri, struct virt *ret_virt, struct pt_error *err)
{
	struct virt virt = {0};
	int r = open_libraries(&virt, err);

	if (!r) {
		virt.call.virSetErrorFunc(NULL, be_quiet);
		virt.connection = virt.call.virConnectOpen(choose_uri(uri));
		if (!virt.connection) {
			r = virt_fail(&virt, err, "can't connect to passthrud or libvirtd");
			pt_error_append(err, ". Is it running?");
		}
	}
	if (r) {
		virt_close(&virt);
		return r;
	}
	*ret_virt = virt;
	return 0;
}

void virt_close(struct virt *virt)
{
	if (virt->connection)
		(void)virt->call.virConnectClose(virt->connection);
	virt->connection = NULL;
	/* the libraries stay: libvirt's has threads and thread-local data that outlive a close */
}

/* ---- errors ---- */

int virt_last_code(struct virt *virt)
{
	virErrorPtr error = virt->call.virGetLastError();

	return error ? error->code : VIR_ERR_OK;
}

int virt_fail(struct virt *virt, struct pt_error *err, const char *what)
{
	virErrorPtr error = virt->call.virGetLastError();
	const char *message = error && error->message ? error->message : "no reason given";

	switch (error ? error->code : VIR_ERR_OK) {
	case VIR_ERR_NO_DOMAIN:
		return pt_fail(err, PT_NO_GUEST, ENOENT, "%s: %s", what, message);
	case VIR_ERR_OPERATION_DENIED:
	case VIR_ERR_AUTH_FAILED:
	case VIR_ERR_ACCESS_DENIED:
		return pt_fail(err, PT_NOT_PERMITTED, EPERM, "%s: %s", what, message);
	default:
		return pt_fail(err, PT_SYSTEM, EIO, "%s: %s", what, message);
	}
}

/* ---- guests ---- */

const char *virt_state_name(int state)
{
	static const char *const names[] = {
		[VIR_DOMAIN_NOSTATE] = "no state",	 [VIR_DOMAIN_RUNNING] = "running",
		[VIR_DOMAIN_BLOCKED] = "idle",		 [VIR_DOMAIN_PAUSED] = "paused",
		[VIR_DOMAIN_SHUTDOWN] = "shutting down", [VIR_DOMAIN_SHUTOFF] = "shut off",
		[VIR_DOMAIN_CRASHED] = "crashed",	 [VIR_DOMAIN_PMSUSPENDED] = "suspended",
	};

	return state >= 0 && (size_t)state < sizeof(names) / sizeof(names[0]) ? names[state]
									      : "unknown";
}

int virt_find(struct virt *virt, const char *name, virDomainPtr *ret_domain, struct pt_error *err)
{
	*ret_domain = virt->call.virDomainLookupByName(virt->connection, name);
	return *ret_domain ? 0 : virt_fail(virt, err, name);
}

/* An attribute's text, which has no entities in it: numbers. NULL when it isn't there. */
static const char *attribute(const xmlNode *node, const char *name)
{
	const xmlAttr *attribute;

	for (attribute = node->properties; attribute; attribute = attribute->next)
		if (!strcmp((const char *)attribute->name, name) && attribute->children)
			return (const char *)attribute->children->content;
	return NULL;
}

static bool parse_field(const xmlNode *node, const char *name, uint64_t max, uint64_t *ret_number)
{
	const char *text = attribute(node, name);
	bool is_hex = text && !strncmp(text, "0x", 2);

	*ret_number = 0;
	if (!text)
		return !strcmp(name, "domain"); /* the only one that may be left out */
	return text_parse_number(is_hex ? text + 2 : text, is_hex ? 16 : 10, max, ret_number) == 0;
}

static int add_hostdev(const xmlNode *node, struct cli_devices *devices, struct pt_error *err)
{
	uint64_t domain, bus, slot, function;
	char word[PT_ADDRESS_TEXT];

	if (!parse_field(node, "domain", 0xffffffff, &domain) ||
	    !parse_field(node, "bus", 0xff, &bus) || !parse_field(node, "slot", 0x1f, &slot) ||
	    !parse_field(node, "function", 7, &function))
		return pt_fail(err, PT_CORRUPT, EBADMSG,
			       "the address of a hostdev in the guest's definition is invalid");
	(void)pt_address_format(&(struct pt_address){.domain = (uint32_t)domain,
						     .bus = (uint8_t)bus,
						     .device = (uint8_t)slot,
						     .function = (uint8_t)function},
				word);
	return cli_devices_add(devices, word, err);
}

static int read_nodes(struct virt *virt, xmlDocPtr document, struct cli_devices *devices,
		      struct pt_error *err)
{
	static const char path[] = "/domain/devices/hostdev[@type='pci']/source/address"
				   "|/domain/devices/interface[@type='hostdev']/source/address";
	xmlXPathContextPtr context = virt->call.xmlXPathNewContext(document);
	xmlXPathObjectPtr found = NULL;
	int i, r = 0;

	if (context)
		found = virt->call.xmlXPathEvalExpression((const xmlChar *)path, context);
	if (!found)
		r = pt_fail(err, PT_NO_MEMORY, ENOMEM, "out of memory");
	for (i = 0; !r && found->nodesetval && i < found->nodesetval->nodeNr; i++)
		r = add_hostdev(found->nodesetval->nodeTab[i], devices, err);
	if (found)
		virt->call.xmlXPathFreeObject(found);
	if (context)
		virt->call.xmlXPathFreeContext(context);
	return r;
}

int virt_read_hostdevs(struct virt *virt, virDomainPtr domain, unsigned int flags,
		       struct cli_devices *ret_devices, struct pt_error *err)
{
	AUTO_FREE char *text = virt->call.virDomainGetXMLDesc(domain, flags);
	const char *name = virt->call.virDomainGetName(domain);
	struct cli_devices devices = {0};
	xmlDocPtr document;
	int r;

	if (!text)
		return virt_fail(virt, err, name);
	document =
		virt->call.xmlReadMemory(text, (int)strlen(text), "guest.xml", NULL,
					 XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (!document)
		return pt_fail(err, PT_CORRUPT, EBADMSG,
			       "%s: its definition is not valid "
			       "XML",
			       name);
	r = read_nodes(virt, document, &devices, err);
	virt->call.xmlFreeDoc(document);
	if (r)
		cli_devices_free(&devices);
	else
		*ret_devices = devices;
	return r;
}
