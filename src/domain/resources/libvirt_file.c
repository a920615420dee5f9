/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/resources/libvirt_file.h"

#include <errno.h>
#include <string.h>

#include "base/io.h"
#include "base/text.h"

/* A network with many fixed leases is some KiB. */
#define FILE_MAX ((size_t)1024 * 1024)

int libvirt_file_read(struct pt_host *host, const char *directory, const char *name,
		      char ret_path[LIBVIRT_FILE_PATH], char **ret_text)
{
	int r = text_format(ret_path, LIBVIRT_FILE_PATH, "%s/%s.xml", directory, name);
	size_t size;

	if (strchr(name, '/'))
		return -EINVAL;
	return r < 0 ? r
		     : io_read_all_at(host->root_fd, io_relative(ret_path), FILE_MAX, ret_text,
				      &size);
}

int libvirt_file_parse(const char *path, const char *text, xmlDoc **ret_doc, struct pt_error *err)
{
	int r = tree_parse(text, ret_doc, err);

	if (r < 0)
		pt_error_prefix(err, "%s: ", path);
	return r;
}
