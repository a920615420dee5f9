/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Failures in libvirt's words: the only place where its codes meet our reasons. Clients
 * show the message; programs look at code and domain.
 */
#ifndef DAEMON_ERRORS_H
#define DAEMON_ERRORS_H

#include <passthru/address.h>
#include <passthru/error.h>

#include "rpc/frames.h"

/* libvirt's error numbers (virterror.h), those that are used here */
enum fault_code {
	FAULT_INTERNAL = 1,
	FAULT_NO_MEMORY = 2,
	FAULT_NO_SUPPORT = 3,
	FAULT_NO_CONNECT = 5,
	FAULT_INVALID_ARG = 8,
	FAULT_FAILED = 9,
	FAULT_XML = 27,
	FAULT_DENIED = 29,
	FAULT_SYSTEM = 38,
	FAULT_RPC = 39,
	FAULT_NO_DOMAIN = 42,
	FAULT_NO_NETWORK = 43,
	FAULT_DOMAIN_EXISTS = 46,
	FAULT_NO_STORAGE_POOL = 49,
	FAULT_NO_NODE_DEVICE = 53,
	FAULT_INVALID = 55,
	FAULT_CONFIG_UNSUPPORTED = 67,
	FAULT_TIMEOUT = 68,
	FAULT_ARGUMENT_UNSUPPORTED = 74,
	FAULT_UNSUPPORTED = 84,
	FAULT_BUSY = 87,
	FAULT_DEVICE_MISSING = 99,
};

/* libvirt's parts (virErrorDomain) */
enum fault_domain {
	FAULT_FROM_NONE = 0,
	FAULT_FROM_RPC = 7,
	FAULT_FROM_QEMU = 10,
	FAULT_FROM_NETWORK = 19,
	FAULT_FROM_STORAGE = 18,
	FAULT_FROM_DOMAIN = 20,
	FAULT_FROM_NODEDEV = 22,
	FAULT_FROM_STREAMS = 38,
};

/* The failure of a call. */
struct fault {
	enum fault_code code;
	enum fault_domain domain;
	char detail[sizeof(((struct pt_error *)NULL)->message) + 256];
};

/* Always returns -1, so that failing is one line. @detail follows the code's own phrase. */
int fault_set(struct fault *fault, enum fault_code code, enum fault_domain domain,
	      const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The same for a failure of the library. @address may be NULL. */
int fault_set_reason(struct fault *fault, const struct pt_error *err,
		     const struct pt_address *address);

/* A message of status error: the reply to @call, or a packet of its stream. */
int fault_write(const struct fault *fault, const struct frame_header *call, enum frame_type type,
		struct frame_bytes *ret_frame);

#endif
