/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pci/sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"

int sysfs_device_path(char path[SYSFS_PATH], const struct pt_address *address, const char *name)
{
	char text[PT_ADDRESS_TEXT];
	int r = text_format(path, SYSFS_PATH, SYSFS_DEVICES "/%s%s%s",
			    pt_address_format(address, text), *name ? "/" : "", name);

	return r < 0 ? r : 0;
}

ssize_t sysfs_read(struct pt_host *host, const struct pt_address *address, const char *name,
		   char *buffer, size_t size)
{
	char path[SYSFS_PATH];
	int r = sysfs_device_path(path, address, name);

	if (r < 0)
		return r;
	return io_read_text_at(host->root_fd, path, buffer, size);
}

int sysfs_read_link(struct pt_host *host, const struct pt_address *address, const char *name,
		    char *buffer, size_t size)
{
	char path[SYSFS_PATH];
	int r = sysfs_device_path(path, address, name);

	return r < 0 ? r : io_read_link_word_at(host->root_fd, path, buffer, size);
}

bool sysfs_has_device(struct pt_host *host, const struct pt_address *address)
{
	char path[SYSFS_PATH];

	return sysfs_device_path(path, address, "") == 0 &&
	       faccessat(host->root_fd, path, F_OK, 0) == 0;
}

int sysfs_write(struct pt_host *host, const char *path, const char *text)
{
	host_log(host, PT_LOG_DEBUG, "write \"%s\" to /%s", text, path);
	return host->ops->write(host, path, text, strlen(text));
}
