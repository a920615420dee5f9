/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/resources/resources.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/safe_path.h"
#include "domain/definition/graphics.h"
#include "domain/definition/xml_node.h"
#include "domain/machine/machine.h"

/* ---- ports ---- */

enum { FIRST_PORT = 5900, LAST_PORT = 6899 };

/* Firmware is some MiB; an ordinary file of another kind shall not fill the disk. */
#define NVRAM_MAX ((size_t)64 * 1024 * 1024)

static bool is_chosen(const xmlNode *devices, unsigned int port)
{
	for (const xmlNode *at = node_child(devices, "graphics"); at;
	     at = node_next(at, "graphics")) {
		uint64_t number;

		if (node_number(at, "port", 65535, &number) == 0 && number == port)
			return true;
	}
	return false;
}

static int choose_port(struct pt_host *host, const xmlNode *devices, xmlNode *graphics,
		       struct pt_error *err)
{
	const char *address = node_get(graphics, "listen@address");

	if (!address)
		address = node_get(graphics, "@listen");
	for (unsigned int port = FIRST_PORT; port <= LAST_PORT; port++) {
		if (is_chosen(devices, port) ||
		    !machine_of(host)->is_port_free(host, address ? address : "127.0.0.1",
						    (uint16_t)port))
			continue;
		return node_set_format(graphics, "port", "%u", port) < 0 ? pt_fail_memory(err) : 0;
	}
	return pt_fail(err, PT_SYSTEM, EADDRINUSE,
		       "Unable to find an unused port in range for %s (%d-%d)",
		       node_get(graphics, "@type"), FIRST_PORT, LAST_PORT);
}

int resources_choose_ports(struct pt_host *host, struct definition *live, struct pt_error *err)
{
	xmlNode *devices = node_child(definition_root(live), "devices");
	int r = 0;

	for (xmlNode *at = node_child(devices, "graphics"); at && r == 0;
	     at = node_next(at, "graphics")) {
		uint64_t number;

		if (node_attribute(at, "socket") || node_says(at, "listen@type", "socket") ||
		    graphics_is_silent(at) || node_has(at, "type", "egl-headless") ||
		    node_number(at, "port", 65535, &number) == 0)
			continue;
		r = choose_port(host, devices, at, err);
	}
	return r;
}

/* ---- firmware variables ---- */

static int refuse_nvram(const struct safe_path *at, const char *element, const char *named,
			struct pt_error *err)
{
	char reason[SAFE_PATH_TEXT];

	safe_path_explain(at, named, SAFE_PATH_OBJECT, reason);
	return pt_fail(err, PT_NOT_PERMITTED, EPERM, "%s: %s", element, reason);
}

/* Its content becomes the guest's: that of a file that is the guest's to read anyway. */
static int read_template(struct pt_host *host, const char *template, char **ret_data,
			 size_t *ret_size, struct pt_error *err)
{
	static const char element[] = "domain/os/nvram@template";
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	AUTO_CLOSE int fd = -1;
	int r = safe_path_open(host->root_fd, template, &at);

	if (!r && !safe_path_is_trusted(&at, SAFE_PATH_NOBODY))
		return refuse_nvram(&at, element, template, err);
	if (!r && at.fd >= 0 && !S_ISREG(at.st.st_mode))
		return pt_fail(err, PT_INVALID, EINVAL,
			       "%s: %s is not a regular "
			       "file",
			       element, template);
	if (!r)
		r = fd = safe_path_reopen(&at, O_RDONLY);
	if (r >= 0)
		r = io_read_all(fd, NVRAM_MAX, ret_data, ret_size);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "%s: can't read %s: %s", element, template,
			       strerror(-r));
	return 0;
}

static int make_nvram(struct pt_host *host, const char *path, const char *template, uid_t uid,
		      gid_t gid, struct pt_error *err)
{
	static const char element[] = "domain/os/nvram";
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	AUTO_FREE char *data = NULL;
	size_t size;
	int r = read_template(host, template, &data, &size, err);

	if (r < 0)
		return r;
	r = safe_path_make_parents(host->root_fd, path, 0755, &at);
	if (r == -EPERM && at.parent >= 0)
		return refuse_nvram(&at, element, path, err);
	if (!r)
		r = safe_path_open(host->root_fd, path, &at);
	if (!r && !safe_path_is_trusted(&at, uid))
		return refuse_nvram(&at, element, path, err);
	if (!r && at.fd < 0)
		r = io_replace_owned_at(at.parent, at.name, data, size, 0600, uid, gid);
	if (r < 0)
		return pt_fail(err, PT_STORAGE, -r, "%s: can't create %s: %s", element, path,
			       strerror(-r));
	return 0;
}

int resources_make_nvram(struct pt_host *host, const struct definition *live, uid_t uid, gid_t gid,
			 struct pt_error *err)
{
	const char *path = definition_get(live, "os/nvram");
	const char *template = definition_get(live, "os/nvram@template");

	if (!path || faccessat(host->root_fd, io_relative(path), F_OK, 0) == 0)
		return 0;
	if (!template)
		return pt_fail(
			err, PT_INVALID, EINVAL,
			"domain/os/nvram: %s does not exist, and domain/os/nvram@template names no "
			"file to create it from",
			path);
	return make_nvram(host, path, template, uid, gid, err);
}
