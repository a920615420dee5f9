/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The audit trail: one log entry for each attempted operation, also for one that failed before
 * taking a lock, and for each recovery, with the requesting user and the result. The journal gets
 * it with fields (journalctl PASSTHRU_DEVICE=0000:01:00.0); without a journal, syslog gets the
 * same as one line.
 *
 * Both are a datagram to a socket in the host's /run or /dev, so a test can listen there. The
 * journal's protocol is a documented, stable interface ("Native Journal Protocol"); audit.c
 * explains why it does not use libsystemd.
 */
#ifndef ASSIGN_AUDIT_H
#define ASSIGN_AUDIT_H

#include <passthru/plan.h>

#include "base/error.h"

/* MESSAGE_ID of all entries. */
#define AUDIT_MESSAGE_ID "8f2c5f0a6d5d4c5e9b0f7a1d3b6e4c21"

/* The record of one operation; texts may be NULL. */
struct audit {
	const char *verb;
	const struct pt_address *devices;
	size_t count;
	const char *owner;  /* "guest NAME", "COMMAND (pid N)" */
	const char *driver; /* asked for */
	const char *why;    /* the reason given with force */
	int result;	    /* 0 or a negative errno */
	const struct pt_error *err;
	const char *text; /* what came of it, where that isn't just "done" */
};

/* Never fails: a log that can't be written must not undo what was done. */
void audit_write(struct pt_host *host, const struct audit *audit);

/* The same for an operation of a plan; @err is only used if @result is negative. */
void audit_operation(struct pt_host *host, const struct pt_request *request, int result,
		     const struct pt_error *err);

/* Format the line for people; public for the fuzz target of hostile texts. */
size_t audit_format(const struct audit *audit, char *line, size_t size);

#endif
