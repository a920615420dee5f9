/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/log.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

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

void log_message(enum pt_log_level level, const char *format, ...)
{
	char text[2400], *line = text, *rest;
	va_list args;

	if (level < least)
		return;
	va_start(args, format);
	(void)text_vformat(text, sizeof(text), format, args);
	va_end(args);
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

void log_library(void *context, enum pt_log_level level, const char *message)
{
	(void)context;
	log_message(level, "%s", message);
}
