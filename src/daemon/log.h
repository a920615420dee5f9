/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages to standard error, which is the journal under systemd. */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <passthru/host.h>
#include <stdarg.h>

/* Messages below this level are left out; PT_LOG_NOTICE to begin with. */
void log_set_level(enum pt_log_level level);

void log_message(enum pt_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* For pt_host_set_log(). */
void log_library(void *context, enum pt_log_level level, const char *message);

#endif
