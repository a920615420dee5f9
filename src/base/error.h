/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <assert.h>
#include <errno.h>
#include <passthru/error.h>

/*
 * Fill @err (when not NULL) and return -@errnum, so that failing is one line:
 *
 *	return pt_fail(err, PT_DRIVER_REFUSED, ENODEV, "%s: %s refused it", addr, driver);
 *
 * @errnum is positive. The message names the device, the reason and the next step.
 */
#define pt_fail(err, reason, errnum, ...)                                                          \
	({                                                                                         \
		int errnum_ = (errnum);                                                            \
		pt_error_set(err, reason, errnum_, __VA_ARGS__);                                   \
		assert(errnum_ > 0);                                                               \
		-errnum_; /* in sight of compilers and analyzers: failing is less than 0 */        \
	})

void pt_error_set(struct pt_error *err, enum pt_reason reason, int errnum, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Put words before the message that is there: "0000:01:00.0: ". */
void pt_error_prefix(struct pt_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Append text to the message: a next step, the remaining state. */
void pt_error_append(struct pt_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define pt_fail_memory(err) pt_fail(err, PT_NO_MEMORY, ENOMEM, "out of memory")

#endif
