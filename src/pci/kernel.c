/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The machine behind the door: what a struct pt_host does where no test stands in it. */
#include <errno.h>
#include <fcntl.h>
#include <passthru/host.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pci/helper.h"
#include "pci/host.h"
#include "pci/modules.h"
#include "pci/names.h"
#include "pci/vfio.h"

static int kernel_write(struct pt_host *host, const char *path, const char *data, size_t size)
{
	return io_write_at(host->root_fd, path, data, size);
}

static const struct host_ops kernel_ops = {
	.write = kernel_write,
	.load_module = modules_load,
	.hot_reset_info = vfio_hot_reset_info,
	.hot_reset = vfio_hot_reset,
};

static bool is_root_directory(int fd)
{
	struct stat st, root;

	return fstat(fd, &st) == 0 && stat("/", &root) == 0 && st.st_dev == root.st_dev &&
	       st.st_ino == root.st_ino;
}

int pt_host_new(const char *root, struct pt_host **ret_host, struct pt_error *err)
{
	struct pt_host *host = calloc(1, sizeof(*host));

	if (!host)
		return pt_fail_memory(err);
	if (!root)
		root = "/";
	host->ops = &kernel_ops;
	host->root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (host->root_fd < 0) {
		int errnum = errno;

		free(host);
		return pt_fail(err, PT_SYSTEM, errnum, "%s: %s", root, strerror(errnum));
	}
	host->is_this_machine = is_root_directory(host->root_fd);
	host->root = strdup(host->is_this_machine ? "" : root);
	if (!host->root) {
		pt_host_free(host);
		return pt_fail_memory(err);
	}
	*ret_host = host;
	return 0;
}

void pt_host_free(struct pt_host *host)
{
	if (!host)
		return;
	helper_end(host);
	names_close(host);
	modules_close(host);
	close(host->root_fd);
	free(host->root);
	free(host);
}
