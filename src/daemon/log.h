/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages to standard error, which is the journal under systemd. */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <passthru/host.h>
#include <stdarg.h>
#include <stdint.h>

/* Messages below this level are left out; PT_LOG_NOTICE to begin with. */
void log_set_level(enum pt_log_level level);

void log_message(enum pt_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * What others can cause as often as they like: LOG_RATE_BURST messages in LOG_RATE_MS, and then how
 * many were left out, with the first after that time. Zeroed to begin with; one thread at a time.
 */
#define LOG_RATE_BURST 10
#define LOG_RATE_MS    10000

struct log_rate {
	int64_t since_ms;
	unsigned int count;
	unsigned int left_out;
};

void log_rated(struct log_rate *rate, enum pt_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* For pt_host_set_log(). */
void log_library(void *context, enum pt_log_level level, const char *message);

#endif
