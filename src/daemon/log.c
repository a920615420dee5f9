/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/log.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/text.h"

static enum pt_log_level least = PT_LOG_NOTICE;

/* What the journal takes for the priority of a line; a terminal gets words alone. */
static const char *priority(enum pt_log_level level)
{
	if (!getenv("JOURNAL_STREAM"))
		return "passthrud: ";
	switch (level) {
	case PT_LOG_DEBUG:
		return SD_DEBUG;
	case PT_LOG_INFO:
		return SD_INFO;
	case PT_LOG_NOTICE:
		return SD_NOTICE;
	case PT_LOG_WARNING:
		break;
	}
	return SD_WARNING;
}

void log_set_level(enum pt_log_level level)
{
	least = level;
}

static void put(enum pt_log_level level, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

static void put(enum pt_log_level level, const char *format, va_list args)
{
	char text[2400], *line = text, *rest;

	if (level < least)
		return;
	(void)text_vformat(text, sizeof(text), format, args);
	text_clean_lines(text);
	/* each line has its priority, or one from outside could begin with "<0>" */
	flockfile(stderr);
	for (; line; line = rest) {
		rest = strchr(line, '\n');
		if (rest)
			*rest++ = '\0';
		(void)fprintf(stderr, "%s%s\n", priority(level), line);
	}
	funlockfile(stderr);
}

void log_message(enum pt_log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put(level, format, args);
	va_end(args);
}

void log_rated(struct log_rate *rate, enum pt_log_level level, const char *format, ...)
{
	int64_t now = clock_now_ms();
	va_list args;

	if (!rate->count || now - rate->since_ms >= LOG_RATE_MS) {
		if (rate->left_out)
			log_message(level, "%u messages like the next one were left out",
				    rate->left_out);
		*rate = (struct log_rate){.since_ms = now};
	}
	if (rate->count >= LOG_RATE_BURST) {
		rate->left_out++;
		return;
	}
	rate->count++;
	va_start(args, format);
	put(level, format, args);
	va_end(args);
}

void log_library(void *context, enum pt_log_level level, const char *message)
{
	(void)context;
	log_message(level, "%s", message);
}
