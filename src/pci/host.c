/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pci/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/helper.h"
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

int pt_host_new(const char *root, struct pt_host **ret_host, struct pt_error *err)
{
	struct pt_host *host = calloc(1, sizeof(*host));

	if (!host)
		return pt_fail_memory(err);
	host->ops = &kernel_ops;
	host->root_fd = open(root ? root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (host->root_fd < 0) {
		int errnum = errno;

		free(host);
		return pt_fail(err, PT_SYSTEM, errnum, "%s: %s", root, strerror(errnum));
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
	free(host);
}

void pt_host_set_log(struct pt_host *host, pt_log_fn log, void *context)
{
	host->log = log;
	host->log_context = context;
}

void host_log(struct pt_host *host, enum pt_log_level level, const char *format, ...)
{
	char message[1024];
	va_list args;

	if (!host->log)
		return;
	va_start(args, format);
	(void)text_vformat(message, sizeof(message), format, args);
	va_end(args);
	text_clean_lines(message);
	host->log(host->log_context, level, message);
}
