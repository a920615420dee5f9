/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/live_start.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "domain/xml_node.h"

/* ---- ports ---- */

enum { FIRST_PORT = 5900, LAST_PORT = 6899 };

/* Firmware is some MiB; an ordinary file of another kind shall not fill the disk. */
#define NVRAM_MAX ((size_t)64 * 1024 * 1024)

static bool can_bind(const char *address, uint16_t port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	bool is_v6 = inet_pton(AF_INET6, address, &v6.sin6_addr) == 1;
	AUTO_CLOSE int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	/* a name, not an address: looked at on all addresses */
	if (!is_v6 && inet_pton(AF_INET, address, &v4.sin_addr) != 1)
		v4.sin_addr.s_addr = htonl(INADDR_ANY);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return false;
	return is_v6 ? bind(fd, (struct sockaddr *)&v6, sizeof(v6)) == 0
		     : bind(fd, (struct sockaddr *)&v4, sizeof(v4)) == 0;
}

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

static int choose_port(const xmlNode *devices, xmlNode *graphics, struct pt_error *err)
{
	const char *address = node_get(graphics, "listen@address");

	if (!address)
		address = node_get(graphics, "@listen");
	for (unsigned int port = FIRST_PORT; port <= LAST_PORT; port++) {
		if (is_chosen(devices, port) ||
		    !can_bind(address ? address : "127.0.0.1", (uint16_t)port))
			continue;
		return node_set_format(graphics, "port", "%u", port) < 0 ? pt_fail_memory(err) : 0;
	}
	return pt_fail(err, PT_SYSTEM, EADDRINUSE,
		       "Unable to find an unused port in range for %s (%d-%d)",
		       node_get(graphics, "@type"), FIRST_PORT, LAST_PORT);
}

int live_choose_ports(struct definition *live, struct pt_error *err)
{
	xmlNode *devices = node_child(definition_root(live), "devices");
	int r = 0;

	for (xmlNode *at = node_child(devices, "graphics"); at && r == 0;
	     at = node_next(at, "graphics")) {
		uint64_t number;

		if (node_attribute(at, "socket") || node_says(at, "listen@type", "socket") ||
		    node_says(at, "listen@type", "none") ||
		    node_number(at, "port", 65535, &number) == 0)
			continue;
		r = choose_port(devices, at, err);
	}
	return r;
}

/* ---- firmware variables ---- */

static int make_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[4096];

	if (!slash || slash == path)
		return 0;
	if ((size_t)snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path) >=
	    sizeof(folder))
		return -ENAMETOOLONG;
	return io_make_directories_at(AT_FDCWD, folder, 0755);
}

int live_make_nvram(const struct definition *live, uid_t uid, gid_t gid, struct pt_error *err)
{
	const char *path = definition_get(live, "os/nvram");
	const char *template = definition_get(live, "os/nvram@template");
	AUTO_FREE char *data = NULL;
	size_t size;
	int r;

	if (!path || access(path, F_OK) == 0)
		return 0;
	if (!template)
		return pt_fail(
			err, PT_INVALID, EINVAL,
			"domain/os/nvram: %s isn't there, and domain/os/nvram@template names no "
			"file to make it from",
			path);
	r = io_read_all_at(AT_FDCWD, template, NVRAM_MAX, &data, &size);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "domain/os/nvram@template: can't read %s: %s",
			       template, strerror(-r));
	r = make_folder_of(path);
	if (r == 0)
		r = io_replace_at(AT_FDCWD, path, data, size, 0600);
	if (r == 0 && lchown(path, uid, gid) < 0)
		r = -errno;
	if (r < 0)
		return pt_fail(err, PT_STORAGE, -r, "domain/os/nvram: can't make %s: %s", path,
			       strerror(-r));
	return 0;
}
