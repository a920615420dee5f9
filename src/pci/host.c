/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pci/host.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

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
