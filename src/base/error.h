/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <errno.h>
#include <passthru/error.h>

/*
 * Fill @err (when not NULL) and return -@errnum, so that failing is one line:
 *
 *	return pt_fail(err, PT_DRIVER_REFUSED, ENODEV, "%s: %s refused it", addr, driver);
 *
 * @errnum is positive. The message names the device, the reason and the next step.
 */
int pt_fail(struct pt_error *err, enum pt_reason reason, int errnum, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Put words before the message that is there: "0000:01:00.0: ". */
void pt_error_prefix(struct pt_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Add words after it, for what the caller knows more: a next step, what is left. */
void pt_error_append(struct pt_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

int pt_fail_memory(struct pt_error *err);

#endif
